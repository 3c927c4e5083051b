"""What the writer's threads share: memory for events, and processors."""

import os
import threading
from contextlib import suppress
from typing import Final

_NICENESS: Final = 10
"""On the scale of nice(1): about a tenth of a processor beside a thread that wants it and has the usual priority."""


class MemoryBudget:
    """Bytes to be taken before they are held, and given back. Any thread may do either."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken = 0
        self._changed = threading.Condition()

    def take_at_once(self, count: int) -> None:
        """Take so many bytes that were admitted already."""
        with self._changed:
            self._taken += count

    def take_within(self, count: int, seconds: float) -> bool:
        """Take so many bytes if, within this time, there are so many, or nothing is taken; whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._take(count), seconds)

    def give(self, count: int) -> None:
        """Give so many bytes back."""
        with self._changed:
            self._taken -= count
            self._changed.notify_all()

    def _take(self, count: int) -> bool:
        if self._taken and self._taken + count > self._total:
            return False
        self._taken += count
        return True


def processors_to_compute() -> int:
    """How many threads may decode at a time: one for each processor, since they let all others go first."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def lower_priority() -> None:
    """Let other threads go before this one and those it starts, where the system has priorities of threads.

    On few cores those that compute would else keep the event loop, and readers, waiting.
    """
    if hasattr(os, "setpriority"):
        with suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
