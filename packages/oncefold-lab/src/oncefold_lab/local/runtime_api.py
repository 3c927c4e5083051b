"""Lambda's runtime API for one process, on a port of its own, and what that process prints.

API: "Using the Lambda runtime API for custom runtimes" of the Lambda Developer Guide. One thread at a time waits for
the process and needs no other: a request, a printed line, the end and the deadline all come through one selector. So
what was printed before an answer is known when the answer is.
"""

import os
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from oncefold_lab.local.emulator import HOST

_READ_BYTES = 2**16
_LOOK_SECONDS = 0.5
"""How often a process that says nothing is looked at: one that ended may have left its output to a child of its own."""
_ENDING_SECONDS = 0.005
"""How often once its output is closed: by its end, as a rule."""
_HEAD_END = b"\r\n\r\n"


class Gone(Exception):  # noqa: N818 - a state of the process, turned into an answer by the environment
    """The process ended, or will not be heard again."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call of the runtime client."""

    path: str
    body: bytes
    connection: socket.socket


class RuntimeApi:
    """The server that one process talks to."""

    def __init__(self, output: int, alive: Callable[[], bool]) -> None:
        """`output` is the end to read of a pipe that the process prints into; it is closed with this."""
        self._output = output
        self._alive = alive
        self._listener = socket.create_server((HOST, 0))
        self._received: dict[socket.socket, bytearray] = {}
        self._printed = bytearray()
        self._silent = False
        os.set_blocking(output, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(output, selectors.EVENT_READ, self._read_output)

    @property
    def address(self) -> str:
        """What AWS_LAMBDA_RUNTIME_API says."""
        port: int = self._listener.getsockname()[1]
        return f"{HOST}:{port}"

    def request(self, deadline: float) -> Request | None:
        """The next request; None once the (monotonic) clock passes the deadline. Raises Gone if none can come."""
        while True:
            for connection in list(self._received):
                found = self._whole(connection)
                if found is not None:
                    return found
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            events = self._selector.select(min(left, _ENDING_SECONDS if self._silent else _LOOK_SECONDS))
            for key, _ in events:
                key.data(key.fileobj)
            if not events and not self._alive():
                raise Gone

    def answer(self, request: Request, status: str, headers: Mapping[str, str], body: bytes) -> None:
        """Answer a request, in one write. Raises Gone if nobody is there to read it."""
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        try:
            request.connection.sendall(head.encode() + body)
        except OSError:
            raise Gone from None

    def printed(self) -> bytes:
        """What the process printed since this was last asked."""
        if not self._silent:
            self._read_output(self._output)
        text = bytes(self._printed)
        self._printed.clear()
        return text

    def close(self) -> None:
        """Let go of the process."""
        self._selector.close()
        for connection in self._received:
            connection.close()
        self._listener.close()
        os.close(self._output)

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        # An answer must not wait for the acknowledgement of the one before it.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received[connection] = bytearray()
        self._selector.register(connection, selectors.EVENT_READ, self._receive)

    def _receive(self, connection: socket.socket) -> None:
        try:
            chunk = connection.recv(_READ_BYTES)
        except OSError:
            chunk = b""
        if chunk:
            self._received[connection] += chunk
        else:
            self._selector.unregister(connection)
            del self._received[connection]
            connection.close()

    def _read_output(self, output: int) -> None:
        while True:
            try:
                chunk = os.read(output, _READ_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self._silent = True
                self._selector.unregister(output)
                return
            self._printed += chunk

    def _whole(self, connection: socket.socket) -> Request | None:
        received = self._received[connection]
        end = received.find(_HEAD_END)
        if end < 0:
            return None
        first, *lines = received[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        begin = end + len(_HEAD_END)
        stop = begin + int(headers.get("content-length", 0))
        if len(received) < stop:
            return None
        body = bytes(received[begin:stop])
        del received[:stop]
        return Request(first.split(" ")[1], body, connection)
