"""Every form of body, in every encoding and however it is cut, means what its records mean."""

import asyncio
import gzip
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest

from oncefold.core.event import Event
from oncefold.core.fold import Outcome, Stored, fold
from oncefold.serve.server import ingest
from oncefold.serve.writer import reading
from tests.engine.records import HEADER, NARROW, Record, contents_in_csv, csv_lines, json_lines, table
from tests.serve.server.ingesting import cut, ingesting, totals
from tests.tools import reference

RECORDS = [
    Record(f"k{number % 41}", number % 5 + 1, "emea", "rates, long" if number % 3 else "fx", number, 7, seconds=number)
    for number in range(150)
] + [
    Record("k1", 9, "apac", "fx", 100, 0),
    Record("k2", None, "apac", "fx", 100, 0),
    Record("k3", 9, None, "fx", 100, 0),
    Record("k4", 9, "a/b", "fx", -5, 1, gone=True),
    Record("k4", 8, "a/b", "fx", -5, 1),
]


def document(records: Sequence[Record]) -> bytes:
    """An array whose objects span lines."""
    objects = [
        json.dumps(json.loads(line, parse_float=str), indent=1).encode() for line in json_lines(records).splitlines()
    ]
    return b"\xef\xbb\xbf [\n" + b",\n  ".join(objects) + b"\n]\n"


def arrow(records: Sequence[Record]) -> bytes:
    whole = table(records)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        for batch in whole.to_batches(max_chunksize=40):
            writer.write_batch(batch)
    return sink.getvalue()


FORMS = {
    "application/x-ndjson": json_lines,
    "application/jsonl": lambda records: json_lines(records).rstrip(b"\n"),
    "text/plain; charset=UTF-8": lambda records: b"\xef\xbb\xbf" + json_lines(records).replace(b"\n", b"\r\n\n"),
    "application/json": document,
    "text/csv": lambda records: HEADER.encode() + csv_lines(records).replace(b'"rates, long"', b'"rates, long"'),
    "application/vnd.apache.arrow.stream": arrow,
}
ENCODINGS = {
    "": lambda body: body,
    "gzip": lambda body: gzip.compress(body[:999]) + gzip.compress(body[999:]),
    "zstd": lambda body: pa.compress(body, "zstd", asbytes=True),
}
CUTS = {"whole": None, "odd": [7, 1, 333, 64], "bytes": [1]}


def expected(records: Sequence[Record]) -> tuple[Counter[Outcome], list[Event]]:
    """What becomes of the records, by the scalar core, and those that are events."""
    states: dict[str, Stored] = {}
    counts: Counter[Outcome] = Counter()
    events = []
    for record in records:
        event = record.event(NARROW)
        if event is None:
            counts[Outcome.REJECTED] += 1
            continue
        outcome, states[event.key] = fold(states.get(event.key), event)
        counts[outcome] += 1
        events.append(event)
    return counts, events


@pytest.mark.parametrize("cutting", CUTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("content_type", FORMS)
def test_a_body_means_its_records(memory: Path, content_type: str, encoding: str, cutting: str) -> None:
    records = contents_in_csv(RECORDS) if content_type == "text/csv" else RECORDS
    body = ENCODINGS[encoding](FORMS[content_type](records))
    chunks = [body] if CUTS[cutting] is None else cut(body, CUTS[cutting])
    path = memory / "store.db"

    async def send(small_bytes: int) -> dict[str, int]:
        with patch.object(ingest, "SMALL_BYTES", small_bytes), patch.object(reading, "BLOCK_BYTES", 4_096):
            async with ingesting(path, NARROW) as server:
                answer = await server.post(chunks, content_type=content_type, content_encoding=encoding)
                assert answer.status == 200, answer
                assert answer.document["events"] == len(records)
                assert answer.document["commit"] == server.committed[-1].commit
                return dict(answer.document["counts"])

    counts, events = expected(records)
    assert asyncio.run(send(64)) == {outcome.name.lower(): count for outcome, count in counts.items()}
    reference.assert_equal(reference.totals(NARROW, events), totals(path), NARROW)
    again = asyncio.run(send(2**20))
    assert again.keys() <= {"duplicate", "stale", "rejected"}
    reference.assert_equal(reference.totals(NARROW, events), totals(path), NARROW)
