"""Time and stopping as sources need them, and several sources without an end read at once, each by a thread of its own.

This is the only module of the package that knows the time or waits; tests pass in a scripted one.
"""

import queue
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from oncefold.sources.blocks import Block, Finding

_WAKE_SECONDS: Final = 0.1
"""A wait on a pipe looks this often whether it should stop."""


class Waiting(Protocol):
    """Time and stopping, as sources need them."""

    def stopped(self) -> bool:
        """Whether reading should end after the block at hand."""
        ...

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait this long, or less if stopped."""
        ...

    def readable(self, descriptor: int, seconds: float) -> bool:
        """Whether a read would not block, waiting at most this long for that."""
        ...


class RealWaiting:
    """The machine's clock; `stop` ends every wait within 0.1 s."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()

    def stopped(self) -> bool:
        """See Waiting."""
        return self._stop.is_set()

    def now(self) -> float:
        """See Waiting."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """See Waiting."""
        self._stop.wait(seconds)

    def readable(self, descriptor: int, seconds: float) -> bool:
        """See Waiting."""
        try:
            ready, _, _ = select.select([descriptor], [], [], min(seconds, _WAKE_SECONDS))
        except (OSError, ValueError):  # what cannot be waited on (Windows pipes) is read, and that read may block
            return True
        return bool(ready)


_AHEAD: Final = 2
"""Blocks of all sources that wait to be handed on; each source has at most one more in hand."""

_LOOK_SECONDS: Final = 0.1
"""How often a thread that cannot hand on its block checks whether it is still wanted."""

Reading = Callable[[Waiting], Iterator[Block | Finding]]


def read_together(readings: Sequence[Reading], waiting: Waiting) -> Iterator[Block | Finding]:
    """What all of them hand on, of each in its own order, until all have ended, as each does soon after a stop.

    `waiting` is used by several threads at once. Whatever one of them raises is raised here, and ends the others.
    """
    until = _SharedWaiting(waiting)
    items: queue.Queue[Block | Finding | BaseException | None] = queue.Queue(_AHEAD)
    threads = [
        threading.Thread(target=_read, args=(reading, until, items), name="oncefold-source", daemon=True)
        for reading in readings
    ]
    for thread in threads:
        thread.start()
    try:
        left = len(threads)
        while left:
            item = items.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                left -= 1
            else:
                yield item
    finally:
        until.over.set()
        for thread in threads:
            thread.join()


def _read(
    reading: Reading, until: "_SharedWaiting", items: "queue.Queue[Block | Finding | BaseException | None]"
) -> None:
    last: BaseException | None = None
    try:
        for item in reading(until):
            if not _put(items, item, until):
                return
    except BaseException as error:
        last = error
    _put(items, last, until)


def _put(
    items: "queue.Queue[Block | Finding | BaseException | None]",
    item: Block | Finding | BaseException | None,
    until: "_SharedWaiting",
) -> bool:
    """Whether anyone wanted it."""
    while not until.over.is_set():
        try:
            items.put(item, timeout=_LOOK_SECONDS)
        except queue.Full:
            continue
        return True
    return False


class _SharedWaiting:
    """The same waiting, which also ends when the blocks are not wanted any more."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self.over = threading.Event()

    def stopped(self) -> bool:
        """See Waiting."""
        return self.over.is_set() or self._waiting.stopped()

    def now(self) -> float:
        """See Waiting."""
        return self._waiting.now()

    def pause(self, seconds: float) -> None:
        """See Waiting."""
        end = self._waiting.now() + seconds
        while not self.stopped() and (left := end - self._waiting.now()) > 0:
            self._waiting.pause(min(left, _LOOK_SECONDS))

    def readable(self, descriptor: int, seconds: float) -> bool:
        """See Waiting."""
        return self._waiting.readable(descriptor, seconds)
