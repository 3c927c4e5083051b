"""Requests as they were answered, counted."""

from oncefold.serve.operations.histogram import Histogram
from oncefold.serve.operations.request import route_of
from oncefold.serve.operations.scopes import EVENTS

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CHANGES = "/changes"
LEFT = 499
"""Counted as the status of a request whose client left before there was an answer."""


class Traffic:
    """Counted by the event loop alone; other threads may read."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = {}
        """By route and status."""
        self.seconds: dict[str, Histogram] = {}
        """By route; the stream of changes is not among them, it lasts as long as its client likes."""
        self.subscribers = 0
        """Requests to `/changes` that go on."""
        self.received = 0
        """Bytes of bodies sent to `/events`."""

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
            histogram = self.seconds[route] = Histogram(_SECONDS)
        histogram.observe(seconds)

    def statuses(self, route: str) -> dict[int, int]:
        """How many requests of a route had each status."""
        return {status: count for (its_route, status), count in self.requests.copy().items() if its_route == route}
