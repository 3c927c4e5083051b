"""Commits as they became durable, counted."""

from typing import TYPE_CHECKING

from oncefold.core.fold import Outcome
from oncefold.serve.operations.histogram import Histogram

if TYPE_CHECKING:
    from oncefold.serve.ingest.committed import Committed

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ROWS = (1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576)


class Commits:
    """Told of each commit by one thread, read by any."""

    def __init__(self) -> None:
        self.events = dict.fromkeys(Outcome, 0)
        """Since the server began, by outcome."""
        self.seconds = Histogram(_SECONDS)
        self.rows = Histogram(_ROWS)

    def __call__(self, committed: "Committed") -> None:
        """Count one commit."""
        for outcome, count in committed.counts.items():
            self.events[outcome] += count
        self.seconds.observe(committed.seconds)
        self.rows.observe(committed.rows)

    @property
    def total(self) -> int:
        """Events of all outcomes."""
        return sum(self.events.values())
