"""Known-wrong engines: the search must catch each within the number of seeds stated here, or it proves nothing."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oncefold.commit import CommitContent
from oncefold.core.errors import StoreError
from oncefold.store import blobs, compaction, opening, rows, segments, writer
from oncefold.store.segments import Segment
from oncefold_lab.embedded.search import SearchOptions, search
from tests.tools.sizes import full_only

Plant = Callable[[pytest.MonkeyPatch], None]


def _pragma(monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    def prepare(connection: Any, *rest: Any) -> None:
        opening.prepare(connection, *rest)
        connection.execute(sql)

    monkeypatch.setattr(writer, "prepare", prepare)


def nothing_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    _pragma(monkeypatch, "PRAGMA synchronous = OFF")


def commits_are_not_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    _pragma(monkeypatch, "PRAGMA synchronous = NORMAL")


def _apart(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What this function writes is committed with all before it; what follows is a transaction of its own."""
    together = getattr(rows, name)

    def apart(connection: Any, *rest: Any) -> None:
        together(connection, *rest)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")

    monkeypatch.setattr(rows, name, apart)


def totals_are_committed_before_the_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    _apart(monkeypatch, "write_totals")


def positions_are_committed_before_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    _apart(monkeypatch, "write_positions")


def positions_are_committed_before_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    content, positions = writer.Store._write_content, rows.write_positions

    def write(self: Any, connection: Any, seq: int, commit: CommitContent, made: Any) -> None:
        positions(connection, seq, commit.positions)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        content(self, connection, seq, commit, made)

    monkeypatch.setattr(writer.Store, "_write_content", write)
    monkeypatch.setattr(rows, "write_positions", lambda *rest: None)


def a_commit_is_reported_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is written when the next arrives, the last one at closing."""
    commit, close = writer.Store.commit, writer.Store.close

    def late(self: Any, content: CommitContent, on_durable: Callable[[int], None] = lambda _: None) -> int:
        waiting, self.late = getattr(self, "late", None), content
        seq: int = 1 + (self._head.seq if waiting is None else commit(self, waiting))
        on_durable(seq)
        return seq

    def flush(self: Any) -> None:
        waiting, self.late = getattr(self, "late", None), None
        try:
            if waiting is not None:
                commit(self, waiting)
        except StoreError:
            pass
        finally:
            close(self)

    monkeypatch.setattr(writer.Store, "commit", late)
    monkeypatch.setattr(writer.Store, "close", flush)


def an_error_of_the_disk_is_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = writer.Store.commit

    def careless(self: Any, content: CommitContent, on_durable: Callable[[int], None] = lambda _: None) -> int:
        try:
            return commit(self, content, on_durable)
        except StoreError:
            on_durable(self._head.seq + 1)
            return self._head.seq + 1

    monkeypatch.setattr(writer.Store, "commit", careless)


def merging_takes_two_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    def merge(
        self: segments.SegmentTable, merged: list[Segment], batches: Iterable[pa.RecordBatch]
    ) -> tuple[Segment, pa.RecordBatch]:
        first, last = merged[0].first, merged[-1].last
        moved = [self._rebased(batch, part.first - first) for part, batch in zip(merged, batches, strict=True)]
        whole = pa.Table.from_batches(moved, self.schema).combine_chunks().to_batches()[0]
        self.delete(first, last)
        return self.write(first, last, whole, blobs.encode(whole)), whole

    monkeypatch.setattr(segments.SegmentTable, "merge", merge)


def needed_changes_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    careful = compaction.Expiry.step
    monkeypatch.setattr(compaction.Expiry, "step", lambda self, now, needed_from: careful(self, now, 10**9))


def what_a_failed_sync_left_is_built_upon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is copied into the file as it looks."""
    monkeypatch.setattr(writer, "recover_wal", lambda *rest: None)


PLANTED: list[tuple[Plant, int]] = [
    (nothing_is_synced, 10),
    (commits_are_not_synced, 10),
    (totals_are_committed_before_the_positions, 10),
    (positions_are_committed_before_the_head, 10),
    (positions_are_committed_before_the_state, 10),
    (a_commit_is_reported_before_it_is_made, 10),
    (an_error_of_the_disk_is_swallowed, 10),
    (merging_takes_two_transactions, 10),
    (needed_changes_are_forgotten, 10),
    (what_a_failed_sync_left_is_built_upon, 100),
]
"""Each with the number of seeds, from 0 on, within which it is caught."""
QUICK = (nothing_is_synced, a_commit_is_reported_before_it_is_made, an_error_of_the_disk_is_swallowed)

PAGE = (Path(__file__).parents[3] / "docs" / "LAB.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("plant", "within"),
    [
        pytest.param(plant, within, marks=() if plant in QUICK else full_only("1 s or more"), id=plant.__name__)
        for plant, within in PLANTED
    ],
)
def test_a_planted_fault_is_caught(monkeypatch: pytest.MonkeyPatch, plant: Plant, within: int) -> None:
    plant(monkeypatch)
    found = search(SearchOptions(0, within, None, jobs=1), lambda so_far: None)
    assert len(found.failures) == 1
    assert f"| {plant.__name__.replace('_', ' ')} | {within} |" in PAGE
