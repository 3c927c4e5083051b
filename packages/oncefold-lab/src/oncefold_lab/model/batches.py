"""The batches that Lambda may make of the shards: as they come, and as they may come again."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations

from oncefold.core.event import Event
from oncefold_lab.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Batch:
    """Records as they are delivered together."""

    shard: int
    places: tuple[int, ...]
    """Their positions in the shard."""
    keys: tuple[int, ...]
    """Their keys, in the order of the first events."""
    events: tuple[tuple[Event, ...], ...]
    """Those of each of the keys."""
    first: tuple[int, ...]
    """For each of the keys, how many records come before its first event."""

    @property
    def end(self) -> int:
        """The checkpoint after it, if it came in order."""
        return self.places[-1] + 1


class Batches:
    """All batches of a scenario, by numbers."""

    def __init__(self, scenario: Scenario, keys: Sequence[str]) -> None:
        self.known: list[Batch] = []
        self._shards = scenario.shards
        self._most = scenario.batch_records
        self._keys = keys
        self.next = cache(self._next)
        self.beside = cache(self._beside)

    def _next(self, shard: int, checkpoint: int) -> tuple[int, ...]:
        """Those that Lambda may deliver next."""
        ends = range(checkpoint + 1, min(checkpoint + self._most, len(self._shards[shard])) + 1)
        return tuple(self._number(shard, tuple(range(checkpoint, end))) for end in ends)

    def _beside(self, shard: int, checkpoint: int) -> tuple[int, ...]:
        """Those that may come beside: as any delivery up to now may have had them, or finished records in any order."""
        before = [batch for start in range(checkpoint + 1) for batch in self._next(shard, start)]
        lengths = range(1, self._most + 1)
        mixed = (places for length in lengths for places in permutations(range(checkpoint), length))
        return tuple(sorted({*before, *(self._number(shard, places) for places in mixed)}))

    def _number(self, shard: int, places: tuple[int, ...]) -> int:
        arrivals: dict[int, list[tuple[int, Event]]] = {}
        for index, place in enumerate(places):
            for event in self._shards[shard][place]:
                arrivals.setdefault(self._keys.index(event.key), []).append((index, event))
        batch = Batch(
            shard,
            places,
            tuple(arrivals),
            tuple(tuple(event for _, event in some) for some in arrivals.values()),
            tuple(some[0][0] for some in arrivals.values()),
        )
        if batch not in self.known:
            self.known.append(batch)
        return self.known.index(batch)
