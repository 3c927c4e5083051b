"""An application behind a real socket, in a thread of the test."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from oncefold.serve.transport.granian import HttpServer, reserved
from tests.tools.waiting import until

Address = tuple[str, int]


@contextmanager
def serving_in_thread(
    app: Any, *, head_seconds: float = 10.0, max_connections: int = 512
) -> Iterator[tuple[int, asyncio.AbstractEventLoop]]:
    """The port and the event loop of an ASGI application that is served meanwhile."""
    loops: list[asyncio.AbstractEventLoop] = []
    ended: list[asyncio.Event] = []

    with reserved("127.0.0.1", 0) as address:

        async def main() -> None:
            server = HttpServer(app, address, head_seconds=head_seconds, max_connections=max_connections)
            await server.start()
            ended.append(asyncio.Event())
            loops.append(asyncio.get_running_loop())
            await ended[0].wait()
            await server.stop(2)

        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        try:
            until(lambda: loops, "the server to start")
            yield address.port, loops[0]
        finally:
            loops[0].call_soon_threadsafe(ended[0].set)
            thread.join()


def connect(address: Address, seconds: float = 30.0) -> socket.socket:
    return socket.create_connection(address, timeout=seconds)


def answer(connection: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    found = b""
    try:
        while piece := connection.recv(65_536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def exchange(address: Address, request: bytes) -> bytes:
    """Send these bytes and no more, and take all that comes."""
    with connect(address) as connection:
        connection.sendall(request)
        return answer(connection)


def status(reply: bytes) -> int:
    """Of the first answer in these bytes; 0 if there is none."""
    return int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/1.1 ") else 0
