"""The bytes of one body between the event loop, which receives them, and the thread that reads them."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final, Protocol, Self

from oncefold.serve.ingest.faults import BrokenOff

PIPE_BYTES: Final = 512 * 2**10
"""Bytes that wait in a pipe before its client is held back."""

STALE_SECONDS: Final = 0.1
"""Records that arrived wait no longer than this for others to share their block."""


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

    def let_go(self) -> None:
        """It is not read any more."""
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


class BodyPipe:
    """Fed by the event loop, read by one thread; holds PIPE_BYTES and one chunk at most."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic, self._stale = monotonic, Staleness(monotonic)
        self._chunks: deque[bytes | memoryview] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._room: asyncio.Future[None] | None = None
        self._closed = False
        self._broken = False

    @classmethod
    def whole(cls, body: bytes) -> Self:
        """A pipe in which all of a body is."""
        pipe = cls()
        pipe._chunks.append(body)
        pipe._closed = True
        return pipe

    # The event loop's side.

    async def feed(self, chunk: bytes) -> None:
        """Add bytes, and wait until there is room for more."""
        with self._changed:
            self._chunks.append(chunk)
            self._held += len(chunk)
            self._changed.notify()
            if self._held <= PIPE_BYTES or self._broken:
                return
            room = self._room = asyncio.get_running_loop().create_future()
        await room

    @property
    def closed(self) -> bool:
        """Whether all of the body was fed."""
        return self._closed

    def close(self) -> None:
        """All of the body was fed."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def break_off(self) -> None:
        """No more will come, and what is here need not be read. Any thread may call it."""
        with self._changed:
            self._broken = True
            self._changed.notify()
            self._make_room()

    # The reading thread's side.

    @property
    def broken(self) -> bool:
        """Whether nobody reads it any more, or its client has given up."""
        return self._broken

    @property
    def ended(self) -> bool:
        """Whether all of the body was fetched."""
        return self._closed and not self._chunks

    @property
    def is_stale(self) -> bool:
        """Whether some bytes were fetched so long ago that they are to be handed on."""
        return self._stale.is_due

    def handed_on(self) -> None:
        """All that was fetched is handed on: from now on nothing is stale."""
        self._stale.handed_on()

    def readinto(self, view: memoryview) -> int:
        """See Pipe."""
        with self._changed:
            while not self._chunks and not self._closed and not self._broken and not self.is_stale:
                seconds = self._stale.seconds(self._monotonic())
                self._changed.wait(None if seconds == inf else seconds)
            if self._broken:
                raise BrokenOff
            return self._taken(view)

    def let_go(self) -> None:
        """See Pipe."""
        self.break_off()

    def _taken(self, view: memoryview) -> int:
        if not self._chunks:
            return 0
        chunk = memoryview(self._chunks.popleft())
        count = min(len(chunk), len(view))
        view[:count] = chunk[:count]
        if count < len(chunk):
            self._chunks.appendleft(chunk[count:])
        self._held -= count
        self._stale.fetched()
        if self._held <= PIPE_BYTES // 2:
            self._make_room()
        return count

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.get_loop().call_soon_threadsafe(_let_go, room)


def _let_go(room: "asyncio.Future[None]") -> None:
    if not room.done():
        room.set_result(None)
