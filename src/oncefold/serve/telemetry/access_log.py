"""The log of requests: a line each, but for those that are too many or too dull, which are summed up."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from oncefold.serve.http.request import Request
from oncefold.serve.http.routing import EVENTS
from oncefold.serve.telemetry.counters import CommitCounters, RequestCounters
from oncefold.serve.telemetry.logs import fields

SUMMARY_SECONDS: Final = 10.0
"""Time between two lines about `POST /events`."""
MOST_LINES_PER_SECOND: Final = 50
"""Lines about requests; more are left out and counted."""

_DULL: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""What programs ask several times a minute; a line only if it failed."""
_PROBES: Final = frozenset({"/healthz", "/readyz"})
"""What is asked until the answer is yes: that it is not yet is no warning."""
_MOST_PATH: Final = 300


class AccessLog:
    """Writes lines about requests. What a request carried in its query, headers and body never gets here.

    Belongs to one event loop.
    """

    def __init__(
        self,
        requests: RequestCounters,
        commits: CommitCounters,
        logger: logging.Logger,
        monotonic: Callable[[], float],
    ) -> None:
        self._requests, self._commits = requests, commits
        self._logger, self._monotonic = logger, monotonic
        self._second = 0.0
        self._lines = 0
        self._left_out = 0
        """Lines that were not written because there were too many."""
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._before = self._now()

    def ended(self, request: Request, status: int, seconds: float, sent: int) -> None:
        """A request has ended, after so long; `sent` are the bytes of its response's body."""
        if not _is_quiet(request.method, request.path, status):
            self._write(request, status, seconds, sent)
        if self._timer is None:
            self._since = self._monotonic() - seconds
            self._timer = asyncio.get_running_loop().call_later(SUMMARY_SECONDS, self.sum_up)

    def failed(self, request_id: str, error: Exception) -> None:
        """Write what only a mistake in the server can have caused, with its trace."""
        self._logger.error("a request broke the server's code", exc_info=error, extra=fields(request_id=request_id))

    def sum_up(self) -> None:
        """Write one line about all requests to `/events` since the last one; the server calls this when it ends."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        before, self._before = self._before, self._now()
        statuses, received, commits, events, left_out = self._before
        since = {status: count - before[0].get(status, 0) for status, count in sorted(statuses.items())}
        since = {status: count for status, count in since.items() if count}
        left = left_out - before[4]
        if not since and not left:
            return
        self._logger.info(
            "ingest",
            extra=fields(
                seconds=round(self._monotonic() - self._since, 1),
                requests=sum(since.values()),
                statuses={str(status): count for status, count in since.items()},
                bytes=received - before[1],
                commits=commits - before[2],
                events=events - before[3],
                lines_left_out=left or None,
            ),
        )

    def _write(self, request: Request, status: int, seconds: float, sent: int) -> None:
        if not self._has_room():
            self._left_out += 1
            return
        is_expected = status < 400 or (status == 503 and request.path in _PROBES)
        level = logging.INFO if is_expected else logging.WARNING
        self._logger.log(
            logging.ERROR if status == 500 else level,
            "request",
            extra=fields(
                request_id=request.id,
                method=request.method,
                path=request.path[:_MOST_PATH],
                status=status,
                milliseconds=round(seconds * 1_000, 3),
                bytes=sent,
                client=request.client,
            ),
        )

    def _has_room(self) -> bool:
        now = self._monotonic()
        if now - self._second >= 1.0:
            self._second, self._lines = now, 0
        self._lines += 1
        return self._lines <= MOST_LINES_PER_SECOND

    def _now(self) -> tuple[dict[int, int], int, int, int, int]:
        statuses = self._requests.statuses(EVENTS)
        return statuses, self._requests.received, self._commits.rows.count, self._commits.total, self._left_out


def _is_quiet(method: str, path: str, status: int) -> bool:
    """Whether a request that was answered so is worth no line of its own."""
    return status < 400 and ((path == EVENTS and method == "POST") or path in _DULL)
