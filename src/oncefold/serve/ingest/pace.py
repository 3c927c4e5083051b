"""Gives up bodies that come too slowly. One timer for all costs less than one for each request."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, TypeVar

from oncefold.serve.ingest.refusal import CLOSE, Refusal

_LOOKS: Final = 4
"""So many times within the limit is looked who waits; a wait may last longer than it by so large a part."""
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Patience:
    """How slow a body may be. Only what the server waits for its client counts, not the other way round."""

    idle_seconds: float
    """A wait may last so long."""
    least_bytes: int
    """After as much waiting, so many must come in every second of it."""

    def is_slow(self, count: int, seconds: float) -> bool:
        """Whether so many bytes are too few for so many seconds of waiting."""
        return count < self.least_bytes * (seconds - self.idle_seconds)

    @property
    def idle(self) -> Refusal:
        """What is said when nothing came within a wait."""
        detail = f"Nothing of the body has come for {self.idle_seconds:g} seconds; send it again."
        return Refusal(408, "Body not sent", detail, (CLOSE,))

    @property
    def slow(self) -> Refusal:
        """What is said when little came."""
        detail = f"Less than {self.least_bytes:,} bytes of the body come in a second; send it again."
        return Refusal(408, "Body too slow", detail, (CLOSE,))


class Pace:
    """The waits of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, patience: Patience) -> None:
        self._loop, self._patience = loop, patience
        self._since: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, awaitable: Awaitable[_Found]) -> tuple[_Found, float]:
        """What comes of it, and the seconds that took. Raises TimeoutError if it takes longer than the limit."""
        task = asyncio.current_task(self._loop)
        assert task is not None
        now = self._loop.time
        began = self._since[task] = now()
        if self._timer is None:
            self._timer = self._loop.call_later(self._patience.idle_seconds / _LOOKS, self._look)
        try:
            return await awaitable, now() - began
        except asyncio.CancelledError:
            if task in self._late and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            del self._since[task]
            self._late.discard(task)

    def _look(self) -> None:
        due = self._loop.time() - self._patience.idle_seconds
        for task, since in self._since.items():
            if since <= due and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._timer = self._loop.call_later(self._patience.idle_seconds / _LOOKS, self._look) if self._since else None
