"""Queries: right answers, each of one commit, and clear errors for what does not exist."""

import copy
import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from oncefold.core.errors import QueryError, StoreError
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.fold import Outcome, Stored, Total, fold
from oncefold.store import Store, StoreFile
from oncefold.store.answers import CommitTime, StoredArrival
from oncefold.store.compaction import Levels
from oncefold.store.connection import connect_writer
from oncefold.store.reader import connect_reader
from oncefold.store.writer import Tuning
from tests.store.model import PIPELINE, SECOND, Batch, Folder, ManualClock, random_batch

COMMITS = 30


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Folder]:
    """A store of some commits, and the model of it."""
    path, folder = tmp_path_factory.mktemp("written") / "store.db", Folder()
    with Store.open(path, PIPELINE, retention="forever", tuning=Tuning(Levels(4, 3_000))) as store:
        store.load()
        for number in range(1, COMMITS + 1):
            store.commit(folder.commit(random_batch(number, number * SECOND)))
    return path, folder


@pytest.fixture
def folder(written: tuple[Path, Folder], path: Path) -> Folder:
    """Copies of both: the store's is at `path`."""
    shutil.copyfile(written[0], path)
    return copy.deepcopy(written[1])


def test_status(path: Path, folder: Folder) -> None:
    with StoreFile.open(path) as reader:
        status = reader.status()
    assert status.pipeline == PIPELINE
    assert status.last == CommitTime(COMMITS, COMMITS * SECOND)
    assert status.oldest == CommitTime(0, 0)
    assert status.keys == len(folder.rows)
    assert status.live == sum(not state.content.deleted for state in folder.states.values())
    assert status.nodes == len(folder.nodes)
    assert status.counts == folder.counts
    assert status.rejects == folder.counts[Outcome.REJECTED]
    assert status.newest_time == folder.newest_time
    assert {position.source: position.state for position in status.positions} == folder.positions
    assert status.file_bytes >= path.stat().st_size


def test_totals_come_in_tree_order_to_a_depth(path: Path, folder: Folder) -> None:
    with StoreFile.open(path) as reader:
        rows = reader.totals("risk").rows
        labels = [tuple(reader.totals("risk", depth=d).rows[0].path) for d in (0, 1)]
        assert labels == [(), ()]
        assert [row.path for row in reader.totals("risk", depth=0).rows] == [""]
        assert [row.depth for row in reader.totals("risk", depth=1).rows] == [0, 1, 1, 1]
        assert [row.path for row in rows] == sorted((row.path for row in rows), key=lambda path: path.split("/"))
        below = reader.totals("risk", ("pv",)).rows
        assert below == [row for row in rows if row.path.split("/")[0] == "pv"]
        assert [(row.label, row.depth) for row in below] == [("pv", 1), ("", 2), ("apac", 2), ("emea", 2)]


def test_an_empty_store_has_roots_of_nothing(path: Path) -> None:
    Store.open(path, PIPELINE).close()
    with StoreFile.open(path) as reader:
        (root,) = reader.totals("risk").rows
        assert (root.path, root.count, root.sums) == ("", 0, (0, 0))
        assert reader.totals("risk", commit=0).as_of == CommitTime(0, 0)
        assert reader.verify().differences == []
        assert reader.explain("risk").total == 0
        assert reader.status().live == 0
        with pytest.raises(QueryError, match="no event with the key 'x'"):
            reader.history("x")
        with pytest.raises(QueryError, match="nothing is at the top"):
            reader.totals("risk", ("pv",))


def test_a_node_without_keys_is_shown_when_it_is_queried(path: Path) -> None:
    folder = Folder()
    with Store.open(path, PIPELINE, retention="forever") as store, StoreFile.open(path) as reader:
        store.load()
        store.commit(folder.commit(Batch([Event("k", 1, Content(("pv", "emea"), (5, 6)))], 1)))
        store.commit(folder.commit(Batch([Event("k", 2, DELETED)], 2)))
        assert [row.path for row in reader.totals("risk").rows] == [""]
        assert [(row.path, row.count) for row in reader.totals("risk", ("pv",)).rows] == [("pv", 0)]
        assert [(row.path, row.sums) for row in reader.totals("risk", ("pv",), commit=1).rows] == [
            ("pv", (5, 6)),
            ("pv/emea", (5, 6)),
        ]


