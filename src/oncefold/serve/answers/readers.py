"""Readers of one store in threads of their own, the newest commit, and kept answers with how fresh they are."""

import asyncio
import hashlib
import queue
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from oncefold.core.definition import Pipeline
from oncefold.queries.converters import Freshness
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.channel.messages import Committed
from oncefold.serve.http.response import RETRY_SOON, Problem

KEPT_BYTES = 64 * 2**20
MOST_OF_ONE = 4 * 2**20
_OVERHEAD = 512
"""Bytes that an answer takes in addition to its body, about."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it is sent, but for the members that say how fresh it is: they go on with the clock."""

    fresh: Freshness
    content_type: str
    body: bytes
    """What follows the members of `Freshness` in a JSON document; else all of it."""
    document: bool
    """Whether it is a JSON document."""


class Cache:
    """The answers last used, by query; one is returned only if it is of the requested commit, or later."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Hashable, Answered] = OrderedDict()
        self.size = 0
        """Bytes that are kept, about."""

    def get(self, query: Hashable, commit: int) -> Answered | None:
        """The answer to a query, unless it is older than this commit."""
        found = self._kept.get(query)
        if found is None or found.fresh.commit < commit:
            return None
        self._kept.move_to_end(query)
        return found

    def put(self, query: Hashable, answer: Answered) -> None:
        """Keep an answer, in place of an older one to the same query."""
        before = self._kept.get(query)
        if len(answer.body) > MOST_OF_ONE or (before is not None and before.fresh.commit > answer.fresh.commit):
            return
        if before is not None:
            self._drop(query)
        self._kept[query] = answer
        self.size += len(answer.body) + _OVERHEAD
        while self.size > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, query: Hashable) -> None:
        self.size -= len(self._kept.pop(query).body) + _OVERHEAD


WINDOW_SECONDS = 5.0


class Rate:
    """The mean over a window that ends now. One thread adds, any may read."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._commits: deque[tuple[float, int]] = deque()

    def add(self, events: int) -> None:
        """A commit of so many events."""
        now = self._monotonic()
        self._commits.append((now, events))
        while self._commits[0][0] <= now - WINDOW_SECONDS:
            self._commits.popleft()

    def per_second(self) -> float:
        """The events of the window by its length."""
        begin = self._monotonic() - WINDOW_SECONDS
        return round(sum(events for time, events in self._commits.copy() if time > begin) / WINDOW_SECONDS, 1)


Answer = TypeVar("Answer")
Query = Callable[[StoreReader], Answer]
"""Called in a thread; everything it reads is of one commit."""

QUICK_THREADS = 2
SLOW_THREADS = 2
AHEAD_SECONDS = 0.025
"""A commit is announced at most so much later for queries that are repeated."""
MOST_WAITING = 512
"""Queries that wait for a thread of a lane before further ones are sent away."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The time, for freshness, and the monotonic clock, for pacing."""

    now: Callable[[], int] = time.time_ns
    """Nanoseconds since the epoch."""
    monotonic: Callable[[], float] = time.monotonic


class Lane:
    """Threads that query, with a reader for each. Closing waits for the queries under way."""

    def __init__(self, path: Path, threads: int, name: str) -> None:
        """Raises StoreError if the store cannot be read."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"oncefold-{name}")
        self._readers = [StoreReader.open(path) for _ in range(threads)]
        self._free: queue.SimpleQueue[StoreReader] = queue.SimpleQueue()
        for reader in self._readers:
            self._free.put(reader)
        self._waiting = 0

    async def run(self, query: Query[Answer]) -> Answer:
        """The answer to a query. Raises Problem 503 if too many wait, StoreError, and what the query raises."""
        if self._waiting >= MOST_WAITING:
            raise Problem(503, "too many queries wait for their answer; send it again", RETRY_SOON)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, query)
        finally:
            self._waiting -= 1

    def _answer(self, query: Query[Answer]) -> Answer:
        reader = self._free.get()
        try:
            with reader.file.at_one_commit():
                return query(reader)
        finally:
            self._free.put(reader)

    def close(self) -> None:
        """Close the store; queries that still wait are not answered."""
        self._threads.shutdown(cancel_futures=True)
        for reader in self._readers:
            reader.close()


@dataclass(slots=True)
class StoreReaders:
    """A store that is queried while it is written by this process."""

    pipeline: Pipeline
    store_id: str
    """Identifies this store in entity tags."""
    clock: Clock
    quick: Lane
    """For queries about few rows."""
    slow: Lane
    """For those that read much: they do not keep the others waiting."""
    subscriptions: Lane
    """For what changes."""
    rate: Rate
    newest: Freshness
    """The newest commit that is known, never older than one that anybody was notified of."""
    _repeaters: list[Callable[[int], Iterable[asyncio.Future[Any]]]] = field(default_factory=list)
    _listeners: list[Callable[[], None]] = field(default_factory=list)
    _enders: list[Callable[[], None]] = field(default_factory=list)

    @classmethod
    def open(cls, path: str | Path, clock: Clock | None = None) -> Self:
        """Open a store that exists. Raises StoreError if it cannot be read."""
        path, clock = Path(path), clock or Clock()
        with StoreReader.open(path) as reader:
            status = reader.file.status()
            newest = Freshness(status.last.seq, status.last.at, status.newest_time)
        return cls(
            pipeline=reader.pipeline,
            store_id=hashlib.sha256(f"{status.created} {reader.pipeline.fingerprint}".encode()).hexdigest()[:12],
            clock=clock,
            rate=Rate(clock.monotonic),
            quick=Lane(path, QUICK_THREADS, "quick"),
            slow=Lane(path, SLOW_THREADS, "slow"),
            subscriptions=Lane(path, 1, "subscriptions"),
            newest=newest,
        )

    def on_repeat(self, repeat: Callable[[int], Iterable[asyncio.Future[Any]]]) -> None:
        """Call this in the event loop with every commit that is about to be announced, to repeat recent queries."""
        self._repeaters.append(repeat)

    def ahead(self, commit: int) -> Awaitable[object] | None:
        """What to wait for before this commit is announced, so that who queries then finds an answer; None for nothing.

        Called in the event loop. Until it is announced, everybody is answered as of the commit before.
        """
        repeated = [future for repeat in self._repeaters for future in repeat(commit)]
        return asyncio.wait(repeated, timeout=AHEAD_SECONDS) if repeated else None

    def committed(self, committed: Committed) -> None:
        """A `Listener`: what is queried from now on is answered as of this commit, or a later one."""
        times = [time for time in (self.newest.newest_time, committed.newest_time) if time is not None]
        self.newest = Freshness(committed.commit, max(committed.at, self.newest.at), max(times, default=None))
        self.rate.add(sum(committed.counts.values()))
        for listener in self._listeners:
            with suppress(RuntimeError):  # the event loop has ended, and no listener is left
                listener()

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call this after every commit, in whichever thread announces it; it must return at once."""
        self._listeners.append(listener)

    def on_end(self, listener: Callable[[], None]) -> None:
        """Call this when the server begins to end, in its event loop."""
        self._enders.append(listener)

    def end(self) -> None:
        """End what would never end by itself, so that the server can; called in the event loop."""
        for listener in self._enders:
            listener()

    def close(self) -> None:
        """Close all readers, after the queries under way."""
        for lane in (self.quick, self.slow, self.subscriptions):
            lane.close()
