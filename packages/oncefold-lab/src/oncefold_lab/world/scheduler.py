"""Virtual time: actions at their moments, processes that sleep, are frozen or ended, and random sources from one seed.

Each thread of a process is a greenlet. One runs at a time, and yields only where it sleeps, so that what happens
between two sleeps is never interrupted.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Any, Protocol

from greenlet import getcurrent, greenlet


def random_source(seed: int | str, name: str) -> Random:
    """The source of this name; the same seed and name give the same numbers on every machine."""
    return Random(f"{seed}/{name}")  # noqa: S311 - it has to be repeatable, not secret


START = 1_700_000_000.0
"""Seconds since 1970 at which every world begins."""


class EventSource(Protocol):
    """Something that has effects of its own to come."""

    def due(self) -> float | None:
        """When the next one is due."""

    def run_due(self) -> None:
        """Let those happen that are due."""


class Scheduler:
    """The clock, and what is to happen by it. Of two actions of one moment the one planned first comes first."""

    def __init__(self) -> None:
        self._now = START
        self._plans: list[tuple[float, int, Callable[[], object]]] = []
        self._planned = 0
        self._sources: list[tuple[EventSource, Callable[[], object]]] = []

    def clock(self) -> float:
        """Seconds since 1970."""
        return self._now

    def at(self, due: float, action: Callable[[], object]) -> None:
        """Plan an action; one that is due already happens as soon as control comes back."""
        self._planned += 1
        heappush(self._plans, (due, self._planned, action))

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Plan an action for so many seconds from now."""
        self.at(self._now + seconds, action)

    def watch(self, source: EventSource, after_each: Callable[[], object]) -> None:
        """Let a source's own effects happen when they are due; `after_each` is called behind each."""
        self._sources.append((source, after_each))

    def run(self, until: float, done: Callable[[], bool]) -> bool:
        """Let everything happen up to a moment, or until `done` says so after an action; whether it did."""
        while not done():
            due = self._next()
            if due is None or due > until:
                self._now = max(self._now, until)
                return done()
            self._now = max(self._now, due)
            for source, after_each in self._sources:
                moment = source.due()
                if moment is not None and moment <= self._now:
                    source.run_due()
                    after_each()
            if self._plans and self._plans[0][0] <= self._now:
                heappop(self._plans)[2]()
        return True

    def _next(self) -> float | None:
        due = self._plans[0][0] if self._plans else None
        for source, _ in self._sources:
            moment = source.due()
            if moment is not None and (due is None or moment < due):
                due = moment
        return due


class ProcessEnded(BaseException):
    """Raised within a process that is to end at once; what raises it within a process ends that process."""


class Thread(greenlet):
    """A thread of a process."""

    def __init__(self, process: "Process", body: Callable[[], Any]) -> None:
        super().__init__(self._work, parent=process.tasks.hub)
        self.process = process
        self._body = body
        self.result: Any = None
        self.failure: Exception | None = None

    def _work(self) -> None:
        process = self.process
        try:
            self.result = self._body()
        except ProcessEnded as end:
            process.end(end)
        except Exception as error:
            self.failure = error
        if not process.over:
            process.finished(self)


class Process:
    """Threads that end together. `over` says whether it ended by itself, and how."""

    def __init__(
        self, tasks: "Tasks", name: str, body: Callable[[], Any], on_result: Callable[[Any], object], *, mortal: bool
    ) -> None:
        """`on_result` gets the body's result, or the exception it ended with."""
        self.mortal = mortal
        """Whether it may crash around its calls."""
        self.tasks = tasks
        self.name = name
        self.over = False
        self.thaws = 0.0
        """It does nothing before this moment."""
        self.expired = False
        """Whether its result is no longer awaited."""
        self._on_result = on_result
        self._main = Thread(self, body)
        self._threads = [self._main]
        self._waiting: tuple[Thread, list[Thread]] | None = None
        tasks.soon(self._main)

    def end(self, end: BaseException) -> None:
        """Let it do nothing more from now on; whoever waits for it gets `end`."""
        if not self.over:
            self.over = True
            self.tasks.bury(self._threads)
            self._on_result(end)

    def spread(self, function: Callable[[Any], Any], things: Iterable[Any], at_once: int) -> Iterator[Any]:
        """Like `map`, several calls under way at a time."""
        waiting = list(things)
        threads: list[Thread] = []
        for start in range(0, len(waiting), at_once):
            some = [Thread(self, partial(function, thing)) for thing in waiting[start : start + at_once]]
            threads += some
            self._threads += some
            waiter = getcurrent()
            assert isinstance(waiter, Thread)
            self._waiting = (waiter, [*some])
            for thread in some:
                self.tasks.soon(thread)
            self.tasks.give_way()
        for thread in threads:
            if thread.failure is not None:
                raise thread.failure
            yield thread.result

    def finished(self, thread: Thread) -> None:
        """A thread has come to its end."""
        if thread is self._main:
            self.over = True
            self._on_result(thread.result if thread.failure is None else thread.failure)
            return
        self._threads.remove(thread)
        assert self._waiting is not None
        waiter, rest = self._waiting
        rest.remove(thread)
        if not rest:
            self._waiting = None
            self.tasks.soon(waiter)


class Tasks:
    """All processes of a world."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.hub = getcurrent()
        self._alive: set[Thread] = set()

    def current(self) -> Process | None:
        """The process that runs now; None outside of all."""
        thread = getcurrent()
        return thread.process if isinstance(thread, Thread) else None

    def start(
        self,
        name: str,
        body: Callable[[], Any],
        on_result: Callable[[Any], object] = lambda _: None,
        *,
        mortal: bool = False,
    ) -> Process:
        """Start a process; it begins to run as soon as control comes back to the scheduler."""
        return Process(self, name, body, on_result, mortal=mortal)

    def sleep(self, seconds: float) -> None:
        """Let time pass for the thread that runs now."""
        thread = getcurrent()
        assert isinstance(thread, Thread)
        self._scheduler.after(seconds, partial(self._resume, thread))
        self.give_way()

    def soon(self, thread: Thread) -> None:
        """Let a thread run, or go on, as soon as control comes back to the scheduler."""
        self._alive.add(thread)
        self._scheduler.after(0.0, partial(self._resume, thread))

    def give_way(self) -> None:
        """Stop the thread that runs now, until it is resumed."""
        self.hub.switch()

    def bury(self, threads: Iterable[Thread]) -> None:
        """End the threads of a process that is over, wherever they are."""
        self._scheduler.after(0.0, partial(self._end, list(threads)))

    def close(self) -> None:
        """End all threads."""
        for thread in list(self._alive):
            thread.process.over = True
        self._end(list(self._alive))

    def _resume(self, thread: Thread) -> None:
        process = thread.process
        if process.over:
            return
        if process.thaws > self._scheduler.clock():
            self._scheduler.at(process.thaws, partial(self._resume, thread))
            return
        thread.switch()
        if thread.dead:
            self._alive.discard(thread)

    def _end(self, threads: Iterable[Thread]) -> None:
        for thread in sorted(threads, key=lambda thread: thread.process.name):
            if thread and not thread.dead:
                thread.throw(ProcessEnded)
            self._alive.discard(thread)
