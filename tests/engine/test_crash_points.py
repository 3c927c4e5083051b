"""Every write and sync of a whole run fails in turn: what was committed is there, and the next run ends exact.

The run is the engine's own: several files in several forms, decoded, folded and committed block by block, in two
sessions, with snapshot pages, merges and forgetting. After each failure the store is opened with plain sqlite3.
"""

import gzip
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from oncefold.core.definition import Pipeline
from oncefold.core.errors import StoreError
from oncefold.core.event import Event
from oncefold.core.fold import Node, Outcome, Total
from oncefold.sources.blocks import Finding, TextBlock
from oncefold.sources.inputs import ReadOptions
from oncefold.sources.sources import Sources
from oncefold.store import Store, rows
from oncefold.store.check import check_store
from oncefold.store.reader import StoreFile
from tests.engine.records import HEADER, NARROW, NARROW_SETS, Record, csv_lines, json_lines, table
from tests.engine.small import on_commit, open_small, small_limits, tick
from tests.store.model import SECOND, ManualClock
from tests.tools import reference
from tests.tools.faulty_vfs import Failure, FaultyDisk
from tests.tools.sizes import in_full, sized

RECORDS_PER_FILE = 16
RETENTION_COMMITS = 3
"""The clock is so fast that commits older than this many are dropped."""


def _read(pipeline: Pipeline) -> ReadOptions:
    return ReadOptions(fields=pipeline.fields, block_bytes=1_400, table_rows=16)


@dataclass(frozen=True)
class Input:
    """The files of a run, and what is right after each of its commits."""

    pipeline: Pipeline
    files: Sequence[str]
    after: Sequence[dict[Node, Total]]
    counts: Sequence[Counter[Outcome]]
    """Rejected, and all others as inserted."""

    @property
    def commits(self) -> int:
        return len(self.after) - 1


