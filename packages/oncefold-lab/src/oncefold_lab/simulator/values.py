"""Attribute values in the form of the low-level API: `{"N": "1.5"}`, taken in, measured and given out.

What is taken in becomes canonical: numbers in their one text, sets sorted, so that two values are equal when Python
says so. Values that were taken in are never changed, so tables, images and answers may share them; what goes out to a
caller is a copy.

Sources: "Supported data types and naming rules in Amazon DynamoDB"; "DynamoDB item sizes and formats".
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from oncefold_lab.simulator import number
from oncefold_lab.simulator.errors import ServiceError

Value = dict[str, Any]
Item = dict[str, Value]
Row = tuple[Item, int]
"""An item that was taken in, with its bytes."""

ITEM_BYTES = 400 * 1024
"""The largest item, names and values."""
DEPTH = 32
"""Levels of lists and maps within each other."""
_DOCUMENT_BYTES = 3
_ELEMENT_BYTES = 1
_TYPES = "B, BOOL, BS, L, M, N, NS, NULL, S, SS"

TYPE_NAMES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "BOOL": "BOOLEAN",
    "NULL": "NULL",
    "L": "LIST",
    "M": "MAP",
    "SS": "STRING_SET",
    "NS": "NUMBER_SET",
    "BS": "BINARY_SET",
}
"""The types as messages about update expressions spell them."""


def text_bytes(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def kind_of(value: Mapping[str, Any]) -> str:
    """The type of a value that was taken in."""
    return next(iter(value))


def take_item(item: Mapping[str, Mapping[str, Any]]) -> tuple[Item, int]:
    """An item in canonical form, and its bytes. Raises Refusal for what DynamoDB takes for no item."""
    taken: Item = {}
    total = 0
    for name, value in item.items():
        text = value.get("S")
        if text.__class__ is str and len(value) == 1:
            taken[name] = {"S": text}
            total += text_bytes(name) + text_bytes(text)
        else:
            taken[name], size = take(value)
            total += text_bytes(name) + size
    return taken, total


def check_item_size(size: int) -> None:
    """Raise Refusal for an item that is too large to be put."""
    if size > ITEM_BYTES:
        raise ServiceError.invalid("Item size has exceeded the maximum allowed size")


def take(value: Mapping[str, Any], depth: int = 0) -> tuple[Value, int]:
    """A value in canonical form, and its bytes."""
    if len(value) != 1:
        found = "is empty" if not value else "has more than one datatypes set"
        raise ServiceError.invalid(
            f"Supplied AttributeValue {found}, must contain exactly one of the supported datatypes"
        )
    ((kind, payload),) = value.items()
    if kind == "S" and payload.__class__ is str:
        return {"S": payload}, len(payload) if payload.isascii() else len(payload.encode())
    taker = _TAKERS.get(kind)
    if taker is None:
        raise ServiceError.invalid(f"Supplied AttributeValue has the unknown type {kind}; the types are {_TYPES}")
    return taker(payload, depth)


def _string(payload: Any, _: int) -> tuple[Value, int]:
    _check_class(payload, str, "S")
    return {"S": payload}, text_bytes(payload)


def _number(payload: Any, _: int) -> tuple[Value, int]:
    _check_class(payload, str, "N")
    text = number.canonical(payload)
    return {"N": text}, number.size(text)


def _binary(payload: Any, _: int) -> tuple[Value, int]:
    _check_class(payload, (bytes, bytearray), "B")
    return {"B": bytes(payload)}, len(payload)


def _boolean(payload: Any, _: int) -> tuple[Value, int]:
    _check_class(payload, bool, "BOOL")
    return {"BOOL": payload}, 1


def _null(payload: Any, _: int) -> tuple[Value, int]:
    _check_class(payload, bool, "NULL")
    return {"NULL": True}, 1


def _list(payload: Any, depth: int) -> tuple[Value, int]:
    _check_class(payload, (list, tuple), "L")
    _check_depth(depth)
    taken, total = [], _DOCUMENT_BYTES
    for element in payload:
        value, size = take(element, depth + 1)
        taken.append(value)
        total += size + _ELEMENT_BYTES
    return {"L": taken}, total


def _map(payload: Any, depth: int) -> tuple[Value, int]:
    _check_class(payload, Mapping, "M")
    _check_depth(depth)
    taken, total = {}, _DOCUMENT_BYTES
    for name, element in payload.items():
        taken[name], size = take(element, depth + 1)
        total += text_bytes(name) + size + _ELEMENT_BYTES
    return {"M": taken}, total


def _string_set(payload: Any, _: int) -> tuple[Value, int]:
    _check_set(payload, "SS", "string")
    for element in payload:
        _check_class(element, str, "SS")
    return {"SS": _distinct(payload)}, sum(map(text_bytes, payload))


def _number_set(payload: Any, _: int) -> tuple[Value, int]:
    _check_set(payload, "NS", "number")
    for element in payload:
        _check_class(element, str, "NS")
    numbers = [number.canonical(element) for element in payload]
    return {"NS": _distinct(numbers, key=number.order)}, sum(map(number.size, numbers))


def _binary_set(payload: Any, _: int) -> tuple[Value, int]:
    _check_set(payload, "BS", "binary")
    for element in payload:
        _check_class(element, (bytes, bytearray), "BS")
    return {"BS": _distinct([bytes(element) for element in payload])}, sum(map(len, payload))


def _check_class(payload: Any, wanted: Any, kind: str) -> None:
    if not isinstance(payload, wanted):
        raise ServiceError("SerializationException", f"{type(payload).__name__} can not be converted to type {kind}")


def _check_set(payload: Any, kind: str, name: str) -> None:
    _check_class(payload, (list, tuple), kind)
    if not payload:
        raise ServiceError.invalid(f"One or more parameter values were invalid: An {name} set  may not be empty")


def _check_depth(depth: int) -> None:
    if depth >= DEPTH:
        raise ServiceError.invalid(
            "Nesting Levels have exceeded supported limits: Attributes of the item has nested levels"
        )


def _distinct(elements: Sequence[Any], key: Callable[[Any], Any] | None = None) -> list[Any]:
    if len(set(elements)) < len(elements):
        shown = ", ".join(map(str, elements))
        raise ServiceError.invalid(
            f"One or more parameter values were invalid: Input collection [{shown}] contains duplicates."
        )
    return sorted(elements, key=key)


_TAKERS: dict[str, Callable[[Any, int], tuple[Value, int]]] = {
    "S": _string,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
    "L": _list,
    "M": _map,
    "SS": _string_set,
    "NS": _number_set,
    "BS": _binary_set,
}


def set_of(kind: str, elements: set[Any]) -> Value | None:
    """A set in canonical form; none without elements, since DynamoDB has no empty sets."""
    if not elements:
        return None
    return {kind: sorted(elements, key=number.order if kind == "NS" else None)}


def size_of(value: Value) -> int:
    """Bytes of a value that was taken in."""
    ((kind, payload),) = value.items()
    if kind == "S":
        return text_bytes(payload)
    if kind == "N":
        return number.size(payload)
    return _TAKERS[kind](payload, 0)[1]


def item_size(item: Item) -> int:
    """Bytes of an item that was taken in."""
    return sum(text_bytes(name) + size_of(value) for name, value in item.items())


_FLAT: Final = frozenset({"S", "N", "B", "BOOL", "NULL"})
"""Kinds whose payload cannot be changed."""


def give(value: Value) -> Value:
    """A copy of a value, for a caller to do with as it likes."""
    ((kind, payload),) = value.items()
    if kind == "L":
        return {"L": [give(element) for element in payload]}
    if kind == "M":
        return {"M": {name: give(element) for name, element in payload.items()}}
    return {kind: payload.copy() if payload.__class__ is list else payload}


def give_item(item: Item) -> Item:
    """A copy of an item, for a caller to do with as it likes."""
    return {name: value.copy() if _FLAT.issuperset(value) else give(value) for name, value in item.items()}


Comparable = tuple[Any, Any]


def comparable(one: Value | None, other: Value | None) -> Comparable | None:
    """The two values as Python orders them, or None where DynamoDB has no order: other types, or a missing one."""
    if one is None or other is None:
        return None
    if "N" in one and "N" in other:
        return Decimal(one["N"]), Decimal(other["N"])
    for kind in ("S", "B"):
        if kind in one and kind in other:
            return one[kind], other[kind]
    return None
