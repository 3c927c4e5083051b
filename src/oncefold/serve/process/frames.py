"""Messages as bytes on a stream socket: each pickled, after its length; both ends are of one program."""

import pickle
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any, Final

_LENGTH: Final = struct.Struct("<I")
_READ_BYTES: Final = 2**18


def frame_of(message: object) -> bytes:
    """One message as bytes."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


class Frames:
    """Messages out of bytes, however they are cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def of(self, data: bytes | memoryview) -> Iterator[Any]:
        """The messages that are whole with these bytes."""
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _LENGTH.size:
            start = at + _LENGTH.size
            end = start + _LENGTH.unpack_from(self._buffer, at)[0]
            if end > len(self._buffer):
                break
            with memoryview(self._buffer) as view, view[start:end] as part:
                message = pickle.loads(part)  # noqa: S301 - it comes from a process of our own
            at = end
            yield message
        del self._buffer[:at]


class Channel:
    """The folding process's end: one thread receives, any thread sends."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def send(self, message: object) -> None:
        """Send one message. Raises OSError if nobody is there any more."""
        data = frame_of(message)
        with self._sending:
            self._connection.sendall(data)

    def messages(self) -> Iterator[Any]:
        """The messages until the other end is closed."""
        frames, space = Frames(), memoryview(bytearray(_READ_BYTES))
        while count := self._connection.recv_into(space):
            yield from frames.of(space[:count])
