"""Envelopes: what a record of a change stream wraps its row in, unwrapped before anything of it is read.

A path of the definition is a path of the row; one that begins with `@` is a path of the envelope. What the envelope
says of deletes is the delete.

- debezium: the row is `after`, or else `before`, of the record or of its `payload`; it is a delete if `op` is `d`;
  a tombstone (`null`) and a message (`op` is `m`) say nothing of any key and are counted as ignored;
- dynamodb: the row is `NewImage`, or else `OldImage`, or else `Keys`, or an export's `Item`; it is a delete if
  `eventName` is `REMOVE`, or without `eventName` if there is no `NewImage`;
- cloudevents: the row is `data`; what a delete is, the definition says.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from oncefold.core.decimals import shown
from oncefold.core.errors import IgnoredRecord, InvalidEvent
from oncefold.core.fieldpath import FieldPath
from oncefold.core.records import NestedRecord, ObjectPairs, Record, member
from oncefold.core.values import Number

UNAVAILABLE = "__debezium_unavailable_value"
"""What Debezium writes for a value that PostgreSQL keeps out of line and that did not change."""
UNKNOWN_TEXTS = {
    UNAVAILABLE: "its value did not change and is not in the event; set REPLICA IDENTITY FULL for the table, "
    f'or say that it is missing: missing_texts = ["{UNAVAILABLE}"]'
}
"""Texts of a Debezium row that stand for a value that is not known, and what to do about them."""
DYNAMODB_VERSION = "version"
"""`@version` of the DynamoDB envelope: the sequence number, the write time of an export, or 0 of a full one."""

_OPERATIONS = {"c": False, "u": False, "r": False, "d": True}
_LIVE_EVENTS = {"INSERT": False, "MODIFY": False, "REMOVE": True}
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)


class Enveloped(Record):
    """A record inside an envelope: the row, the envelope's fields, whether it is a delete, and the row before."""

    def __init__(
        self, envelope: Record, row: Record, *, deleted: bool | None = None, before: Record | None = None
    ) -> None:
        self._envelope, self._row = envelope, row
        self.deleted = deleted
        """Whether the envelope says that it is a delete; None if it does not say."""
        self.before = None if before is None else Enveloped(envelope, before)
        """The row before the change, where the envelope has both."""

    def field(self, field: FieldPath, empty: str | None = "") -> Any:
        """The value at a path of the row, or of the envelope."""
        first, *rest = field.segments
        if first.startswith("@"):
            return self._envelope.field(FieldPath((first[1:], *rest)), empty)
        return self._row.field(field, empty)


def unwrapped(kind: str, record: Any) -> Enveloped:
    """The record inside an envelope. Raises InvalidEvent for what is none, IgnoredRecord for what says nothing."""
    return _UNWRAP[kind](record)


def _debezium(record: Any) -> Enveloped:
    if record is None:
        raise IgnoredRecord("a tombstone")
    envelope = _object(record, "a Debezium event")
    operation = member(envelope, "op")
    if operation is None and "payload" in envelope:
        payload = member(envelope, "payload")
        if payload is None:
            raise IgnoredRecord("a tombstone")
        envelope = _object(payload, "the payload of a Debezium event")
        operation = member(envelope, "op")
    if operation == "m":
        raise IgnoredRecord("a message, not a change")
    if operation is None or not isinstance(operation, str) or operation not in _OPERATIONS:
        raise InvalidEvent(_wrong("op", operation, "c, u, d or r, as Debezium writes them"))
    after, before = member(envelope, "after"), member(envelope, "before")
    row = NestedRecord(before if after is None else after)
    both = after is not None and isinstance(before, Mapping)
    return Enveloped(
        NestedRecord(envelope),
        row,
        deleted=_OPERATIONS[operation],
        before=NestedRecord(before) if both else None,
    )


def _dynamodb(record: Any) -> Enveloped:
    envelope = _object(record, "a DynamoDB record")
    if member(envelope, "Item") is not None:
        image = _Attributes(_object(member(envelope, "Item"), "the Item of an export"))
        return Enveloped(_DynamoDbEnvelope(envelope, "0"), image, deleted=False)
    if member(envelope, "dynamodb") is not None:
        change = _object(member(envelope, "dynamodb"), "the change of a stream record")
        name = member(envelope, "eventName")
        if not isinstance(name, str) or name not in _LIVE_EVENTS:
            raise InvalidEvent(_wrong("eventName", name, "INSERT, MODIFY or REMOVE"))
        version, deleted = member(change, "SequenceNumber"), _LIVE_EVENTS[name]
    else:
        change = envelope
        if member(change, "Keys") is None:
            raise InvalidEvent("not a DynamoDB record: it has no dynamodb, Keys or Item")
        written = NestedRecord(envelope).field(FieldPath(("Metadata", "WriteTimestampMicros", "N")))
        version, deleted = written, member(change, "NewImage") is None
    new, old, keys = (member(change, name) for name in ("NewImage", "OldImage", "Keys"))
    present = next((found for found in (new, old, keys) if found is not None), None)
    both = new is not None and isinstance(old, Mapping)
    return Enveloped(
        _DynamoDbEnvelope(envelope, version),
        _Attributes(present),
        deleted=deleted,
        before=_Attributes(old) if both else None,
    )


