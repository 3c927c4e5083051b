"""Small bodies that have arrived: left alone until their commit is due, so that one fold takes all."""

from collections import deque
from collections.abc import Callable
from typing import Final

from oncefold.serve.ingest.delivery import Delivery

JOINED_BYTES: Final = 2**20
"""Bytes of small bodies that are folded even while a commit is under way."""


class Arrivals:
    """Filled by the event loop, taken by the ingest thread, which is woken only when it may have something to do."""

    def __init__(self, wake: Callable[[], None], full: Callable[[], None]) -> None:
        """`wake` is called at the first arrival and at the one that was awaited, `full` after every JOINED_BYTES."""
        self._wake, self._full = wake, full
        self._waiting: deque[Delivery] = deque()
        self._bytes = 0
        self.awaited = 0
        """So many requests were answered by the last commit: as soon as as many wait, the next one begins."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, delivery: Delivery) -> None:
        """Let a delivery wait that is whole in its body."""
        self._waiting.append(delivery)
        self._bytes += len(delivery.body)
        waiting = len(self._waiting)
        if self._bytes >= JOINED_BYTES:
            self._bytes = 0
            self._full()
        elif waiting in {1, self.awaited}:
            self._wake()

    def take(self) -> list[Delivery]:
        """Those that wait, in order, as far as they have JOINED_BYTES together, or one more."""
        taken: list[Delivery] = []
        size = 0
        while self._waiting and size < JOINED_BYTES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1].body)
        return taken

    def all(self) -> list[Delivery]:
        """All that wait, in order."""
        return [delivery for taken in iter(self.take, []) for delivery in taken]
