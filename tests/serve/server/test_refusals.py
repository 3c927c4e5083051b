"""What is not taken, and why: each with its status, words that say what to do, and nothing lost of what was whole."""

import asyncio
import gzip
import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest

from oncefold.core.errors import StoreError
from oncefold.core.fold import Outcome
from oncefold.engine.session import Session
from oncefold.serve.server import ingest
from oncefold.serve.settings import STREAM_BYTES
from oncefold.serve.writer import bodies, ingest_loop
from oncefold.store.writer import Store
from tests.engine.records import HEADER, NARROW, Record, csv_lines, json_lines
from tests.serve.server.ingesting import LIMITS, Answer, Ingesting, cut, ingesting
from tests.serve.server.test_bodies import arrow, document

LINE = json_lines([Record("a", 1, "emea", "fx", 100, 1)])
MANY = [Record(f"k{number}", 1, "emea", "fx", number, 7) for number in range(300)]
NDJSON = "application/x-ndjson"
LINES, ARROW = json_lines(MANY), arrow(MANY)


def post(path: Path, body: bytes | Iterable[bytes], *, query: str = "", limits: Any = LIMITS, **headers: str) -> Answer:
    async def send() -> Answer:
        async with ingesting(path, NARROW, limits=limits) as server:
            return await server.post(body, query=query, **headers)

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("headers", "query", "status", "words"),
    [
        ({"content_type": "application/xml"}, "", 415, "application/x-ndjson"),
        ({"content_type": "application/x-www-form-urlencoded"}, "", 415, "text/csv"),
        ({"content_type": "text/csv; charset=latin-1"}, "", 415, "UTF-8"),
        ({"content_encoding": "br"}, "", 415, "gzip or zstd"),
        ({}, "delimiter=ab", 422, "one ASCII character"),
        ({}, "delimitter=;", 422, "no query parameter 'delimitter'"),
        ({}, "source=", 422, "1 to 200"),
        ({}, "source=a&source=b", 422, "twice"),
        ({"content_length": "5000"}, "", 413, "4,000 bytes"),
    ],
)
def test_known_from_the_head(memory: Path, headers: dict[str, str], query: str, status: int, words: str) -> None:
    answer = post(memory / "store.db", LINE, query=query, limits=replace(LIMITS, max_body=4_000), **headers)
    assert answer.status == status
    assert words in answer.document["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert "committed_events" not in answer.document


@pytest.mark.parametrize(
    ("content_type", "encoding", "body", "words"),
    [
        ("application/x-ndjson", "gzip", LINES, "not gzip"),
        ("application/x-ndjson", "gzip", gzip.compress(LINES)[:-9], "middle of a gzip member"),
        ("application/x-ndjson", "gzip", gzip.compress(LINES)[:-8] + bytes(8), "corrupt"),
        ("application/x-ndjson", "zstd", LINES, "zstd data is corrupt"),
        ("application/x-ndjson", "zstd", pa.compress(LINES, "zstd", asbytes=True)[:-9], "middle of a zstd frame"),
        ("application/json", "", b"", "empty"),
        ("application/json", "", document(MANY)[:-4], "cut short"),
        ("application/json", "", document(MANY) + b"x", "follows its end"),
        ("application/json", "", LINES, "follows its end"),
        ("text/csv", "", b"\n" + csv_lines(MANY), "not a CSV header"),
        ("text/csv", "", b"x,y\n1,2\n", "none of the fields"),
        ("text/csv", "", b"id,id\n1,2\n", "names 'id' twice"),
        ("application/vnd.apache.arrow.stream", "", LINES, "not an Arrow stream"),
        ("application/vnd.apache.arrow.stream", "", ARROW[: len(ARROW) // 2], "Arrow stream after row"),
        ("application/vnd.apache.arrow.stream", "", ARROW + ARROW, "more follows"),
        ("application/vnd.apache.arrow.stream", "gzip", gzip.compress(ARROW)[:-9], "middle of a gzip member"),
    ],
)
@pytest.mark.parametrize("small_bytes", [64, 2**20])
def test_malformed_as_a_whole(
    memory: Path, content_type: str, encoding: str, body: bytes, words: str, small_bytes: int
) -> None:
    path = memory / "store.db"
    with patch.object(ingest, "SMALL_BYTES", small_bytes):
        answer = post(path, cut(body, [1_000]), content_type=content_type, content_encoding=encoding)
    assert answer.status == 400, answer
    assert words in answer.document["detail"]
    with Session.open(path, NARROW) as session:
        assert sum(session.reader.file.status().counts.values()) == answer.document["committed_events"]
        assert session.totals(rollup="all").node.count == answer.document["committed_events"]


def test_what_was_whole_before_the_fault_is_committed(memory: Path) -> None:
    answer = post(memory / "store.db", document(MANY)[:-4], content_type="application/json")
    assert answer.document["committed_events"] == len(MANY) - 1


def test_a_csv_body_that_breaks_off_counts_no_half_record(memory: Path) -> None:
    async def leave() -> int:
        with patch.object(ingest, "SMALL_BYTES", 64):
            async with ingesting(memory / "store.db", NARROW) as server:
                sending = server.begin(content_type="text/csv")
                sending.send(HEADER.encode() + csv_lines(MANY)[:-10])
                sending.leave()
                assert await sending.answer is None
                assert (server.admission.requests, server.admission.bytes) == (0, 0)
                return sum(sum(told.counts.values()) for told in server.committed)

    assert asyncio.run(leave()) < len(MANY)


def test_a_long_line_is_rejected_and_the_rest_counts(memory: Path) -> None:
    body = LINE + b'{"id": "' + b"x" * 5_000 + b'"}\n' + LINE
    with patch.object(bodies, "BLOCK_BYTES", 500):
        answer = post(memory / "store.db", cut(body, [100]), limits=replace(LIMITS, max_line=1_000))
    assert answer.document["counts"] == {"inserted": 1, "duplicate": 1, "rejected": 1}
    [reject] = answer.document["rejects"]
    assert reject["position"] == len(LINE)
    assert "1,000 bytes" in reject["reason"]
    assert len(reject["raw"]) == 200


def test_a_body_that_grows_too_long(memory: Path) -> None:
    with patch.object(ingest, "SMALL_BYTES", 64):
        answer = post(memory / "store.db", cut(LINES, [300]), limits=replace(LIMITS, max_body=5_000))
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert answer.document["committed_events"] >= 0


@pytest.mark.parametrize("small_bytes", [64, 2**20])
def test_a_client_that_stops_sending(memory: Path, small_bytes: int) -> None:
    async def stall() -> Answer | None:
        with patch.object(ingest, "SMALL_BYTES", small_bytes):
            async with ingesting(memory / "store.db", NARROW, limits=replace(LIMITS, body_idle_seconds=0.3)) as server:
                sending = server.begin()
                sending.send(LINES[:-5])
                answer = await sending.answer
                assert (server.admission.requests, server.admission.bytes) == (0, 0)
                return answer

    answer = asyncio.run(stall())
    assert answer is not None
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert "0.3 seconds" in answer.document["detail"]


def test_a_stream_is_committed_while_it_arrives(memory: Path) -> None:
    async def trickle() -> None:
        with patch.object(ingest, "SMALL_BYTES", 64):
            async with ingesting(memory / "store.db", NARROW) as server:
                sending = server.begin()
                sending.send(LINES)
                while sum(told.rows for told in server.committed) < len(MANY):
                    await asyncio.sleep(0.005)
                assert not sending.answer.done()
                sending.send(LINE, more=False)
                answer = await sending.answer
                assert answer is not None
                assert answer.document["counts"] == {"inserted": len(MANY) + 1}

    asyncio.run(asyncio.wait_for(trickle(), 30))


async def _held(server: Ingesting, count: int) -> list[Any]:
    """Requests that have begun and do not go on."""
    sendings = [server.begin() for _ in range(count)]
    for sending in sendings:
        sending.send(LINES[:1_000])
    while server.admission.requests < count:
        await asyncio.sleep(0.001)
    return sendings


def test_too_many_requests_are_sent_away_for_a_moment(memory: Path) -> None:
    async def crowd() -> None:
        async with ingesting(memory / "store.db", NARROW, limits=replace(LIMITS, max_waiting=3)) as server:
            sendings = await _held(server, 3)
            answer = await server.post(LINE)
            assert (answer.status, answer.headers["retry-after"]) == (429, "1")
            for sending in sendings:
                sending.send(LINES[1_000:], more=False)
            assert [(await sending.answer).status for sending in sendings] == [200] * 3
            assert (await server.post(LINE)).status == 200

    asyncio.run(crowd())


def test_too_many_bytes_are_sent_away_for_a_moment(memory: Path) -> None:
    async def crowd() -> None:
        limits = replace(LIMITS, max_inflight_bytes=STREAM_BYTES)
        with patch.object(ingest, "SMALL_BYTES", 64):
            async with ingesting(memory / "store.db", NARROW, limits=limits) as server:
                [sending] = await _held(server, 1)
                while not server.admission.bytes:
                    await asyncio.sleep(0.001)
                assert (await server.post(LINE)).status == 429
                sending.send(b"", more=False)
                assert (await sending.answer).status == 200
                assert (await server.post(LINE)).status == 200
                assert server.admission.bytes == 0

    asyncio.run(crowd())


def test_a_failed_commit_is_told_and_the_store_opened_again(memory: Path) -> None:
    path = memory / "store.db"
    real, failing = Store.commit, True

    def commit(store: Store, commit: Any, on_durable: Any) -> int:
        if failing:
            raise StoreError("the disk is full; make room")
        return real(store, commit, on_durable)

    async def serve() -> None:
        nonlocal failing
        async with ingesting(path, NARROW) as server:
            sendings = [server.begin() for _ in range(5)]
            for sending in sendings:
                sending.send(LINE, more=False)
            answers = [await sending.answer for sending in sendings]
            assert {answer.status for answer in answers if answer} <= {503}
            assert any("disk is full" in answer.document["detail"] for answer in answers if answer)
            assert "disk is full" in server.health.reason or not server.health.reason
            failing = False
            while (answer := await server.post(LINE)).status == 503:
                assert answer.headers["retry-after"] == "1"
                await asyncio.sleep(0.01)
            assert answer.document["counts"] == {"inserted": 1}
            assert server.health.reason == ""

    with ExitStack() as patches:
        patches.enter_context(patch.object(Store, "commit", commit))
        patches.enter_context(patch.object(ingest_loop, "PAUSES", (0.01,)))
        asyncio.run(asyncio.wait_for(serve(), 60))


def test_rejects_are_read_again_and_dismissed(memory: Path) -> None:
    async def mend() -> None:
        async with ingesting(memory / "store.db", NARROW) as server:
            assert (await server.post(b"x\n" + LINE, query="source=till", content_type=NDJSON)).document["counts"] == {
                "inserted": 1,
                "rejected": 1,
            }
            assert (await server.writer.redrive()).counts == {Outcome.REJECTED: 1}

    asyncio.run(mend())
    with Session.open(memory / "store.db", NARROW) as session:
        assert session.engine.keys == 1
        [listed] = session.reader.file.rejects()
        assert (listed.reject.source, listed.reject.position, listed.reject.raw) == ("till", 0, b"x")


@pytest.mark.parametrize("body", [HEADER.encode() + b"a,1,emea,fx,1,1\n", b"id;a\n1;2\n", ARROW, b"hello\n"])
def test_without_a_content_type_only_json_is_taken(memory: Path, body: bytes) -> None:
    answer = post(memory / "store.db", body, content_type="")
    assert answer.status == 415
    assert "has no Content-Type, and its body does not begin as JSON" in answer.document["detail"]
    packed = post(memory / "store.db", gzip.compress(body), content_encoding="gzip", content_type="")
    assert packed.status == 415
    read = post(memory / "store.db", gzip.compress(LINE), content_encoding="gzip", content_type="")
    assert read.status == 200


@pytest.mark.parametrize("content_type", ["", "application/x-ndjson"])
@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("is_array", [False, True])
def test_an_array_or_spread_objects_among_lines_are_read_as_what_they_are(
    memory: Path, content_type: str, indent: int | None, is_array: bool
) -> None:
    objects = [json.loads(line, parse_float=str) for line in LINES.splitlines()[:5]]
    body = json.dumps(objects, indent=indent) if is_array else "\n".join(json.dumps(o, indent=indent) for o in objects)
    answer = post(memory / "store.db", body.encode(), content_type=content_type)
    assert (answer.status, answer.document["counts"]) == (200, {"inserted": 5})


def test_a_column_that_is_not_there_is_noted(memory: Path) -> None:
    answer = post(memory / "store.db", HEADER.replace("who", "whos").encode(), content_type="text/csv")
    assert answer.status == 200
    assert answer.document["notes"] == ["no column who; did you mean whos?"]


def test_x_gzip_is_gzip(memory: Path) -> None:
    answer = post(
        memory / "store.db", gzip.compress(LINE), content_type="application/x-ndjson", content_encoding="x-gzip"
    )
    assert (answer.status, answer.document["counts"]) == (200, {"inserted": 1})
