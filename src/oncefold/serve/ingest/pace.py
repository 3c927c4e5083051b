"""Gives up waits that take too long. One timer for all costs less than one for each request."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

_LOOKS: Final = 4
"""So many times within the limit is looked who waits; a wait may last longer than it by so large a part."""
_Found = TypeVar("_Found")


class Idling:
    """The waits of one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, awaitable: Awaitable[_Found]) -> _Found:
        """What comes of it. Raises TimeoutError if it takes longer than the limit."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._since[task] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self.seconds / _LOOKS, self._look, loop)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if task in self._late and not task.uncancel():
                raise TimeoutError from None
            raise
        finally:
            del self._since[task]
            self._late.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() - self.seconds
        for task, since in self._since.items():
            if since <= due and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._timer = loop.call_later(self.seconds / _LOOKS, self._look, loop) if self._since else None
