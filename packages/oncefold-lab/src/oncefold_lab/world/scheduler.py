"""Virtual time: actions happen one after the other, each at its moment; nothing waits for a real clock."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Protocol

START = 1_700_000_000.0
"""Seconds since 1970 at which every world begins."""


class Source(Protocol):
    """Something that has effects of its own to come."""

    def due(self) -> float | None:
        """When the next one is due."""

    def settle(self) -> None:
        """Let those happen that are due."""


class Scheduler:
    """The clock, and what is to happen by it. Of two actions of one moment the one planned first comes first."""

    def __init__(self) -> None:
        self._now = START
        self._plans: list[tuple[float, int, Callable[[], object]]] = []
        self._planned = 0
        self._sources: list[tuple[Source, Callable[[], object]]] = []

    def clock(self) -> float:
        """Seconds since 1970."""
        return self._now

    def at(self, due: float, action: Callable[[], object]) -> None:
        """Plan an action; one that is due already happens as soon as control comes back."""
        self._planned += 1
        heappush(self._plans, (due, self._planned, action))

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Plan an action for so many seconds from now."""
        self.at(self._now + seconds, action)

    def watch(self, source: Source, settled: Callable[[], object]) -> None:
        """Let a source's own effects happen when they are due; `settled` is called behind each."""
        self._sources.append((source, settled))

    def run(self, until: float, done: Callable[[], bool]) -> bool:
        """Let everything happen up to a moment, or until `done` says so after an action; whether it did."""
        while not done():
            due = self._next()
            if due is None or due > until:
                self._now = max(self._now, until)
                return done()
            self._now = max(self._now, due)
            for source, settled in self._sources:
                moment = source.due()
                if moment is not None and moment <= self._now:
                    source.settle()
                    settled()
            if self._plans and self._plans[0][0] <= self._now:
                heappop(self._plans)[2]()
        return True

    def _next(self) -> float | None:
        due = self._plans[0][0] if self._plans else None
        for source, _ in self._sources:
            moment = source.due()
            if moment is not None and (due is None or moment < due):
                due = moment
        return due
