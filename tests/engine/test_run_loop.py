"""The promises of the run loop, each with scripted blocks; where time matters, with a clock that the test moves."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from oncefold.commit import CommitContent, SourcePosition
from oncefold.core.errors import SourceError, StoreError
from oncefold.core.fold import Outcome
from oncefold.engine import run as run_module
from oncefold.engine.decoding import BlockDecoder
from oncefold.engine.run import (
    COMMIT_SECONDS,
    DECODED_AHEAD,
    IDLE,
    IDLE_SECONDS,
    MOST_DECODERS,
    Committer,
    ReadAhead,
    RunProgress,
)
from oncefold.engine.session import Session
from oncefold.sources.blocks import Block, Finding, Oversize, TextBlock
from oncefold.store.reader import StoreFile
from tests.engine.records import NARROW, Record, json_lines
from tests.engine.small import on_commit
from tests.store.model import ManualClock
from tests.tools.sizes import sized
from tests.tools.waiting import until

FRESH_SECONDS = 0.25
"""What a folded event may wait for its commit to begin."""

_SILENCE = Finding("", "rotated", "silence")


def block(number: int, rows: int = 1, oversize: tuple[Oversize, ...] = ()) -> TextBlock:
    """Block `number` of a source, with distinct keys; its position is its number."""
    records = [Record(f"{number}-{row}", 1, "emea", "fx", 100, 0) for row in range(rows)]
    data = memoryview(json_lines(records))
    return TextBlock("s", "json", data, 0, SourcePosition("s", str(number)), len(data), oversize=oversize)


@dataclass
class Recorded:
    """A session that records its commits: their positions and numbers of events."""

    session: Session
    commits: list[CommitContent] = field(default_factory=list)
    before_commit: Callable[[CommitContent], None] = lambda _: None

    def __post_init__(self) -> None:
        def commit(store: Callable[[CommitContent], int], content: CommitContent) -> int:
            self.before_commit(content)
            self.commits.append(content)
            return store(content)

        on_commit(self.session, commit)

    @property
    def positions(self) -> list[int]:
        return [int(position.state) for commit in self.commits for position in commit.positions]

    @property
    def sizes(self) -> list[int]:
        return [len(commit.changes) for commit in self.commits]

    def run(self, blocks: Iterable[Block | Finding], **options: Any) -> RunProgress:
        return run_module.run(self.session._engine, self.session._store, blocks, **options)


@pytest.fixture
def recorded(memory: Path) -> Iterator[Recorded]:
    with Session.open(memory / "store.db", NARROW, clock=ManualClock(1)) as session:
        yield Recorded(session)


def live(path: Path) -> int:
    with StoreFile.open(path) as reader:
        assert reader.verify().differences == []
        return reader.status().live


class Inline:
    """An executor and a reader ahead that do everything at once, in the caller's thread."""

    def __init__(self, items: Any, *_: Any) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return (IDLE if item is _SILENCE else item for item in self._items)

    def submit(self, do: Callable[..., int], *arguments: Any) -> Future[int]:
        future: Future[int] = Future()
        try:
            future.set_result(do(*arguments))
        except StoreError as error:
            future.set_exception(error)
        return future

    def shutdown(self) -> None:
        """Nothing is under way."""

    close = shutdown

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No threads: what happens hangs on the script alone."""
    monkeypatch.setattr(run_module, "ReadAhead", Inline)
    monkeypatch.setattr(run_module, "ThreadPoolExecutor", Inline)


@dataclass
class Clock:
    """A clock in seconds that the test advances."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def script(self, blocks: Iterable[Block | Finding], seconds: float) -> Iterator[Block | Finding]:
        """The blocks, so far apart."""
        for item in blocks:
            yield item
            self.now += seconds


# When a commit is taken


TRICKLES = sized(60, 300)


@pytest.mark.parametrize("seconds", [0.001, 0.01, 0.029, 0.1, 0.2])
def test_while_input_trickles_nothing_waits_longer_than_a_quarter_second(
    recorded: Recorded, inline: None, seconds: float
) -> None:
    clock, arrived, waits = Clock(), list[float](), list[float]()

    def note(_: CommitContent) -> None:
        waits.append(clock.now - arrived[0])
        arrived.clear()

    def blocks() -> Iterator[Block | Finding]:
        for number in range(TRICKLES):
            arrived.append(clock.now)
            yield block(number)
            clock.now += min(seconds, IDLE_SECONDS)
            if seconds > IDLE_SECONDS:
                yield _SILENCE
                clock.now += seconds - IDLE_SECONDS

    recorded.before_commit = note
    progress = recorded.run(blocks(), monotonic=clock)
    assert progress.events == sum(recorded.sizes) == TRICKLES
    assert max(waits) < FRESH_SECONDS
    if seconds < IDLE_SECONDS:
        assert len(recorded.commits) <= clock.now / COMMIT_SECONDS + 1, "many events share a commit"


