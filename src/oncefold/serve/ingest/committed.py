"""What listeners are told after each durable commit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from oncefold.core.fold import Outcome


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit that is durable."""

    commit: int
    at: int
    """Nanoseconds since the epoch."""
    counts: Mapping[Outcome, int]
    """Its events by outcome, rejects included; absent is 0."""
    rows: int
    """Its records, rejects left out."""
    seconds: float
    """How long the store took."""
    newest_time: int | None
    """Greatest event time in it, nanoseconds since the epoch."""


Listener = Callable[[Committed], None]
"""Called after each durable commit, in a thread of the ingest or, if that is another process, in the event loop; must
return at once and raise nothing."""
