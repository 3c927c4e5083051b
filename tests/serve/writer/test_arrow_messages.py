"""Arrow bodies that lie about their sizes, break off or say nonsense: refused in words, and no memory is taken."""

import asyncio
import io
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oncefold.serve.writer.arrow_messages import MESSAGE_BYTES, MESSAGE_ROWS
from tests.engine.records import NARROW, Record, table
from tests.serve.running import Running
from tests.serve.server.ingesting import Answer, ingesting
from tests.tools.sizes import in_full, sized

MIB = 2**20
ARROW = "application/vnd.apache.arrow.stream"
BIGGEST_GROWTH = 96 * MIB
"""Of a server's memory: a message as sent and as expanded, and room for the allocators."""
SHARED_ROWS = 50_000
RECORDS = [Record(f"k{number}", 1, "emea", "fx", number, 7) for number in range(4)]
BATCH_ROWS = 2


def stream(whole: pa.Table, compression: str | None = None, rows: int | None = None) -> tuple[bytes, list[int]]:
    """A stream, and where each of its batches ends."""
    sink, ends = io.BytesIO(), []
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, whole.schema, options=options) as writer:
        for batch in whole.to_batches(max_chunksize=rows):
            writer.write_batch(batch)
            ends.append(sink.tell())
    return sink.getvalue(), ends


def compressed(array: Any, compression: str = "zstd", key: str = "TradeID") -> bytes:
    """A stream whose events have this as their key."""
    return stream(pa.table({key: array}), compression)[0]


def event(key: str) -> bytes:
    place = '{"RiskType":"PV","TradeDesk":"x","Region":"y"}'
    return f'{{"TradeID":"{key}","Version":1,"Value":1.25,"Hierarchy":{place}}}\n'.encode()


def claiming(size: int, compression: str, key: str = "TradeID") -> bytes:
    """A small stream, one buffer of which says that it expands to so much."""
    honest = 70_001
    body = compressed(pa.array(["x" * honest]), compression, key)
    assert body.count(struct.pack("<q", honest)) >= 1
    return body.replace(struct.pack("<q", honest), struct.pack("<q", size))


def shared() -> Any:
    """One long text, of which every row is to be a copy."""
    return pa.array(["x" * 200_000])


def in_views() -> Any:
    nowhere = pa.array([0] * SHARED_ROWS, pa.int32())
    return pa.ListViewArray.from_arrays(nowhere, pa.array([1] * SHARED_ROWS, pa.int32()), shared())


def in_a_union() -> Any:
    kinds = pa.array([0] * SHARED_ROWS, pa.int8())
    return pa.UnionArray.from_dense(kinds, pa.array([0] * SHARED_ROWS, pa.int32()), [shared()])


def in_lists_of_a_dictionary() -> Any:
    codes = pa.DictionaryArray.from_arrays(pa.array([0] * SHARED_ROWS, pa.int8()), shared())
    return pa.ListArray.from_arrays(list(range(SHARED_ROWS + 1)), codes)


BOMBS = {
    "one text": lambda: compressed(pa.array(["x" * (MESSAGE_BYTES + 1)])),
    "one text, lz4": lambda: compressed(pa.array(["x" * (MESSAGE_BYTES + 1)]), "lz4"),
    "a dictionary": lambda: compressed(pa.array(["x" * (MESSAGE_BYTES + 1)]).dictionary_encode()),
    "buffers that are small by themselves": lambda: stream(
        pa.table({name: pa.array(["x" * (5 * MIB)]) for name in ("TradeID", "a", "b", "c", "d")}), "zstd"
    )[0],
    "nulls, which have no bytes": lambda: compressed(pa.nulls(MESSAGE_ROWS + 1)),
    "a claim": lambda: claiming(2**40, "zstd"),
    "a claim, lz4": lambda: claiming(2**40, "lz4"),
    "the greatest claim": lambda: claiming(2**63 - 1, "zstd"),
    "a little too much": lambda: claiming(MESSAGE_BYTES + 1, "zstd"),
    "runs": lambda: compressed(pa.RunEndEncodedArray.from_arrays(pa.array([SHARED_ROWS], pa.int32()), shared())),
    "a text for every row": lambda: compressed(
        pa.DictionaryArray.from_arrays(pa.array([0] * SHARED_ROWS, pa.int8()), shared())
    ),
    "views of a list": lambda: compressed(in_views()),
    "a union": lambda: compressed(in_a_union()),
    "lists of a dictionary": lambda: compressed(in_lists_of_a_dictionary()),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("frames")) as running:
        assert running.post(event("warm")).status == 200
        assert running.post(compressed(pa.array(["warm"])), content_type=ARROW).status == 200
        yield running
        assert 'status="500"' not in running.get("/metrics").body.decode()


