"""Events per second, as the commits of the last seconds say."""

from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 5.0


class Rate:
    """The mean over a window that ends now. One thread adds, any may read."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._commits: deque[tuple[float, int]] = deque()

    def add(self, events: int) -> None:
        """A commit of so many events."""
        now = self._monotonic()
        self._commits.append((now, events))
        while self._commits[0][0] <= now - WINDOW_SECONDS:
            self._commits.popleft()

    def per_second(self) -> float:
        """The events of the window by its length."""
        begin = self._monotonic() - WINDOW_SECONDS
        return round(sum(events for time, events in self._commits.copy() if time > begin) / WINDOW_SECONDS, 1)
