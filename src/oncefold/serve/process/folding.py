"""The folding process from its start to its end: `python -m oncefold.serve.process.folding CHANNEL SOCKETS`.

Both arguments are numbers of open files that the server has left to it, with SIGINT and SIGTERM blocked. It is the
server that minds a terminal's Ctrl-C and tells this process to stop; a SIGTERM that comes here is passed on to it.
When the server is gone this process ends at once: its store holds whole commits, and whatever was not acknowledged is
sent again.
"""

import ctypes
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

from oncefold.columnar.plan import fields_of
from oncefold.core.errors import OncefoldError
from oncefold.engine.session import Session
from oncefold.engine.warmup import warm_up
from oncefold.serve.ingest.committed import Committed
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.document import lines_of
from oncefold.serve.ingest.faults import Broken, Crowded, Malformed
from oncefold.serve.ingest.gate import Limits
from oncefold.serve.ingest.loop import IngestLoop, Outside
from oncefold.serve.ingest.reading import Reading
from oncefold.serve.ingest.refusal import Refused
from oncefold.serve.ingest.socket_pipe import Stream
from oncefold.serve.ingest.worker import Worker
from oncefold.serve.operations.logs import logging_to
from oncefold.serve.process.frames import Channel
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
    Well,
)

_PARENT_DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
_DESCRIPTOR_BYTES: Final = 1


class _Server:
    """The server, as the ingest tells it of what happens."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def tell(self, message: object) -> None:
        """Send a message; without a server there is nothing more to do."""
        try:
            self._channel.send(message)
        except OSError:
            os._exit(1)

    def committed(self, told: Committed) -> None:
        """A `Listener`."""
        self.tell(told)

    def settle(self, deliveries: list[Delivery]) -> None:
        """A `Settle`."""
        for delivery in deliveries:
            delivery.fault = _sendable(delivery.fault)
        self.tell(Settled([(delivery.number, delivery.result()) for delivery in deliveries]))

    def ready(self) -> None:
        """Events can be committed."""
        self.tell(Well())

    def failed(self, why: str) -> None:
        """They cannot."""
        self.tell(Well(why or "it ended"))


class _Folding:
    """Does what the server says."""

    def __init__(self, server: _Server, worker: Worker, sockets: socket.socket) -> None:
        self._server, self._worker, self._sockets = server, worker, sockets
        self._streams: dict[int, Delivery] = {}
        self._does: dict[type, Callable[[Any], None]] = {
            Bodies: self._take,
            StreamBegins: self._begin_stream,
            StreamEnds: self._end_stream,
            Redrive: lambda asked: worker.redrive(self._done(asked.number)),
            Discard: lambda asked: worker.discard(asked.ids, self._done(asked.number)),
        }

    def do(self, message: object) -> None:
        """Do what one message says."""
        self._does[type(message)](message)

    def _take(self, bodies: Bodies) -> None:
        for number, form, body in bodies.items:
            self._worker.take(Delivery(_nobody, number=number, form=form, begun=True), body)

    def _begin_stream(self, begins: StreamBegins) -> None:
        _, descriptors, _, _ = socket.recv_fds(self._sockets, _DESCRIPTOR_BYTES, 1)
        connection = socket.socket(fileno=descriptors[0])
        connection.settimeout(0)
        delivery = Delivery(_nobody, number=begins.number, form=begins.form, begun=True)
        self._streams[begins.number] = delivery
        self._worker.stream(delivery, Stream(connection, begins.beginning, begins.length))

    def _end_stream(self, ends: StreamEnds) -> None:
        delivery = self._streams.pop(ends.number, None)
        if delivery is not None:
            self._worker.finish(delivery, whole=ends.whole)

    def _done(self, number: int) -> Callable[[Any, BaseException | None], None]:
        def done(found: Any, error: BaseException | None) -> None:
            if error is not None and not isinstance(error, OncefoldError):
                error = OncefoldError(f"{type(error).__name__}: {error}")
            self._server.tell(Done(number, found, error))

        return done


def main() -> int:
    """Fold until the server says stop, or is gone."""
    channel_file, sockets_file = map(int, sys.argv[1:])
    channel, sockets = Channel(socket.socket(fileno=channel_file)), socket.socket(fileno=sockets_file)
    messages = channel.messages()
    begin = next(messages, None)
    if not isinstance(begin, Begin):
        return 1
    _end_with(begin.parent)
    server = _Server(channel)
    threading.Thread(target=_pass_on, args=(server,), name="oncefold-signals", daemon=True).start()
    with logging_to(sys.stderr, begin.settings.log) as logger:
        try:
            loop = _started(begin, server, logger)
        except OncefoldError as error:
            server.tell(Opened(error))
            return 1
        server.tell(Opened())
        settings = begin.settings
        reading = Reading(loop.decoder, tuple(fields_of(begin.pipeline)), settings.max_line)
        worker = Worker(loop, reading, Limits.of(settings))
        folding = _Folding(server, worker, sockets)
        for message in messages:
            if isinstance(message, Stop):
                worker.end()
                server.tell(Ended(loop.failure))
                return 0
            folding.do(message)
    os._exit(1)


def _pass_on(server: _Server) -> None:
    """Tell the server of SIGTERM, once."""
    signal.sigwait({signal.SIGTERM})
    server.tell(Terminated())


def _started(begin: Begin, server: _Server, logger: logging.Logger) -> IngestLoop:
    settings, pipeline = begin.settings, begin.pipeline
    warm_up(logger.info)
    lines_of(b"[{}]")
    outside = Outside(server.settle, (server.committed,), server, logger, time.monotonic, time.time_ns)
    loop = IngestLoop(
        pipeline,
        lambda: Session.open(settings.store, pipeline, retention=settings.retention),
        begin.named,
        outside,
    )
    loop.start()
    return loop


def _end_with(parent: int) -> None:
    """Be killed when the server is, where the system can do that; elsewhere the channel's end tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _sendable(fault: Exception | None) -> Exception | None:
    if fault is None or isinstance(fault, Malformed | Crowded | Refused):
        return fault
    return Broken("".join(traceback.format_exception(fault)))


def _nobody(_: Delivery) -> None:
    """In this process nobody waits for it."""


if __name__ == "__main__":
    sys.exit(main())
