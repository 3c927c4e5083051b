"""Plain counters: counting costs less than a microsecond, and nothing is computed until it is asked for."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from oncefold.core.fold import Outcome
from oncefold.serve.channel.messages import Committed
from oncefold.serve.http.routing import CHANGES, EVENTS

_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_COMMIT_ROWS: Final = (1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576)
_ROUTES: Final = frozenset(
    {
        "events",
        "totals",
        "series",
        "explain",
        "history",
        "search",
        "rejects",
        "redefine",
        "conflicts",
        "status",
        "verify",
        "changes",
        "healthz",
        "readyz",
        "metrics",
        "openapi.json",
        "assets",
    }
)
OTHER_ROUTE: Final = "other"
CLIENT_LEFT: Final = 499
"""Counted as the status of a request whose client left before there was a response."""


class Histogram:
    """How many values were at most each bound, and their sum."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` ascend."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """Sum of all values."""

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Prometheus's form: each bound as text with how many values were at most that."""
        names = [*map(repr, map(float, self._bounds)), "+Inf"]
        return list(zip(names, map(float, accumulate(self._counts.copy())), strict=True))


class CommitCounters:
    """Commits as they became durable. Notified of each by one thread, read by any."""

    def __init__(self) -> None:
        self.events = dict.fromkeys(Outcome, 0)
        """Since the server began, by outcome."""
        self.seconds = Histogram(_COMMIT_SECONDS)
        self.rows = Histogram(_COMMIT_ROWS)

    def __call__(self, committed: Committed) -> None:
        """Count one commit."""
        for outcome, count in committed.counts.items():
            self.events[outcome] += count
        self.seconds.observe(committed.seconds)
        self.rows.observe(committed.rows)

    @property
    def total(self) -> int:
        """Events of all outcomes."""
        return sum(self.events.values())


class RequestCounters:
    """Requests as they were answered. Counted by the event loop alone; other threads may read."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        """By route and status."""
        self.seconds: dict[str, Histogram] = {}
        """By route; the stream of changes is not among them, it lasts as long as its client likes."""
        self.subscribers = 0
        """Requests to `/changes` that go on."""
        self.received = 0
        """Bytes of bodies sent to `/events`."""
        self.ended = Counter[str]()
        """Connections that the server ended, by reason."""

    def count(self, path: str, status: int, seconds: float, received: int) -> None:
        """Count one request that has ended."""
        route = path if path == EVENTS else route_of(path)
        key = route, status
        self.requests[key] = self.requests.get(key, 0) + 1
        if route == EVENTS:
            self.received += received
        if route == CHANGES:
            return
        histogram = self.seconds.get(route)
        if histogram is None:
            histogram = self.seconds[route] = Histogram(_REQUEST_SECONDS)
        histogram.observe(seconds)

    def statuses(self, route: str) -> dict[int, int]:
        """How many requests of a route had each status."""
        return {status: count for (its_route, status), count in self.requests.copy().items() if its_route == route}


def route_of(path: str) -> str:
    """The route of a path, one of few: what a client asks for must not make numbers of its own."""
    if path == "/":
        return path
    first = path[1:].partition("/")[0]
    return f"/{first}" if first in _ROUTES else OTHER_ROUTE
