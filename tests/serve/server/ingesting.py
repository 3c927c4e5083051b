"""Ingest without HTTP: requests are given to its endpoint as a server would, piece by piece, all in one process."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total
from oncefold.engine.session import Session
from oncefold.serve.channel.messages import AttachedSources, Committed, Stop, Stopped, StreamPiece
from oncefold.serve.http.request import Disconnected, Headers, Request
from oncefold.serve.http.response import Problem, Response
from oncefold.serve.server.admission import Admission
from oncefold.serve.server.ingest import EventsEndpoint
from oncefold.serve.server.operations import Health
from oncefold.serve.server.writer_client import WriterClient
from oncefold.serve.settings import Limits
from oncefold.serve.writer.bodies import BodyThreads
from oncefold.serve.writer.capacity import Capacity, CapacityLimits
from oncefold.serve.writer.ingest_loop import Callbacks, IngestLoop
from oncefold.serve.writer.process import Dispatcher, ServerNotifier
from oncefold.serve.writer.reading import BodyDecoding
from oncefold.serve.writer.redefining import Redefining
from oncefold.store import rows
from oncefold.store.reader import StoreFile

LIMITS = Limits()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    document: Any


@dataclass
class Sending:
    """One request whose body is sent little by little."""

    pieces: asyncio.Queue[tuple[bytes, bool] | None]
    answer: asyncio.Task[Answer | None]

    def send(self, chunk: bytes, *, more: bool = True) -> None:
        self.pieces.put_nowait((chunk, more))

    def leave(self) -> None:
        """The client goes away."""
        self.pieces.put_nowait(None)


class _Body:
    def __init__(self, pieces: asyncio.Queue[tuple[bytes, bool] | None]) -> None:
        self._pieces = pieces
        self.more = True

    async def next(self) -> bytes:
        piece = await self._pieces.get()
        if piece is None:
            raise Disconnected
        data, self.more = piece
        return data


@dataclass
class Ingesting:
    """A running ingest."""

    writer: WriterClient
    admission: Admission
    limits: Limits
    health: Health
    path: Path
    committed: list[Committed] = field(default_factory=list)

    def begin(self, *, query: str = "", **headers: str) -> Sending:
        """Begin a request; `content_type=...` is the header Content-Type, JSON Lines if not said."""
        given = {"content_type": "application/x-ndjson", **headers}
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
        pieces: asyncio.Queue[tuple[bytes, bool] | None] = asyncio.Queue()
        request = Request("POST", "/events", query.encode(), Headers(named), _Body(pieces))
        return Sending(pieces, asyncio.create_task(self._ask(request)))

    async def post(self, body: bytes | Iterable[bytes], *, query: str = "", **headers: str) -> Answer:
        """One request, its body in one chunk or in these."""
        sending = self.begin(query=query, **headers)
        for chunk in [body] if isinstance(body, bytes) else body:
            sending.send(chunk)
        sending.send(b"", more=False)
        answer = await sending.answer
        assert answer is not None
        return answer

    async def _ask(self, request: Request) -> Answer | None:
        response: Response
        try:
            response = await EventsEndpoint(self.writer, self.admission, self.limits)(request)
        except Problem as problem:
            response = problem.response("")
        except Disconnected:
            return None
        headers = {name.decode(): value.decode() for name, value in response.headers}
        return Answer(response.status, headers, json.loads(response.body))


class _Channel:
    """Does in this process what the other would do with the messages."""

    def __init__(self, dispatcher: Dispatcher, bodies: BodyThreads, ended: Callable[[], None]) -> None:
        self._dispatcher, self._bodies, self._ended = dispatcher, bodies, ended

    def send(self, message: object) -> None:
        if isinstance(message, Stop):
            threading.Thread(target=self._end).start()
        else:
            self._dispatcher.do(message)

    def send_piece(self, number: int, data: bytes) -> None:
        self._dispatcher.do(StreamPiece(number, data))

    def close(self) -> None:
        pass

    def _end(self) -> None:
        self._bodies.end()
        self._ended()


@asynccontextmanager
async def ingesting(
    path: Path,
    pipeline: Pipeline,
    *,
    limits: Limits = LIMITS,
    opened: Callable[[], Session] | None = None,
    attached: AttachedSources | None = None,
    capacity: CapacityLimits | None = None,
    end_server: Callable[[], None] = lambda: None,
) -> AsyncIterator[Ingesting]:
    """An ingest into the store at `path`, all of it in this process; everything is committed at the end."""
    health, committed = Health(), list[Committed]()
    client = WriterClient(health, (committed.append,), logging.getLogger("tests"), end_server)
    event_loop = asyncio.get_running_loop()
    notifier = ServerNotifier(lambda message: event_loop.call_soon_threadsafe(client._take, (message,)))
    callbacks = Callbacks(
        notifier.acknowledge, (notifier.send,), notifier, logging.getLogger("tests"), time.monotonic, time.time_ns
    )
    limited = Capacity(capacity or CapacityLimits(), path, notifier.full)
    loop = IngestLoop(pipeline, opened or (lambda: Session.open(path, pipeline)), attached, callbacks, limited)
    bodies = BodyThreads(loop, BodyDecoding(loop.decoder, pipeline.fields, limits.max_line), limits)
    dispatcher = Dispatcher(notifier.send, bodies, Redefining(loop, path))
    client._channel = _Channel(dispatcher, bodies, lambda: notifier.send(Stopped(loop.failure)))  # type: ignore[assignment]
    loop.start()
    try:
        while health.reason:
            await asyncio.sleep(0.001)
        yield Ingesting(client, Admission(limits, lambda: health.reason), limits, health, path, committed)
    finally:
        await client.stop()


def totals(path: Path) -> dict[Node, Total]:
    """All totals of a store, as the reference gives them."""
    with StoreFile.open(path) as reader:
        assert reader.verify().differences == []
        return {
            Node(index, rows.labels_of(row.path)): Total(row.count, row.sums)
            for index, rollup in enumerate(reader.pipeline.rollups)
            for row in reader.totals(rollup.name).rows
        }


def cut(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    """The body in pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        pieces.append(body[at : at + size])
        at, turn = at + size, turn + 1
    return pieces