def _cloudevents(record: Any) -> Enveloped:
    envelope = _object(record, "a CloudEvent")
    if not isinstance(member(envelope, "specversion"), str):
        raise InvalidEvent("not a CloudEvent: specversion is missing")
    if member(envelope, "data_base64") is not None:
        raise InvalidEvent("the data of this CloudEvent is binary (data_base64); send it as JSON in data")
    return Enveloped(NestedRecord(envelope), NestedRecord(member(envelope, "data")))


_UNWRAP: dict[str, Callable[[Any], Enveloped]] = {
    "debezium": _debezium,
    "dynamodb": _dynamodb,
    "cloudevents": _cloudevents,
}


class _DynamoDbEnvelope(NestedRecord):
    def __init__(self, values: Mapping[str, Any], version: Any) -> None:
        super().__init__(values)
        self._version = version

    def field(self, field: FieldPath, empty: str | None = "") -> Any:
        return self._version if field.segments == (DYNAMODB_VERSION,) else super().field(field, empty)


class _Attributes(Record):
    """An image of typed attributes: `{"N": "12.5"}` is the number 12.5."""

    def __init__(self, image: Any) -> None:
        self._image = image

    def field(self, field: FieldPath, empty: str | None = "") -> Any:  # noqa: ARG002
        names: Any = self._image
        *parents, last = field.segments
        for segment in parents:
            value = member(names, segment, field) if isinstance(names, Mapping) else None
            names = member(value, "M", field) if isinstance(value, Mapping) else None
        attribute = member(names, last, field) if isinstance(names, Mapping) else None
        return None if attribute is None else _plain_value(attribute, field)


def _plain_value(attribute: Any, field: FieldPath) -> Any:
    """The value of an attribute: text, a number, a truth value, None for NULL, an array for what is no single value."""
    if not isinstance(attribute, Mapping):
        raise InvalidEvent(f'field {field}: not an attribute with its type, such as {{"S": "text"}}')
    found = {kind: value for kind in _VALUE_TYPES if (value := member(attribute, kind, field)) is not None}
    if not found:
        return _elements(attribute, field)
    if len(found) > 1:
        raise InvalidEvent(f"field {field}: an attribute of several types, {' and '.join(found)}")
    ((kind, value),) = found.items()
    text = value if isinstance(value, str) and not isinstance(value, Number) else None
    if kind == "S" and text is not None:
        return text
    if kind == "N" and text is not None and _NUMBER.fullmatch(text):
        return Number(text)
    if kind == "BOOL" and isinstance(value, bool):
        return value
    if kind == "NULL" and value is True:
        return None
    raise InvalidEvent(f"field {field}: {shown(str(value))} is no attribute of the type {kind}")


_VALUE_TYPES = ("S", "N", "BOOL", "NULL")


def _elements(attribute: Mapping[str, Any], field: FieldPath) -> list[Any]:
    """The elements of a list or of a set of texts or numbers; of what is neither, an array of its type."""
    if len(attribute) == 1:
        ((kind, values),) = attribute.items()
        if isinstance(values, list) and kind in {"L", "SS", "NS"}:
            return [_element(value if kind == "L" else {kind[0]: value}, field) for value in values]
    return [dict(attribute)]


def _element(attribute: Any, field: FieldPath) -> Any:
    """An element of a list: a value, an object of values, or elements again."""
    inner = member(attribute, "M", field) if isinstance(attribute, Mapping) and len(attribute) == 1 else None
    if not isinstance(inner, Mapping):
        return _plain_value(attribute, field)
    return ObjectPairs([(name, _element(member(inner, name, field), field)) for name in inner])


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidEvent(f"not {what}: it is not an object")
    return value


def _wrong(name: str, value: Any, wanted: str) -> str:
    found = "missing" if value is None else f"{shown(str(value))}, not"
    return f"field @{name}: {found}{';' if value is None else ''} {'it is ' if value is None else ''}{wanted}"