def most_memory(server: Running) -> int:
    text = Path(f"/proc/{server.command.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+([0-9]+) kB", text)
    assert found
    return int(found[1]) * 1_024


@pytest.mark.parametrize("name", BOMBS)
def test_a_stream_that_expands_too_far_is_refused_and_takes_no_memory(server: Running, name: str) -> None:
    body, before = BOMBS[name](), most_memory(server)
    assert len(body) < MIB
    answered = server.post(body, content_type=ARROW)
    assert answered.status == 400, answered
    assert re.search(r"taken at a time|which is more than", answered.document["detail"]), answered
    assert answered.document["committed_events"] == 0
    assert most_memory(server) - before < BIGGEST_GROWTH
    assert server.post(event(f"after {name}")).document["counts"] == {"inserted": 1}


def test_columns_that_no_field_reads_may_expand_as_they_like(memory: Path) -> None:
    whole = table(RECORDS)
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([len(RECORDS)], pa.int32()), pa.array(["x" * 60 * MIB]))
    answer = posted(memory, stream(whole.append_column("unread", pa.chunked_array([runs])))[0])[0]
    assert answer.status == 400  # as a message it is too large all the same
    union = pa.UnionArray.from_dense(
        pa.array([0] * len(RECORDS), pa.int8()), pa.array([0] * len(RECORDS), pa.int32()), [shared()]
    )
    answer = posted(memory, stream(whole.append_column("unread", pa.chunked_array([union])))[0])[0]
    assert answer.document["counts"] == {"inserted": len(RECORDS)}


# what is cut, and what says nonsense


def posted(folder: Path, *bodies: bytes) -> list[Answer]:
    """Each body sent by itself to one ingest; any answer but one in words raises, and so does one that never comes."""

    async def send() -> list[Answer]:
        async with ingesting(folder / "store.db", NARROW) as server:
            return [await asyncio.wait_for(server.post(body, content_type=ARROW), 30) for body in bodies]

    return asyncio.run(send())


EVERY = sized(short=97, full=5)
"""Of the bytes of a stream, one of so many is cut at or made wrong."""


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_stream_cut_at_any_byte_commits_the_batches_that_were_whole(memory: Path, compression: str | None) -> None:
    body, ends = stream(table(RECORDS), compression, BATCH_ROWS)
    head = stream(table([]))[0][:-8]
    cuts = sorted({*range(0, len(body), EVERY), *ends, *(end + 4 for end in ends if end + 4 < len(body))})
    answers = posted(memory, *[body[:cut] for cut in cuts])
    for cut, answer in zip(cuts, answers, strict=True):
        whole = BATCH_ROWS * sum(end <= cut for end in ends)
        if answer.status == 200:  # a stream may end without its mark, between two messages
            assert cut in {len(head), *ends, *(end + 4 for end in ends)}, (cut, answer)
            assert answer.document["events"] == whole
        else:
            assert answer.status == 400, (cut, answer)
            assert answer.document["committed_events"] == whole, (cut, answer)
            assert answer.document["detail"]


