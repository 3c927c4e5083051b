"""How fresh an answer over HTTP is: its commit, as headers and as members of a document."""

import json
from dataclasses import dataclass
from functools import lru_cache

from oncefold.core.timestamps import format_timestamp, parse_timestamp
from oncefold.queries.model import AsOfCommit

_NANOS = 10**9


@dataclass(frozen=True, slots=True)
class Freshness:
    """A commit as an answer names it."""

    commit: int
    at: int = 0
    """Nanoseconds since the epoch; 0 where it has no time."""
    newest_time: int | None = None
    """Greatest event time up to it."""

    def lag(self, now: int) -> float | None:
        """Seconds from the newest event time to now; None without event times."""
        return None if self.newest_time is None else round((now - self.newest_time) / _NANOS, 3)

    def headers(self, now: int) -> list[tuple[bytes, bytes]]:
        """The headers of every answer to a query."""
        headers, _ = _lasting(self)
        lag = self.lag(now)
        return [*headers] if lag is None else [*headers, (b"oncefold-lag-seconds", b"%.3f" % lag)]

    def members(self, now: int) -> bytes:
        """The same as the first members of a JSON object, without its closing brace."""
        _, members = _lasting(self)
        lag = self.lag(now)
        return members + (b"null" if lag is None else repr(lag).encode())


@lru_cache(64)
def _lasting(fresh: Freshness) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
    """Headers and members without the lag, which alone goes on with the clock."""
    at = format_timestamp(fresh.at) if fresh.at else None
    newest = None if fresh.newest_time is None else format_timestamp(fresh.newest_time)
    headers = [(b"oncefold-commit", str(fresh.commit).encode())]
    headers += [(b"oncefold-commit-time", at.encode())] if at else []
    headers += [(b"oncefold-newest-event", newest.encode())] if newest else []
    document = {"commit": fresh.commit, "commit_time": at, "newest_event": newest}
    return tuple(headers), json.dumps(document, separators=(",", ":")).encode()[:-1] + b',"lag_seconds":'


def freshness_of(as_of: AsOfCommit) -> Freshness:
    """How fresh an answer is that is as of a commit."""
    time, newest = as_of.commit.time_text, as_of.newest_event_text
    return Freshness(
        as_of.commit.number,
        0 if time is None else parse_timestamp(time),
        None if newest is None else parse_timestamp(newest),
    )
