"""Pieces of the JSON schemas of answers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

WHOLE: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
AMOUNT: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
"""An exact decimal as text."""
SECONDS: Schema = {"type": "number"}


def or_null(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def object_of(
    members: Mapping[str, Schema], *, others: Schema | bool = False, optional: Iterable[str] = ()
) -> dict[str, Any]:
    """An object with these members, all there but for the optional ones; others as said."""
    left_out = set(optional)
    return {
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in left_out],
        "additionalProperties": others,
    }


def array_of(items: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": items}


def measures(names: Sequence[str], *, nullable: bool = False) -> Schema:
    """An object with an amount for each measure."""
    return object_of(dict.fromkeys(names, or_null(AMOUNT) if nullable else AMOUNT))


def amounts(names: Sequence[str]) -> Schema:
    """Count and measures of a node."""
    return object_of({"count": WHOLE, "measures": measures(names)})


FRESH: Mapping[str, Schema] = {
    "commit": COUNT,
    "commit_time": or_null(TIME),
    "newest_event": or_null(TIME),
    "lag_seconds": or_null(SECONDS),
}
"""The members that every answer to a question begins with."""
