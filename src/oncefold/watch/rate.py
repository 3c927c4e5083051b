"""Events per second, from how many there were at each look."""

from collections import deque

WINDOW_SECONDS = 5.0
"""A rate is the mean of so long, since commits come in bursts."""


class Rate:
    """The mean rate at which a number grew during the window; times are seconds of a monotonic clock."""

    def __init__(self, window: float = WINDOW_SECONDS) -> None:
        self._window = window
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, time: float, number: int) -> float | None:
        """The rate, now that there are so many; None until it is known. A number that falls begins anew."""
        if self._seen and number < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((time, number))
        while len(self._seen) > 2 and time - self._seen[1][0] >= self._window:
            self._seen.popleft()
        began, first = self._seen[0]
        return (number - first) / (time - began) if time > began else None

    def forget(self) -> None:
        """Begin anew."""
        self._seen.clear()
