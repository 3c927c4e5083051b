"""A body as the thread reads it that decodes it: all of it, or piece by piece as the server sends it."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

STALE_SECONDS: Final = 0.1
"""Records that arrived wait no longer than this for others to share their block."""


class BrokenOff(Exception):  # noqa: N818 - a state of the body
    """No more of the body will come, though it is not at its end."""


class BodyReader(Protocol):
    """A body as one thread reads it."""

    @property
    def ended(self) -> bool:
        """Whether all of the body was read."""
        ...

    @property
    def is_stale(self) -> bool:
        """Whether some bytes were read so long ago that their records are to be passed on."""
        ...

    def passed_on(self) -> None:
        """All that was read is passed on: from now on nothing is stale."""
        ...

    def readinto(self, view: memoryview) -> int:
        """Put bytes at the front of `view`, waiting for some until others are stale; 0 if none came, or at the end.

        Raises BrokenOff when no more comes.
        """
        ...


class WholeBody:
    """A `BodyReader` of a body that is here."""

    is_stale = False

    def __init__(self, body: bytes) -> None:
        self._left = memoryview(body)

    @property
    def ended(self) -> bool:
        """See BodyReader."""
        return not self._left

    def passed_on(self) -> None:
        """See BodyReader."""

    def readinto(self, view: memoryview) -> int:
        """See BodyReader."""
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count


class StreamedBody:
    """A `BodyReader` of a body that another thread puts in, piece by piece."""

    def __init__(
        self, consumed: Callable[[int], None], report_bytes: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`consumed` is called with how many bytes were read since, as soon as they are `report_bytes`."""
        self._consumed, self._report_bytes, self._monotonic = consumed, report_bytes, monotonic
        self._changed = threading.Condition()
        self._pieces: deque[memoryview] = deque()
        self._whole = self._broken = False
        self._unreported = 0
        """Bytes that were read and not reported as consumed."""
        self._stale_at: float | None = None

    def put(self, data: bytes | memoryview) -> None:
        """The next bytes; called by any thread."""
        with self._changed:
            self._pieces.append(memoryview(data))
            self._changed.notify()

    def finish(self, *, whole: bool) -> None:
        """All was put in; or it breaks off, and what is here need not be read. Called by any thread."""
        with self._changed:
            self._whole, self._broken = whole, not whole
            self._changed.notify()

    @property
    def ended(self) -> bool:
        """See BodyReader."""
        with self._changed:
            return self._whole and not self._pieces

    @property
    def is_stale(self) -> bool:
        """See BodyReader."""
        return self._stale_at is not None and self._monotonic() >= self._stale_at

    def passed_on(self) -> None:
        """See BodyReader."""
        self._stale_at = None

    def readinto(self, view: memoryview) -> int:
        """See BodyReader."""
        count = 0
        with self._changed:
            if self._wait():
                piece = self._pieces[0]
                count = min(len(view), len(piece))
                view[:count] = piece[:count]
                if count < len(piece):
                    self._pieces[0] = piece[count:]
                else:
                    self._pieces.popleft()
        if count:
            self._read(count)
        return count

    def _wait(self) -> bool:
        """Wait for a piece; whether there is one: not at the end, and not if others became stale."""
        while not self._broken:
            if self._pieces:
                return True
            if self._whole:
                return False
            seconds = None if self._stale_at is None else max(0.0, self._stale_at - self._monotonic())
            if not self._changed.wait(seconds):
                return False
        raise BrokenOff

    def _read(self, count: int) -> None:
        if self._stale_at is None:
            self._stale_at = self._monotonic() + STALE_SECONDS
        self._unreported += count
        if self._unreported >= self._report_bytes:
            self._consumed(self._unreported)
            self._unreported = 0
