"""A body as the thread reads it that decodes it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol

STALE_SECONDS: Final = 0.1
"""Records that arrived wait no longer than this for others to share their block."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What became of the part of a body that was streamed."""

    received: int = 0
    """Its bytes, as far as they were read."""
    whole: bool = False
    """Whether they were read to the end."""
    gone: bool = False
    """Whether the client left before that."""


class Pipe(Protocol):
    """A body as one thread reads it."""

    @property
    def ended(self) -> bool:
        """Whether all of the body was fetched."""
        ...

    @property
    def is_stale(self) -> bool:
        """Whether some bytes were fetched so long ago that they are to be handed on."""
        ...

    def handed_on(self) -> None:
        """All that was fetched is handed on: from now on nothing is stale."""
        ...

    def readinto(self, view: memoryview) -> int:
        """Put bytes at the front of `view`, waiting for some until others are stale; 0 if none came, or at the end.

        Raises BrokenOff when no more comes, and Refused when it comes too slowly.
        """
        ...

    def let_go(self) -> Rest:
        """It is not read any more; what was."""
        ...


class Staleness:
    """Since when something waits to be handed on."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._due_at: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether it has waited long enough."""
        return self._due_at is not None and self._monotonic() >= self._due_at

    def seconds(self, now: float) -> float:
        """How long from now it may still wait; without end if nothing waits."""
        return inf if self._due_at is None else max(0.0, self._due_at - now)

    def fetched(self) -> None:
        """Something more waits."""
        if self._due_at is None:
            self._due_at = self._monotonic() + STALE_SECONDS

    def handed_on(self) -> None:
        """Nothing waits."""
        self._due_at = None


class WholePipe:
    """All of a body, as a `Pipe`."""

    is_stale = False

    def __init__(self, body: bytes) -> None:
        self._left = memoryview(body)

    @property
    def ended(self) -> bool:
        """See Pipe."""
        return not self._left

    def handed_on(self) -> None:
        """See Pipe."""

    def readinto(self, view: memoryview) -> int:
        """See Pipe."""
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count

    def let_go(self) -> Rest:
        """See Pipe."""
        return Rest(whole=True)
