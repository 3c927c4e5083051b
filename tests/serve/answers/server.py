"""The questions of a store over HTTP, on a free port of this machine, in a thread; the test itself commits."""

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from oncefold.core.definition import Pipeline
from oncefold.engine.redefinition import Redefinition
from oncefold.engine.session import Ingested, Session
from oncefold.serve.answers import Clock, StoreReaders, routes
from oncefold.serve.channel.messages import Committed
from oncefold.serve.http.routing import Route
from oncefold.serve.security.access import Access
from tests.queries.stores import BEGAN, SECOND, build
from tests.serve.application import Parts
from tests.serve.transport.listening import serving_in_thread

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """A running server, and the session that it is about."""

    session: Session
    readers: StoreReaders
    port: int = 0
    loop: asyncio.AbstractEventLoop | None = None
    """In which it runs, once it does."""
    waiting_requests: int = 0
    end: Callable[[], None] = lambda: None
    """What happens first when a server ends."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ingest(self, data: Any) -> Ingested:
        """Commit, as the ingest of a server does: listeners first, then whoever sent it."""
        assert self.loop is not None
        with self._lock:
            done = self.session.ingest(data)
            asyncio.run_coroutine_threadsafe(self._tell(done), self.loop).result()
            return done

    async def redrive(self) -> Ingested:
        with self._lock:
            done = self.session.redrive()
            await self._tell(done)
            return done

    async def discard(self, ids: Sequence[int]) -> int:
        with self._lock:
            found = self.session.discard(ids)
            await self._tell(Ingested(self.session.reader.status().commit.number, {}))
            return found

    async def redefine(self, pipeline: Pipeline, *, dry_run: bool) -> dict[str, Any]:
        with self._lock, Redefinition(self.session.path, pipeline) as redefinition:
            assert dry_run, "the test itself commits"
            return redefinition.preview().document()

    async def _tell(self, done: Ingested) -> None:
        with self.session.reader.file.at_one_commit() as connection:
            at, newest = connection.execute("SELECT at, newest_time FROM commits ORDER BY seq DESC LIMIT 1").fetchone()
        if (waiting := self.readers.ahead(done.commit)) is not None:
            await waiting
        self.readers.committed(Committed(done.commit, at, done.counts, done.events, 0.0, newest))

    def ask(self, target: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Reply:
        """One request."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request(method, target, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def stream(self, target: str, headers: Mapping[str, str] | None = None) -> "Stream":
        """A stream of events."""
        return Stream(self.port, target, headers or {})


class Stream:
    """Server-sent events, one after the other."""

    def __init__(self, port: int, target: str, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=30)
        self._connection.request("GET", target, headers=dict(headers))
        self.answer = self._connection.getresponse()

    def next(self) -> tuple[str, int, Any]:
        """The next event: its name, its id and its data; comments are passed over."""
        found: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line.startswith(":") or (not line and not found):
                assert not self.answer.isclosed()
                continue
            if not line:
                return found["event"], int(found["id"]), json.loads(found["data"])
            name, _, value = line.partition(": ")
            found[name] = value

    def until(self, commit: int) -> list[tuple[str, int, Any]]:
        """The events up to this commit."""
        found = [self.next()]
        while found[-1][1] < commit:
            found.append(self.next())
        return found

    def close(self) -> None:
        self._connection.close()
        self.answer.close()


@contextmanager
def serving(path: Path, pipeline: Pipeline, *commits: bytes, now: int = BEGAN + 3_600 * SECOND) -> Iterator[Server]:
    """A server for a store with these commits, a second apart; its own clock stands still."""
    build(path, pipeline, *commits)
    ticks = count(BEGAN + len(commits) * SECOND, SECOND)
    with Session.open(path, pipeline, clock=lambda: next(ticks)) as session:
        readers = StoreReaders.open(path, Clock(now=lambda: now))
        server = Server(session, readers)
        with running(routes(readers, server), readers) as (server.port, server.loop, server.end):
            yield server


@contextmanager
def running(
    routes: Iterable[Route], readers: StoreReaders
) -> Iterator[tuple[int, asyncio.AbstractEventLoop, Callable[[], None]]]:
    """The port and the event loop of routes that are served in a thread, and what begins their end."""
    with serving_in_thread(Parts(Access(loopback=False)).guarded(routes)) as (port, loop):
        try:
            yield port, loop, lambda: loop.call_soon_threadsafe(readers.end) and None
        finally:
            loop.call_soon_threadsafe(readers.end)
    readers.close()
