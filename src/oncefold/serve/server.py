"""One server from its start to its end: the store, the ingest thread, the routes, and uvicorn around them."""

import asyncio
import logging
import math
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any, Final

import uvicorn

from oncefold.aws.stream import open_stream
from oncefold.columnar.plan import fields_of
from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError, StoreError
from oncefold.engine.tuning import tune_gc
from oncefold.pipeline_file import load_pipeline
from oncefold.serve import answers
from oncefold.serve.answers.asking import Asking
from oncefold.serve.answers.express import AnswersExpress
from oncefold.serve.app import Application
from oncefold.serve.dashboard import page
from oncefold.serve.ingest.beside import Named
from oncefold.serve.ingest.committed import Listener
from oncefold.serve.ingest.endpoint import EventsEndpoint
from oncefold.serve.ingest.express import EventsExpress
from oncefold.serve.ingest.gate import Ingest, Limits
from oncefold.serve.operations.connections import Connections, connections_allowed
from oncefold.serve.operations.guard import Guard
from oncefold.serve.operations.logs import logging_to
from oncefold.serve.operations.metrics import Gauges
from oncefold.serve.operations.opening import Opening
from oncefold.serve.operations.operations import Operations
from oncefold.serve.operations.request import RequestIds
from oncefold.serve.process.remote import FoldingProcess
from oncefold.serve.settings import Settings
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources
from oncefold.store.answers import StoredStatus
from oncefold.store.reader import StoreFile

_BACKLOG: Final = 2_048
_KEEP_ALIVE_SECONDS: Final = 75
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SWITCH_SECONDS: Final = 0.001
"""A thread that computes lets the event loop have its turn after so long."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then what was accepted is committed.

    Raises OncefoldError if the server cannot begin, and StoreError if the store could not be written at the end.
    """
    pipeline = load_pipeline(settings.pipeline)
    named = _named(settings, pipeline)
    if named is not None and not settings.store.exists():
        # A mistyped source leaves no empty store behind.
        Sources(named.arguments, named.options, open_stream=open_stream)
    sys.setswitchinterval(_SWITCH_SECONDS)
    with (
        logging_to(sys.stderr, settings.log) as logger,
        _listening(settings) as listener,
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        runner.run(_run(settings, pipeline, named, listener, logger))


def _named(settings: Settings, pipeline: Pipeline) -> Named | None:
    if not settings.sources:
        return None
    options = ReadOptions(
        format=settings.format,
        delimiter=settings.delimiter,
        fields=fields_of(pipeline),
        follow=settings.follow,
        reread=settings.reread,
    )
    return Named(settings.sources, options)


async def _run(
    settings: Settings, pipeline: Pipeline, named: Named | None, listener: socket.socket, logger: logging.Logger
) -> None:
    tune_gc()
    ids = RequestIds(secrets.token_hex(4))
    connections = Connections(connections_allowed(settings.max_connections), settings.head_seconds, ids)
    operations = Operations(settings.access, connections)
    listeners: list[Listener] = [operations.commits]
    enders = [operations.health.stopping]
    folding = FoldingProcess(operations.health, listeners, logger, lambda: server.end())  # noqa: PLW0108 - it is made below
    ingest = Ingest(folding, Limits.of(settings), operations.health)
    routes, address = operations.routes(_gauges(settings, ingest, folding)), _address(listener)
    opening = Opening(routes)
    server = _Server(_config(settings, operations.guarded(opening), connections), enders)
    with ExitStack() as stack:
        serving = asyncio.create_task(server.serve([listener]))
        try:
            await folding.start(settings, pipeline, named)
            asking = stack.enter_context(closing(await asyncio.to_thread(Asking.open, settings.store)))
            listeners.append(asking.committed)
            folding.prepare = asking.ahead
            enders.append(asking.end)
            always = partial(getattr, server.server_state, "default_headers")
            questions = AnswersExpress(settings.access, ids, operations.books, always)
            events = EventsExpress(settings.access, ids, operations.books, ingest, always)
            routes += [*answers.routes(asking, ingest, questions.remember), *page.routes()]
            opening.opened(Application(EventsEndpoint(ingest), routes))
            connections.lanes = (events, questions)
            if not server.should_exit:
                logger.info("serving %s at http://%s/", settings.store, address)
        except BaseException:
            server.should_exit = True
            raise
        finally:
            await serving
            await ingest.stop()
            operations.books.sum_up()
    if folding.failure:
        raise StoreError(folding.failure)
    logger.info("ended; everything that was acknowledged is committed")


def _gauges(settings: Settings, ingest: Ingest, folding: FoldingProcess) -> Gauges:
    return Gauges(
        waiting_requests=lambda: ingest.waiting_requests,
        waiting_bytes=lambda: ingest.waiting_bytes,
        status=lambda: _status(settings),
        folding=lambda: folding.pid,
    )


def _status(settings: Settings) -> StoredStatus:
    with StoreFile.open(settings.store) as reader:
        return reader.status()


def _config(settings: Settings, app: Guard, connections: Connections) -> uvicorn.Config:
    protocol: Any = connections.protocol
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
    )


class _Server(uvicorn.Server):
    """uvicorn that ends with status 0 when it is told to end, and at once when told twice."""

    def __init__(self, config: uvicorn.Config, enders: Sequence[Callable[[], None]]) -> None:
        """`enders` are called when it is told to end."""
        super().__init__(config)
        self._enders = enders
        self._signalled = False

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Within this, SIGTERM and SIGINT end the server."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._asked, number)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def end(self) -> None:
        """Begin to end."""
        self.should_exit = True
        for end in self._enders:
            end()

    def _asked(self, number: int) -> None:
        if self._signalled:
            os._exit(128 + number)  # the store holds whole commits only
        self._signalled = True
        self.end()


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """A socket that listens. Raises OncefoldError if it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address, family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OncefoldError(
            f"cannot listen on {settings.host}, port {settings.port}: {error.strerror or error}; "
            "give another --host or --port (0 takes a free one)"
        ) from None
    with listener:
        yield listener


def _address(listener: socket.socket) -> str:
    """As it stands in a URL."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Uvloop where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - not there on every system
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
