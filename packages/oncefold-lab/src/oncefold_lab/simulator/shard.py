"""A shard: records in the order of their sequence numbers, kept for a while, then trimmed from the front."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Kept(Protocol):
    """What every record has."""

    @property
    def sequence(self) -> int:
        """Its position; unique in its stream."""

    @property
    def created(self) -> float:
        """When it came to be."""

    @property
    def bytes(self) -> int:
        """Its size."""


Entry = TypeVar("Entry", bound=Kept)


@dataclass
class ShardLog(Generic[Entry]):
    """A part of a stream. It has a range of the points that keys lie at."""

    id: str
    parents: tuple[str, ...]
    low: int
    high: int
    """The points it takes, the high one not included."""
    opened: float
    first: int
    """Sequence number from which on its records are."""
    last: int | None = None
    """Sequence number up to which its records are, once it is closed."""
    closed: float | None = None
    entries: list[Entry] = field(default_factory=list)
    trimmed: int = 0
    """Sequence number up to which records are gone."""

    def takes(self, point: int) -> bool:
        """Whether records of a key at this point go here."""
        return self.closed is None and self.low <= point < self.high

    def trim(self, until: float) -> int:
        """Drop what is as old as this; how many."""
        old = bisect_right(self.entries, until, key=lambda entry: entry.created)
        if old:
            self.trimmed = self.entries[old - 1].sequence
            del self.entries[:old]
        return old

    def read(self, sequence: int, limit: int, most_bytes: int) -> list[Entry]:
        """Entries from a sequence number on, at most so many and so large, at least one if there is any."""
        found: list[Entry] = []
        total = 0
        start = bisect_left(self.entries, sequence, key=lambda entry: entry.sequence)
        for index in range(start, min(start + limit, len(self.entries))):
            total += self.entries[index].bytes
            if found and total > most_bytes:
                break
            found.append(self.entries[index])
        return found

    def ends_before(self, sequence: int) -> bool:
        """Whether nothing is, or ever will be, from a sequence number on."""
        return self.closed is not None and (not self.entries or self.entries[-1].sequence < sequence)


@dataclass
class ShardLogs(Generic[Entry]):
    """All shards of a stream that are still listed, and its sequence numbers."""

    points: int
    """Points of keys, from 0 on."""
    first_sequence: int
    """A number of as many digits as all that follow, so that their texts are ordered like the numbers."""
    retention: float
    """Seconds that records are kept."""
    all: dict[str, ShardLog[Entry]] = field(default_factory=dict)
    _numbers: int = 0
    _sequence: int = field(init=False)

    def __post_init__(self) -> None:
        self._sequence = self.first_sequence

    @property
    def next_sequence(self) -> int:
        """The sequence number of the next record."""
        return self._sequence + 1

    def take_sequence(self) -> int:
        """A sequence number for a record."""
        self._sequence += 1
        return self._sequence

    def open(self, name: str, parents: tuple[str, ...], low: int, high: int, now: float) -> ShardLog[Entry]:
        """Open a shard; `{number}` in its name becomes its number."""
        shard_id = name.format(number=self._numbers)
        self._numbers += 1
        self.all[shard_id] = shard = ShardLog[Entry](shard_id, parents, low, high, now, self.next_sequence)
        return shard

    def close(self, shard: ShardLog[Entry], now: float) -> None:
        """Close a shard: whatever opens from now on has later sequence numbers."""
        shard.closed, shard.last = now, self.take_sequence()

    def of(self, point: int) -> ShardLog[Entry]:
        """The shard that takes records at a point."""
        return next(shard for shard in self.all.values() if shard.takes(point))

    def is_open(self, shard_id: str) -> bool:
        """Whether there is such a shard, and it takes records."""
        return shard_id in self.all and self.all[shard_id].closed is None

    def trim(self, now: float) -> int:
        """Drop records that are too old, and shards that were closed as long ago; how many records."""
        until = now - self.retention
        dropped = sum(shard.trim(until) for shard in self.all.values())
        for shard in [shard for shard in self.all.values() if shard.closed is not None and shard.closed <= until]:
            del self.all[shard.id]
        return dropped
