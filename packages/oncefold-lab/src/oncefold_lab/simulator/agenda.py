"""What is to happen later, by the clock that the simulator is given."""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count


@dataclass
class Agenda:
    """Actions and the moments they are due; those of one moment happen in the order they were planned."""

    _entries: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    def plan(self, due: float, action: Callable[[], object]) -> None:
        """Do something at a moment."""
        heappush(self._entries, (due, next(self._numbers), action))

    def due(self) -> float | None:
        """When the next action is due."""
        return self._entries[0][0] if self._entries else None

    def run(self, now: float) -> None:
        """Do what is due."""
        while self._entries and self._entries[0][0] <= now:
            heappop(self._entries)[2]()
