"""How many bytes of events are in memory at a time, over all requests."""

import threading


class Budget:
    """Bytes to be taken before they are held, and given back. Any thread may do either."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken = 0
        self._changed = threading.Condition()

    @property
    def taken(self) -> int:
        """Bytes that are held now."""
        return self._taken

    def take(self, count: int) -> bool:
        """Take so many bytes, if there are so many; who comes first, when nothing is taken, is always let in."""
        with self._changed:
            return self._take(count)

    def take_at_once(self, count: int) -> None:
        """Take so many bytes that were let in already."""
        with self._changed:
            self._taken += count

    def take_within(self, count: int, seconds: float) -> bool:
        """The same, after waiting at most so long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._take(count), seconds)

    def give(self, count: int) -> None:
        """Give so many bytes back."""
        with self._changed:
            self._taken -= count
            self._changed.notify_all()

    def _take(self, count: int) -> bool:
        if self._taken and self._taken + count > self._total:
            return False
        self._taken += count
        return True
