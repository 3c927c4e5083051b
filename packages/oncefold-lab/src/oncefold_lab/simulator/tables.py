"""Tables: their keys, and rows by key and in the order of queries and scans.

Source: "Naming rules and data types" (key lengths, types), "Quotas in Amazon DynamoDB".
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any

from oncefold_lab.simulator import number
from oncefold_lab.simulator.change_streams import ChangeStream
from oncefold_lab.simulator.errors import ServiceError
from oncefold_lab.simulator.values import Item, Row, Value, kind_of, take, text_bytes

HASH_BYTES = 2048
RANGE_BYTES = 1024
STALE_ROWS = 1024
"""Rows that an eventually consistent read may still see: those before the last so many changed keys."""

Key = Any
"""A key's own value, or the pair of hash and range; types are fixed per table, so texts need no type beside them."""
Place = tuple[Any, ...]
"""A position in the order of a table: point of the hash, hash, range as it is ordered."""

_EMPTY = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty"
_INVALID = "One or more parameter values were invalid"


class KeyMismatchError(ServiceError):
    """A key that does not fit the table; within a transaction it is a reason to cancel."""

    @classmethod
    def schema(cls) -> "KeyMismatchError":
        """A lookup key of other attributes or types."""
        return cls("ValidationException", "The provided key element does not match the schema")

    @classmethod
    def of_item(cls, message: str) -> "KeyMismatchError":
        """An item without a key, or with one of another type."""
        return cls("ValidationException", f"{_INVALID}: {message}")


@dataclass(frozen=True, slots=True)
class KeyPart:
    """An attribute of the primary key."""

    name: str
    kind: str
    bytes: int

    def of_item(self, item: Item) -> Any:
        """The key's value in an item."""
        value = item.get(self.name)
        if value is None:
            raise KeyMismatchError.of_item(f"Missing the key {self.name} in the item")
        payload = value.get(self.kind)
        if payload is None:
            raise KeyMismatchError.of_item(
                f"Type mismatch for key {self.name} expected: {self.kind} actual: {kind_of(value)}"
            )
        self._check(payload)
        return payload

    def of_key(self, key: Mapping[str, Any]) -> tuple[Any, Value]:
        """The key's value in a lookup key, and the attribute."""
        given = key.get(self.name)
        if given is None:
            raise KeyMismatchError.schema()
        value, _ = take(given)
        payload = value.get(self.kind)
        if payload is None:
            raise KeyMismatchError.schema()
        self._check(payload)
        return payload, value

    def _check(self, payload: Any) -> None:
        if not payload:
            raise ServiceError.invalid(f"{_EMPTY} {'string' if self.kind == 'S' else 'binary'} value. Key: {self.name}")
        if len(payload) > self.bytes // 4:
            size = text_bytes(payload) if isinstance(payload, str) else len(payload)
            if self.kind != "N" and size > self.bytes:
                raise ServiceError.invalid(f"{_INVALID}: {self._too_long()}")

    def _too_long(self) -> str:
        if self.bytes == HASH_BYTES:
            return f"Size of hashkey has exceeded the maximum size limit of{HASH_BYTES} bytes"
        return f"Aggregated size of all range keys has exceeded the size limit of {RANGE_BYTES} bytes"


def point_of(hash_value: Any) -> int:
    """Where a hash value lies among 2**64 points, which partitions and stream shards divide among them."""
    data = hash_value if isinstance(hash_value, bytes) else hash_value.encode()
    return int.from_bytes(blake2b(data, digest_size=8).digest())


