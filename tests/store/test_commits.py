"""Whatever is committed is there again, after any number of closings, merges, snapshots and prunings."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oncefold.commit import Reject, SourcePosition
from oncefold.core.errors import StoreError
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Total
from oncefold.store import Store, StoreFile, rows
from oncefold.store.check import check_store
from oncefold.store.compaction import Levels
from oncefold.store.retention import Retention
from oncefold.store.writer import Tuning
from tests.core.strategies import events
from tests.store.model import PIPELINE, SECOND, Batch, Facts, Folder, ManualClock, facts, stored_facts
from tests.tools import reference
from tests.tools.sizes import examples

BATCHES = st.lists(st.tuples(st.lists(events(PIPELINE), max_size=8), st.booleans(), st.booleans()), max_size=12)
"""Events of each batch, whether to snapshot, and whether to close and open afterwards."""


@given(
    batches=BATCHES,
    fan_out=st.integers(2, 4),
    full_bytes=st.sampled_from([1, 2_000, 2**20]),
    retention=st.sampled_from(["forever", timedelta(seconds=2), timedelta()]),
)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_store_returns_what_was_committed(
    memory: Path, batches: list[tuple[list[Event], bool, bool]], fan_out: int, full_bytes: int, retention: Retention
) -> None:
    path, clock, folder = memory / "store.db", ManualClock(), Folder()
    for file in memory.iterdir():
        file.unlink()
    tuning = Tuning(Levels(fan_out, full_bytes))
    store = Store.open(path, PIPELINE, retention=retention, clock=clock, tuning=tuning)
    store.load()
    said = [folder.facts()]
    every: list[Event] = []
    for number, (arrived, page, reopen) in enumerate(batches, 1):
        every += arrived
        clock.now = number * SECOND
        positions = [SourcePosition("s", str(number))]
        batch = Batch(arrived, clock.now, positions, page=page and bool(folder.states))
        assert store.commit(folder.commit(batch)) == number
        said.append(folder.facts())
        if reopen:
            store.close()
            store = Store.open(path, PIPELINE, clock=clock, tuning=tuning)
            assert facts(store.load()) == said[-1]
    store.close()
    assert stored_facts(path) == said[-1]
    assert check_store(path) == []
    reference.assert_equal(reference.totals(PIPELINE, every), said[-1].totals, PIPELINE)
    with StoreFile.open(path) as reader:
        oldest = reader.status().oldest.seq
        for commit in range(oldest, len(said)):
            assert _totals(reader, commit) == _live(said[commit])
        assert reader.verify().differences == []
        if retention == "forever":
            assert oldest == 0
            for key in folder.states:
                arrivals = reader.history(key, every=True).arrivals
                assert [arrival.version for arrival in arrivals] == [e.version for e in every if e.key == key]


def _totals(reader: StoreFile, commit: int) -> dict[Node, Total]:
    return {
        Node(index, rows.labels_of(row.path)): Total(row.count, row.sums)
        for index, rollup in enumerate(PIPELINE.rollups)
        for row in reader.totals(rollup.name, commit=commit).rows
    }


def _live(said: Facts) -> dict[Node, Total]:
    """The roots, and every node with live keys."""
    nothing = Total(0, (0,) * len(PIPELINE.measures))
    roots = {Node(index): nothing for index in range(len(PIPELINE.rollups))}
    return roots | {node: total for node, total in said.totals.items() if total.count or not node.labels}


def test_rejects_are_listed_until_they_are_redriven(path: Path) -> None:
    folder = Folder()
    rejects = [Reject("s1", i, f"reason {i}", bytes([i]), "csv", "a,b", size=i) for i in range(3)]
    with Store.open(path, PIPELINE, retention="forever") as store, StoreFile.open(path) as reader:
        store.load()
        store.commit(folder.commit(Batch([], 5, rejects=rejects)))
        listed = reader.rejects()
        assert [item.reject for item in listed] == rejects
        assert [(item.commit.seq, item.commit.at) for item in listed] == [(1, 5)] * 3
        assert reader.rejects(after=listed[0].id, limit=1) == listed[1:2]
        store.commit(folder.commit(Batch([], 6, redriven=[listed[0].id, listed[2].id], rejects=rejects[:1])))
        assert [item.reject.position for item in reader.rejects()] == [1, 0]
        assert reader.rejects()[-1].id > listed[2].id, "an id is never given twice"
        assert reader.status().rejects == 2


def test_a_repeated_conflict_is_listed_once(path: Path) -> None:
    one, two = (Event("k", 1, Content(("pv", region), (1, 1))) for region in ("apac", "emea"))
    folder = Folder()
    with Store.open(path, PIPELINE, retention="forever") as store, StoreFile.open(path) as reader:
        store.load()
        for at in range(3):
            store.commit(folder.commit(Batch([one, two, one], at)))
        (only,) = reader.conflicts()
        assert (only.conflict.key, only.conflict.version, only.commit.seq) == ("k", 1, 1)
        assert json.loads(only.conflict.kept)[0] == ["pv", "emea"]
        assert json.loads(only.conflict.dropped)[0] == ["pv", "apac"]


def test_time_never_goes_back(path: Path) -> None:
    folder = Folder()
    with Store.open(path, PIPELINE, retention="forever") as store, StoreFile.open(path) as reader:
        store.load()
        for at in (10, 5, 20):
            store.commit(folder.commit(Batch([], at)))
        assert [reader.totals("risk", commit=seq).as_of.at for seq in (1, 2, 3)] == [10, 10, 20]
        assert reader.totals("risk", time=12).as_of.seq == 2


def test_odd_keys_and_labels_come_back(path: Path) -> None:
    odd = ["", "a\x00b", "a/b", "\\e", "naïve", "😀", '"', "\n", " "]
    folder = Folder()
    arrived = [
        Event(text, 1, Content((text, other), (1, 2))) for text, other in zip(odd, odd[1:] + odd[:1], strict=True)
    ]
    with Store.open(path, PIPELINE) as store:
        store.load()
        store.commit(folder.commit(Batch(arrived, 1)))
    assert stored_facts(path) == folder.facts()
    assert check_store(path) == []
    with StoreFile.open(path) as reader:
        for text in odd:
            assert reader.totals("risk", (text,), depth=0).rows[0].count == 1
            assert reader.history(text).state.key == text


def test_after_an_error_only_close_is_left(path: Path) -> None:
    folder = Folder()
    store = Store.open(path, PIPELINE)
    with pytest.raises(StoreError, match="loaded before"):
        store.commit(folder.commit(Batch([], 1)))
    store.load()
    wrong = folder.commit(Batch([Event("k", 1, Content(("pv", "emea"), (1, 1)))], 1))
    store._connection.execute("DROP TABLE counters")  # type: ignore[union-attr]
    with pytest.raises(StoreError, match=r"commit 1: .*counters.*half-committed"):
        store.commit(wrong)
    with pytest.raises(StoreError, match="open the store again"):
        store.commit(wrong)
    with pytest.raises(StoreError, match="open the store again"):
        store.load()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.load()


def test_a_commit_that_does_not_continue_the_last_is_refused(path: Path) -> None:
    folder = Folder()
    first, second = (Batch([Event(key, 1, Content((key, "emea"), (1, 1)))], 1) for key in "ab")
    skipped = folder.commit(first)
    with Store.open(path, PIPELINE) as store:
        store.load()
        with pytest.raises(StoreError, match=r"does not fit the store \(row, leaf, node, total, new node\)"):
            store.commit(folder.commit(second))
        store.commit(skipped)
