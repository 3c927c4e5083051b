"""Compaction: merging, retention, snapshots and the write-ahead log leave every answer unchanged."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from oncefold.commit import PAGE_ROWS, Changes, CommitContent, NewNode, NodeColumns, Page, States
from oncefold.core.fold import Outcome
from oncefold.store import Loaded, Store, StoreFile
from oncefold.store.check import check_store
from oncefold.store.compaction import Levels
from oncefold.store.segments import Segment
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.writer import Tuning
from tests.store.model import PIPELINE, SECOND, Batch, Folder, ManualClock, random_batch, stored_facts
from tests.tools.sizes import full_only


@pytest.mark.parametrize("sizes", [[1], [1, 1, 1, 40], [1, 500, 3, 70, 70], [2_000, 1], [900, 901]])
def test_few_segments_are_left_and_little_is_rewritten(sizes: list[int]) -> None:
    levels = Levels(fan_out=8, full_bytes=1_000)
    segments: list[Segment] = []
    rewritten = largest = appended = 0
    for number in range(20_000):
        size = sizes[number % len(sizes)]
        appended += size
        segments.append(Segment(number, number, size, size))
        while (due := levels.due(segments)) is not None:
            merged = segments[due]
            size = sum(segment.size for segment in merged)
            largest, rewritten = max(largest, size), rewritten + size
            segments[due] = [Segment(merged[0].first, merged[-1].last, size, size)]
    assert [s.first for s in segments[1:]] == [s.last + 1 for s in segments[:-1]]
    assert len(segments) <= 2 * appended / 1_000 + 8 * 4
    assert rewritten <= 5 * appended
    assert largest <= 3_000


def test_many_small_commits_leave_few_segments(path: Path) -> None:
    clock, folder, commits = ManualClock(), Folder(), 300
    with Store.open(path, PIPELINE, retention="forever", clock=clock, tuning=Tuning(Levels(fan_out=4))) as store:
        store.load()
        for number in range(1, commits + 1):
            clock.now = number * SECOND
            store.commit(folder.commit(random_batch(number, clock.now, keys=200, most=3)))
    with sqlite3.connect(path) as connection:
        for table in ("keys", "changes", "deltas"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] <= 4 * 5
    connection.close()
    assert stored_facts(path) == folder.facts()
    assert check_store(path) == []


def test_what_is_older_than_the_retention_goes_when_pages_hold_it(path: Path) -> None:
    clock, folder = ManualClock(), Folder()
    tuning = Tuning(Levels(fan_out=4, full_bytes=1))

    def commit(numbers: range, page_at: int) -> None:
        with Store.open(path, PIPELINE, retention=timedelta(seconds=20), clock=clock, tuning=tuning) as store:
            store.load()
            for number in numbers:
                clock.now = number * SECOND
                batch = random_batch(number, clock.now, pages=0)
                store.commit(folder.commit(Batch(batch.events, batch.at, page=number == page_at)))

    def kept() -> dict[str, int]:
        with sqlite3.connect(path) as connection:
            firsts = {"commits": "SELECT min(seq) FROM commits", "state_from": "SELECT value FROM meta WHERE key = ?"}
            changes = connection.execute("SELECT min(first_commit) FROM changes").fetchone()[0]
            deltas = connection.execute("SELECT min(first_commit) FROM deltas").fetchone()[0]
            commits = connection.execute(firsts["commits"]).fetchone()[0]
        connection.close()
        return {"changes": changes, "deltas": deltas, "commits": commits}

    commit(range(1, 51), page_at=0)
    assert kept()["deltas"] in (30, 31), "beyond the horizon"
    assert kept()["changes"] == 1, "needed for the state: there is no page"
    assert kept()["commits"] == 1, "their times belong to the changes"
    assert check_store(path) == []
    commit(range(51, 61), page_at=55)
    assert kept()["changes"] in (40, 41)
    assert kept()["commits"] in (39, 40)
    assert stored_facts(path) == folder.facts()
    assert check_store(path) == []


def test_a_shorter_retention_takes_hold_step_by_step(path: Path) -> None:
    clock, folder = ManualClock(), Folder()
    tuning = Tuning(Levels(fan_out=4, full_bytes=1))
    with Store.open(path, PIPELINE, retention="forever", clock=clock, tuning=tuning) as store:
        store.load()
        for number in range(1, 61):
            clock.now = number * SECOND
            store.commit(folder.commit(random_batch(number, clock.now, pages=1)))
    oldest = []
    with Store.open(path, PIPELINE, retention=timedelta(seconds=5), clock=clock, tuning=tuning) as store:
        store.load()
        for number in range(61, 71):
            clock.now = number * SECOND
            store.commit(folder.commit(random_batch(number, clock.now)))
            with StoreFile.open(path) as reader:
                oldest.append(reader.status().oldest.seq)
    assert oldest[0] < 20, "a bounded step after each commit"
    assert oldest == sorted(oldest)
    assert oldest[-1] >= 64
    assert check_store(path) == []


@full_only("1 s")
def test_the_log_stays_bounded_beside_a_reader_that_lingers(path: Path) -> None:
    folder, wal = Folder(), path.with_name("store.db-wal")
    tuning = Tuning(wal_bytes=2**20, wal_limit_bytes=2**21)
    with Store.open(path, PIPELINE, retention="forever", tuning=tuning) as store, StoreFile.open(path) as reader:
        store.load()
        with reader.at_one_commit() as connection:
            connection.execute("SELECT count(*) FROM commits").fetchone()
            number = 0
            while wal.stat().st_size < 2**22:
                number += 1
                store.commit(folder.commit(random_batch(number, number, most=40)))
        for _ in range(20):
            number += 1
            store.commit(folder.commit(random_batch(number, number, most=40)))
        assert wal.stat().st_size <= 2**21
        assert reader.status().last.seq == number


ROWS = 2 * PAGE_ROWS + 1_000


def test_pages_and_later_changes_make_the_state(path: Path) -> None:
    """Three pages, rows changed several times in one commit, keys that arrived after a page's snapshot."""
    rng = np.random.default_rng(5)
    width = len(PIPELINE.measures)
    model = States(np.zeros(ROWS, np.int64), np.zeros(ROWS, np.int32), np.zeros((width, ROWS), np.int64))
    store = Store.open(path, PIPELINE, retention=timedelta(), clock=lambda: 10**18)
    schedule = store.load().schedule
    rows = 0
    for number in range(1, 9):
        new = min(ROWS - rows, 100_000)
        row = np.concatenate([np.arange(rows, rows + new), rng.integers(0, rows + new, 30_000)]).astype(np.uint32)
        states = States(
            rng.integers(0, 99, len(row)), np.zeros(len(row), np.int32), rng.integers(0, 99, (width, len(row)))
        )
        last = {int(r): i for i, r in enumerate(row.tolist())}
        where, which = np.array(list(last)), np.array(list(last.values()))
        model.version[where] = states.version[which]
        model.measures[:, where] = states.measures[:, which]
        keys = pa.array([b"%d" % key for key in range(rows, rows + new)], pa.large_binary())
        rows += new
        pages = {2: [0], 4: [0, 1], 6: [2]}.get(number, [])
        snapshots = [Page(page, _part(model, page * PAGE_ROWS, min(rows, (page + 1) * PAGE_ROWS))) for page in pages]
        changes = Changes(row, np.full(len(row), Outcome.INSERTED, np.uint8), states)
        schedule.add(number, changes)
        schedule.snapshotted(pages)
        first = number == 1
        store.commit(
            CommitContent(
                number,
                changes,
                keys,
                [("pv", "emea")] if first else [],
                [NewNode(0, 0, -1, ())] if first else [],
                _nothing(width),
                _nothing(width),
                {},
                pages=snapshots,
            )
        )
    store.close()
    with Store.open(path, PIPELINE) as store:
        loaded = store.load()
        _assert_states(loaded, model, rows)
        assert loaded.schedule.dirty.tolist() == schedule.dirty.tolist()
        assert loaded.schedule.needed_from(9) == schedule.needed_from(9) == 5
        first = store._tables.changes.list[0].first
        assert 1 < first <= 5, "pruned up to what the pages hold"


