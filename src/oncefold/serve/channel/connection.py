"""Both ends of the channel: frames on a socket between two processes of one program.

A frame is a head and its data: messages, pickled, or the next bytes of a large body, which are not pickled and mostly
lie in memory that both see (`slots`). The server's end belongs to its event loop, which never waits for the writer; the
writer's end waits in threads.
"""

import asyncio
import mmap
import pickle
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, cast

from oncefold.serve.channel.messages import StreamPiece
from oncefold.serve.channel.slots import SLOT_BYTES, Slots

_HEAD: Final = struct.Struct("!QIi")
"""The number of the request whose bytes these are, 0 for messages; how many bytes; and the slot in which they lie."""
_FOLLOWS: Final = -1
"""In the place of a slot: the bytes follow."""
_BUFFER_BYTES: Final = 2**18


def _frame(messages: Sequence[object]) -> bytes:
    data = pickle.dumps(messages, pickle.HIGHEST_PROTOCOL)
    return _HEAD.pack(0, len(data), _FOLLOWS) + data


class ServerEnd(asyncio.Protocol):
    """The server's end; belongs to one event loop. Without effect, nothing raised, once nobody is there any more."""

    def __init__(
        self, receive: Callable[[Sequence[object]], None], lost: Callable[[], None], slots: Slots | None = None
    ) -> None:
        """`receive` is called with messages in their order, `lost` when the other end is closed.

        Pieces of bodies lie in `slots`, as far as there are any.
        """
        self._receive, self._lost, self._slots = receive, lost, slots
        self._unread = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def open(
        cls,
        end: socket.socket,
        receive: Callable[[Sequence[object]], None],
        lost: Callable[[], None],
        slots: Slots | None = None,
    ) -> "ServerEnd":
        """Take over a connected socket."""
        loop, family = asyncio.get_running_loop(), end.family
        if hasattr(socket, "AF_UNIX") and family == socket.AF_UNIX:
            _, opened = await loop.create_unix_connection(lambda: cls(receive, lost, slots), sock=end)
        else:
            _, opened = await loop.create_connection(lambda: cls(receive, lost, slots), sock=end)
        return opened

    def send(self, *messages: object) -> None:
        """Send messages in their order."""
        self._write(_frame(messages))

    def send_piece(self, number: int, data: bytes) -> None:
        """Send the next bytes of the body of this request."""
        slot = None if self._slots is None else self._slots.put(number, data)
        self._write(_HEAD.pack(number, len(data), _FOLLOWS if slot is None else slot))
        if slot is None:
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
            _, size, _ = _HEAD.unpack_from(self._unread, start)
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

    def __init__(self, file: int, memory: int | None = None) -> None:
        """Take over this open socket, and the file of the memory in which pieces of bodies lie, if there is one."""
        self._socket = socket.socket(fileno=file)
        self._socket.setblocking(True)  # noqa: FBT003 - socket's
        self._reading = self._socket.makefile("rb", _BUFFER_BYTES)
        self._sending = threading.Lock()
        self._memory = memoryview(b"" if memory is None else mmap.mmap(memory, 0, access=mmap.ACCESS_READ))

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
            number, size, slot = _HEAD.unpack(head)
            if slot != _FOLLOWS:
                start = slot * SLOT_BYTES
                yield StreamPiece(number, self._memory[start : start + size])
                continue
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
