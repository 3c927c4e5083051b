"""Gives up bodies that come too slowly. One timer for all costs less than one for each request."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

_LOOKS: Final = 4
"""So many times within the limit is looked who waits; a wait may last longer than it by so large a part."""
_Found = TypeVar("_Found")


class Pace:
    """How slow bodies may be; the waits of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, idle_seconds: float, least_bytes: int) -> None:
        """A wait may last `idle_seconds`; after as much waiting, `least_bytes` must come in every second of it."""
        self.idle_seconds, self.least_bytes = idle_seconds, least_bytes
        self._loop = loop
        self._since: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def is_slow(self, count: int, seconds: float) -> bool:
        """Whether so many bytes are too few for so many seconds of waiting."""
        return count < self.least_bytes * (seconds - self.idle_seconds)

    async def wait(self, awaitable: Awaitable[_Found]) -> tuple[_Found, float]:
        """What comes of it, and the seconds that took. Raises TimeoutError if it takes longer than the limit."""
        task = asyncio.current_task(self._loop)
        assert task is not None
        now = self._loop.time
        began = self._since[task] = now()
        if self._timer is None:
            self._timer = self._loop.call_later(self.idle_seconds / _LOOKS, self._look)
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
        due = self._loop.time() - self.idle_seconds
        for task, since in self._since.items():
            if since <= due and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._timer = self._loop.call_later(self.idle_seconds / _LOOKS, self._look) if self._since else None
