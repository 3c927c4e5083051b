"""The bytes of one body between the event loop, which receives them, and the thread that reads them."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Self

from oncefold.serve.ingest.faults import BrokenOff

PIPE_BYTES: Final = 512 * 2**10
"""Bytes that wait in a pipe before its client is held back."""

STALE_SECONDS: Final = 0.1
"""Records that arrived wait no longer than this for others to share their block."""


class BodyPipe:
    """Fed by the event loop, read by one thread; holds PIPE_BYTES and one chunk at most."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._room: asyncio.Future[None] | None = None
        self._closed = False
        self._broken = False
        self._stale_at: float | None = None

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
        return self._stale_at is not None and self._monotonic() >= self._stale_at

    def handed_on(self) -> None:
        """All that was fetched is handed on: from now on nothing is stale."""
        self._stale_at = None

    def fetch(self, size: int) -> bytes:
        """Bytes, waiting for some until others are stale; b"" if none came until then, or at the end.

        Raises BrokenOff.
        """
        with self._changed:
            while not self._chunks and not self._closed and not self._broken and not self.is_stale:
                self._changed.wait(None if self._stale_at is None else max(0.0, self._stale_at - self._monotonic()))
            if self._broken:
                raise BrokenOff
            return self._taken(size)

    def fetch_surely(self, size: int) -> bytes:
        """Bytes, however long they take; b"" at the end alone. Raises BrokenOff."""
        while not (data := self.fetch(size)) and not self.ended:
            self._stale_at = None
        return data

    def _taken(self, size: int) -> bytes:
        if not self._chunks:
            return b""
        chunk = self._chunks.popleft()
        if len(chunk) > size:
            self._chunks.appendleft(chunk[size:])
            chunk = chunk[:size]
        self._held -= len(chunk)
        if self._stale_at is None:
            self._stale_at = self._monotonic() + STALE_SECONDS
        if self._held <= PIPE_BYTES // 2:
            self._make_room()
        return chunk

    def _make_room(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.get_loop().call_soon_threadsafe(_let_go, room)


def _let_go(room: "asyncio.Future[None]") -> None:
    if not room.done():
        room.set_result(None)
