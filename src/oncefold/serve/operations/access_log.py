"""The log of requests: a line each, but for those that are too many or too dull, which are summed up."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from oncefold.serve.operations.commits import Commits
from oncefold.serve.operations.logs import fields
from oncefold.serve.operations.scopes import EVENTS
from oncefold.serve.operations.traffic import Traffic

SUMMARY_SECONDS = 10.0
"""Time between two lines about `POST /events`."""
MOST_LINES_PER_SECOND = 50
"""Lines about requests; more are left out and counted."""

_DULL = frozenset({"/healthz", "/readyz", "/metrics"})
"""What programs ask several times a minute; a line only if it failed."""
_MOST_PATH = 300


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that has ended."""

    request_id: str
    method: str
    path: str
    status: int
    seconds: float
    sent: int
    """Bytes of the answer's body."""
    client: str


def is_quiet(method: str, path: str, status: int) -> bool:
    """Whether a request that was answered so is worth no line of its own."""
    return status < 400 and ((path == EVENTS and method == "POST") or path in _DULL)


class AccessLog:
    """Writes lines about requests. What a request carried in its query, headers and body never gets here."""

    def __init__(self, logger: logging.Logger, monotonic: Callable[[], float]) -> None:
        self._logger = logger
        self._monotonic = monotonic
        self._second = 0.0
        self._lines = 0
        self.left_out = 0
        """Lines that were not written because there were too many."""

    def tell(self, answered: Answered) -> None:
        """Write a line about a request, unless there were too many of late."""
        if not self._has_room():
            self.left_out += 1
            return
        level = logging.INFO if answered.status < 400 else logging.WARNING
        self._logger.log(
            logging.ERROR if answered.status == 500 else level,
            "request",
            extra=fields(
                request_id=answered.request_id,
                method=answered.method,
                path=answered.path[:_MOST_PATH],
                status=answered.status,
                milliseconds=round(answered.seconds * 1_000, 3),
                bytes=answered.sent,
                client=answered.client,
            ),
        )

    def broke(self, request_id: str, error: Exception) -> None:
        """Write what only a mistake in the server can have caused, with its trace."""
        self._logger.error("a request broke the server's code", exc_info=error, extra=fields(request_id=request_id))

    def _has_room(self) -> bool:
        now = self._monotonic()
        if now - self._second >= 1.0:
            self._second, self._lines = now, 0
        self._lines += 1
        return self._lines <= MOST_LINES_PER_SECOND


class Summary:
    """From time to time one line about all requests to `/events` since the last one."""

    def __init__(self, traffic: Traffic, commits: Commits, log: AccessLog, logger: logging.Logger) -> None:
        self._traffic, self._commits, self._log, self._logger = traffic, commits, log, logger
        self._before = self._now()

    def tell(self, seconds: float) -> None:
        """Write the line for the time since the last one, unless nothing came."""
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
                seconds=round(seconds, 1),
                requests=sum(since.values()),
                statuses={str(status): count for status, count in since.items()},
                bytes=received - before[1],
                commits=commits - before[2],
                events=events - before[3],
                lines_left_out=left or None,
            ),
        )

    def _now(self) -> tuple[dict[int, int], int, int, int, int]:
        statuses = self._traffic.statuses(EVENTS)
        return statuses, self._traffic.received, self._commits.rows.count, self._commits.total, self._log.left_out
