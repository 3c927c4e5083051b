"""An application behind a real socket, in a thread of the test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from oncefold.serve.operations.connections import Connections
from tests.tools.waiting import until

Address = tuple[str, int]


@contextmanager
def listening(app: Any, connections: Connections) -> Iterator[Address]:
    """Serve it on a free port meanwhile."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as door:
        protocol: Any = connections.protocol
        config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None, timeout_keep_alive=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
        thread.start()
        try:
            until(lambda: server.started, "the server to start")
            yield door.getsockname()
        finally:
            server.should_exit = True
            server.force_exit = True
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
        connection.shutdown(socket.SHUT_WR)
        return answer(connection)


def status(reply: bytes) -> int:
    """Of the first answer in these bytes; 0 if there is none."""
    return int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/1.1 ") else 0
