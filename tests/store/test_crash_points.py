"""Every write and sync of a run fails in turn, and power is lost before each: what is left is whole commits only."""

import shutil
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from oncefold.commit import CommitContent
from oncefold.core.errors import StoreError
from oncefold.store import Store
from oncefold.store.check import check_store
from oncefold.store.compaction import Levels
from oncefold.store.schema import PAGE_SIZE
from oncefold.store.writer import Tuning
from tests.store.model import PIPELINE, SECOND, Facts, Folder, ManualClock, random_batch, stored_facts
from tests.tools.faulty_vfs import Failure, FaultyDisk, Survival, replay
from tests.tools.sizes import sized

COMMITS = 6
REOPENED_AFTER = 3
RETENTION = timedelta(seconds=2)
TUNING = Tuning(Levels(fan_out=2, full_bytes=1_000), wal_bytes=12 * PAGE_SIZE)
"""Small limits: merging, retention and checkpoints all happen within the few commits."""

PLAIN = (Survival.NOTHING, Survival.ALL, Survival.LAST_TORN)

Acknowledged = list[tuple[int, int]]
"""Pairs of a number of steps and the commit that was acknowledged after so many."""


@cache
def work() -> tuple[list[CommitContent], list[Facts]]:
    """The commits, and the contents of the store before the first and after each."""
    folder = Folder()
    commits, facts = [], [folder.facts()]
    for number in range(1, COMMITS + 1):
        commits.append(folder.commit(random_batch(number, number * SECOND, pages=0.4)))
        facts.append(folder.facts())
    return commits, facts


def run(path: Path, disk: FaultyDisk) -> Acknowledged:
    """Commit what the store lacks, reopening in between, up to the first error; the last acknowledged commit."""
    acknowledged: Acknowledged = []
    clock = ManualClock()
    with disk, suppress(StoreError):
        for last in (REOPENED_AFTER, COMMITS):
            store = Store.open(path, PIPELINE, retention=RETENTION, clock=clock, connect=disk.connect, tuning=TUNING)
            with store:
                for commit in work()[0][store.load().seq : last]:
                    clock.now = commit.at
                    seq = store.commit(commit)
                    acknowledged.append((len(disk.steps), seq))
    return acknowledged


def assert_whole_commits(path: Path, at_least: int) -> int:
    """The store opens and is that of a whole commit, an acknowledged one or a later one; its number."""
    found = stored_facts(path)
    assert found.seq >= at_least
    assert found == work()[1][found.seq]
    return found.seq


def test_a_run_without_faults_uses_everything(memory: Path) -> None:
    disk = FaultyDisk()
    path = memory / "store.db"
    assert [seq for _, seq in run(path, disk)] == list(range(1, COMMITS + 1))
    assert assert_whole_commits(path, COMMITS) == COMMITS
    assert check_store(path) == []
    checkpoints = [step for step in disk.steps if step.kind == "write" and step.file == "store.db"]
    assert len(checkpoints) > 20
    with Store.open(path, PIPELINE) as store:
        assert len(store._tables.changes.list) < COMMITS  # merged
        assert store._tables.changes.list[0].first > 1  # dropped


@pytest.mark.parametrize(
    ("failure", "lasting", "every"),
    [
        (Failure.IO_ERROR, False, sized(23, 1)),
        (Failure.FULL, False, sized(61, 4)),
        (Failure.IO_ERROR, True, sized(61, 4)),
        (Failure.FULL, True, sized(61, 4)),
    ],
)
def test_every_step_fails_in_turn(memory: Path, failure: Failure, lasting: bool, every: int) -> None:
    clean = FaultyDisk()
    run(memory / "clean.db", clean)
    path = memory / "store.db"
    cut_short = 0
    for at in range(len(failure.name) % every, len(clean.steps), every):
        acknowledged = run(path, FaultyDisk(at, failure, lasting=lasting))
        most = max((seq for _, seq in acknowledged), default=0)
        cut_short += most < COMMITS
        assert assert_whole_commits(path, most) <= most + 1
        if at % 10 == 0:
            assert check_store(path) == []
        for file in memory.glob("store.db*"):
            file.unlink()
    assert cut_short > len(clean.steps) // every * 3 // 4


def test_syncs_fail_and_power_is_lost_after_going_on(memory: Path) -> None:
    """What a failed sync left in the system's cache alone is not built upon."""
    clean = FaultyDisk()
    run(memory / "clean.db", clean)
    path = memory / "store.db"
    syncs = [number for number, step in enumerate(clean.steps) if step.kind == "sync"]
    for at in syncs[:: sized(4, 1)]:
        failing, going_on = FaultyDisk(at, lasting=True), FaultyDisk()
        run(path, failing)
        acknowledged = {len(failing.steps) + at: seq for at, seq in run(path, going_on)}
        for at_step, platter in replay([*failing.steps, *going_on.steps]):
            if at_step in acknowledged:
                _lay_down(memory / "image", platter.image(Survival.NOTHING))
                assert_whole_commits(memory / "image" / "store.db", acknowledged[at_step])
        for file in memory.glob("store.db*"):
            file.unlink()


def test_power_is_lost_before_every_step(memory: Path) -> None:
    disk = FaultyDisk()
    acknowledged = run(memory / "store.db", disk)
    path = memory / "image" / "store.db"
    seen: set[int] = set()
    for at, platter in replay(disk.steps):
        if at % sized(12, 1):
            continue
        at_least = max((seq for steps, seq in acknowledged if steps <= at), default=0)
        for survival in Survival if at % 3 == 0 else PLAIN:
            image = platter.image(survival, seed=at)
            digest = hash((at_least, *image.items()))
            if digest not in seen:
                seen.add(digest)
                _lay_down(path.parent, image)
                assert_whole_commits(path, at_least)
    assert len(seen) > 3 * COMMITS


def _lay_down(folder: Path, image: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in image.items():
        (folder / name).write_bytes(content)
