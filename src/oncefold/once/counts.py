"""What a record adds to which counters: paths become keys of items, amounts become integers. Pure.

An amount is an integer of 10**-places. DynamoDB holds 38 digits exactly, so an amount, and each total, lies below
10**(38 - places).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from oncefold.core.decimals import parse_decimal
from oncefold.dynamodb.items import NUMBER_DIGITS, NUMBER_LIMIT, Item, mantissa, number
from oncefold.once.errors import CountsError

Label = str | int
Path = Label | Sequence[Label]
"""What names a counter: a label, or several."""
Amount = int | Decimal
Given = Mapping[Any, Mapping[str, Amount]]
"""Amounts by path and attribute, as a handler gives them."""

Place = tuple[tuple[str, str, str], ...]
"""The key of a counter's item: name, kind (S or N) and text of each attribute."""
Amounts = dict[str, int]
"""Amounts by attribute."""
Counts = dict[Place, Amounts]

AMOUNTS = 40
"""Amounts of one counter. They are added by one expression, of which DynamoDB takes 4 KB."""
_KEY_BYTES = (2048, 1024)
_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class KeyLayout:
    """How a path becomes a key: each attribute takes a label, the last one all that are left, joined."""

    attributes: tuple[tuple[str, str], ...]
    """Name and kind of each, the partition key first."""
    separator: str = ":"

    def place(self, path: Path) -> Place:
        """The key of a path. Raises CountsError."""
        labels = [path] if isinstance(path, str | int) else list(path)
        heads, tail = labels[: len(self.attributes) - 1], labels[len(self.attributes) - 1 :]
        if not tail:
            names = ", ".join(name for name, _ in self.attributes)
            raise CountsError(f"path {path!r}: the table's key is {names}; give {len(self.attributes)} labels")
        values = [*heads, tail[0] if len(tail) == 1 else self._joined(path, tail)]
        parts = zip(self.attributes, values, strict=True)
        return _checked(path, ((name, self._part(label, kind)) for (name, kind), label in parts))

    def _joined(self, path: Path, labels: Sequence[Label]) -> str:
        texts = [str(label) for label in labels]
        if any(self.separator in text for text in texts):
            raise CountsError(
                f"path {path!r}: a label holds {self.separator!r}, which joins labels in this table's key; "
                "choose another separator=, or give the joined text itself"
            )
        return self.separator.join(texts)

    @staticmethod
    def _part(label: Label, kind: str) -> tuple[str, str]:
        if isinstance(label, bool) or not isinstance(label, str | int):
            raise CountsError(f"label {label!r}: a label is a text or an integer")
        if kind == "N" and isinstance(label, str):
            raise CountsError(f"label {label!r}: this attribute of the table's key is a number; give an integer")
        return kind, str(label)


KeyFunction = Callable[[Any], Mapping[str, Label]]


@dataclass(frozen=True, slots=True)
class CustomKey:
    """A path becomes a key by a function of the user's."""

    function: KeyFunction

    def place(self, path: Path) -> Place:
        """The key of a path. Raises CountsError."""
        key = self.function(path).items()
        return _checked(path, ((name, ("S" if isinstance(label, str) else "N", str(label))) for name, label in key))


def _checked(path: Path, parts: Iterable[tuple[str, tuple[str, str]]]) -> Place:
    place = tuple((name, kind, text) for name, (kind, text) in parts)
    for (name, _, text), most in zip(place, _KEY_BYTES, strict=False):
        size = len(text.encode())
        if not 0 < size <= most:
            raise CountsError(f"path {path!r}: {name} would have {size:,} bytes; DynamoDB takes 1 to {most:,}")
    return place


def key_item(place: Place) -> Item:
    """The primary key as DynamoDB takes it."""
    return {name: {kind: text} for name, kind, text in place}


def place_of(item: Mapping[str, Any], names: Iterable[str]) -> Place:
    """The key that an item has."""
    return tuple((name, kind, text) for name in names for kind, text in item[name].items())


