"""How fresh an answer is, and answers that are kept: of the newest commit, or of a past one, bounded by their bytes."""

import json
from collections import OrderedDict
from collections.abc import Hashable
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
        """What every answer to a question says."""
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


KEPT_BYTES = 64 * 2**20
MOST_OF_ONE = 4 * 2**20
_OVERHEAD = 512
"""Bytes that an answer takes beside its own, about."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it is sent, but for the members that say how fresh it is: they go on with the clock."""

    fresh: Freshness
    content_type: str
    body: bytes
    """What follows the members of `Freshness` in a JSON document; else all of it."""
    document: bool
    """Whether it is a JSON document."""


class Cache:
    """The answers last used, by question; one is given only if it is of the commit that is asked for, or later."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Hashable, Answered] = OrderedDict()
        self.size = 0
        """Bytes that are kept, about."""

    def get(self, question: Hashable, commit: int) -> Answered | None:
        """The answer to a question, unless it is older than this commit."""
        found = self._kept.get(question)
        if found is None or found.fresh.commit < commit:
            return None
        self._kept.move_to_end(question)
        return found

    def put(self, question: Hashable, answer: Answered) -> None:
        """Keep an answer, in place of an older one to the same question."""
        before = self._kept.get(question)
        if len(answer.body) > MOST_OF_ONE or (before is not None and before.fresh.commit > answer.fresh.commit):
            return
        if before is not None:
            self._drop(question)
        self._kept[question] = answer
        self.size += len(answer.body) + _OVERHEAD
        while self.size > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, question: Hashable) -> None:
        self.size -= len(self._kept.pop(question).body) + _OVERHEAD