def test_totals_as_of_a_time(path: Path, folder: Folder) -> None:
    with StoreFile.open(path) as reader:
        for time, seq in ((SECOND - 1, 0), (SECOND, 1), (7 * SECOND + 5, 7), (10**18, COMMITS)):
            found = reader.totals("risk", time=time)
            assert found.as_of.seq == seq
            assert found == reader.totals("risk", commit=seq)


def test_wrong_queries_have_different_errors(path: Path, folder: Folder) -> None:
    with StoreFile.open(path) as reader:
        wrong = {
            "several rollups: risk, by_region": reader.totals,
            "no rollup 'rist'; there is: risk, by_region": lambda: reader.totals("rist"),
            "no node pw: at the top there is a.*, delta, pv": lambda: reader.totals("risk", ("pw",)),
            r"no node pv/emae; did you mean pv/emea\?": lambda: reader.explain("risk", ("pv", "emae")),
            "no node pv/emea/x: nothing is below pv/emea": lambda: reader.totals("risk", ("pv", "emea", "x")),
            f"no commit {COMMITS + 1}; the last is {COMMITS}, made at 1970-01-01T00:00:30Z": lambda: reader.totals(
                "risk", commit=COMMITS + 1
            ),
            "no commit -1;": lambda: reader.totals("risk", commit=-1),
            "not by both": lambda: reader.totals("risk", commit=1, time=1),
            "no event with the key 'nobody'": lambda: reader.history("nobody"),
        }
        for words, ask in wrong.items():
            with pytest.raises(QueryError, match=words):
                ask()


def test_explain_shows_the_keys_behind_a_node(path: Path, folder: Folder) -> None:
    behind = [
        (key, state.version, state.content.labels, state.content.measures)
        for key, state in folder.states.items()
        if state.content.labels is not None and state.content.labels[1] == "apac"
    ]
    order = sorted(behind, key=lambda item: folder.rows[item[0]])
    with StoreFile.open(path) as reader:
        whole = reader.explain("by_region", ("apac",), limit=1000)
        assert [(s.key, s.version, s.labels, s.measures) for s in whole.states] == order
        (row,) = reader.totals("by_region", ("apac",)).rows
        assert (whole.total, whole.path) == (row.count, "apac")
        assert tuple(map(sum, zip(*(s.measures for s in whole.states), strict=True))) == row.sums
        assert reader.explain("by_region", ("apac",), limit=2).states == whole.states[:2]
        everything = reader.explain("risk", limit=1000)
        assert everything.total == sum(not state.content.deleted for state in folder.states.values())


def test_history_is_what_the_fold_saw(path: Path, folder: Folder) -> None:
    expected: dict[str, list[StoredArrival]] = {}
    states: dict[str, Stored] = {}
    for number in range(1, COMMITS + 1):
        for event in random_batch(number, number * SECOND).events:
            outcome, states[event.key] = fold(states.get(event.key), event)
            arrival = StoredArrival(
                CommitTime(number, number * SECOND),
                outcome,
                event.version,
                event.content.labels,
                event.content.measures,
            )
            expected.setdefault(event.key, []).append(arrival)
    with StoreFile.open(path) as reader:
        for key, arrivals in expected.items():
            every, taken = reader.history(key, every=True), reader.history(key)
            assert every.arrivals == arrivals
            assert taken.arrivals == [arrival for arrival in arrivals if arrival.outcome.taken]
            content = every.state
            assert Stored(content.version, Content(content.labels, content.measures)) == states[key]
            assert every.since is None


def test_a_duplicate_shows_what_it_repeated(path: Path) -> None:
    event = Event("k", 3, Content(("pv", "emea"), (5, 6)))
    folder = Folder()
    with Store.open(path, PIPELINE, retention="forever") as store, StoreFile.open(path) as reader:
        store.load()
        store.commit(folder.commit(Batch([event, event], 1)))
        first, second = reader.history("k", every=True).arrivals
        assert second == replace(first, outcome=Outcome.DUPLICATE)