@pytest.fixture(scope="module", params=[NARROW, NARROW_SETS], ids=["one leaf", "several leaves"])
def given(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Input:
    pipeline: Pipeline = request.param
    folder = tmp_path_factory.mktemp("input")
    rng = random.Random(7)
    parts = [[_random_record(rng) for _ in range(RECORDS_PER_FILE)] for _ in range(4)]
    files = [folder / name for name in ("a.jsonl", "b.csv", "c.jsonl.gz", "d.parquet")]
    parts[1] = [replace(record, region=record.region or "") for record in parts[1]]
    files[0].write_bytes(json_lines(parts[0]))
    files[1].write_bytes(HEADER.encode() + csv_lines(parts[1]))
    files[2].write_bytes(gzip.compress(json_lines(parts[2])))
    pq.write_table(table(parts[3]), files[3])
    names = list(map(str, files))
    return Input(pipeline, names, *_after_each(pipeline, names, [record for part in parts for record in part]))


def _random_record(rng: random.Random) -> Record:
    region = rng.choice(["emea", "apac", "", "a/b", None])
    cents, fee = rng.choice([0, 250, -1, 10**17 - 1]), rng.choice([0, 7, 7, 7, None])
    gone, seconds = rng.random() < 0.1, rng.choice([None, 0, 86_400])
    tip, who = rng.choice([None, 5, -3, 12]), rng.choice([None, "ann", "bob"])
    key, version, desk = str(rng.randint(1, 30)), rng.randint(1, 4), rng.choice("xy")
    tags = rng.choice([None, (), ("red",), ("big", "red"), ("red", "a/b", "red")])
    return Record(key, version, region, desk, cents, fee, gone, seconds, tip, who, tags)


def _after_each(
    pipeline: Pipeline, files: Sequence[str], records: Sequence[Record]
) -> tuple[list[dict[Node, Total]], list[Counter[Outcome]]]:
    """The totals and counts after each block, by the reference; first those of nothing."""
    totals, counts, done = [reference.totals(pipeline, [])], [Counter[Outcome]()], 0
    for block in Sources(files, _read(pipeline)).blocks():
        assert not isinstance(block, Finding)
        done += bytes(block.data).count(b"\n") if isinstance(block, TextBlock) else block.table.num_rows
        events = [record.event(pipeline) for record in records[:done]]
        accepted: list[Event] = [event for event in events if event is not None]
        totals.append(reference.totals(pipeline, accepted))
        counts.append(+Counter({Outcome.INSERTED: len(accepted), Outcome.REJECTED: done - len(accepted)}))
    assert done == len(records)
    return totals, counts


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with small_limits():
        yield


def run(path: Path, given: Input, **options: Any) -> list[int]:
    """Read what the store lacks, in two sessions, up to the first error; the commits that were acknowledged."""
    acknowledged: list[int] = []

    def note(commit: Callable[[Any], int], content: Any) -> int:
        acknowledged.append(commit(content))
        tick(clock, 30 // RETENTION_COMMITS)
        return acknowledged[-1]

    clock = ManualClock(1_000 * SECOND)
    with suppress(StoreError):
        for files in (given.files[:2], given.files):
            with open_small(path, given.pipeline, clock, **options) as session:
                on_commit(session, note)
                clock.now += session._engine.last_commit * (30 // RETENTION_COMMITS) * SECOND
                session.run(Sources(files, _read(given.pipeline), session.positions).blocks())
    return acknowledged


def assert_exact(path: Path, given: Input, at_least: int) -> int:
    """The store is that of a whole commit, an acknowledged one or a later one; its number."""
    with StoreFile.open(path) as reader:
        status = reader.status()
        seq = status.last.seq
        assert seq >= at_least
        found = {
            Node(index, rows.labels_of(row.path)): Total(row.count, row.sums)
            for index, rollup in enumerate(given.pipeline.rollups)
            for row in reader.totals(rollup.name).rows
        }
        reference.assert_equal(given.after[seq], found, given.pipeline)
        counts = Counter(status.counts)
        rejected = counts.pop(Outcome.REJECTED, 0)
        assert +Counter({Outcome.INSERTED: counts.total(), Outcome.REJECTED: rejected}) == given.counts[seq]
        assert status.rejects == rejected
        assert reader.verify().differences == []
    return seq


def test_a_run_without_faults_uses_everything(memory: Path, given: Input) -> None:
    path, disk = memory / "store.db", FaultyDisk()
    with disk:
        assert run(path, given, connect=disk.connect) == list(range(1, given.commits + 1))
    assert given.commits >= 8
    assert given.counts[-1].total() == 4 * RECORDS_PER_FILE
    assert given.counts[-1][Outcome.REJECTED] > 3
    assert_exact(path, given, given.commits)
    assert check_store(path) == []
    assert len(disk.steps) > 300
    with Store.open(path, given.pipeline) as store:
        changes = store._tables.changes.list
        assert len(changes) < given.commits - RETENTION_COMMITS  # merged
        assert changes[0].first > 1  # dropped
        connection: Any = store._connection
        assert connection.execute("SELECT count(*) FROM pages").fetchone()[0] > 2  # snapshotted


@pytest.mark.parametrize(
    ("failure", "lasting", "every"),
    [
        (Failure.IO_ERROR, False, sized(61, 5)),
        *in_full("as the others, 3 s each", (Failure.FULL, False, 13), (Failure.IO_ERROR, True, 13)),
        (Failure.FULL, True, sized(131, 13)),
    ],
    ids=["an error", "full once", "errors from now on", "full from now on"],
)
def test_every_step_fails_in_turn(memory: Path, given: Input, failure: Failure, lasting: bool, every: int) -> None:
    path, clean = memory / "store.db", FaultyDisk()
    with clean:
        run(memory / "clean.db", given, connect=clean.connect)
    points = range(every - 1, len(clean.steps), every)
    assert len(points) > 300 // every
    cut_short = 0
    for at in points:
        with FaultyDisk(at, failure, lasting=lasting) as disk:
            acknowledged = run(path, given, connect=disk.connect)
        most = max(acknowledged, default=0)
        cut_short += most < given.commits
        if path.exists() and path.stat().st_size:
            with suppress(StoreError):  # of a store that was not made yet
                assert assert_exact(path, given, most) <= most + 1
        else:
            assert not acknowledged
        resumed = run(path, given)
        assert resumed[-1:] == [given.commits] or most + 1 >= given.commits
        assert_exact(path, given, given.commits)
        if at % 16 == 0:
            assert check_store(path) == []
        for file in memory.glob("store.db*"):
            file.unlink()
    assert cut_short > len(points) * 3 // 4
