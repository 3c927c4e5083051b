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

from oncefold.serve.ingest import small
from oncefold.serve.ingest.pace import Pace, Patience
from tests.engine.records import NARROW, Record, json_lines
from tests.serve.ingest.inside import LIMITS, Answer, Inside, Sending, inside
from tests.serve.running import Running
from tests.tools.jumping import JumpingLoop

MANY = [Record(f"k{number}", 1, "emea", "fx", number, 7) for number in range(300)]
LINES = json_lines(MANY)
IDLE, LEAST = LIMITS.patience.idle_seconds, LIMITS.patience.least_bytes
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

    async def send(server: Inside) -> tuple[Answer, float]:
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
        assert (server.ingest.waiting_requests, server.ingest.waiting_bytes) == (0, 0)
        return answer, took

    async def run() -> tuple[Answer, float]:
        with patch.object(small, "SMALL_BYTES", small_bytes):
            async with inside(folder / "store.db", NARROW) as server:
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
        with patch.object(small, "SMALL_BYTES", STREAMED):
            async with inside(memory / "store.db", NARROW) as server:
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
        async with inside(memory / "store.db", NARROW, limits=replace(LIMITS, max_waiting=2)) as server:
            slow: Sending = server.begin()
            while not slow.answer.done():
                slow.send(b" ")
                assert (await server.post(LINES)).status == 200
                await asyncio.wait([slow.answer], timeout=1.0)
            answer = await slow.answer
            assert answer is not None
            assert answer.status == 408

    jumping(run)


# the waits themselves

PATIENCE = Patience(30.0, 100)


async def _never() -> None:
    await asyncio.Event().wait()


def test_a_wait_within_the_limit_tells_how_long_it_was() -> None:
    async def run() -> None:
        pace = Pace(asyncio.get_running_loop(), PATIENCE)
        found, seconds = await pace.wait(asyncio.sleep(29.0, "found"))
        assert (found, round(seconds, 6)) == ("found", 29.0)

    jumping(run)


def test_every_wait_has_a_limit_of_its_own() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        pace = Pace(loop, PATIENCE)

        async def waits(delay: float) -> float:
            await asyncio.sleep(delay)
            with pytest.raises(TimeoutError):
                await pace.wait(_never())
            return loop.time() - delay

        for waited in await asyncio.gather(*[waits(delay) for delay in (0.0, 1.0, 29.0, 31.0, 500.0)]):
            assert 30.0 <= waited <= 30.0 + 2 * 7.5

    jumping(run)


def test_a_task_that_another_cancels_is_not_late() -> None:
    async def run() -> None:
        pace = Pace(asyncio.get_running_loop(), PATIENCE)
        task = asyncio.create_task(pace.wait(_never()))
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    jumping(run)


def test_how_many_bytes_are_too_few() -> None:
    assert not PATIENCE.is_slow(0, 30.0)
    assert PATIENCE.is_slow(0, 30.1)
    assert not PATIENCE.is_slow(1_000, 40.0)
    assert PATIENCE.is_slow(999, 40.0)
    assert not Patience(30.0, 0).is_slow(0, 1e9)


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
