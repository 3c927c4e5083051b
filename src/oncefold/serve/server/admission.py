"""Admission control: how many requests to ingest, and bytes of them, are under way; more are refused for a moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from oncefold.serve.http.response import RETRY_SOON, Problem
from oncefold.serve.settings import Limits

_FULL: Final = "The server holds as many events as it may; send them again."


class Admission:
    """Belongs to one event loop."""

    def __init__(self, limits: Limits, unavailable: Callable[[], str]) -> None:
        """`unavailable` says why events cannot be taken now; empty if they can."""
        self._limits, self._unavailable = limits, unavailable
        self.requests = 0
        """Requests that were admitted and are not answered."""
        self.bytes = 0
        """Bytes that are held for them."""

    @contextmanager
    def request(self) -> Iterator[None]:
        """One request, while it is under way. Raises Problem 503 if nothing can be committed, 429 if too many are."""
        if reason := self._unavailable():
            raise Problem(503, f"Events cannot be taken: {reason}. Send them again.", RETRY_SOON)
        if self.requests >= self._limits.max_waiting:
            raise _full()
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def holding(self, count: int) -> Iterator[None]:
        """So many bytes of it; the first, when none are held, are always admitted. Raises Problem 429 for too many."""
        if self.bytes and self.bytes + count > self._limits.max_inflight_bytes:
            raise _full()
        self.bytes += count
        try:
            yield
        finally:
            self.bytes -= count


def _full() -> Problem:
    return Problem(429, _FULL, RETRY_SOON, title="Too many events at a time")
