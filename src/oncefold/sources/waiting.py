"""The only place of this package that knows the time or waits; tests pass in a scripted one."""

import select
import threading
import time
from typing import Final, Protocol

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