def test_verify_names_a_total_that_was_altered(path: Path, folder: Folder) -> None:
    wrong = {("by_region", "apac"): "0.07", ("risk", "pv/emea"): "1.5", ("risk", "delta"): "much"}
    connection = connect_writer(path)
    for (rollup, node), text in wrong.items():
        connection.execute(
            "UPDATE total SET sum_value = ? WHERE node = (SELECT id FROM node WHERE rollup = ? AND path = ?)",
            (text, rollup, node),
        )
    connection.execute("UPDATE total SET count = count + 1 WHERE node = (SELECT min(id) FROM node)")
    connection.close()
    with StoreFile.open(path) as reader:
        found = reader.verify()
    assert [(item.rollup, item.path) for item in found.differences] == [
        ("risk", ""),
        ("risk", "delta"),
        ("risk", "pv/emea"),
        ("by_region", "apac"),
    ]
    root, much, shifted, _ = found.differences
    assert isinstance(root.stored, Total)
    assert root.stored.count == root.recomputed.count + 1
    assert much.stored == "'much' is not a number"
    assert isinstance(shifted.stored, Total)
    assert shifted.stored.sums[0] == 150


def test_verify_names_a_node_that_is_gone(path: Path, folder: Folder) -> None:
    connection = connect_writer(path)
    connection.execute("DELETE FROM node WHERE rollup = 'risk' AND path = 'pv/emea'")
    connection.close()
    with StoreFile.open(path) as reader:
        (found,) = reader.verify().differences
    assert (found.rollup, found.path, found.stored) == ("risk", "pv/emea", None)
    assert found.recomputed.count > 0


def test_a_reader_follows_a_writer_commit_by_commit(path: Path) -> None:
    folder = Folder()
    with Store.open(path, PIPELINE, retention="forever") as store, StoreFile.open(path) as reader:
        store.load()
        for number in range(1, 6):
            with reader.at_one_commit() as connection:
                before = connection.execute("SELECT count(*) FROM commits").fetchone()
                store.commit(folder.commit(random_batch(number, number)))
                assert connection.execute("SELECT count(*) FROM commits").fetchone() == before
            assert reader.status().last.seq == number


def test_a_file_that_nothing_may_be_written_beside_is_read_while_no_one_writes(path: Path, folder: Folder) -> None:
    def unchanging(path: Path) -> sqlite3.Connection:
        return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)

    with StoreFile.open(path, connect=unchanging) as reader:
        assert reader.verify().differences == []
        with pytest.raises(StoreError, match="query again"), reader.at_one_commit():
            writer = Store.open(path, PIPELINE)
        writer.load()
        writer.commit(folder.commit(random_batch("more", 10**18)))
        writer.close()
        assert reader.status().last.seq == COMMITS + 1


def test_readers_cannot_write(path: Path, folder: Folder) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connect_reader(path).execute("DELETE FROM meta")


def test_a_closed_reader_raises_an_error(path: Path, folder: Folder) -> None:
    reader = StoreFile.open(path)
    reader.close()
    reader.close()
    with pytest.raises(StoreError, match="closed"):
        reader.status()


def test_totals_beyond_the_retention_are_refused(path: Path) -> None:
    clock, folder = ManualClock(), Folder()
    with Store.open(path, PIPELINE, retention=timedelta(seconds=10), clock=clock, tuning=Tuning(Levels(2, 1))) as store:
        store.load()
        for number in range(1, COMMITS + 1):
            clock.now = number * SECOND
            store.commit(folder.commit(random_batch(number, clock.now, pages=1)))
    with StoreFile.open(path) as reader:
        oldest = reader.status().oldest
        assert COMMITS - 12 < oldest.seq <= COMMITS - 10
        words = f"the oldest commit that can be queried is {oldest.seq}, made at 1970-01-01T00:00:{oldest.seq}Z"
        reader.totals("risk", commit=oldest.seq)
        reader.totals("risk", time=oldest.at)
        with pytest.raises(QueryError, match=f"commit {oldest.seq - 1} is beyond the retention; {words}"):
            reader.totals("risk", commit=oldest.seq - 1)
        with pytest.raises(QueryError, match=words):
            reader.totals("risk", time=oldest.at - 1)
        key = next(iter(folder.states))
        past = reader.history(key, every=True)
        assert past.since is not None
        assert all(arrival.commit.seq > past.since.seq for arrival in past.arrivals)
        assert past.state.version == folder.states[key].version
