"""The shards of one change stream: what is appended, kept for 24 hours, and read in order.

Every shard has a range of the points that hash values lie at. It is closed when it is rolled over or split; its
children take its range on. So the changes of an item are in order along its shards, parents first.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from oncefold.lab.simulator.values import Item

RETENTION_SECONDS = 24 * 3600.0
SHARD_SECONDS = 4 * 3600.0
"""A shard takes records for as long, then a new one takes its place."""
POINTS = 1 << 64
_FIRST_SEQUENCE = 10**20
"""Sequence numbers have 21 digits from the first, so that their texts are ordered like the numbers."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A change of an item."""

    sequence: int
    created: float
    name: str
    keys: Item
    images: Mapping[str, Item]
    bytes: int


@dataclass
class Shard:
    """A part of a stream."""

    id: str
    parent: str | None
    low: int
    high: int
    """The points it takes, the high one not included."""
    opened: float
    first: int
    """Sequence number from which on its records are."""
    last: int | None = None
    """Sequence number of its last record, once it is closed."""
    closed: float | None = None
    entries: list[Entry] = field(default_factory=list)
    trimmed: int = 0
    """Sequence number up to which records are gone."""

    def trim(self, now: float) -> int:
        """Drop what is too old; how many."""
        old = bisect_right(self.entries, now - RETENTION_SECONDS, key=_created_of)
        if old:
            self.trimmed = self.entries[old - 1].sequence
            del self.entries[:old]
        return old

    def gone(self, now: float) -> bool:
        """Whether nothing is left of the shard, so that it is no longer listed."""
        return self.closed is not None and self.closed <= now - RETENTION_SECONDS

    def read(self, sequence: int, limit: int, most_bytes: int) -> list[Entry]:
        """Entries from a sequence number on, at most so many and so large, at least one if there is any."""
        found: list[Entry] = []
        total = 0
        entries = self.entries
        start = bisect_left(entries, sequence, key=_sequence_of)
        for index in range(start, min(start + limit, len(entries))):
            total += entries[index].bytes
            if found and total > most_bytes:
                break
            found.append(entries[index])
        return found


def _sequence_of(entry: Entry) -> int:
    return entry.sequence


def _created_of(entry: Entry) -> float:
    return entry.created


@dataclass
class Shards:
    """All shards of a stream that are still listed."""

    opened: float
    count: int
    all: dict[str, Shard] = field(default_factory=dict)
    _sequence: int = _FIRST_SEQUENCE
    _numbers: int = 0

    def __post_init__(self) -> None:
        edges = [POINTS * index // self.count for index in range(self.count + 1)]
        for low, high in pairwise(edges):
            self._open(None, low, high, self.opened)

    def append(self, point: int, now: float, **entry: Any) -> None:
        """Append a change to the open shard of its point."""
        shard = next(shard for shard in self.all.values() if shard.closed is None and shard.low <= point < shard.high)
        if now - shard.opened >= SHARD_SECONDS:
            shard = self.roll(shard.id, now)
        self._sequence += 1
        shard.entries.append(Entry(self._sequence, **entry))

    def roll(self, shard_id: str, now: float) -> Shard:
        """Close a shard and let a new one take its place."""
        shard = self._close(shard_id, now)
        return self._open(shard.id, shard.low, shard.high, now)

    def split(self, shard_id: str, now: float) -> tuple[Shard, Shard]:
        """Close a shard and let two new ones take its place."""
        shard = self._close(shard_id, now)
        middle = (shard.low + shard.high) // 2
        return self._open(shard.id, shard.low, middle, now), self._open(shard.id, middle, shard.high, now)

    def trim(self, now: float) -> int:
        """Drop records and shards that are too old; how many records."""
        dropped = sum(shard.trim(now) for shard in self.all.values())
        for shard in [shard for shard in self.all.values() if shard.gone(now)]:
            del self.all[shard.id]
        return dropped

    def open(self) -> Iterator[Shard]:
        """The shards that take records."""
        return (shard for shard in self.all.values() if shard.closed is None)

    @property
    def next_sequence(self) -> int:
        """The sequence number of the next record."""
        return self._sequence + 1

    def _open(self, parent: str | None, low: int, high: int, now: float) -> Shard:
        self._numbers += 1
        shard_id = f"shardId-{self._numbers:020d}-{low >> 32:08x}"
        self.all[shard_id] = shard = Shard(shard_id, parent, low, high, now, self.next_sequence)
        return shard

    def _close(self, shard_id: str, now: float) -> Shard:
        shard = self.all[shard_id]
        shard.closed, shard.last = now, self._sequence
        # The children's records come behind it, whatever else has the numbers between.
        self._sequence += 1
        return shard
