"""Known-wrong stores: the enumeration of crash points must catch each, or it proves nothing."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oncefold.core.errors import StoreError
from oncefold.store import blobs, compaction, opening, rows, segments, writer
from oncefold.store.segments import Segment
from tests.store import test_crash_points as crash_points
from tests.store.model import SECOND
from tests.store.test_compaction import test_what_is_older_than_the_retention_goes_when_pages_hold_it as forgetting
from tests.tools.sizes import in_full

Plant = Callable[[pytest.MonkeyPatch], None]


def disk_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(connection: Any, *rest: Any) -> None:
        opening.prepare(connection, *rest)
        connection.execute("PRAGMA synchronous = NORMAL")

    monkeypatch.setattr(writer, "prepare", prepare)


def positions_are_committed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    together = rows.write_positions

    def apart(connection: Any, *rest: Any) -> None:
        connection.execute("COMMIT")
        connection.execute("BEGIN")
        together(connection, *rest)

    monkeypatch.setattr(rows, "write_positions", apart)


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
    monkeypatch.setattr(compaction.Expiry, "step", lambda self, now, needed_from: careful(self, now, now // SECOND))


def what_a_failed_sync_left_is_built_upon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "empty_wal", lambda connection: True)
    monkeypatch.setattr(writer, "recover_wal", lambda *rest: None)


PLANTED: list[tuple[Plant, Callable[[Path], None]]] = [
    (disk_is_not_waited_for, crash_points.test_power_is_lost_before_every_step),
    (positions_are_committed_apart, crash_points.test_power_is_lost_before_every_step),
    (merging_takes_two_transactions, crash_points.test_power_is_lost_before_every_step),
    (needed_changes_are_forgotten, lambda memory: forgetting(memory / "store.db")),
    (what_a_failed_sync_left_is_built_upon, crash_points.test_syncs_fail_and_power_is_lost_after_going_on),
]


@pytest.mark.parametrize(
    ("plant", "catches"),
    [*PLANTED[:2], *in_full("1 s each", *PLANTED[2:])],
    ids=[plant.__name__ for plant, _ in PLANTED],
)
def test_a_planted_fault_is_caught(
    memory: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant, catches: Callable[[Path], None]
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, StoreError)):
        catches(memory)
