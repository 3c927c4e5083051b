"""The shards of a mapping's stream: found, and each read when its parents are finished."""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from oncefold_lab.local.lanes import RecordBatch, RecordLane
from oncefold_lab.local.settings import Disturbance, MappingSettings, PollTiming
from oncefold_lab.local.streams import RecordStream, ShardReader

_BATCHES_AHEAD = 2
"""Batches read ahead for each lane, at least."""
_RECORDS_AHEAD = 1_000
"""Records read ahead for a shard, at least: a call costs more than a record."""


@dataclass(slots=True)
class Repeat:
    """A finished batch that is to be delivered again after so many others."""

    batch: RecordBatch
    after: int


@dataclass(slots=True)
class MappingShard:
    """A shard that is being read, or waits for its parents. Times are those of the timing's clock."""

    id: str
    parents: tuple[str, ...]
    reader: ShardReader
    lanes: tuple[RecordLane, ...]
    poll_at: float = -math.inf
    empty_at: float = -math.inf
    """When a call began that found nothing more; never if there may be more."""
    closed: bool = False
    repeats: list[Repeat] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Records read and not finished."""
        return sum(lane.waiting for lane in self.lanes)

    @property
    def finished(self) -> bool:
        """Whether it will never have another record to deliver."""
        return self.closed and all(lane.empty for lane in self.lanes)

    def due_repeats(self) -> list[Repeat]:
        """What is to be repeated by now, taken out: all of it once nothing else is left."""
        drained = not self.waiting and self.empty_at > -math.inf
        due = [repeat for repeat in self.repeats if drained or repeat.after <= 0]
        self.repeats = [repeat for repeat in self.repeats if not (drained or repeat.after <= 0)]
        return due


class MappingShards:
    """All shards of a stream that a mapping has found."""

    def __init__(
        self, settings: MappingSettings, stream: RecordStream, timing: PollTiming, disturbance: Disturbance
    ) -> None:
        self._settings = settings
        self._stream = stream
        self._timing = timing
        self._disturbance = disturbance
        self._known: dict[str, MappingShard] = {}
        self._listed_at = -math.inf
        self._list_at = -math.inf
        self._ahead = max(settings.batch_size * settings.parallelization * _BATCHES_AHEAD, _RECORDS_AHEAD)

    def __iter__(self) -> Iterator[MappingShard]:
        return iter(list(self._known.values()))

    def begin(self) -> None:
        """Mark the starting position in the shards there are. Later ones are children, read from their beginning."""
        self._list(latest=self._settings.starting_position == "LATEST")

    def refresh(self, requested_at: float) -> None:
        """List shards, and read from them, where that is due or was not done since the requested moment."""
        now = self._timing.clock()
        if now >= self._list_at or self._listed_at < requested_at:
            self._list(latest=False)
        for shard in self:
            if (shard.poll_at <= now or shard.empty_at < requested_at) and self._may_read(shard):
                self._read(shard)

    def postpone(self) -> None:
        """Leave the stream alone for a while."""
        self._list_at = self._timing.clock() + self._timing.listing
        for shard in self:
            shard.poll_at = max(shard.poll_at, self._list_at)

    def due(self) -> float:
        """When to refresh again."""
        return min([self._list_at, *(shard.poll_at for shard in self if self._may_read(shard))])

    def empty_at(self) -> float:
        """When all of them were last known to have nothing more to read."""
        return min([self._listed_at, *(shard.empty_at for shard in self if not shard.closed)])

    def _list(self, *, latest: bool) -> None:
        began = self._timing.clock()
        for shard in self._stream.shards():
            if shard.id not in self._known:
                reader = ShardReader(self._stream, shard.id, latest=latest)
                lanes = (self._lane() for _ in range(self._settings.parallelization))
                self._known[shard.id] = MappingShard(shard.id, shard.parents, reader, tuple(lanes))
        self._listed_at = began
        self._list_at = began + self._timing.listing

    def _lane(self) -> RecordLane:
        return RecordLane(self._settings, self._timing, self._disturbance)

    def _may_read(self, shard: MappingShard) -> bool:
        parents = (self._known[parent] for parent in shard.parents if parent in self._known)
        return not shard.closed and shard.waiting < self._ahead and all(parent.finished for parent in parents)

    def _read(self, shard: MappingShard) -> None:
        began = self._timing.clock()
        page = shard.reader.read(self._ahead)
        for entry in page.entries:
            shard.lanes[zlib.crc32(entry.key) % len(shard.lanes)].add(entry, began)
        nothing = not (page.records or page.behind)
        shard.empty_at = began if nothing or page.closed else -math.inf
        shard.poll_at = began + self._timing.poll if nothing else began
        shard.closed = page.closed
        if page.closed:
            self._listed_at = self._list_at = -math.inf  # its children may be there