SIZES = [-(2**31), -2, -1, 1, 7, 2**16, MESSAGE_BYTES, MESSAGE_BYTES + 1, 2**31 - 1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [0, 1])
def test_a_message_whose_head_has_a_wrong_length_is_refused(memory: Path, size: int, batch: int) -> None:
    body, ends = stream(table(RECORDS), rows=BATCH_ROWS)
    wrong = replaced(body, ends[batch] + 4, struct.pack("<i", size))
    [answer] = posted(memory, wrong)
    assert answer.status == 400, answer
    assert answer.document["committed_events"] == BATCH_ROWS * (batch + 1)


@pytest.mark.parametrize("size", [-(2**63), -1, 2**40, 2**63 - 1])
def test_a_message_whose_body_has_a_wrong_length_is_refused(memory: Path, size: int) -> None:
    body, ends = stream(table(RECORDS), rows=BATCH_ROWS)
    length = len(body_of(body, ends[0]))
    at = body.index(struct.pack("<q", length), ends[0])
    [answer] = posted(memory, replaced(body, at, struct.pack("<q", size)))
    assert answer.status == 400, answer
    assert answer.document["committed_events"] == BATCH_ROWS


@pytest.mark.parametrize("size", [-(2**63), -2])
def test_a_buffer_that_expands_to_less_than_nothing_is_refused(memory: Path, size: int) -> None:
    [answer] = posted(memory, claiming(size, "zstd", "id"))
    assert answer.status == 400
    assert "points outside" in answer.document["detail"]


@pytest.mark.parametrize(("compression", "value"), [("zstd", 0xFF), (None, 0x00), *in_full("1 s", ("zstd", 0x80))])
def test_no_single_wrong_byte_is_more_than_a_refusal_or_a_reject(
    memory: Path, compression: str | None, value: int
) -> None:
    body = stream(table(RECORDS), compression)[0]
    wrong = [replaced(body, at, bytes([value])) for at in range(0, len(body), EVERY)]
    answers = posted(memory, *wrong, body)
    assert {answer.status for answer in answers} <= {200, 400}
    assert answers[-1].document["events"] == len(RECORDS)


def replaced(body: bytes, at: int, by: bytes) -> bytes:
    return body[:at] + by + body[at + len(by) :]


def body_of(body: bytes, at: int) -> bytes:
    """What follows the head of the message that begins here."""
    reader = pa.BufferReader(body[at:])
    message = pa.ipc.read_message(reader)
    return bytes(message.body)


# what pyarrow takes, and a pipeline cannot


def test_names_that_are_not_utf_8_are_refused(memory: Path) -> None:
    outer = stream(table(RECORDS))[0].replace(b"fee\x00", b"f\xffe\x00", 1)
    inner = stream(table(RECORDS))[0].replace(b"desk", b"\xff\xffsk", 1)
    for answer in posted(memory, outer, inner):
        assert answer.status == 400, answer
        assert "not UTF-8" in answer.document["detail"]


def test_a_field_that_is_there_twice_is_refused(memory: Path) -> None:
    whole = table(RECORDS)
    [answer] = posted(memory, stream(whole.append_column("id", whole.column("id")))[0])
    assert answer.status == 400
    assert "names 'id' twice" in answer.document["detail"]


@pytest.mark.parametrize(
    "value",
    [
        pa.array([[2**62]] * len(RECORDS), pa.list_(pa.timestamp("s"))),
        pa.StructArray.from_arrays([pa.array([1] * len(RECORDS))] * 2, ["a", "a"]),
    ],
    ids=["a time beyond all calendars", "two members of one name"],
)
def test_values_that_cannot_be_shown_are_rejected(memory: Path, value: Any) -> None:
    whole: pa.Table = table(RECORDS)
    [answer] = posted(memory, stream(whole.set_column(whole.schema.get_field_index("value"), "value", value))[0])
    assert answer.document["counts"] == {"rejected": len(RECORDS)}
    assert "unreadable" in reasons(answer.document["rejects"])


def reasons(rejects: Sequence[Any]) -> str:
    return " ".join(reject["raw"] for reject in rejects)
