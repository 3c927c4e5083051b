"""One service from its start to its end: the writer process, the routes, and the HTTP server around them."""

import asyncio
import logging
import os
import secrets
import signal
import sys
import time
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

from oncefold.aws.stream import open_stream
from oncefold.core.definition import Pipeline
from oncefold.core.errors import StoreError
from oncefold.engine.tuning import tune_malloc
from oncefold.garbage import tune_gc
from oncefold.pipeline_file import load_pipeline
from oncefold.serve import answers
from oncefold.serve.answers.readers import StoreReaders
from oncefold.serve.answers.redefinition import Redefine
from oncefold.serve.channel.messages import AttachedSources, CommitListener
from oncefold.serve.dashboard import page
from oncefold.serve.http.request import RequestIds
from oncefold.serve.http.response import Problem
from oncefold.serve.http.routing import EVENTS, Route
from oncefold.serve.server.admission import Admission
from oncefold.serve.server.application import Application
from oncefold.serve.server.ingest import EventsEndpoint
from oncefold.serve.server.operations import Health, operations_routes
from oncefold.serve.server.writer_client import WriterClient
from oncefold.serve.settings import Settings
from oncefold.serve.telemetry.access_log import AccessLog
from oncefold.serve.telemetry.counters import CommitCounters, RequestCounters
from oncefold.serve.telemetry.logs import logging_to
from oncefold.serve.telemetry.metrics import Gauges, Metrics
from oncefold.serve.transport.asgi import AsgiAdapter
from oncefold.serve.transport.granian import HttpServer, ListenAddress, connections_allowed, loop_factory, reserved
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources
from oncefold.store.answers import StoredStatus
from oncefold.store.reader import StoreFile

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SWITCH_SECONDS: Final = 0.001
"""The interpreter's switch interval: how long a computing thread may keep the event loop waiting."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then what was accepted is committed.

    Raises OncefoldError if the server cannot begin, and StoreError if the store could not be written at the end.
    """
    pipeline = load_pipeline(settings.pipeline)
    sources = _attached(settings, pipeline)
    if sources is not None and not settings.store.exists():
        # A mistyped source leaves no empty store behind.
        Sources(sources.arguments, sources.options, open_stream=open_stream)
    sys.setswitchinterval(_SWITCH_SECONDS)
    with (
        logging_to(sys.stderr, settings.log) as logger,
        reserved(settings.host, settings.port) as address,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        runner.run(_run(settings, pipeline, sources, address, logger))


async def _run(
    settings: Settings,
    pipeline: Pipeline,
    sources: AttachedSources | None,
    address: ListenAddress,
    logger: logging.Logger,
) -> None:
    tune_gc()
    tune_malloc()
    service = _Service(settings, address, logger)
    await service.http.start()
    try:
        with closing(service):
            await service.open(pipeline, sources)
            if not service.ending.is_set():
                logger.info("serving %s at http://%s/", settings.store, address.text)
            await service.ending.wait()
            if service.replacing is not None:
                await asyncio.wait([service.replacing])
            await service.http.stop(settings.grace_seconds)
            await service.writer.stop()
    finally:
        await service.http.stop(0)
        await service.writer.stop()
        service.log.sum_up()
    if service.writer.failure:
        raise StoreError(service.writer.failure)
    logger.info("ended; everything that was acknowledged is committed")


class _Service:
    """The parts of one service, put together."""

    def __init__(self, settings: Settings, address: ListenAddress, logger: logging.Logger) -> None:
        self._settings = settings
        self._ending_by_signal = False
        self.ending = asyncio.Event()
        self.health = Health()
        commits, requests = CommitCounters(), RequestCounters()
        self._listeners: list[CommitListener] = [commits]
        self._logger, self._commits = logger, commits
        self._readers: StoreReaders | None = None
        self.replacing: asyncio.Task[dict[str, Any]] | None = None
        """The replacement of the definition that is under way."""
        self.writer = self._new_writer()
        self.admission = Admission(settings.limits, lambda: self.health.reason)
        self.log = AccessLog(requests, commits, logger, time.monotonic)
        metrics = Metrics(commits, requests, self._gauges(), time.time_ns)
        self.application = Application(settings.access, requests, self.log, operations_routes(self.health, metrics))
        self.http = HttpServer(
            AsgiAdapter(self.application, RequestIds(secrets.token_hex(4))),
            address,
            head_seconds=settings.head_seconds,
            max_connections=connections_allowed(settings.max_connections),
        )
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._signalled, number)

    def _new_writer(self) -> WriterClient:
        return WriterClient(self.health, self._listeners, self._logger, self.end)

    async def open(self, pipeline: Pipeline, sources: AttachedSources | None) -> None:
        """Open the store, and answer everything from then on. Raises as opening does."""
        settings = self._settings
        await self.writer.start(settings, pipeline, sources)
        readers = self._readers = await asyncio.to_thread(StoreReaders.open, settings.store)
        self._listeners[:] = [self._commits, readers.committed]
        self.writer.prepare = readers.ahead
        events = EventsEndpoint(self.writer, self.admission, settings.limits)
        administration = _Administration(self.writer, self.admission, self.redefine)
        self.application.opened(
            [Route(EVENTS, events, ("POST",)), *answers.routes(readers, administration), *page.routes()]
        )

    async def redefine(self, pipeline: Pipeline, *, dry_run: bool) -> dict[str, Any]:
        """Replace the definition, and go on with it, or only say what that would change.

        Raises OncefoldError if it cannot be replaced, Problem if that is under way already; then nothing has changed.
        """
        if dry_run:
            return await self.writer.redefine(pipeline, dry_run=True)
        if self.replacing is not None or self.ending.is_set():
            raise Problem(409, "The definition is being replaced already, or the server ends.", title="Not now")
        self.replacing = asyncio.ensure_future(self._replace(pipeline))
        return await asyncio.shield(self.replacing)  # it goes on where its client leaves

    async def _replace(self, pipeline: Pipeline) -> dict[str, Any]:
        try:
            made = await self.writer.redefine(pipeline, dry_run=False)
            self._logger.info("the definition was replaced in commit %d; opening the store again", made["commit"])
            await self._open_again(pipeline)
        finally:
            self.replacing = None
        return made

    async def _open_again(self, pipeline: Pipeline) -> None:
        """Go on under another definition: another writer, other readers, other routes. If that fails, end."""
        self.health.failed("its definition was replaced just now, and it is opened again")
        readers, settings = self._readers, replace(self._settings, reread=False)
        try:
            await self.writer.stop()
            self.writer = self._new_writer()
            await self.open(pipeline, _attached(settings, pipeline))
        except BaseException:
            self._logger.exception("the store cannot be opened with its new definition")
            self.end()
            raise
        if readers is not None:
            readers.end()
            await asyncio.to_thread(readers.close)

    def end(self) -> None:
        """Begin to end."""
        self.health.stopping()
        self.ending.set()
        if self._readers is not None:
            self._readers.end()

    def close(self) -> None:
        """Close all readers, after the queries under way."""
        if self._readers is not None:
            self._readers.close()

    def _signalled(self, number: int) -> None:
        # The writer passes a signal on as well: only a second one that the server itself receives ends it at once.
        if self._ending_by_signal:
            os._exit(128 + number)  # the store holds whole commits only
        self._ending_by_signal = True
        self.end()

    def _gauges(self) -> Gauges:
        settings = self._settings
        limits = {"keys": settings.max_keys, "nodes": settings.max_nodes, "store_bytes": settings.max_store_bytes}
        return Gauges(
            ready=lambda: not self.health.reason,
            waiting_requests=lambda: self.admission.requests,
            waiting_bytes=lambda: self.admission.bytes,
            status=self._status,
            connections=lambda: self.http.connections,
            writer=lambda: self.writer.pid,
            sources=self._sources_doing,
            full=lambda: bool(self.writer.full),
            limits={name: most for name, most in limits.items() if most is not None},
        )

    def _sources_doing(self) -> dict[str, int]:
        sources = self.health.sources
        return {"reading": int(sources.reading), "failed": len(sources.failed)} if sources.attached else {}

    def _status(self) -> StoredStatus:
        with StoreFile.open(self._settings.store) as reader:
            return reader.status()


class _Administration:
    """What the routes need of the writer and the service."""

    def __init__(self, writer: WriterClient, admission: Admission, redefine: Redefine) -> None:
        self._admission = admission
        self.redrive, self.discard, self.redefine = writer.redrive, writer.discard, redefine

    @property
    def waiting_requests(self) -> int:
        """Requests that wait for their commit."""
        return self._admission.requests


def _attached(settings: Settings, pipeline: Pipeline) -> AttachedSources | None:
    if not settings.sources:
        return None
    options = ReadOptions(
        format=settings.format,
        delimiter=settings.delimiter,
        fields=pipeline.fields,
        needed=pipeline.needed_fields,
        whole=bool(pipeline.keep_events),
        follow=settings.follow,
        reread=settings.reread,
    )
    return AttachedSources(settings.sources, options)
