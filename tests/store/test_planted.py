"""Known-wrong stores: the enumeration of crash points must catch each, or it proves nothing."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oncefold.core.errors import StoreError
from oncefold.store import blobs, opening, rows, segments, upkeep, writer
from oncefold.store.tiers import Segment
from tests.store import test_crash_points as crash_points
from tests.tools.faulty_vfs import Failure

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
    def merge(self: segments.SegmentTable, merged: list[Segment]) -> Segment:
        first, last = merged[0].first, merged[-1].last
        batches = [self._rebased(self.read(segment), segment.first - first) for segment in merged]
        whole = pa.Table.from_batches(batches, self.schema).combine_chunks().to_batches()[0]
        self.delete(first, last)
        return self.write(first, last, whole, blobs.encode(whole))

    monkeypatch.setattr(segments.SegmentTable, "merge", merge)


def needed_changes_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    careful = upkeep.Forgetting.step
    monkeypatch.setattr(
        upkeep.Forgetting, "step", lambda self, now, needed_from: careful(self, now, max(needed_from, 4))
    )


def what_a_failed_sync_left_is_built_upon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "empty_wal", lambda connection: True)


PLANTED: list[Plant] = [
    disk_is_not_waited_for,
    positions_are_committed_apart,
    merging_takes_two_transactions,
    needed_changes_are_forgotten,
    what_a_failed_sync_left_is_built_upon,
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_caught(memory: Path, monkeypatch: pytest.MonkeyPatch, plant: Plant) -> None:
    plant(monkeypatch)
    numbers = count()

    def folder() -> Path:
        made = memory / str(next(numbers))
        made.mkdir()
        return made

    with pytest.raises((AssertionError, StoreError)):
        crash_points.test_a_run_without_faults_uses_everything(folder())
        crash_points.test_power_is_lost_before_every_step(folder())
        crash_points.test_syncs_fail_and_power_is_lost_after_going_on(folder())
        crash_points.test_every_step_fails_in_turn(folder(), Failure.IO_ERROR, lasting=False, every=1)
