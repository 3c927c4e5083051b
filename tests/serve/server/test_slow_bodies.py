"""Bodies that come too slowly are given up, and those that are only slow are not. No test waits: the clock jumps."""

import asyncio
import select
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import pytest

from oncefold.serve.server import ingest
from tests.engine.records import NARROW, Record, json_lines
from tests.serve.running import Running
from tests.serve.server.ingesting import LIMITS, Answer, Ingesting, Sending, ingesting
from tests.tools.jumping import JumpingLoop

MANY = [Record(f"k{number}", 1, "emea", "fx", number, 7) for number in range(300)]
LINES = json_lines(MANY)
IDLE, LEAST = LIMITS.body_idle_seconds, LIMITS.min_body_bytes_per_second
STREAMED, WHOLE = 64, 2**20
"""Bodies up to so many bytes are taken as a whole."""
_Found = TypeVar("_Found")


def jumping(work: Callable[[], Awaitable[_Found]]) -> _Found:
    """Run this by a clock that jumps."""

    async def run() -> _Found:
        return await work()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(run())


def sent(folder: Path, chunk: int, every: float, small_bytes: int, first: int = 0) -> tuple[Answer, float]:
    """The answer to LINES of which `chunk` bytes come at a time, and when it came; the `first` bytes come at once."""

    async def send(server: Ingesting) -> tuple[Answer, float]:
        now = asyncio.get_running_loop().time
        began, sending, at = now(), server.begin(), first
        if first:
            sending.send(LINES[:first])
        while at < len(LINES) and not sending.answer.done():
            await asyncio.wait([sending.answer], timeout=every)
            sending.send(LINES[at : at + chunk])
            at += chunk
        if not sending.answer.done():
            sending.send(b"", more=False)
        took = now() - began
        answer = await sending.answer
        assert answer is not None
        assert (server.admission.requests, server.admission.bytes) == (0, 0)
        return answer, took

    async def run() -> tuple[Answer, float]:
        with patch.object(ingest, "SMALL_BYTES", small_bytes):
            async with ingesting(folder / "store.db", NARROW) as server:
                return await send(server)

    return jumping(run)


@pytest.mark.parametrize("small_bytes", [STREAMED, WHOLE])
@pytest.mark.parametrize(("chunk", "every"), [(1, 1.0), (10, 1.0), (90, 1.0), (500, 10.0)])
def test_a_client_that_trickles_is_told_and_let_go(memory: Path, chunk: int, every: float, small_bytes: int) -> None:
    answer, took = sent(memory, chunk, every, small_bytes)
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert "Less than 100 bytes" in answer.document["detail"]
    rate = chunk / every
    due = IDLE * LEAST / (LEAST - rate)  # the time by which it has fallen behind, the first seconds being free
    assert took >= due
    if small_bytes == WHOLE:  # otherwise the clock goes on while threads end what they read
        assert took <= due + 2 * every + 0.1 * due


@pytest.mark.parametrize("small_bytes", [STREAMED, WHOLE])
@pytest.mark.parametrize(("chunk", "every"), [(110, 1.0), (30, 0.25), (3_000, 29.0)])
def test_a_client_that_is_slow_but_faster_than_that_is_not(
    memory: Path, chunk: int, every: float, small_bytes: int
) -> None:
    answer, took = sent(memory, chunk, every, small_bytes)
    assert answer.status == 200, answer
    assert answer.document["counts"] == {"inserted": len(MANY)}
    assert took > 2 * IDLE


def test_what_was_whole_before_a_client_fell_behind_is_committed(memory: Path) -> None:
    async def run() -> Answer | None:
        with patch.object(ingest, "SMALL_BYTES", STREAMED):
            async with ingesting(memory / "store.db", NARROW) as server:
                sending = server.begin()
                sending.send(LINES + b" ")
                while sum(told.rows for told in server.committed) < len(MANY):
                    await asyncio.sleep(0)  # the clock stands still
                while not sending.answer.done():
                    await asyncio.wait([sending.answer], timeout=1.0)
                    sending.send(b" ")
                return await sending.answer

    answer = jumping(run)
    assert answer is not None
    assert (answer.status, answer.document["committed_events"]) == (408, len(MANY))
    assert "Less than 100 bytes" in answer.document["detail"]


@pytest.mark.parametrize("small_bytes", [STREAMED, WHOLE])
def test_a_client_that_stops_is_given_up_soon_after_the_limit(memory: Path, small_bytes: int) -> None:
    answer, took = sent(memory, 500, 2 * IDLE, small_bytes, first=5_000)
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert "Nothing of the body has come for 30 seconds" in answer.document["detail"]
    assert took >= IDLE


def test_one_that_trickles_holds_no_other_up(memory: Path) -> None:
    async def run() -> None:
        async with ingesting(memory / "store.db", NARROW, limits=replace(LIMITS, max_waiting=2)) as server:
            slow: Sending = server.begin()
            while not slow.answer.done():
                slow.send(b" ")
                assert (await server.post(LINES)).status == 200
                await asyncio.wait([slow.answer], timeout=1.0)
            answer = await slow.answer
            assert answer is not None
            assert answer.status == 408

    jumping(run)


# by a real server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {"body_idle_seconds": 0.4, "min_body_bytes_per_second": 10_000}
    with Running(tmp_path_factory.mktemp("pace"), settings=limits) as running:
        yield running


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_a_connection_that_trickles_is_answered_and_closed(server: Running, framing: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n")
        piece = b"1\r\n \r\n" if framing.endswith(b"chunked") else b" "
        while not select.select([connection], [], [], 0.05)[0]:
            connection.sendall(piece)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()
    assert b"Less than 10,000 bytes" in answer
    assert server.post(b"").status == 200
