"""The ingest without HTTP: requests are handed to its endpoint as a server would, chunk by chunk, in one process."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from oncefold.columnar.plan import fields_of
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total
from oncefold.core.limits import RECORD_BYTES
from oncefold.engine.session import Session
from oncefold.serve.ingest.beside import Named
from oncefold.serve.ingest.committed import Committed
from oncefold.serve.ingest.endpoint import EventsEndpoint
from oncefold.serve.ingest.gate import Ingest, Limits, all_settled
from oncefold.serve.ingest.loop import IngestLoop, Outside
from oncefold.serve.ingest.pace import Patience
from oncefold.serve.ingest.reading import Reading
from oncefold.serve.ingest.worker import Worker
from oncefold.serve.operations.health import Health
from oncefold.serve.settings import INFLIGHT_BYTES, WAITING_REQUESTS
from oncefold.store import rows
from oncefold.store.reader import StoreFile

LIMITS = Limits(WAITING_REQUESTS, INFLIGHT_BYTES, None, RECORD_BYTES, Patience(30.0, 100))
LEFT = {"type": "http.disconnect"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    document: Any


@dataclass
class Sending:
    """One request whose body is sent little by little."""

    messages: asyncio.Queue[dict[str, Any]]
    answer: asyncio.Task[Answer | None]

    def send(self, chunk: bytes, *, more: bool = True) -> None:
        self.messages.put_nowait({"type": "http.request", "body": chunk, "more_body": more})

    def leave(self) -> None:
        """The client goes away."""
        self.messages.put_nowait(LEFT)


@dataclass
class Inside:
    """A running ingest."""

    ingest: Ingest
    health: Health
    path: Path
    committed: list[Committed] = field(default_factory=list)

    def begin(self, *, query: str = "", **headers: str) -> Sending:
        """Begin a request; `content_type=...` is the header Content-Type."""
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "POST", "path": "/events", "headers": named, "query_string": query.encode()}
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        return Sending(messages, asyncio.create_task(self._ask(scope, messages.get)))

    async def post(self, body: bytes | Iterable[bytes], *, query: str = "", **headers: str) -> Answer:
        """One request, its body in one chunk or in these."""
        sending = self.begin(query=query, **headers)
        for chunk in [body] if isinstance(body, bytes) else body:
            sending.send(chunk)
        sending.send(b"", more=False)
        answer = await sending.answer
        assert answer is not None
        return answer

    async def _ask(self, scope: dict[str, Any], receive: Callable[[], Any]) -> Answer | None:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await EventsEndpoint(self.ingest)(scope, receive, send)
        if not sent:
            return None
        start, body = sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        assert int(headers["content-length"]) == len(body["body"])
        return Answer(start["status"], headers, json.loads(body["body"]))


class _Threads(Worker):
    """The worker in this process."""

    async def stop(self) -> None:
        await asyncio.to_thread(self.end)


@asynccontextmanager
async def inside(
    path: Path,
    pipeline: Pipeline,
    *,
    limits: Limits = LIMITS,
    opened: Callable[[], Session] | None = None,
    named: Named | None = None,
) -> AsyncIterator[Inside]:
    """An ingest into the store at `path`; everything is committed at the end."""
    health, committed = Health(), list[Committed]()
    outside = Outside(
        partial(asyncio.get_running_loop().call_soon_threadsafe, all_settled),
        (committed.append,),
        health,
        logging.getLogger("tests"),
        time.monotonic,
        time.time_ns,
    )
    loop = IngestLoop(pipeline, opened or (lambda: Session.open(path, pipeline)), named, outside)
    reading = Reading(loop.decoder, tuple(fields_of(pipeline)), limits.max_line)
    ingest = Ingest(_Threads(loop, reading, limits), limits, health)
    loop.start()
    try:
        while health.why_not:
            await asyncio.sleep(0.001)
        yield Inside(ingest, health, path, committed)
    finally:
        await ingest.stop()


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
