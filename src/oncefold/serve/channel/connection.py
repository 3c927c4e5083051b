"""One end of the channel: messages, pickled, on a connection of the standard library; both ends are of one program."""

import pickle
import queue
import socket
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, Final

_TOGETHER_BYTES: Final = 2**18
"""Data of messages that are sent as one."""


class Channel:
    """Any thread sends, one receives."""

    def __init__(self, file: int) -> None:
        """Takes over this open socket."""
        self._connection = Connection(file)
        self._sending = threading.Lock()

    def send(self, *messages: object) -> None:
        """Send messages in their order, waiting as long as the other end does not take them.

        Raises OSError if nobody is there any more.
        """
        data = pickle.dumps(messages, pickle.HIGHEST_PROTOCOL)
        with self._sending:
            self._connection.send_bytes(data)

    def messages(self) -> Iterator[Any]:
        """The messages until the other end is closed; several that were sent together come as one list."""
        while True:
            try:
                data = self._connection.recv_bytes()
            except (EOFError, OSError):
                return
            yield pickle.loads(data)  # noqa: S301 - it comes from a process of our own

    def close(self) -> None:
        """Close this end."""
        self._connection.close()


class Outbox:
    """Messages that wait to be sent, so that whoever sends them need not; belongs to a channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: queue.SimpleQueue[tuple[object, int] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="oncefold-outbox", daemon=True)
        self._thread.start()

    def put(self, message: object, size: int = 0) -> None:
        """Send a message after those before it; `size` are the bytes of its data. Without effect if nobody is there."""
        self._waiting.put((message, size))

    def close(self) -> None:
        """Wait until everything is sent."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        ended = False
        while not ended:
            together, size, item = [], 0, self._waiting.get()
            while item is not None:
                together.append(item[0])
                size += item[1]
                if size >= _TOGETHER_BYTES or self._waiting.empty():
                    break
                item = self._waiting.get()
            ended = item is None
            try:
                if together:
                    self._channel.send(*together)
            except OSError:
                return


def socket_pair() -> tuple[int, socket.socket]:
    """Two connected ends: the file of this process's own, and the one to hand to a child."""
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs
