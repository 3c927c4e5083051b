"""Requests that have ended: counted, and told in the log, one by one or summed up."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from oncefold.serve.operations.access_log import SUMMARY_SECONDS, AccessLog, Answered, Summary, is_quiet
from oncefold.serve.operations.traffic import Traffic


class Asked(NamedTuple):
    """A request that has begun."""

    request_id: str
    method: str
    path: str
    client: tuple[str, int] | None
    began: float


class Bookkeeping:
    """Belongs to one event loop."""

    def __init__(self, traffic: Traffic, log: AccessLog, summary: Summary, monotonic: Callable[[], float]) -> None:
        self.traffic, self.log, self.monotonic = traffic, log, monotonic
        self._summary = summary
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0

    def ended(self, asked: Asked, status: int, received: int, sent: int) -> None:
        """A request has ended; `received` and `sent` are the bytes of its body and of its answer's."""
        seconds = self.monotonic() - asked.began
        self.traffic.count(asked.path, status, seconds, received)
        if not is_quiet(asked.method, asked.path, status):
            who = asked.client[0] if asked.client else ""
            self.log.tell(Answered(asked.request_id, asked.method, asked.path, status, seconds, sent, who))
        if self._timer is None:
            self._since = asked.began
            self._timer = asyncio.get_running_loop().call_later(SUMMARY_SECONDS, self.sum_up)

    def sum_up(self) -> None:
        """Write what is left to be said of requests that got no line; the server calls this when it ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._summary.tell(self.monotonic() - self._since)
