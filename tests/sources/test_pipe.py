"""A pipe: slow writers, fast writers, compression, stopping; time passes only as the script says."""

import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Block, Finding, TextBlock
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.pipes import STALE_SECONDS
from oncefold.sources.sources import Sources
from oncefold.sources.waiting import RealWaiting
from tests.sources.tools import ScriptedWaiting, nothing, read_until_error, records_of, reference

LINES = b"".join(b'{"n": %d}\n' % n for n in range(1000))


@contextmanager
def pipe() -> Iterator[tuple[int, Callable[[bytes], Callable[[], object]], Callable[[], None]]]:
    reading, writing = os.pipe()
    is_open = True

    def close() -> None:
        nonlocal is_open
        if is_open:
            os.close(writing)
        is_open = False

    try:
        yield reading, lambda data: lambda: os.write(writing, data), close
    finally:
        os.close(reading)
        close()


def read(descriptor: int, waiting: ScriptedWaiting | RealWaiting, **options: object) -> Iterator[Block | Finding]:
    return Sources(["-"], ReadOptions(**options), None, waiting, stdin=descriptor).blocks()  # type: ignore[arg-type]


def test_what_arrives_slowly_is_handed_on_before_it_is_stale() -> None:
    with pipe() as (descriptor, write, close):
        steps = [nothing, write(b"1\n2"), nothing, nothing, write(b"3\n"), nothing, nothing, write(b"4"), close]
        waiting = ScriptedWaiting(steps)
        seen = [(waiting.seconds, block) for block in read(descriptor, waiting)]
    assert records_of(block for _, block in seen) == [(0, b"1\n"), (2, b"23\n"), (5, b"4")]
    arrivals = [0.2, 0.5]
    for arrival, (at, _) in zip(arrivals, seen, strict=False):
        assert at <= arrival + 2 * STALE_SECONDS
    states = [json.loads(block.position.state) for _, block in seen if isinstance(block, TextBlock)]
    assert [state["at"] for state in states] == [2, 5, 5]
    assert [state["done"] for state in states] == [False, False, True]


def test_a_fast_writer_fills_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(LINES * 100)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        blocks = list(read(descriptor, ScriptedWaiting(), block_bytes=2**18))
    finally:
        os.close(descriptor)
    assert records_of(blocks) == reference(LINES * 100)
    assert len(blocks) == len(LINES) * 100 // 2**18 + 2
    assert sum(block.consumed_bytes for block in blocks if isinstance(block, TextBlock)) == len(LINES) * 100


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("form", ["", "gzip", "zstd"])
@pytest.mark.parametrize("block", [5, 2**20])
def test_in_pieces_of_any_size(form: str, size: int, block: int) -> None:
    data = LINES[:200]
    stored = gzip.compress(data[:50]) + gzip.compress(data[50:]) if form == "gzip" else data
    if form == "zstd":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as out:
            out.write(data)
        stored = bytes(sink.getvalue())
    with pipe() as (descriptor, write, close):
        steps = [write(stored[at : at + size]) for at in range(0, len(stored), size)]
        blocks = list(read(descriptor, ScriptedWaiting([*steps, close]), block_bytes=block))
    assert records_of(blocks) == reference(data)


def test_gzip_that_arrives_slowly_is_handed_on_as_it_comes() -> None:
    with pipe() as (descriptor, write, close):
        waiting = ScriptedWaiting(
            [write(gzip.compress(b"1\n")), nothing, nothing, write(gzip.compress(b"2\n")), nothing, close]
        )
        seen = [(round(waiting.seconds, 1), records_of([block])) for block in read(descriptor, waiting)]
    assert seen[0] == (0.2, [(0, b"1\n")])
    assert [records for _, records in seen if records] == [[(0, b"1\n")], [(2, b"2\n")]]


def test_csv_has_its_header_from_the_stream() -> None:
    with pipe() as (descriptor, write, close):
        waiting = ScriptedWaiting(
            [write(b"\xef\xbb"), write(b"\xbfk;v"), nothing, write(b"\n1;"), write(b'"2\n3"\n'), close]
        )
        blocks = list(read(descriptor, waiting, format="csv", delimiter=";"))
    assert records_of(blocks) == [(7, b'1;"2\n3"\n')]
    assert {block.header for block in blocks if isinstance(block, TextBlock)} == {("k", "v")}


