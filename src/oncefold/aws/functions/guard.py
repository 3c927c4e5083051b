"""The guard: functions whose definition means something else than the tables' never touch them."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from oncefold.aws.functions.epochs import kept_under
from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError
from oncefold.dynamodb.items import Item

STANDARD, ECONOMY = "standard", "economy"
MODES = (STANDARD, ECONOMY)
"""How a stack keeps its totals: deltas with each state, or from the stream of states (`net`). For good: what one mode
writes is not all that the other one relies on."""


def mode_of(item: Mapping[str, Any]) -> str:
    """The mode that an item `definition` says."""
    return str(item["mode"]["S"]) if "mode" in item else STANDARD


def definition_item(pipeline: Pipeline, fingerprints: frozenset[str] = frozenset(), mode: str = STANDARD) -> Item:
    """The item that says what the tables mean: the definition, and the fingerprints of all that may go on with them.

    And the mode, and the live epoch (`epochs`), of tables that never were rebuilt; and what their functions know.
    """
    return {
        **DEFINITION_KEY,
        "epoch": {"N": "0"},
        "protocol": {"N": PROTOCOL},
        **({} if mode == STANDARD else {"mode": {"S": mode}}),
        "toml": {"S": to_toml(pipeline)},
        "fingerprints": {"SS": sorted({pipeline.fingerprint, *fingerprints})},
    }


PROTOCOL = "3"
"""What functions know: 1, or nothing said, epochs; 2, definitions of epochs; 3, such that are announced, and loads in
economy mode."""
NEEDED = {STANDARD: "2", ECONOMY: "3"}
"""What they have to know for a rebuild under another definition, and for a load, in each mode."""


def knows(item: Mapping[str, Any]) -> bool:
    """Whether the functions that an item `definition` was written for know what its mode needs."""
    return str(item.get("protocol", {}).get("N", "1")) >= NEEDED[mode_of(item)]


def check_definition(pipeline: Pipeline, names: Names, client: Any, mode: str = STANDARD) -> Pipeline:
    """Make sure that the tables mean what the pipeline does; tables without a definition get this one.

    The definition that keys are kept under, which is another one where a rebuild has replaced it. Raises
    DefinitionError if the tables mean something else.
    """
    item = _read(names, client)
    if item is None:
        try:
            client.put_item(
                TableName=names.aggregate_table,
                Item=definition_item(pipeline, mode=mode),
                ConditionExpression="attribute_not_exists(#path)",
                ExpressionAttributeNames={"#path": "path"},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            item = _read(names, client)
    if item is not None and pipeline.fingerprint not in item["fingerprints"]["SS"]:
        raise DefinitionError(
            f"stack {names.stack}: its tables were made under another definition of {pipeline.name}; deploy with "
            "`oncefold aws deploy`, which says what differs, or deploy this definition as a stack of its own"
        )
    if item is not None and mode_of(item) != mode:
        raise DefinitionError(
            f"stack {names.stack}: its tables are kept in {mode_of(item)} mode and its functions run in {mode} mode; "
            "deploy with `oncefold aws deploy`, which keeps the mode of a stack"
        )
    if item is None or "kept" not in item:
        return pipeline
    return parse_toml(kept_under(item), f"stack {names.stack}: the definition that keys are kept under")


def _read(names: Names, client: Any) -> Mapping[str, Any] | None:
    answer = client.get_item(TableName=names.aggregate_table, Key=DEFINITION_KEY, ConsistentRead=True)
    item: Mapping[str, Any] | None = answer.get("Item")
    return item
