"""Granian, the HTTP server below: HTTP/1.1 with its own limits, run in the event loop of the service.

Only its documented embeddable server and settings are used. For what it does not tell, the kernel is read: whether the
port is free, and how many connections there are. What it cannot limit, a client that takes nothing of a response, the
kernel does.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from oncefold.core.errors import OncefoldError
from oncefold.serve.transport.asgi import SLOW_READER_SECONDS, AsgiAdapter

BUFFER_BYTES: Final = 256 * 2**10
"""What a connection holds of what comes, at most: greater makes pieces of bodies greater, which costs less."""
_BACKLOG: Final = 2_048
"""Connections that wait to be accepted."""
_SPARE_FILES: Final = 128
"""Files that a server needs beside its connections."""
_LEAST_FILES: Final = 96
"""Files without which a server does not even begin."""
_LOOK_SECONDS: Final = 0.005
_ESTABLISHED: Final = "01"
_NOT_ACCEPTED: Final = "0"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a server listens."""

    host: str
    """An IP address."""
    port: int

    @property
    def text(self) -> str:
        """As in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@contextmanager
def reserved(host: str, port: int) -> Iterator[ListenAddress]:
    """An address that nobody listens on, kept for the server to come; port 0 takes a free one.

    Granian would share a port with any server that lets it. Raises OncefoldError if the address cannot be had.
    """
    try:
        reservation = _bound(host, port)
    except OSError as error:
        raise OncefoldError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; "
            "give another --host or --port (0 takes a free one)"
        ) from None
    with reservation:
        yield ListenAddress(*reservation.getsockname()[:2])


def _bound(host: str, port: int) -> socket.socket:
    """A socket that has the address and does not listen, so that another of this process may. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    reservation = socket.socket(family, socket.SOCK_STREAM)
    try:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(address)
    except OSError:
        reservation.close()
        raise
    return reservation


class HttpServer:
    """Serves an application at an address, from `start` to `stop`. Belongs to one event loop."""

    def __init__(
        self, application: AsgiAdapter, address: ListenAddress, *, head_seconds: float, max_connections: int
    ) -> None:
        """A connection that sends no whole head within `head_seconds` is closed; those beyond the most wait."""
        self._address = address
        self._server = Server(
            application,
            address=address.host,
            port=address.port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            backpressure=max_connections,
            http1_settings=HTTP1Settings(header_read_timeout=round(head_seconds * 1_000), max_buffer_size=BUFFER_BYTES),
            log_enabled=False,
        )
        self._serving: asyncio.Task[Any] | None = None

    async def start(self) -> None:
        """Begin to listen. Raises OncefoldError if the server ends instead."""
        self._serving = asyncio.create_task(self._server.serve())
        while not await self._accepts():
            if self._serving.done():
                raise OncefoldError(f"cannot listen on {self._address.text}: {self._serving.exception()}")
            await asyncio.sleep(_LOOK_SECONDS)
        _limit_slow_readers(self._address.port)

    async def _accepts(self) -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(self._address.host, self._address.port)
            writer.close()
            return True
        return False

    @property
    def connections(self) -> int:
        """Connections that are open, where the kernel lists them; else 0."""
        return sum(_connections_to(self._address.port, Path("/proc/self/net") / name) for name in ("tcp", "tcp6"))

    async def stop(self, seconds: float) -> bool:
        """Listen no more, and wait so long for requests under way; whether all of them ended."""
        if self._serving is None:
            return True
        self._server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({self._serving}, timeout=seconds)
        return self._serving.done()


def _limit_slow_readers(port: int) -> None:
    """Have the kernel end connections to a port, where it can, whose client takes nothing for so long."""
    milliseconds = round(SLOW_READER_SECONDS * 1_000)
    with suppress(OSError):
        for file in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if not stat.S_ISSOCK(file.stat().st_mode):
                    continue
                with socket.socket(fileno=os.dup(int(file.name))) as copy:
                    if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and copy.getsockname()[1] == port:
                        copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)  # they inherit it


def _connections_to(port: int, table: Path) -> int:
    """Connections to a local port in a table of the kernel (proc(5)), but for those that wait to be accepted."""
    suffix, count = f":{port:04X}", 0
    with suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            count += fields[1].endswith(suffix) and fields[3] == _ESTABLISHED and fields[9] != _NOT_ACCEPTED
    return count


def connections_allowed(most: int) -> int:
    """Let this process open as many files as so many connections need, if the system permits; how many it may have.

    Raises OncefoldError where the limit leaves no room for the server's own files.
    """
    try:
        import resource  # noqa: PLC0415 - not there on every system
    except ImportError:
        return most
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return most
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if limit < _LEAST_FILES:
        raise OncefoldError(
            f"this process may open {limit} files, and a server needs {_LEAST_FILES}, better {wanted:,}: raise the "
            f"limit (ulimit -n {wanted} in a shell, LimitNOFILE= in a unit of systemd, --ulimit nofile= of docker run)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(limit - _SPARE_FILES, 1)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the event loop to run the server in: uvloop where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - not there on every system
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