@dataclass
class Table:
    """A table: what it is, and what is in it."""

    name: str
    hash: KeyPart
    range: KeyPart | None
    description: Mapping[str, Any]
    stream: ChangeStream | None = None
    rows: dict[Key, Row] = field(default_factory=dict)
    before: dict[Key, Row | None] = field(default_factory=dict)
    """The row before the last change of some keys: what an eventually consistent read may still see."""
    _order: list[Place] | None = None
    """Places of all rows and their keys behind; made when first needed, and kept up from then on."""

    def key_of_item(self, item: Item) -> Key:
        """The key of an item that was taken in. Raises Refusal."""
        if self.range is None:
            return self.hash.of_item(item)
        return self.hash.of_item(item), self.range.of_item(item)

    def key_of(self, key: Mapping[str, Any]) -> tuple[Key, Item]:
        """A lookup key, and its attributes as taken in. Raises Refusal."""
        hash_value, attribute = self.hash.of_key(key)
        if self.range is None:
            if len(key) != 1:
                raise KeyMismatchError.schema()
            return hash_value, {self.hash.name: attribute}
        if len(key) != 2:
            raise KeyMismatchError.schema()
        range_value, range_attribute = self.range.of_key(key)
        return (hash_value, range_value), {self.hash.name: attribute, self.range.name: range_attribute}

    def key_attributes(self, item: Item) -> Item:
        """The attributes of an item that are its key."""
        names = [self.hash.name] if self.range is None else [self.hash.name, self.range.name]
        return {name: item[name] for name in names}

    @property
    def key_names(self) -> frozenset[str]:
        """Names of the key's attributes."""
        return frozenset([self.hash.name] if self.range is None else [self.hash.name, self.range.name])

    def hash_of(self, key: Key) -> Any:
        """The hash value of a key."""
        return key if self.range is None else key[0]

    def put(self, key: Key, row: Row | None) -> Row | None:
        """Put a row, or take it out with None; what was there before."""
        old = self.rows.get(key)
        self._keep_before(key, old)
        if row is not None:
            self.rows[key] = row
        elif old is not None:
            del self.rows[key]
        if self._order is not None and (old is None) is not (row is None):
            self._reorder(key, present=row is not None)
        return old

    def restore(self, rows: Mapping[Key, Row]) -> None:
        """Have these rows and no others, without a record in the table's stream."""
        rows = dict(rows)
        self.rows.clear()
        self.rows.update(rows)
        self.before.clear()
        self._order = None

    def _keep_before(self, key: Key, row: Row | None) -> None:
        before = self.before
        before[key] = row
        if len(before) > STALE_ROWS:
            del before[next(iter(before))]

    def _reorder(self, key: Key, *, present: bool) -> None:
        order = self._ordered()
        entry = (*self.place(key), key)
        if present:
            insort(order, entry)
        else:
            del order[bisect_left(order, entry)]

    def place(self, key: Key) -> Place:
        """The position of a key, whether or not it is there."""
        hash_value = self.hash_of(key)
        if self.range is None:
            return point_of(hash_value), hash_value, ""
        range_value = key[1]
        return point_of(hash_value), hash_value, number.order(range_value) if self.range.kind == "N" else range_value

    def partition(self, hash_value: Any, after: Place | None, *, forward: bool) -> Iterator[Row]:
        """The rows of a hash value in the order of their ranges, from behind a place."""
        order = self._ordered()
        first = bisect_left(order, (point_of(hash_value), hash_value))
        last = first
        while last < len(order) and order[last][1] == hash_value:
            last += 1
        if forward:
            start = first if after is None else max(first, bisect_right(order, after, key=_place_of))
            indices = range(start, last)
        else:
            end = last if after is None else min(last, bisect_left(order, after, key=_place_of))
            indices = range(end - 1, first - 1, -1)
        return (self.rows[order[index][-1]] for index in indices)

    def segment(self, number_of: int, total: int, after: Place | None) -> Iterator[Row]:
        """The rows of one of `total` equal segments of the points, in their order, from behind a place."""
        order = self._ordered()
        start = bisect_left(order, (_edge(number_of, total),))
        end = bisect_left(order, (_edge(number_of + 1, total),))
        if after is not None:
            start = max(start, bisect_right(order, after, key=_place_of))
        return (self.rows[entry[-1]] for entry in islice(order, start, end))

    def _ordered(self) -> list[Place]:
        if self._order is None:
            self._order = sorted((*self.place(key), key) for key in self.rows)
        return self._order


def _place_of(entry: Place) -> Place:
    return entry[:-1]


def _edge(number_of: int, total: int) -> int:
    """The first point of a segment."""
    return -(-(number_of << 64) // total)
