"""What a learner's code cannot do in the lab: reach the network, start threads or processes, or never come back."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, NoReturn

from oncefold.core.errors import OncefoldError

SECONDS = 10.0
"""CPU seconds that a function may compute between two calls."""

THREADS = "start threads: it runs one function at a time, so that a seed gives the same game"

_CLOSED = {
    "socket.connect": "reach the network: DynamoDB is the only service here, by boto3.client('dynamodb')",
    "socket.getaddrinfo": "reach the network: DynamoDB is the only service here, by boto3.client('dynamodb')",
    "socket.sendto": "reach the network: DynamoDB is the only service here, by boto3.client('dynamodb')",
    "_thread.start_new_thread": THREADS,
    "subprocess.Popen": "start other programs",
    "os.system": "start other programs",
    "os.fork": "start other programs",
    "os.posix_spawn": "start other programs",
}
"""What Python tells audit hooks about, and what that is. Of threads it tells from 3.12 on."""

_inside: ContextVar[bool] = ContextVar("inside", default=False)
"""Whether a learner's code runs. Each greenlet has its own."""


class NotInTheLabError(OncefoldError):
    """A learner's code did what the lab does not have."""


def refuse(what: str) -> NoReturn:
    """Raises NotInTheLabError."""
    raise NotInTheLabError(f"a function in the lab cannot {what}")


class TooLong(BaseException):
    """A function has computed for too long without a call; no `except Exception` of a learner's stops it."""


@cache
def _watch() -> None:
    """Have Python tell of what is closed; a hook stays for as long as the process, and heeds a learner's code alone."""

    def hook(event: str, _: tuple[Any, ...]) -> None:
        if event in _CLOSED and _inside.get():
            refuse(_CLOSED[event])

    sys.addaudithook(hook)


def _expire(*_: object) -> None:
    raise TooLong


class Guard:
    """Around one world's learner's code. The limit of time needs the main thread, and a system that has such timers."""

    def __init__(self, seconds: float = SECONDS) -> None:
        _watch()
        self.seconds = seconds
        self._timed = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While a learner's code runs. Raises TooLong in it."""
        token = _inside.set(True)
        self._count(self.seconds)
        try:
            yield
        finally:
            self._count(0.0)
            _inside.reset(token)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """While the world runs within it: time is not counted, and begins anew behind it."""
        _inside.set(False)
        self._count(0.0)
        try:
            yield
        finally:
            self._count(self.seconds)
            _inside.set(True)

    def _count(self, seconds: float) -> None:
        if self._timed:
            if seconds:
                signal.signal(signal.SIGVTALRM, _expire)
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