@pytest.mark.parametrize(("leaves", "least", "most"), [(1, 0.0, 0.1), (1_000, 0.9, 1.0)])
def test_only_commits_that_touch_many_nodes_let_the_next_gather_more(
    recorded: Recorded, leaves: int, least: float, most: float
) -> None:
    records = [Record(str(row), 1, f"r{row % leaves}", "fx", 100, 0) for row in range(1_000)]
    data = memoryview(json_lines(records))
    engine = recorded.session._engine
    batch, _ = BlockDecoder(NARROW, engine.seed).decode(TextBlock("s", "json", data, 0, None, len(data)))
    with Committer(recorded.session._store, engine, RunProgress()) as committer:
        engine.fold(batch)
        committer.finish()
        assert least * committer.last_seconds <= committer.node_seconds <= most * committer.last_seconds


def test_silence_lets_what_is_pending_be_committed_at_once(recorded: Recorded, inline: None) -> None:
    clock = Clock()
    script = [block(1), block(2), _SILENCE, _SILENCE, block(3), _SILENCE, block(4)]
    progress = recorded.run(clock.script(script, 0.001), monotonic=clock)
    assert recorded.sizes == [2, 1, 1]
    assert progress.commits == 3
    assert progress.last_commit == 3


def test_what_is_pending_at_the_end_is_committed(recorded: Recorded) -> None:
    assert recorded.run([block(n) for n in range(9)]).events == 9
    assert sum(recorded.sizes) == 9
    assert recorded.session.positions == {"s": "8"}


def test_nothing_to_fold_is_no_commit(recorded: Recorded) -> None:
    progress = recorded.run([])
    assert (progress.commits, progress.last_commit, recorded.commits) == (0, 0, [])


def test_a_position_alone_is_committed(recorded: Recorded) -> None:
    """Such as that of a file's end, without which the file would be read again."""
    recorded.run([block(5, rows=0)])
    assert recorded.positions == [5]


def test_a_full_batch_is_committed_whatever_the_time(
    recorded: Recorded, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "COMMIT_ROWS", 10)
    recorded.run((block(n, rows=4) for n in range(7)), monotonic=Clock())
    assert recorded.sizes == [12, 12, 4]


@pytest.mark.parametrize(("seconds", "sizes"), [(0.0, [12, 12, 4]), (1.0, [12, 16])])
def test_enough_records_do_not_wait_unless_nodes_made_the_last_commit_long(
    recorded: Recorded, inline: None, monkeypatch: pytest.MonkeyPatch, seconds: float, sizes: list[int]
) -> None:
    clock = Clock()

    def take(_: CommitContent) -> None:
        clock.now += seconds

    monkeypatch.setattr(run_module, "COMMIT_ENOUGH_ROWS", 10)
    recorded.before_commit = take
    recorded.run((block(n, rows=4) for n in range(7)), monotonic=clock)
    assert recorded.sizes == sizes


def test_many_bytes_of_rejects_are_a_full_batch_too(
    recorded: Recorded, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "COMMIT_BYTES", 1_000)
    refused = Oversize(0, 9_999, b"x" * 400, "too long")
    progress = recorded.run((block(n, rows=0, oversize=(refused,)) for n in range(7)), monotonic=Clock())
    assert progress.counts == {Outcome.REJECTED: 7}
    assert [len(commit.rejects) for commit in recorded.commits] == [3, 3, 1]


# Order, and a store that is slower than the input


def test_commits_are_in_order_and_one_at_a_time(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "COMMIT_ROWS", 3)
    under_way: list[int] = []
    overlaps: list[int] = []

    def commit(store: Callable[[CommitContent], int], content: CommitContent) -> int:
        under_way.append(1)
        overlaps.append(len(under_way))
        seq = store(content)
        under_way.pop()
        return seq

    on_commit(recorded.session, commit)
    progress = recorded.run(block(n) for n in range(50))
    assert set(overlaps) == {1}
    assert recorded.positions == sorted(recorded.positions)
    assert progress.commits == progress.last_commit == len(recorded.commits)
    assert progress.commits >= 50 // 3


