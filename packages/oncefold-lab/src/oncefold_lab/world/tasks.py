"""Processes in virtual time: code that runs until it sleeps, and may be frozen or ended wherever it does.

Each thread of a process is a greenlet. One runs at a time, and gives way only where it sleeps, so that what happens
between two sleeps is never interrupted.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet

from oncefold_lab.world.scheduler import Scheduler


class Ended(BaseException):
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
        except Ended as end:
            process.end(end)
        except Exception as error:
            self.failure = error
        if not process.over:
            process.finished(self)


class Process:
    """Threads that end together. `over` tells once whether it ended by itself, and how."""

    def __init__(
        self, tasks: "Tasks", name: str, body: Callable[[], Any], told: Callable[[Any], object], *, mortal: bool
    ) -> None:
        """`told` gets the body's result, or the exception it ended with."""
        self.mortal = mortal
        """Whether it may crash around its calls."""
        self.tasks = tasks
        self.name = name
        self.over = False
        self.thaws = 0.0
        """It does nothing before this moment."""
        self.expired = False
        """Whether nobody waits for it any more."""
        self._told = told
        self._main = Thread(self, body)
        self._threads = [self._main]
        self._waiting: tuple[Thread, list[Thread]] | None = None
        tasks.soon(self._main)

    def end(self, end: BaseException) -> None:
        """Let it do nothing more from now on; whoever waits for it gets `end`."""
        if not self.over:
            self.over = True
            self.tasks.bury(self._threads)
            self._told(end)

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
            self._told(thread.result if thread.failure is None else thread.failure)
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
        told: Callable[[Any], object] = lambda _: None,
        *,
        mortal: bool = False,
    ) -> Process:
        """Start a process; it begins to run as soon as control comes back to the scheduler."""
        return Process(self, name, body, told, mortal=mortal)

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
                thread.throw(Ended)
            self._alive.discard(thread)
