"""The definition in force: what a stack's tables mean, read before and told before functions change."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oncefold.aws.functions.guard import definition_item
from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline, changes_of_meaning
from oncefold.core.definition_toml import parse_toml, to_toml
from oncefold.core.errors import DefinitionError, OncefoldError


@dataclass(frozen=True, slots=True)
class InForce:
    """What stands in AggregateTable."""

    table: bool = False
    """Whether there is such a table."""
    toml: str | None = None
    """The definition's text; None if the tables mean nothing yet."""
    fingerprints: frozenset[str] = frozenset()
    """Of the definitions that may go on with the tables."""

    def accepts(self, pipeline: Pipeline) -> bool:
        """Whether this very definition is in force."""
        return self.toml == to_toml(pipeline) and pipeline.fingerprint in self.fingerprints

    def difference(self, pipeline: Pipeline) -> Sequence[str]:
        """The lines in which a definition differs: with `-` what was, with `+` what is to be."""
        if self.toml is None:
            return ()
        lines = difflib.ndiff(self.toml.splitlines(), to_toml(pipeline).splitlines())
        return [line for line in lines if line.startswith(("- ", "+ "))]


def read(names: Names, dynamodb: Any) -> InForce:
    """What is in force now."""
    try:
        answer = dynamodb.get_item(TableName=names.aggregate_table, Key=DEFINITION_KEY, ConsistentRead=True)
    except dynamodb.exceptions.ResourceNotFoundException:
        return InForce()
    item = answer.get("Item")
    if item is None:
        return InForce(table=True)
    return InForce(table=True, toml=item["toml"]["S"], fingerprints=frozenset(item["fingerprints"]["SS"]))


def check(standing: InForce, pipeline: Pipeline, names: Names) -> None:
    """Raises DefinitionError for a pipeline under which the tables would mean something else."""
    if standing.toml is None:
        return
    changes = changes_of_meaning(parse_toml(standing.toml, f"stack {names.stack}"), pipeline)
    if changes:
        raise DefinitionError(
            f"stack {names.stack}: this definition would change what its totals mean: {'; '.join(changes)}. "
            "Deploy it as a stack of its own with --stack NAME, send the events there, then destroy this one"
        )


def write(standing: InForce, pipeline: Pipeline, names: Names, dynamodb: Any) -> None:
    """Put a definition in force beside those before, on the condition that nobody changed it since it was read.

    Functions with the definition before go on until they are replaced: it means the same. Raises OncefoldError.
    """
    request: dict[str, Any] = {
        "TableName": names.aggregate_table,
        "Item": definition_item(pipeline, standing.fingerprints),
    }
    if standing.toml is None:
        request["ConditionExpression"] = "attribute_not_exists(#path)"
        request["ExpressionAttributeNames"] = {"#path": "path"}
    else:
        request["ConditionExpression"] = "#toml = :toml"
        request["ExpressionAttributeNames"] = {"#toml": "toml"}
        request["ExpressionAttributeValues"] = {":toml": {"S": standing.toml}}
    try:
        dynamodb.put_item(**request)
    except dynamodb.exceptions.ConditionalCheckFailedException:
        raise OncefoldError(
            f"stack {names.stack}: its definition was changed by another deployment meanwhile; deploy again"
        ) from None
