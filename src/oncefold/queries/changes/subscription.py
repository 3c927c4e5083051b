"""A subscription to the changes of a store or a server, for loops with and without `async`."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, Self

from oncefold.queries.changes.model import Change, change_of
from oncefold.queries.changes.notices import Messages, WaitingSubscribers, begin, first, read_changes
from oncefold.queries.changes.wanted import Wanted, WatchedNodes
from oncefold.queries.model import Shape
from oncefold.queries.protocol import Closing
from oncefold.store.reader import StoreFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from oncefold.core.definition import Pipeline

POLL_SECONDS = 0.05
"""Between two looks at a store's last commit."""

REPLACED = "the definition was replaced; query the totals again"

_Answers = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Change | None]"]


class Feed(Protocol):
    """Where changes come from; used by one thread, but for `stop`."""

    def next(self) -> Change | None:
        """Wait for the next change; None after `stop`."""
        ...

    def stop(self) -> None:
        """End the waiting, and close what is open; called in any thread."""
        ...


class Changes(Closing):
    """The changes after a commit, one after the other: iterate it, with `for` or with `async for`, until it is closed.

    Nothing is kept for a slow reader: what changed in between comes as one change, with the newest values. Each change
    has every node that changed since the change before. Iterate in one loop at a time.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._requests: queue.SimpleQueue[_Answers | None] | None = None
        self._pending: asyncio.Future[Change | None] | None = None
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        """Wait for the next change, as long as it takes."""
        found = self._feed.next()
        if found is None:
            raise StopIteration
        return found

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        """Wait for the next change without holding up the event loop.

        If the waiting is cancelled, the next call has the change that it would have given.
        """
        if self._closed and self._pending is None:
            raise StopAsyncIteration
        if self._requests is None:
            self._requests = queue.SimpleQueue()
            threading.Thread(target=_answer, args=(self._feed, self._requests), daemon=True, name="changes").start()
        if self._pending is None:
            loop = asyncio.get_running_loop()
            self._pending = loop.create_future()
            self._requests.put((loop, self._pending))
        found = await asyncio.shield(self._pending)
        self._pending = None
        if found is None:
            raise StopAsyncIteration
        return found

    def close(self) -> None:
        """End the subscription, also while another thread waits; without effect when closed."""
        self._closed = True
        self._feed.stop()
        if self._requests is not None:
            self._requests.put(None)

    def __del__(self) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


def _answer(feed: Feed, requests: queue.SimpleQueue[_Answers | None]) -> None:
    """Give changes to those that ask, in a thread that does nothing else."""
    while (one := requests.get()) is not None:
        loop, future = one
        found: Change | BaseException | None
        try:
            found = feed.next()
        except BaseException as error:
            found = error
        with suppress(RuntimeError):  # that loop has ended
            loop.call_soon_threadsafe(_settle, future, found)


def _settle(future: asyncio.Future[Change | None], found: Change | BaseException | None) -> None:
    if future.cancelled():
        return
    if isinstance(found, BaseException):
        future.set_exception(found)
    else:
        future.set_result(found)


class StoreFeed:
    """The changes of a store file, which this or another process writes."""

    def __init__(
        self,
        path: str | Path,
        want: Callable[[Pipeline], Wanted],
        since: int | None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Begin after the commit `since`, or with the first call; the clock is in nanoseconds since the epoch."""
        self._path, self._want_of, self._since, self._clock = path, want, since, clock
        self._stopped = threading.Event()
        self._file: StoreFile | None = None
        self._pipeline: Pipeline | None = None
        self._want = Wanted(frozenset(), frozenset())
        self._watched: WatchedNodes | None = None
        self._counts: tuple[int, ...] = ()

    def next(self) -> Change | None:
        """Wait for the next change; None after `stop`."""
        while not self._stopped.is_set():
            found = self._look()
            if found is not None:
                return found
            self._stopped.wait(POLL_SECONDS)
        if self._file is not None:
            self._file.close()
        return None

    def stop(self) -> None:
        """End the waiting; the thread that waits closes the file."""
        self._stopped.set()

    def _look(self) -> Change | None:
        if self._file is None:
            self._file = StoreFile.open(self._path)
        file = self._file
        file.refresh()
        if self._watched is None or self._pipeline is not file.pipeline:
            return self._begin(file)
        since = self._since
        assert since is not None
        if file.head().seq == since:
            return None
        changes = read_changes(file, [WaitingSubscribers(self._want, self._watched, [since])])
        messages, (of_mine,) = Messages(changes, self._clock()), changes.changes
        found = _read(Shape.of(file.pipeline), b"".join(messages.of(of_mine.rows[since], since, self._counts)))
        self._watched, self._since, self._counts = of_mine.watched, messages.commit, messages.counts
        return found

    def _begin(self, file: StoreFile) -> Change | None:
        """Begin, or begin again where the definition was replaced."""
        replaced, self._pipeline = self._pipeline is not None, file.pipeline
        self._want = self._want_of(file.pipeline)
        start = begin(file, self._want, None if replaced else self._since)
        self._watched, self._since, self._counts = start.watched, start.since, start.counts
        message = first(start, self._clock())
        if not message or not (start.reset or replaced):
            return None
        found = _read(Shape.of(file.pipeline), b"".join(message))
        return Change(as_of=found.as_of, shape=found.shape, rows=(), counts={}, reset=start.reset or REPLACED)


def _read(shape: Shape, message: bytes) -> Change:
    event, data = message_of(message)
    return change_of(shape, event, json.loads(data))


def message_of(message: bytes) -> tuple[str, bytes]:
    """(event, data) of one server-sent event whose data is one line."""
    fields = dict(line.split(b": ", 1) for line in message.splitlines() if b": " in line)
    return fields[b"event"].decode(), fields[b"data"]
