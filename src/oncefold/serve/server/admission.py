"""Admission control: how many requests to ingest, and bytes of them, are under way; more are refused for a moment."""

from collections.abc import Callable
from typing import Final, Self

from oncefold.serve.http.response import RETRY_SOON, Problem
from oncefold.serve.settings import MOST_SHARES, STREAM_BYTES, Limits

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

    def admit(self) -> "Admitted":
        """A request, as a context while it is under way.

        Raises Problem 503 if nothing can be committed, 429 if too many are under way.
        """
        if reason := self._unavailable():
            raise Problem(503, f"Events cannot be taken: {reason}. Send them again.", RETRY_SOON)
        if self.requests >= self._limits.max_waiting:
            raise _full()
        self.requests += 1
        return Admitted(self)

    @property
    def shares(self) -> int:
        """How many times STREAM_BYTES the next body may hold: many only while half of all bytes are free after it."""
        free = self._limits.max_inflight_bytes // 2 - self.bytes
        return MOST_SHARES if free >= MOST_SHARES * STREAM_BYTES else 1

    def require_room(self, count: int) -> None:
        """Raises Problem 429 if so many bytes are too many; the first, when none are held, are always admitted."""
        if self.bytes and self.bytes + count > self._limits.max_inflight_bytes:
            raise _full()


class Admitted:
    """A request that is under way, until its context ends."""

    __slots__ = ("_admission", "_bytes")

    def __init__(self, admission: Admission) -> None:
        self._admission, self._bytes = admission, 0

    def hold(self, count: int) -> None:
        """Hold so many bytes of it until it ends. Raises Problem 429 for too many."""
        self._admission.require_room(count)
        self._admission.bytes += count
        self._bytes += count

    def hold_stream(self) -> int:
        """Hold what a body takes that comes piece by piece; how many shares. Raises Problem 429 for too many."""
        shares = self._admission.shares
        self.hold(shares * STREAM_BYTES)
        return shares

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._admission.requests -= 1
        self._admission.bytes -= self._bytes


def _full() -> Problem:
    return Problem(429, _FULL, RETRY_SOON, title="Too many events at a time")