def read_counts(given: Given, layout: KeyLayout | CustomKey, places: int) -> Counts:
    """What a handler gave, as counts; paths of one key are added up. Raises CountsError."""
    counts: Counts = {}
    for path, amounts in given.items():
        place = layout.place(path)
        keys = {name for name, _, _ in place}
        read = {name: _amount(path, name, value, places) for name, value in amounts.items()}
        if keys & read.keys():
            raise CountsError(f"path {path!r}: {min(keys & read.keys())} is the table's key and cannot be counted in")
        add(counts, {place: read})
    for place, amounts_ in counts.items():
        if len(amounts_) > AMOUNTS:
            raise CountsError(f"{place_text(place)} has {len(amounts_)} amounts; a counter takes up to {AMOUNTS}")
    return counts


def _amount(path: Path, name: str, value: Amount, places: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise CountsError(
            f"path {path!r}: {name} is {value!r}; give an int or a Decimal, made from text: a float is not exact"
        )
    if not 0 < len(name.encode()) <= _NAME_BYTES:
        raise CountsError(f"path {path!r}: {name!r} is no attribute's name; DynamoDB takes 1 to {_NAME_BYTES} bytes")
    try:
        return parse_decimal(str(value), places, NUMBER_LIMIT)
    except ValueError as error:
        raise CountsError(f"path {path!r}: {name}: {error}; see places= of the counters") from None


def add(into: Counts, more: Mapping[Place, Mapping[str, int]], sign: int = 1) -> None:
    """Add counts to others, or take them away."""
    for place, amounts in more.items():
        there = into.setdefault(place, {})
        for name, amount in amounts.items():
            there[name] = there.get(name, 0) + sign * amount


def counts_text(counts: Counts, places: int) -> str:
    """Counts as JSON: the same text for the same counts."""
    rows = [
        [key_item(place), {name: number(amount, places)["N"] for name, amount in sorted(amounts.items())}]
        for place, amounts in sorted(counts.items())
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def parse_counts(text: str, places: int) -> Counts:
    """The inverse of `counts_text`."""
    return {
        place_of(key, key): {name: mantissa({"N": amount}, places) for name, amount in amounts.items()}
        for key, amounts in json.loads(text)
    }


def place_text(place: Place) -> str:
    """A counter for a person: `Identifier=Delta:FXSpot`."""
    return " ".join(f"{name}={text}" for name, _, text in place)


def addition(table: str, place: Place, amounts: Amounts, places: int) -> Item:
    """The update that adds to a counter, on the condition that every total stays exact.

    DynamoDB says that a number of more than 38 digits is an error; an engine that rounds instead is kept from it.
    """
    most = NUMBER_LIMIT - 1
    names, values, clauses, conditions = {}, {}, [], []
    for index, (name, amount) in enumerate(sorted(amounts.items())):
        names[f"#{index}"] = name
        values[f":{index}"] = number(amount, places)
        values[f":l{index}"] = number(max(-most, -most - amount), places)
        values[f":h{index}"] = number(min(most, most - amount), places)
        clauses.append(f"#{index} :{index}")
        conditions.append(f"(attribute_not_exists(#{index}) OR #{index} BETWEEN :l{index} AND :h{index})")
    return {
        "Update": {
            "TableName": table,
            "Key": key_item(place),
            "UpdateExpression": "ADD " + ", ".join(clauses),
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
    }


_NUMBERS_BYTES = 3 * (NUMBER_DIGITS + 3) + 80
"""An amount with its bounds and its part of the expressions, at most."""


def addition_bytes(place: Place, amounts: Mapping[str, int]) -> int:
    """At most so many bytes of a transaction for an addition."""
    key = sum(len(name.encode()) + len(text.encode()) for name, _, text in place)
    return 100 + key + sum(len(name.encode()) + _NUMBERS_BYTES for name in amounts)
