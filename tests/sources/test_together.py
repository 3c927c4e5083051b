"""Sources without an end that are followed at once: nothing is lost, each keeps its order, and a stop ends all."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from oncefold.commit import SourcePosition
from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Block, Finding, TextBlock
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import OpenStream, Sources
from oncefold.sources.waiting import RealWaiting, Waiting, read_together

COUNT = 2_000
"""Records of each source, in blocks so small that all threads wait for each other."""


def lines(name: str, start: int = 0) -> bytes:
    return b"".join(b"%s-%d\n" % (name.encode(), number) for number in range(start, start + COUNT))


class Followed:
    """Sources that are followed by a thread, until stopped; what they have given so far."""

    def __init__(self, *arguments: str | Path, open_stream: OpenStream | None = None) -> None:
        self.stop = threading.Event()
        self.given: list[Block | Finding] = []
        self.error: BaseException | None = None
        options = ReadOptions(follow=True, format="jsonl", block_bytes=2_000)
        self._sources = Sources(
            list(map(str, arguments)), options, None, RealWaiting(self.stop), open_stream=open_stream
        )
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        try:
            for item in self._sources.blocks():
                self.given.append(item)
        except SourceError as error:
            self.error = error

    @property
    def findings(self) -> list[str]:
        return [item.message for item in self.given if isinstance(item, Finding)]

    def of(self, source: str | Path) -> bytes:
        """What one of them gave, in order."""
        blocks = [item for item in self.given if isinstance(item, TextBlock) and item.source == str(source)]
        return b"".join(bytes(block.data) for block in blocks)

    def __enter__(self) -> "Followed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert not [thread for thread in threading.enumerate() if thread.name == "oncefold-source"]


def until(condition: Callable[[], object]) -> None:
    for _ in range(3_000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it takes too long")


@pytest.fixture
def fifos(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "one.fifo", tmp_path / "two.fifo"]
    for fifo in made:
        os.mkfifo(fifo)
    return made


def test_pipes_and_files_are_followed_together(tmp_path: Path, fifos: list[Path]) -> None:
    (folder := tmp_path / "events").mkdir()
    (file := folder / "a.jsonl").write_bytes(lines("a"))
    with Followed(folder, *fifos) as followed:
        writers = [threading.Thread(target=fifo.write_bytes, args=(lines(fifo.name),)) for fifo in fifos]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        until(lambda: all(followed.of(fifo) == lines(fifo.name) for fifo in fifos))
        with file.open("ab") as grows:
            grows.write(lines("a", COUNT))
        (folder / "b.jsonl").write_bytes(lines("b"))
        until(lambda: followed.of(file) == lines("a") + lines("a", COUNT))
        until(lambda: followed.of(folder / "b.jsonl") == lines("b"))
    assert followed.error is None
    assert not followed.findings


def test_a_pipe_without_a_writer_holds_nothing_up(tmp_path: Path, fifos: list[Path]) -> None:
    (file := tmp_path / "a.jsonl").write_bytes(lines("a"))
    with Followed(*fifos, file) as followed:
        until(lambda: followed.of(file) == lines("a"))
        until(lambda: len(followed.findings) == 2)
    assert followed.error is None


class EndlessStream:
    """A stream that always has more."""

    def __init__(self, name: str) -> None:
        self._source = f"kinesis://{name}"

    def blocks(self, waiting: Waiting) -> Iterator[Block]:
        number = 0
        while not waiting.stopped():
            data = memoryview(b"%d\n" % number)
            state = SourcePosition(self._source, str(number))
            yield TextBlock(self._source, "json", data, 0, state, len(data))
            number += 1


def test_streams_are_followed_together_with_files(tmp_path: Path) -> None:
    (file := tmp_path / "a.jsonl").write_bytes(lines("a"))
    streams = ("kinesis://x", "kinesis://y")
    with Followed(*streams, file, open_stream=lambda name, positions, follow: EndlessStream(name)) as followed:
        until(lambda: followed.of(file) == lines("a") and all(len(followed.of(name)) > 100 for name in streams))
    for name in streams:
        numbers = list(map(int, followed.of(name).split()))
        assert numbers == list(range(len(numbers)))


def test_one_that_cannot_be_read_is_reported_and_the_others_go_on(tmp_path: Path, fifos: list[Path]) -> None:
    (file := tmp_path / "a.jsonl").write_bytes(b"")
    with Followed(fifos[0], file) as followed:
        fifos[0].write_bytes(b"\x1f\x8b\x08 no gzip at all")
        until(lambda: followed.findings)
        file.write_bytes(lines("a"))
        until(lambda: followed.of(file) == lines("a"))
    assert str(fifos[0]) in str(followed.error)


def test_an_error_that_is_no_fault_of_a_source_ends_all() -> None:
    ended = threading.Event()

    def endless(waiting: Waiting) -> Iterator[Block | Finding]:
        while not waiting.stopped():
            waiting.pause(60)
        ended.set()
        yield from ()

    def broken(_: Waiting) -> Iterator[Block | Finding]:
        raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):
        list(read_together([endless, broken], RealWaiting()))
    assert ended.is_set()


def test_whoever_wants_no_more_leaves_no_thread() -> None:
    finding = Finding("s", "waiting", "one")

    def always(_: Waiting) -> Iterator[Block | Finding]:
        while True:
            yield finding

    items = read_together([always, always], RealWaiting())
    assert next(items) is finding
    with suppress(AttributeError):
        items.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "oncefold-source"]
