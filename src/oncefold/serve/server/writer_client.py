"""The writer process as the server sees it: started, sent requests, its messages received, stopped."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Final, cast

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError, StoreError
from oncefold.engine.session import Ingested
from oncefold.serve.channel import messages
from oncefold.serve.channel.connection import ServerEnd, socket_pair
from oncefold.serve.channel.messages import Acknowledgement, AttachedSources, BodyFormat, CommitListener, Committed
from oncefold.serve.channel.slots import Slots
from oncefold.serve.server.operations import Health
from oncefold.serve.settings import Settings

_MODULE: Final = "oncefold.serve.writer.process"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_ENDED: Final = "the writer process ended unexpectedly; start the server again"


class _Lost:
    """The writer process has ended: its last message."""


class BodyStream:
    """A body that is sent piece by piece, as fast as the writer consumes it."""

    def __init__(
        self, channel: ServerEnd, number: int, window_bytes: int, acknowledged: "asyncio.Future[Acknowledgement]"
    ) -> None:
        self._channel, self._number, self._window_bytes = channel, number, window_bytes
        self._acknowledged = acknowledged
        self._unconsumed = 0
        self._changed = asyncio.Event()
        acknowledged.add_done_callback(lambda _: self._changed.set())

    @property
    def is_acknowledged(self) -> bool:
        """Whether the writer takes no more of it."""
        return self._acknowledged.done()

    async def send(self, data: bytes) -> None:
        """Send the next bytes, and wait until there is room for more; without effect once it is acknowledged."""
        if self.is_acknowledged:
            return
        self._unconsumed += len(data)
        self._channel.send_piece(self._number, data)
        while self._unconsumed >= self._window_bytes and not self.is_acknowledged:
            self._changed.clear()
            await self._changed.wait()

    def consumed(self, count: int) -> None:
        """The writer has consumed so many bytes."""
        self._unconsumed -= count
        self._changed.set()

    def end(self, *, whole: bool) -> None:
        """All was sent; or it breaks off, and what was sent need not be read."""
        self._channel.send(messages.StreamEnd(self._number, whole))

    async def acknowledgement(self) -> Acknowledgement:
        """What became of it."""
        return await self._acknowledged


class WriterClient:
    """Belongs to one event loop."""

    def __init__(
        self,
        health: Health,
        listeners: Sequence[CommitListener],
        logger: logging.Logger,
        end_server: Callable[[], None],
    ) -> None:
        """`listeners` are notified of commits in the event loop; `end_server` is called there to end the server."""
        self._health, self._listeners, self._logger, self._end_server = health, listeners, logger, end_server
        self._loop = asyncio.get_running_loop()
        self._numbers = count(1)
        self._pending: dict[int, asyncio.Future[Acknowledgement]] = {}
        """Requests that are not acknowledged, by number."""
        self._calls: dict[int, asyncio.Future[Any]] = {}
        """What else is not done."""
        self._streams: dict[int, BodyStream] = {}
        self._received: deque[Any] = deque()
        self._preparing: asyncio.Task[None] | None = None
        self.prepare: Callable[[int], Awaitable[object] | None] = lambda _: None
        """Called in the event loop with each commit before anybody is notified; gives what to wait for before that."""
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        self._handlers: dict[type, Callable[[Any], None]] = {
            messages.Acknowledged: self._acknowledged,
            messages.StreamConsumed: self._stream_consumed,
            Committed: self._committed,
            messages.WriterAvailability: self._availability,
            messages.SourcesStarted: lambda _: self._health.sources.started(),
            messages.SourceEnded: lambda ended: self._health.sources.ended(ended.source, ended.reason),
            messages.Full: self._is_full,
            messages.Terminated: lambda _: self._end_server(),
            messages.Done: self._done,
            messages.Opened: self._is_open,
            messages.Stopped: self._has_stopped,
            _Lost: self._lost,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: ServerEnd | None = None
        self._slots = Slots()
        self._small: list[tuple[int, BodyFormat, bytes]] = []
        """Small bodies that are sent when the event loop has handled what is ready."""
        self.full = ""
        """Why the store takes no more events; empty while it does."""
        self.failure = ""
        """Why not everything could be committed, when it has ended; empty if it could."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return 0 if self._process is None else self._process.pid

    async def start(self, settings: Settings, pipeline: Pipeline, sources: AttachedSources | None) -> None:
        """Start it, and wait until the store is open. Raises as opening does, and SourceError for missing sources."""
        own_end, its_end = socket_pair()
        with its_end, _signals_blocked():  # inherited for good: only the server handles them
            files = [file for file in (its_end.fileno(), self._slots.file) if file is not None]
            self._process = subprocess.Popen(  # noqa: S603 - this program itself
                [sys.executable, "-P", "-m", _MODULE, *map(str, files)], stdin=subprocess.DEVNULL, pass_fds=files
            )
        self._channel = await ServerEnd.open(own_end, self._take, lambda: self._take((_Lost(),)), self._slots)
        self._send(messages.Start(settings, pipeline, sources, os.getpid()))
        await self._opened

    # What is sent to it.

    def submit(self, format_: BodyFormat, body: bytes) -> "asyncio.Future[Acknowledgement]":
        """What becomes of a request whose body is here as a whole."""
        number, acknowledged = self._numbered(self._pending)
        if not self._small:
            self._loop.call_soon(self._send_small)
        self._small.append((number, format_, body))
        return acknowledged

    def stream(self, format_: BodyFormat, shares: int) -> BodyStream:
        """A request whose body comes piece by piece, and holds so many shares of memory (`Admitted.hold_stream`)."""
        number, acknowledged = self._numbered(self._pending)
        assert self._channel is not None
        stream = self._streams[number] = BodyStream(
            self._channel, number, shares * messages.STREAM_WINDOW_BYTES, acknowledged
        )
        acknowledged.add_done_callback(lambda _: self._streams.pop(number, None))
        self._send(messages.StreamStart(number, format_, shares))
        return stream

    async def redrive(self) -> Ingested:
        """Read every reject again. Raises OncefoldError if that, or its commit, fails."""
        number, done = self._numbered(self._calls)
        self._send(messages.Redrive(number))
        return cast("Ingested", await done)

    async def discard(self, ids: Sequence[int]) -> int:
        """Take these rejects off the list; how many of them were on it. Raises as `redrive` does."""
        number, done = self._numbered(self._calls)
        self._send(messages.Discard(number, ids))
        return cast("int", await done)

    async def redefine(self, pipeline: Pipeline, *, dry_run: bool) -> dict[str, Any]:
        """Replace the definition, or only say what that would change; what came of it, as a JSON document.

        Once it is replaced no events are taken: stop it, and start another with the new definition. Raises
        OncefoldError if it fails; nothing has changed then.
        """
        number, done = self._numbered(self._calls)
        self._send(messages.Redefine(number, pipeline, dry_run))
        return cast("dict[str, Any]", await done)

    async def stop(self) -> None:
        """Have everything committed, and wait until it has ended; without effect if it was not started."""
        if self._channel is not None:
            self._send_small()
            self._send(messages.Stop())
            await self._stopped
            self._channel.close()
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
        self._slots.close()

    def _numbered(self, waiting: "dict[int, asyncio.Future[Any]]") -> tuple[int, "asyncio.Future[Any]"]:
        number = next(self._numbers)
        future = waiting[number] = self._loop.create_future()
        return number, future

    def _send_small(self) -> None:
        if self._small:
            requests, self._small = self._small, []
            self._send(messages.SmallBodies(requests))

    def _send(self, message: object) -> None:
        assert self._channel is not None
        if self._stopped.done():
            self._loop.call_soon(self._fail_pending)
        else:
            self._channel.send(message)

    # What it sends.

    def _take(self, batch: Sequence[object]) -> None:
        self._received.extend(batch)
        self._handle()

    def _handle(self) -> None:
        """Handle the messages in their order; a commit, and what follows, once everything is prepared for it."""
        while self._received and self._preparing is None:
            message = self._received.popleft()
            waiting = self.prepare(message.commit) if isinstance(message, Committed) else None
            if waiting is None:
                self._handlers[type(message)](message)
            else:
                self._preparing = self._loop.create_task(self._prepared(waiting, message))

    async def _prepared(self, waiting: Awaitable[object], message: Committed) -> None:
        await waiting
        self._preparing = None
        self._committed(message)
        self._handle()

    def _acknowledged(self, acknowledged: messages.Acknowledged) -> None:
        for acknowledgement, numbers in acknowledged.groups:
            for number in numbers:
                self._slots.release(number)
                future = self._pending.pop(number, None)
                if future is not None and not future.done():
                    future.set_result(acknowledgement)

    def _stream_consumed(self, consumed: messages.StreamConsumed) -> None:
        self._slots.consumed(*consumed)
        stream = self._streams.get(consumed.number)
        if stream is not None:
            stream.consumed(consumed.size)

    def _committed(self, committed: Committed) -> None:
        for listener in self._listeners:
            try:
                listener(committed)
            except Exception:
                self._logger.exception("a listener of commits failed")

    def _availability(self, availability: messages.WriterAvailability) -> None:
        if availability.reason:
            self._health.failed(availability.reason)
        else:
            self._health.ready()

    def _is_full(self, full: messages.Full) -> None:
        self.full = full.reason
        if full.reason:
            self._logger.warning("no more events are taken: %s", full.reason)
        else:
            self._logger.info("events are taken again: the store has room")

    def _done(self, done: messages.Done) -> None:
        future = self._calls.pop(done.number, None)
        if future is None or future.done():
            return
        if done.error is None:
            future.set_result(done.result)
        else:
            future.set_exception(done.error)

    def _is_open(self, opened: messages.Opened) -> None:
        if opened.error is None:
            self._opened.set_result(None)
        else:
            self._stopped.set_result(None)
            self._opened.set_exception(opened.error)

    def _has_stopped(self, stopped: messages.Stopped) -> None:
        self.failure = stopped.failure
        self._stopped.set_result(None)

    def _lost(self, _: _Lost) -> None:
        if not self._stopped.done():
            self.failure = _ENDED
            self._health.failed(self.failure)
            self._stopped.set_result(None)
            if self._opened.done():
                self._end_server()
            else:
                self._opened.set_exception(StoreError(self.failure))
        self._fail_pending()

    def _fail_pending(self) -> None:
        """Fail whoever waits for what will not come."""
        reason = self.failure or "the server has ended"
        self._acknowledged(messages.Acknowledged([(Acknowledgement(failure=reason), list(self._pending))]))
        for number in list(self._calls):
            self._done(messages.Done(number, None, OncefoldError(reason)))


@contextmanager
def _signals_blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