def test_a_stop_hands_on_whole_records_and_leaves_the_rest() -> None:
    with pipe() as (descriptor, write, _):
        blocks = list(read(descriptor, ScriptedWaiting([write(b"1\n2\n3")])))
    assert records_of(blocks) == [(0, b"1\n"), (2, b"2\n")]


def test_cut_short_and_damaged_streams_are_told() -> None:
    packed = gzip.compress(LINES)
    for stored, message in ((packed[:-20], "middle of a gzip member"), (packed + b"garbage", "not gzip")):
        with pipe() as (descriptor, write, close):
            seen = read_until_error(read(descriptor, ScriptedWaiting([write(stored), close])), message)
        records = records_of([item for item in seen if isinstance(item, TextBlock)])
        assert records == reference(LINES)[: len(records)]
        assert len(records) > 500


def test_tables_cannot_come_from_a_pipe() -> None:
    with pipe() as (descriptor, _, _):
        blocks = read(descriptor, ScriptedWaiting(), format="parquet")
        with pytest.raises(SourceError, match="write it to a file"):
            list(blocks)


def test_a_blocked_read_ends_when_told_to_stop() -> None:
    stop = threading.Event()
    with pipe() as (descriptor, write, _):
        write(b"1\n")()
        blocks = read(descriptor, RealWaiting(stop))
        assert records_of([next(blocks)]) == [(0, b"1\n")]
        rest: list[Block | Finding] = []
        reader = threading.Thread(target=lambda: rest.extend(blocks))
        reader.start()
        stop.set()
        reader.join(timeout=10)
        assert not reader.is_alive()
        assert rest == []


def test_a_pipe_given_as_a_path(tmp_path: Path) -> None:
    with pipe() as (descriptor, write, close):
        write(b"1\n")()
        close()
        blocks = list(Sources([f"/dev/fd/{descriptor}"]).blocks())
    assert records_of(blocks) == [(0, b"1\n")]


# Named pipes


def _told(sources: Sources) -> tuple[list[Block | Finding], threading.Thread]:
    """What the sources give, gathered by a thread that has begun."""
    given: list[Block | Finding] = []

    def gather() -> None:
        for item in sources.blocks():
            given.append(item)  # noqa: PERF402 - one by one, to be seen meanwhile

    thread = threading.Thread(target=gather)
    thread.start()
    return given, thread


def _until(condition: Callable[[], object]) -> None:
    for _ in range(3_000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it takes too long")


def test_a_writer_that_is_late_is_waited_for_and_that_is_told(tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    given, thread = _told(Sources([str(fifo)]))
    _until(lambda: given)
    assert given == [Finding(str(fifo), "waiting", f"{fifo}: waiting for a writer of this pipe")]
    with fifo.open("wb") as writing:
        writing.write(b"1\n2\n")
    thread.join(30)
    assert not thread.is_alive()
    assert b"".join(bytes(item.data) for item in given if isinstance(item, TextBlock)) == b"1\n2\n"


def test_a_writer_that_is_there_is_no_news(tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    writer = threading.Thread(target=lambda: fifo.write_bytes(LINES))
    writer.start()
    given = list(Sources([str(fifo)]).blocks())
    writer.join()
    assert all(isinstance(item, TextBlock) for item in given)


def test_a_writer_that_says_nothing_ends_it(tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    given, thread = _told(Sources([str(fifo)]))
    _until(lambda: given)
    fifo.open("wb").close()
    thread.join(30)
    assert not thread.is_alive()


def test_waiting_for_a_writer_ends_with_a_stop_and_leaves_nothing_behind(tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    stop = threading.Event()
    before = len(list(Path("/dev/fd").iterdir()))
    given, thread = _told(Sources([str(fifo)], None, None, RealWaiting(stop)))
    _until(lambda: given)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    _until(lambda: not any(other.name == f"opening {fifo}" for other in threading.enumerate()))
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_pipe_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    sources = Sources([str(fifo)])
    fifo.unlink()
    with pytest.raises(SourceError, match="it cannot be read: No such file"):
        list(sources.blocks())
