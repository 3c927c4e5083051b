"""How many modules of the product one request passes through in each process: whoever follows it reads no more."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from oncefold.serve.answers import StoreReaders, routes
from oncefold.serve.http.routing import Route
from oncefold.serve.server.ingest import EventsEndpoint
from tests.engine.records import NARROW, Record, json_lines
from tests.serve.application import LOCAL, Parts, send
from tests.serve.server.ingesting import Ingesting, ingesting

SUMS = replace(NARROW, measures=NARROW.measures[:2])
"""Its sums alone."""

MOST = 30
MOST_OF_GET = 30
LINE = json_lines([Record("a", 1, "emea", "fx", 100, 1)])
WRITER = ("oncefold.serve.writer", "oncefold.engine", "oncefold.columnar", "oncefold.store", "oncefold.commit")


class Seen:
    """The modules that were called into while it watched."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.watching = False

    def __call__(self, frame: Any, event: str, _: object) -> None:
        if self.watching and event == "call":
            name = frame.f_globals.get("__name__", "")
            if name.startswith("oncefold."):
                self.modules.add(name)


@contextmanager
def profiled() -> Iterator[Seen]:
    seen = Seen()
    threading.setprofile(seen)
    sys.setprofile(seen)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def test_one_post_and_one_get(memory: Path) -> None:
    async def run(seen: Seen) -> tuple[set[str], set[str]]:
        async with ingesting(memory / "store.db", SUMS) as ingest:
            with closing(StoreReaders.open(memory / "store.db")) as readers:
                app = Parts().guarded(_routes(ingest, readers))
                await send(app, "POST", "/events", LOCAL, LINE)
                found = []
                for method, path, body in (
                    ("POST", "/events", LINE),
                    ("GET", f"/totals/{NARROW.rollups[0].name}", b""),
                ):
                    await asyncio.sleep(0.5)  # compaction after the commit before is no part of it
                    seen.modules, seen.watching = set(), True
                    answer = await send(app, method, path, LOCAL, body)
                    seen.watching = False
                    assert answer.status == 200, answer
                    found.append(seen.modules)
        return found[0], found[1]

    with profiled() as seen:
        post, get = asyncio.run(run(seen))
    in_writer = {name for name in post if name.startswith(WRITER)}
    in_server = post - in_writer
    print(f"POST: {len(in_server)} in the server, {len(in_writer)} in the writer; GET: {len(get)}")
    assert len(in_server) <= MOST, sorted(in_server)
    assert len(in_writer) <= MOST, " ".join(sorted(in_writer))
    assert len(get) <= MOST_OF_GET, " ".join(sorted(get))


def _routes(ingest: Ingesting, readers: StoreReaders) -> list[Route]:
    class Administration:
        waiting_requests = 0
        redrive, discard, redefine = ingest.writer.redrive, ingest.writer.discard, ingest.writer.redefine

    events = EventsEndpoint(ingest.writer, ingest.admission, ingest.limits)
    return [Route("/events", events, ("POST",)), *routes(readers, Administration())]
