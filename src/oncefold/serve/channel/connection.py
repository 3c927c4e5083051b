"""Both ends of the channel: frames on a socket between two processes of one program.

A frame is a head and its data: messages, pickled, or the next bytes of a large body, which are neither pickled nor
copied. The server's end belongs to its event loop, which never waits for the writer; the writer's end waits in threads.
"""

import asyncio
import pickle
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, cast

from oncefold.serve.channel.messages import StreamPiece

_HEAD: Final = struct.Struct("!QI")
"""The number of the request whose bytes follow, 0 for messages; and how many bytes follow."""
_BUFFER_BYTES: Final = 2**18


def _frame(messages: Sequence[object]) -> bytes:
    data = pickle.dumps(messages, pickle.HIGHEST_PROTOCOL)
    return _HEAD.pack(0, len(data)) + data


class ServerEnd(asyncio.Protocol):
    """The server's end; belongs to one event loop. Without effect, nothing raised, once nobody is there any more."""

    def __init__(self, receive: Callable[[Sequence[object]], None], lost: Callable[[], None]) -> None:
        """`receive` is called with messages in their order, `lost` when the other end is closed."""
        self._receive, self._lost = receive, lost
        self._unread = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def open(
        cls, end: socket.socket, receive: Callable[[Sequence[object]], None], lost: Callable[[], None]
    ) -> "ServerEnd":
        """Take over a connected socket."""
        loop, family = asyncio.get_running_loop(), end.family
        if hasattr(socket, "AF_UNIX") and family == socket.AF_UNIX:
            _, opened = await loop.create_unix_connection(lambda: cls(receive, lost), sock=end)
        else:
            _, opened = await loop.create_connection(lambda: cls(receive, lost), sock=end)
        return opened

    def send(self, *messages: object) -> None:
        """Send messages in their order."""
        self._write(_frame(messages))

    def send_piece(self, number: int, data: bytes) -> None:
        """Send the next bytes of the body of this request."""
        self._write(_HEAD.pack(number, len(data)))
        self._write(data)

    def close(self) -> None:
        """Close this end, once everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._unread += data
        start = 0
        while len(self._unread) - start >= _HEAD.size:
            _, size = _HEAD.unpack_from(self._unread, start)
            end = start + _HEAD.size + size
            if len(self._unread) < end:
                break
            self._receive(pickle.loads(self._unread[start + _HEAD.size : end]))  # noqa: S301 - from a process of our own
            start = end
        del self._unread[:start]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """See asyncio.Protocol."""
        self._transport = None
        self._lost()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


class WriterEnd:
    """The writer's end: any thread sends, one receives."""

    def __init__(self, file: int) -> None:
        """Take over this open socket."""
        self._socket = socket.socket(fileno=file)
        self._socket.setblocking(True)  # noqa: FBT003 - socket's
        self._reading = self._socket.makefile("rb", _BUFFER_BYTES)
        self._sending = threading.Lock()

    def send(self, *messages: object) -> None:
        """Send messages in their order, waiting as long as the other end does not take them.

        Raises OSError if nobody is there any more.
        """
        frame = _frame(messages)
        with self._sending:
            self._socket.sendall(frame)

    def messages(self) -> Iterator[Any]:
        """The messages until the other end is closed."""
        while len(head := self._read(_HEAD.size)) == _HEAD.size:
            number, size = _HEAD.unpack(head)
            data = self._read(size)
            if len(data) < size:
                return
            if number:
                yield StreamPiece(number, data)
            else:
                yield from pickle.loads(data)  # noqa: S301 - from a process of our own

    def close(self) -> None:
        """Close this end."""
        self._reading.close()
        self._socket.close()

    def _read(self, size: int) -> bytes:
        """So many bytes; fewer where the other end is closed."""
        try:
            data: bytes = self._reading.read(size)
        except OSError:
            return b""
        return data


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends: the server's own, and the one to hand to its child."""
    return socket.socketpair()
