"""Reading ahead: an iterator runs in a thread of its own, a few items in front of whoever uses them."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final, Generic, TypeVar

_Item = TypeVar("_Item")

_LOOK_SECONDS: Final = 0.1
"""How often a thread that cannot hand on its item looks whether anyone still wants it."""


class Idle:
    """Handed on when nothing arrived for a while, so that what is pending can be committed."""


IDLE: Final = Idle()


class ReadAhead(Generic[_Item]):
    """The same items, some read in advance, and IDLE after every `idle_seconds` without one.

    An exception of the iterator is raised to the user, after the items before it. `close` ends the thread at the
    iterator's next item, or its end: `stop` is called so that an iterator that waits for its input comes to one.
    """

    def __init__(
        self, items: Iterable[_Item], depth: int, idle_seconds: float, stop: Callable[[], object] = lambda: None
    ) -> None:
        self._waiting: queue.Queue[_Item | BaseException | None] = queue.Queue(depth)
        self._idle_seconds = idle_seconds
        self._stop = stop
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(items,), name="oncefold-read", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[_Item | Idle]:
        while True:
            try:
                item = self._waiting.get(timeout=self._idle_seconds)
            except queue.Empty:
                yield IDLE
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """Stop reading and wait for the thread."""
        self._closed.set()
        if self._thread.is_alive():
            self._stop()
        with suppress(queue.Empty):  # makes room for an item that waits to be handed on
            while True:
                self._waiting.get_nowait()
        self._thread.join()

    def _work(self, items: Iterable[_Item]) -> None:
        try:
            for item in items:
                self._put(item)
                if self._closed.is_set():
                    return
        except BaseException as error:
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: _Item | BaseException | None) -> None:
        while not self._closed.is_set():
            try:
                return self._waiting.put(item, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
        return None
