"""Deliveries as bad as Lambda may make them, from one seed."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Disturbing:
    """Cuts retries anew and delivers some of the batches twice."""

    random: Random
    repeated: float = 0.2
    """Share of the batches that are delivered again."""
    latest: int = 5
    """Batches in between, at most."""

    def retry_size(self, failed: int, most: int) -> int:
        return self.random.randint(1, most)

    def repeat_after(self) -> int | None:
        return self.random.randint(0, self.latest) if self.random.random() < self.repeated else None