class CountingQueue(queue.Queue[Any]):
    """Counts how often something could not be put in time."""

    refusals = 0

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        try:
            super().put(item, block, timeout)
        except queue.Full:
            CountingQueue.refusals += 1
            raise


def test_a_slow_store_holds_back_reading(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory holds the commit under way, one more that is full, and a few decoded blocks."""
    monkeypatch.setattr(run_module, "COMMIT_ROWS", 10)
    monkeypatch.setattr(run_module, "_CLOSED_CHECK_SECONDS", 0.001)
    monkeypatch.setattr(run_module.queue, "Queue", CountingQueue)
    gate, pulled, blocks_in_all = threading.Event(), list[int](), sized(150, 1_000)
    recorded.before_commit = lambda _: gate.wait(60) or pytest.fail("the gate was never opened")

    def blocks() -> Iterator[Block]:
        for number in range(blocks_in_all):
            pulled.append(number)
            yield block(number, rows=5)

    done: list[RunProgress] = []
    running = threading.Thread(target=lambda: done.append(recorded.run(blocks())))
    running.start()
    until(lambda: len(pulled) >= 2, "the first blocks")
    CountingQueue.refusals = 0
    until(lambda: CountingQueue.refusals > 20, "reading to be held back")
    most = 2 + 2 + DECODED_AHEAD + MOST_DECODERS + 1
    assert len(pulled) <= most
    gate.set()
    running.join()
    assert done[0].events == 5 * blocks_in_all == sum(recorded.sizes)


# Errors


def test_a_failed_commit_ends_the_run_at_once(recorded: Recorded, inline: None) -> None:
    pulled: list[int] = []

    def fail(content: CommitContent) -> None:
        if content.positions[0].state == "2":
            raise StoreError("the disk is full")

    def blocks() -> Iterator[Block | Finding]:
        for number in range(10):
            pulled.append(number)
            yield block(number)
            yield _SILENCE

    recorded.before_commit = fail
    with pytest.raises(StoreError, match="the disk is full"):
        recorded.run(blocks())
    assert pulled[-1] <= 3
    assert recorded.positions == [0, 1]


def test_a_failed_commit_ends_a_run_whose_input_is_silent(recorded: Recorded) -> None:
    """A follower of a quiet file reports a full disk now, not with the next event; and reading stops."""
    stopped = threading.Event()

    def fail(_: CommitContent) -> None:
        raise StoreError("the disk is full")

    def blocks() -> Iterator[Block]:
        yield block(1)
        assert stopped.wait(60), "nobody said stop"

    recorded.before_commit = fail
    with pytest.raises(StoreError, match="the disk is full"):
        recorded.run(blocks(), stop=stopped.set)
    assert stopped.is_set()


def test_after_a_failed_commit_nothing_committed_is_lost_and_nothing_counts_twice(memory: Path) -> None:
    path, blocks = memory / "store.db", [block(n) for n in range(30)]

    def fail(content: CommitContent) -> None:
        if int(content.positions[-1].state) >= 17:
            raise StoreError("the disk is full")

    with Session.open(path, NARROW) as session, pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "COMMIT_ROWS", 4)
        recorded = Recorded(session)
        recorded.before_commit = fail
        with pytest.raises(StoreError, match="the disk is full"):
            recorded.run(blocks)
        with pytest.raises(StoreError, match="open the store again"):
            session.ingest(b"{}\n")
    committed = recorded.positions[-1] + 1
    assert 12 <= committed <= 17
    assert live(path) == committed
    with Session.open(path, NARROW) as session:
        assert session.positions == {"s": str(committed - 1)}
        session.run(blocks[committed:])
    assert live(path) == 30


@pytest.mark.parametrize("error", [SourceError("it ends in the middle"), OSError("the cable"), ValueError("a bug")])
def test_an_error_of_the_input_comes_after_the_commit_of_all_before_it(recorded: Recorded, error: Exception) -> None:
    def blocks() -> Iterator[Block]:
        yield from (block(n) for n in range(5))
        raise error

    with pytest.raises(type(error), match=str(error)):
        recorded.run(blocks())
    assert sum(recorded.sizes) == 5
    assert live(recorded.session.path) == 5
    assert recorded.session.ingest(json_lines([Record("more", 1, "emea", "fx", 1, 0)])).commit > 0


def test_an_error_while_showing_progress_leaves_whole_commits(recorded: Recorded, inline: None) -> None:
    """What was folded and not committed stays in memory, with its position, for the next run of the session."""

    def show(progress: RunProgress) -> None:
        if progress.events == 3:
            raise RuntimeError("the terminal is gone")

    with pytest.raises(RuntimeError, match="terminal"):
        recorded.run([block(1), _SILENCE, block(2), _SILENCE, block(3), block(4)], on_progress=show, monotonic=Clock())
    assert live(recorded.session.path) == 2
    assert recorded.session.positions == {"s": "3"}
    recorded.run([block(4)])
    assert live(recorded.session.path) == 4


@pytest.mark.parametrize(
    "where",
    [
        "oncefold.columnar.state.ChangeLog.changes",
        "oncefold.columnar.trees.Trees.apply",
        "oncefold.store.writer.encode_commit",
    ],
)
@pytest.mark.parametrize("running", [True, False])
def test_an_interrupt_inside_a_batch_or_commit_breaks_the_session_not_the_store(
    memory: Path, where: str, running: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory may be ahead of what is kept for the commit; such a session may not go on."""
    path, first = memory / "store.db", json_lines([Record("a", 1, "emea", "fx", 1, 0)])
    error = MemoryError if running else KeyboardInterrupt

    def interrupt(*_: Any) -> Any:
        raise error

    with Session.open(path, NARROW) as session:
        session.ingest(first)
        with monkeypatch.context() as patch:
            patch.setattr(where, interrupt)
            with pytest.raises(error):
                session.run([block(1)]) if running else session.ingest(json_lines([Record("b", 1, "apac", "fx", 1, 0)]))
        for _ in range(2):
            with pytest.raises(StoreError, match="open the store again"):
                session.ingest(first)
    with Session.open(path, NARROW) as session:
        assert live(path) == 1
        session.run([block(1)])
        assert live(path) == 2


# Findings and progress


def test_findings_are_passed_on_in_order(recorded: Recorded) -> None:
    found = [Finding("s", kind, kind) for kind in ("truncated", "rotated", "unreadable")]
    seen: list[tuple[int, int]] = []
    progress = recorded.run(
        [found[0], block(1), found[1], block(2), found[2]],
        on_progress=lambda now: seen.append((now.events, len(now.findings))),
    )
    assert progress.findings == found
    assert {(0, 1), (1, 1), (1, 2), (2, 2), (2, 3)} <= set(seen)


def test_progress_counts_events_bytes_and_commits(recorded: Recorded) -> None:
    blocks = [block(1, rows=3), block(2, rows=2, oversize=(Oversize(0, 9_999, b"x", "too long"),)), block(1, rows=3)]
    progress = recorded.run(blocks)
    assert progress.counts == {Outcome.INSERTED: 5, Outcome.DUPLICATE: 3, Outcome.REJECTED: 1}
    assert progress.events == 9
    assert progress.consumed_bytes == sum(item.consumed_bytes for item in blocks)
    assert progress.commits == len(recorded.commits)


# Reading ahead


def test_reading_ahead_keeps_the_order_and_hands_on_an_error_last() -> None:
    def items() -> Iterator[int]:
        yield from range(100)
        raise SourceError("the end")

    seen: list[Any] = []
    with closing(ReadAhead(items(), 2, 60)) as reading, pytest.raises(SourceError, match="the end"):
        seen.extend(reading)
    assert seen == list(range(100))


def test_reading_ahead_is_bounded_and_ends_when_closed() -> None:
    pulled: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10**9):
            pulled.append(number)
            yield number

    reading = ReadAhead(items(), 3, 60)
    until(lambda: len(pulled) == 4, "the queue to be full")
    reading.close()
    assert len(pulled) <= 5
    assert not reading._thread.is_alive()
    reading.close()


def test_idle_input_is_reported_and_a_waiting_iterator_is_stopped() -> None:
    stop = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert stop.wait(60), "nobody said stop"

    reading = ReadAhead(items(), 2, 0.001, stop.set)
    items_seen = iter(reading)
    assert [next(items_seen) for _ in range(3)] in ([1, IDLE, IDLE], [IDLE, 1, IDLE], [IDLE, IDLE, 1], [IDLE] * 3)
    reading.close()
    assert stop.is_set()
    assert not reading._thread.is_alive()
