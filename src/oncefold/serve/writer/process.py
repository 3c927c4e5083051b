"""The writer process from its start to its end: `python -m oncefold.serve.writer.process CHANNEL [MEMORY]`.

The arguments are the numbers of open files that the server has left to it, with SIGINT and SIGTERM blocked. It is the
server that handles a terminal's Ctrl-C and sends this process `Stop`; a SIGTERM that comes here is passed on to it.
When the server is gone this process ends at once: its store holds whole commits, and whatever was not acknowledged is
sent again.
"""

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from oncefold.core.errors import OncefoldError
from oncefold.engine.session import Session
from oncefold.engine.warmup import warm_up
from oncefold.no_pandas import without_pandas
from oncefold.serve.channel import messages
from oncefold.serve.channel.connection import WriterEnd
from oncefold.serve.telemetry.logs import logging_to
from oncefold.serve.writer.bodies import BodyThreads
from oncefold.serve.writer.capacity import Capacity, CapacityLimits
from oncefold.serve.writer.ingest_loop import Callbacks, IngestLoop
from oncefold.serve.writer.pending import PendingRequest, grouped
from oncefold.serve.writer.reading import BodyDecoding
from oncefold.serve.writer.redefining import Redefining
from oncefold.sources.document import lines_of

_PARENT_DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


class ServerNotifier:
    """Sends the server what the ingest thread calls back with."""

    def __init__(self, send: Callable[[object], None]) -> None:
        self.send = send

    def acknowledge(self, requests: list[PendingRequest]) -> None:
        """An `Acknowledge`."""
        self.send(messages.Acknowledged(grouped(requests)))

    def ready(self) -> None:
        """Events can be committed."""
        self.send(messages.WriterAvailability())

    def failed(self, reason: str) -> None:
        """They cannot."""
        self.send(messages.WriterAvailability(reason or "it ended"))

    def ended(self, reason: str) -> None:
        """They cannot, and the server is to end."""
        self.failed(reason)
        self.send(messages.Terminated())

    def full(self, reason: str) -> None:
        """The store has as much as it may have, or has room again."""
        self.send(messages.Full(reason))


class Dispatcher:
    """Does what the server sends."""

    def __init__(self, send: Callable[[object], None], bodies: BodyThreads, redefining: Redefining) -> None:
        """`send` sends the server a message, from any thread."""
        self._send, self._bodies = send, bodies
        self._actions: dict[type, Callable[[Any], None]] = {
            messages.SmallBodies: self._take_small,
            messages.StreamStart: self._start_stream,
            messages.StreamPiece: lambda piece: bodies.put(piece.number, piece.data),
            messages.StreamEnd: lambda end: bodies.end_stream(end.number, whole=end.whole),
            messages.Redrive: lambda redrive: bodies.redrive(self._done(redrive.number)),
            messages.Redefine: lambda wanted: redefining.start(
                wanted.pipeline, self._done(wanted.number), dry_run=wanted.dry_run
            ),
            messages.Discard: lambda discard: bodies.discard(discard.ids, self._done(discard.number)),
        }

    def do(self, message: object) -> None:
        """Do what one message says."""
        self._actions[type(message)](message)

    def _take_small(self, small: messages.SmallBodies) -> None:
        take = self._bodies.take
        for number, format_, body in small.requests:
            take(PendingRequest(number, format_), body)

    def _start_stream(self, start: messages.StreamStart) -> None:
        def consumed(count: int) -> None:
            self._send(messages.StreamConsumed(start.number, count))

        self._bodies.start_stream(PendingRequest(start.number, start.format), start.shares, consumed)

    def _done(self, number: int) -> Callable[[Any, BaseException | None], None]:
        def done(result: Any, error: BaseException | None) -> None:
            if error is not None and not isinstance(error, OncefoldError):
                error = OncefoldError(f"{type(error).__name__}: {error}")
            self._send(messages.Done(number, result, error))

        return done


def main() -> int:
    """Write until the server says stop, or is gone."""
    without_pandas()
    channel = WriterEnd(*map(int, sys.argv[1:]))
    received = channel.messages()
    start = next(received, None)
    if not isinstance(start, messages.Start):
        return 1
    _end_with(start.parent)
    server = ServerNotifier(_sender(channel))
    threading.Thread(target=_pass_on_signal, args=(server,), name="oncefold-signals", daemon=True).start()
    with logging_to(sys.stderr, start.settings.log) as logger:
        try:
            loop = _started(start, server, logger)
        except OncefoldError as error:
            server.send(messages.Opened(error))
            return 1
        server.send(messages.Opened())
        fields, needed = start.pipeline.fields, start.pipeline.needed_fields
        decoding = BodyDecoding(
            loop.decoder, fields, start.settings.max_line, needed, whole=bool(start.pipeline.keep_events)
        )
        bodies = BodyThreads(loop, decoding, start.settings.limits)
        dispatcher = Dispatcher(server.send, bodies, Redefining(loop, start.settings.store))
        try:
            for message in received:
                if isinstance(message, messages.Stop):
                    bodies.end()
                    server.send(messages.Stopped(loop.failure))
                    return 0
                dispatcher.do(message)
        except (MemoryError, RuntimeError, OSError) as error:  # also a thread for which there is no memory
            logger.error("the writer process cannot go on: %s", error or "out of memory")  # noqa: TRY400 - for a person
    os._exit(1)


def _sender(channel: WriterEnd) -> Callable[[object], None]:
    def send(message: object) -> None:
        """Without a server there is nothing more to do."""
        try:
            channel.send(message)
        except OSError:
            os._exit(1)

    return send


def _pass_on_signal(server: ServerNotifier) -> None:
    """Notify the server of SIGTERM, once."""
    signal.sigwait({signal.SIGTERM})
    server.send(messages.Terminated())


def _started(start: messages.Start, server: ServerNotifier, logger: logging.Logger) -> IngestLoop:
    settings, pipeline = start.settings, start.pipeline
    warm_up(logger.info)
    lines_of(b"[{}]")
    callbacks = Callbacks(server.acknowledge, (server.send,), server, logger, time.monotonic, time.time_ns, server.send)
    loop = IngestLoop(
        pipeline,
        lambda: Session.open(settings.store, pipeline, retention=settings.retention),
        start.sources,
        callbacks,
        Capacity(CapacityLimits.of(settings), settings.store, server.full),
    )
    loop.start()
    return loop


def _end_with(parent: int) -> None:
    """Be killed when the server is, where the system can do that; elsewhere the channel's end is noticed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
