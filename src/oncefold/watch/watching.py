"""A source watched over time: each look with what changed since the last one, and troubles that may pass."""

from collections.abc import Callable
from dataclasses import dataclass, field

from oncefold.core.errors import OncefoldError
from oncefold.watch.changes import changed, moved
from oncefold.watch.looks import Changed, Look, NotYetError, Source
from oncefold.watch.rate import Rate

PATIENCE_SECONDS = 30.0
"""How long a source may fail that could be seen before."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look in its course."""

    look: Look | None
    """The last that succeeded; None before the first."""
    changed: Changed = field(default_factory=dict)
    """Since the look before."""
    moved: bool = False
    """Whether this look succeeded and its totals are others than in the last that did."""
    rate: float | None = None
    """Events per second, where that is known."""
    trouble: str = ""
    """Why this look did not succeed; empty if it did."""


class Watching:
    """Looks at a source again and again.

    What is not there yet is waited for. A source that was seen once may fail for a while, since files are replaced
    and networks fail; one that fails at first sight is not what the user meant.
    """

    def __init__(self, source: Source, monotonic: Callable[[], float]) -> None:
        """Times are seconds of this monotonic clock."""
        self._source = source
        self._monotonic = monotonic
        self._rate = Rate()
        self._last: Look | None = None
        self._good = 0.0

    def look(self, room: int | None = None) -> Seen:
        """Look now, at not more than `room` nodes. Raises OncefoldError for a failure that is not waited for."""
        try:
            look = self._source.look(room)
        except NotYetError as error:
            self._good = self._monotonic()
            return self._without(str(error))
        except OncefoldError as error:
            if self._last is None or self._monotonic() - self._good > PATIENCE_SECONDS:
                raise
            return self._without(str(error))
        return self._with(look, self._monotonic())

    def _with(self, look: Look, now: float) -> Seen:
        before, self._last, self._good = self._last, look, now
        rate = None if look.events is None else self._rate.at(now, look.events)
        return Seen(look, changed(before, look), moved(before, look), rate)

    def _without(self, trouble: str) -> Seen:
        self._rate.forget()
        return Seen(self._last, trouble=trouble)