def _part(states: States, start: int, end: int) -> States:
    return States(states.version[start:end], states.leaf[start:end], states.measures[:, start:end])


def _nothing(width: int) -> NodeColumns:
    return NodeColumns(
        np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros((width, 0), np.int64), np.zeros((width, 0), np.int64)
    )


def _assert_states(loaded: Loaded, model: States, rows: int) -> None:
    assert loaded.rows == rows == sum(len(piece) for piece in loaded.keys)
    assert (loaded.states.version == model.version[:rows]).all()
    assert (loaded.states.leaf == 0).all()
    assert (loaded.states.measures == model.measures[:, :rows]).all()


def test_pages_fall_due_so_that_the_log_stays_in_its_window() -> None:
    rng = np.random.default_rng(2)
    window, rows = 50_000, 8 * PAGE_ROWS
    schedule = SnapshotSchedule(min_window=window)
    paging_rows = written = 0
    since: dict[int, int] = {}
    for number in range(1, 700):
        row = rng.integers(0, rows, 20_000).astype(np.uint32)
        changes = Changes(row, np.zeros(len(row), np.uint8), States(row, row, row[None]))  # type: ignore[arg-type]
        schedule.add(number, changes)
        for page in np.unique(row // PAGE_ROWS).tolist():
            since.setdefault(page, number)
        due = schedule.due(rows)
        assert len(due) <= 1, "small commits snapshot one page at a time"
        schedule.snapshotted(due)
        for page in due:
            del since[page]
        written += len(due) * PAGE_ROWS
        paging_rows += len(row)
        assert schedule.needed_from(number + 1) == min(since.values(), default=number + 1)
        assert (number - schedule.needed_from(number + 1)) * 20_000 <= rows + 8 * 20_000
    assert rows < written <= paging_rows, "at most one row of snapshots per row of changes"


def test_arrivals_that_change_nothing_do_not_dirty_pages() -> None:
    schedule = SnapshotSchedule(min_window=10)
    row = np.zeros(100, np.uint32)
    changes = Changes(row, np.full(100, Outcome.DUPLICATE, np.uint8), States(row, row, row[None]))  # type: ignore[arg-type]
    schedule.add(1, changes)
    assert schedule.due(1) == []
    assert schedule.needed_from(2) == 2
