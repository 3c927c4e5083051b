"""The folding process as the server sees it: started, handed deliveries, listened to, told to stop."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError, StoreError
from oncefold.engine.session import Ingested
from oncefold.serve.ingest import gate
from oncefold.serve.ingest.beside import Named
from oncefold.serve.ingest.committed import Committed, Listener
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.forms import Form
from oncefold.serve.ingest.refusal import Refused
from oncefold.serve.ingest.socket_pipe import Stream
from oncefold.serve.operations.health import Health
from oncefold.serve.process.frames import Frames, frame_of
from oncefold.serve.process.messages import (
    Begin,
    Bodies,
    Discard,
    Done,
    Ended,
    Opened,
    Redrive,
    Settled,
    Stop,
    StreamBegins,
    StreamEnds,
    Terminated,
    ToFold,
    Well,
)
from oncefold.serve.settings import Settings

_MODULE: Final = "oncefold.serve.process.folding"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class _Lost:
    """The process has ended: what it said last."""


class FoldingProcess(asyncio.Protocol):
    """A `gate.Works` in a process of its own; belongs to one event loop."""

    def __init__(
        self, health: Health, listeners: Sequence[Listener], logger: logging.Logger, on_end: Callable[[], None]
    ) -> None:
        """`listeners` are told of commits in the event loop; `on_end` is called there if the server is to end."""
        self._health, self._listeners, self._logger, self._on_end = health, listeners, logger, on_end
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._deliveries: dict[int, Delivery] = {}
        """Those that are not settled."""
        self._asked: dict[int, gate.Done[Any]] = {}
        self._bodies: list[tuple[int, Form, bytes]] = []
        """Taken since the event loop's last turn: they go together."""
        self._frames = Frames()
        self._heard: deque[Any] = deque()
        self._preparing: asyncio.Task[None] | None = None
        self.prepare: Callable[[int], Awaitable[object] | None] = lambda _: None
        """Called in the event loop with each commit before anybody is told; gives what to wait for before that."""
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._hears: dict[type, Callable[[Any], None]] = {
            Settled: self._settled,
            Committed: self._committed,
            Well: self._well,
            Terminated: lambda _: self._on_end(),
            Done: self._done,
            Opened: self._is_open,
            Ended: self._has_ended,
            _Lost: self._lost,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._sockets: socket.socket | None = None
        self.failure = ""
        """Why not everything could be committed, when it has ended; empty if it could."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return 0 if self._process is None else self._process.pid

    async def start(self, settings: Settings, pipeline: Pipeline, named: Named | None) -> None:
        """Start it, and wait until the store is open. Raises as opening does, and SourceError for missing sources."""
        channel, its_channel = socket.socketpair()
        self._sockets, its_sockets = socket.socketpair()
        self._sockets.settimeout(0)
        with its_channel, its_sockets:
            left = (its_channel.fileno(), its_sockets.fileno())
            with _signals_blocked():  # inherited for good: only the server minds them
                self._process = subprocess.Popen(  # noqa: S603 - this program itself
                    [sys.executable, "-P", "-m", _MODULE, *map(str, left)], stdin=subprocess.DEVNULL, pass_fds=left
                )
        transport, _ = await self._loop.create_unix_connection(lambda: self, sock=channel)
        self._transport = transport
        self._send(Begin(settings, pipeline, named, os.getpid()))
        await self._opened

    # What is handed to it.

    def take(self, delivery: Delivery, body: bytes) -> None:
        """See Works."""
        if not self._bodies:
            self._loop.call_soon(self._send_bodies)
        self._bodies.append((self._number(delivery), delivery.form, body))

    def stream(self, delivery: Delivery, stream: Stream) -> None:
        """See Works."""
        assert self._sockets is not None
        with stream.connection:
            try:
                socket.send_fds(self._sockets, [b"\0"], [stream.connection.fileno()])
            except OSError:  # very many came within one turn of the event loop
                delivery.fault = Refused(gate.FULL)
                self._loop.call_soon(gate.all_settled, [delivery])
                return
        self._send(StreamBegins(self._number(delivery), delivery.form, stream.beginning, stream.length))

    def finish(self, delivery: Delivery, *, whole: bool) -> None:
        """See Works."""
        self._send(StreamEnds(delivery.number, whole))

    def redrive(self, done: gate.Done[Ingested]) -> None:
        """See Works."""
        self._send(Redrive(self._ask(done)))

    def discard(self, ids: Sequence[int], done: gate.Done[int]) -> None:
        """See Works."""
        self._send(Discard(self._ask(done), ids))

    async def stop(self) -> None:
        """Have everything committed, and wait until it has ended; without effect if it was not started."""
        if self._transport is not None:
            self._send_bodies()
            self._send(Stop())
            await self._ended
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
        if self._sockets is not None:
            self._sockets.close()

    def _number(self, delivery: Delivery) -> int:
        delivery.number = next(self._numbers)
        self._deliveries[delivery.number] = delivery
        return delivery.number

    def _ask(self, done: gate.Done[Any]) -> int:
        number = next(self._numbers)
        self._asked[number] = done
        return number

    def _send_bodies(self) -> None:
        bodies, self._bodies = self._bodies, []
        if bodies:
            self._send(Bodies(bodies))

    def _send(self, message: ToFold) -> None:
        assert self._transport is not None
        if self._ended.done():
            self._loop.call_soon(self._give_up)
        else:
            self._transport.write(frame_of(message))

    # What it says.

    def data_received(self, data: bytes) -> None:
        """Messages come."""
        self._heard.extend(self._frames.of(data))
        self._hear()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """It has ended."""
        self._heard.append(_Lost())
        self._hear()

    def _hear(self) -> None:
        """Take the messages in their order; a commit, and what follows, once everything is prepared for it."""
        while self._heard and self._preparing is None:
            message = self._heard.popleft()
            waiting = self.prepare(message.commit) if isinstance(message, Committed) else None
            if waiting is None:
                self._hears[type(message)](message)
            else:
                self._preparing = self._loop.create_task(self._prepared(waiting, message))

    async def _prepared(self, waiting: Awaitable[object], message: Committed) -> None:
        await waiting
        self._preparing = None
        self._committed(message)
        self._hear()

    def _lost(self, _: "_Lost") -> None:
        if not self._ended.done():
            self.failure = "the folding process ended unexpectedly; start the server again"
            self._health.failed(self.failure)
            self._ended.set_result(None)
            if self._opened.done():
                self._on_end()
            else:
                self._opened.set_exception(StoreError(self.failure))
        self._give_up()

    def _settled(self, settled: Settled) -> None:
        for number, result in settled.results:
            delivery = self._deliveries.pop(number, None)
            if delivery is not None:
                delivery.take(result)
                gate.all_settled([delivery])

    def _committed(self, told: Committed) -> None:
        for listener in self._listeners:
            try:
                listener(told)
            except Exception:
                self._logger.exception("a listener of commits failed")

    def _well(self, well: Well) -> None:
        if well.why_not:
            self._health.failed(well.why_not)
        else:
            self._health.ready()

    def _done(self, done: Done) -> None:
        tell = self._asked.pop(done.number, None)
        if tell is not None:
            tell(done.found, done.error)

    def _is_open(self, opened: Opened) -> None:
        if opened.error is None:
            self._opened.set_result(None)
        else:
            self._ended.set_result(None)
            self._opened.set_exception(opened.error)

    def _has_ended(self, ended: Ended) -> None:
        self.failure = ended.failure
        self._ended.set_result(None)

    def _give_up(self) -> None:
        """Tell whoever waits for what will not come."""
        why = self.failure or "the server has ended"
        left, self._deliveries, self._bodies = list(self._deliveries.values()), {}, []
        for delivery in left:
            delivery.why_not = why
        gate.all_settled(left)
        asked, self._asked = list(self._asked.values()), {}
        for done in asked:
            done(None, OncefoldError(why))


@contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
