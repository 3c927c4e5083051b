"""The shards of a table's change stream: 24 hours of changes.

A shard is closed when it is rolled over or split; its children take its range on. So the changes of an item are in
order along its shards, parents first. Source: "Change data capture for DynamoDB Streams".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from oncefold_lab.simulator.shard import Shard, Shards
from oncefold_lab.simulator.values import Item

RETENTION_SECONDS = 24 * 3600.0
SHARD_SECONDS = 4 * 3600.0
"""A shard takes records for as long, then a new one takes its place."""
POINTS = 1 << 64
_FIRST_SEQUENCE = 10**20


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A change of an item, as a stream keeps it."""

    sequence: int
    created: float
    bytes: int
    name: str
    keys: Item
    images: Mapping[str, Item]


class ChangeShards:
    """All shards of a change stream that are still listed."""

    def __init__(self, opened: float, count: int) -> None:
        self.opened = opened
        self._shards = Shards[ChangeRecord](POINTS, _FIRST_SEQUENCE, RETENTION_SECONDS)
        edges = [POINTS * index // count for index in range(count + 1)]
        for low, high in pairwise(edges):
            self._open((), low, high, opened)

    @property
    def all(self) -> Mapping[str, Shard[ChangeRecord]]:
        """The shards by their id."""
        return self._shards.all

    @property
    def next_sequence(self) -> int:
        """The sequence number of the next record."""
        return self._shards.next_sequence

    def append(self, point: int, now: float, **change: Any) -> None:
        """Append a change to the open shard of its point."""
        shard = self._shards.of(point)
        if now - shard.opened >= SHARD_SECONDS:
            shard = self.roll(shard.id, now)
        shard.entries.append(ChangeRecord(self._shards.take_sequence(), **change))

    def roll(self, shard_id: str, now: float) -> Shard[ChangeRecord]:
        """Close a shard and let a new one take its place."""
        shard = self._close(shard_id, now)
        return self._open((shard.id,), shard.low, shard.high, now)

    def split(self, shard_id: str, now: float) -> tuple[Shard[ChangeRecord], Shard[ChangeRecord]]:
        """Close a shard and let two new ones take its place."""
        shard = self._close(shard_id, now)
        middle = (shard.low + shard.high) // 2
        return self._open((shard.id,), shard.low, middle, now), self._open((shard.id,), middle, shard.high, now)

    def trim(self, now: float) -> int:
        """Drop records and shards that are too old; how many records."""
        return self._shards.trim(now)

    def _open(self, parents: tuple[str, ...], low: int, high: int, now: float) -> Shard[ChangeRecord]:
        return self._shards.open(f"shardId-{{number:020d}}-{low >> 32:08x}", parents, low, high, now)

    def _close(self, shard_id: str, now: float) -> Shard[ChangeRecord]:
        assert self._shards.is_open(shard_id), f"{shard_id} is no open shard"
        shard = self._shards.all[shard_id]
        self._shards.close(shard, now)
        return shard
