"""Envelopes of change streams, recognised in sample records, and the rows inside them as text."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from oncefold.core.fieldpath import FieldPath
from oncefold.core.values import Number

Envelope = Literal["debezium", "dynamodb", "cloudevents"]

_OPERATIONS = frozenset({"c", "u", "d", "r", "m"})
_NUMBERS = re.compile(r"-?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """The rows of sample records that an envelope holds; of deletes none."""

    envelope: Envelope
    rows: Sequence[Mapping[str, Any]]
    version: tuple[FieldPath, str] | None
    """What orders the changes: a field of the envelope (`@...`) and its type; None for the envelope's own."""
    time: FieldPath | None
    deletes: int
    """Records that take a row away, or say nothing of any."""


def unwrapped(records: Sequence[Any]) -> Unwrapped | None:
    """The rows inside, if all records are of one envelope; None if they are not."""
    objects = [record for record in records if isinstance(record, Mapping)]
    if not objects:
        return None
    inner = [record["payload"] if _is_debezium(record.get("payload")) else record for record in objects]
    if all(map(_is_debezium, inner)):
        return _debezium(inner, len(records))
    if all(map(_is_dynamodb, objects)):
        return _dynamodb(objects)
    if all(isinstance(record.get("specversion"), str) and "data" in record for record in objects):
        rows = [record["data"] for record in objects if isinstance(record["data"], Mapping)]
        time = FieldPath(("@time",)) if all("time" in record for record in objects) else None
        return Unwrapped("cloudevents", rows, None, time, len(objects) - len(rows))
    return None


def _is_debezium(record: Any) -> bool:
    return isinstance(record, Mapping) and record.get("op") in _OPERATIONS and ("after" in record or "before" in record)


def _debezium(records: Sequence[Mapping[str, Any]], all_records: int) -> Unwrapped:
    rows = [record["after"] for record in records if isinstance(record.get("after"), Mapping)]
    sources = [record.get("source") or {} for record in records]
    version = FieldPath(("@ts_ms",)), "timestamp"
    for name in ("lsn", "scn", "pos"):
        if all(_NUMBERS.fullmatch(str(source.get(name, ""))) for source in sources):
            version = FieldPath(("@source", name)), "integer"
            break
    return Unwrapped("debezium", rows, version, FieldPath(("@ts_ms",)), all_records - len(rows))


def _is_dynamodb(record: Mapping[str, Any]) -> bool:
    change = record.get("dynamodb", record)
    return (
        isinstance(change, Mapping)
        and isinstance(change.get("Keys", change.get("Item")), Mapping)
        and ("dynamodb" in record or "NewImage" in record or "Item" in record)
    )


def _dynamodb(records: Sequence[Mapping[str, Any]]) -> Unwrapped:
    changes = [record.get("dynamodb", record) for record in records]
    images = [change.get("NewImage", change.get("Item")) for change in changes]
    rows = [dict(_attributes(image)) for image in images if isinstance(image, Mapping)]
    return Unwrapped("dynamodb", rows, None, None, len(records) - len(rows))


def _attributes(image: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The typed attributes of an image as JSON has them: `{"N": "12.5"}` is the number 12.5."""
    for name, typed in image.items():
        value = _attribute(typed)
        if value is not None:
            yield name, value


def _attribute(typed: Any) -> Any:
    """A typed attribute as JSON has it; None for one of another type."""
    if not isinstance(typed, Mapping) or len(typed) != 1:
        return None
    ((kind, value),) = typed.items()
    if kind == "N":
        return Number(value)
    if kind == "M" and isinstance(value, Mapping):
        return dict(_attributes(value))
    if kind == "L" and isinstance(value, list):
        return [_attribute(element) for element in value]
    if kind == "NS" and isinstance(value, list):
        return [Number(element) for element in value]
    return value if kind in {"S", "BOOL", "SS"} else None
