"""A deployed stack, opened to be asked: its names, its definition, and a client for its tables."""

from dataclasses import dataclass
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import OncefoldError


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack, and what its tables mean."""

    names: Names
    pipeline: Pipeline
    fingerprints: frozenset[str]
    """Of all definitions that its functions may run with."""
    dynamodb: Any


def open_stack(names: Names, dynamodb: Any) -> Stack:
    """Read the definition that the tables were made under. Raises OncefoldError if there is none."""
    answer = dynamodb.get_item(TableName=names.aggregate_table, Key=layout.DEFINITION_KEY, ConsistentRead=True)
    if "Item" not in answer:
        raise OncefoldError(
            f"stack {names.stack}: its tables are there, but hold no definition yet; "
            "`oncefold aws deploy` writes it, and so does the first event"
        )
    item = answer["Item"]
    origin = f"the definition in {names.aggregate_table}"
    try:
        return Stack(names, parse_toml(item["toml"]["S"], origin), frozenset(item["fingerprints"]["SS"]), dynamodb)
    except KeyError as error:
        raise OncefoldError(f"{origin} lacks its {error}; deploy again: oncefold aws deploy") from None
