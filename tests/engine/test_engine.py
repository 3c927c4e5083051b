"""The engine with a real store behind it: what is committed equals the specification, also after reopening."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oncefold.columnar.text import TextDecoder
from oncefold.commit import Conflict, Reject, SourcePosition
from oncefold.core.decimals import format_decimal, parse_decimal
from oncefold.core.definition import Time
from oncefold.core.errors import StoreError
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.fieldpath import FieldPath
from oncefold.core.fold import Outcome
from oncefold.core.limits import MEASURE_LIMIT
from oncefold.engine import engine as engine_module
from oncefold.engine.engine import Engine
from oncefold.store import check, check_blobs, keys, load, snapshots, verify
from oncefold.store.check import check_store
from oncefold.store.reader import StoreFile
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.writer import Store
from tests.store.model import PIPELINE as UNTIMED
from tests.store.model import Batch, Facts, Folder, ManualClock, random_batch, stored_facts
from tests.tools import reference
from tests.tools.sizes import examples

PIPELINE = replace(UNTIMED, time=Time(FieldPath(("seen",)), "ns"))
PAGE_ROWS, WINDOW_ROWS = 8, 24
BAD = (b"not JSON", b'{"id": "x"}', b'{"id": null, "version": 1}', b'{"id": "\xff"}')


def line_of(event: Event) -> bytes:
    """An event as a line of JSON."""
    record: dict[str, Any] = {"id": event.key, "version": event.version}
    if event.time is not None:
        record["seen"] = event.time
    if event.content.labels is None:
        record["gone"] = True
    else:
        amounts = zip(event.content.measures, PIPELINE.measures, strict=True)
        record |= dict(zip(("type", "region"), event.content.labels, strict=True))
        record |= {str(m.field): format_decimal(mantissa, m.scale) for mantissa, m in amounts}
    return json.dumps(record, ensure_ascii=False).encode()


class Run:
    """An engine over a store, and beside it the specification in plain Python, which sees what is committed."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        self.path, self.clock, self.folder = path, clock, Folder(PIPELINE)
        self.conflicts: list[Conflict] = []
        self.rejects: list[Reject] = []
        self.pages = 0
        self._decoder = TextDecoder(PIPELINE)
        self.open()

    def open(self) -> None:
        """Open the store; what was folded and not committed is gone."""
        self.store = Store.open(self.path, PIPELINE, clock=self.clock)
        self.engine = Engine(self.store, self.clock)
        self._events: list[Event] = []
        self._rejects: list[Reject] = []
        self._positions: dict[str, SourcePosition] = {}

    def fold(
        self, events: Sequence[Event], bad: Sequence[bytes] = (), source: str = "s", at: int = 0
    ) -> Counter[Outcome]:
        """Decode and fold one block; `bad` lines come before the events."""
        block = b"\n".join([*bad, *map(line_of, events)])
        batch = self._decoder.json(block, source, at)
        position = SourcePosition(source, json.dumps({"offset": at + len(block)}))
        self._events += events
        self._rejects += batch.rejects
        self._positions[source] = position
        assert [reject.raw for reject in batch.rejects] == list(bad)
        return self.engine.fold(batch, position)

    def commit(self) -> None:
        """Commit what was folded."""
        self.clock.now += 1
        commit = self.engine.take_commit()
        self.pages += len(commit.pages)
        assert self.store.commit(commit) == self.engine.last_commit
        batch = Batch(self._events, self.clock.now, list(self._positions.values()), self._rejects)
        self.conflicts += self.folder.commit(batch).conflicts
        self.rejects += self._rejects
        self._events, self._rejects, self._positions = [], [], {}

    def reopen(self) -> None:
        """Close the store and open it again."""
        self.store.close()
        self.open()

    def assert_committed(self) -> None:
        """The reopened store equals the specification; it is closed."""
        self.store.close()
        assert plain(stored_facts(self.path, PIPELINE)) == plain(self.folder.facts())
        assert check_store(self.path) == []
        with StoreFile.open(self.path) as reader:
            assert [listed.reject for listed in reader.rejects()] == self.rejects
            listed = [in_mantissas(item.conflict) for item in reader.conflicts()]
            assert listed == [in_mantissas(conflict) for conflict in reversed(self.conflicts)]
            assert reader.verify().differences == []


def plain(facts: Facts) -> Facts:
    """Without the nodes whose totals are nothing: roots appear earlier here than there."""
    return replace(facts, totals={node: total for node, total in facts.totals.items() if total})


def in_mantissas(conflict: Conflict) -> Conflict:
    """With contents as a list of labels and one of mantissas, whatever form they are written in."""

    def content(text: str) -> str:
        value = json.loads(text)
        if isinstance(value, dict):
            amounts = zip(value["measures"], PIPELINE.measures, strict=True)
            value = [value["labels"], [parse_decimal(text, m.scale, MEASURE_LIMIT) for text, m in amounts]]
        return json.dumps(value)

    return replace(conflict, kept=content(conflict.kept), dropped=content(conflict.dropped))


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a few rows and a short window, so that a small store has many of them."""
    for module in (engine_module, snapshots, load, keys, verify, check_blobs, check):
        monkeypatch.setattr(module, "PAGE_ROWS", PAGE_ROWS)
    monkeypatch.setitem(SnapshotSchedule.__init__.__kwdefaults__, "min_window", WINDOW_ROWS)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run into a new store."""
    made = Run(tmp_path / "store.db", ManualClock())
    yield made
    made.store.close()


def event(key: str, version: int, value: int = 0, region: str = "emea", time: int | None = None) -> Event:
    """An event of one type with one amount."""
    return Event(key, version, Content(("pv", region), (value, -value)), time)


def test_what_was_committed_is_there_when_opened_again(run: Run) -> None:
    counts = run.fold([event("a", 1, 5, time=7), event("b", 1, 6, time=9), event("a", 1, 5)], [BAD[0]])
    assert counts == {Outcome.INSERTED: 2, Outcome.DUPLICATE: 1, Outcome.REJECTED: 1}
    run.commit()
    assert run.fold([event("a", 0), event("b", 2, 7, "apac", time=8)], source="t") == {
        Outcome.STALE: 1,
        Outcome.CORRECTED: 1,
    }
    run.commit()
    expected = run.engine.positions
    run.reopen()
    assert run.engine.keys == 2
    assert run.engine.last_commit == 2
    assert run.engine.positions == expected
    assert set(expected) == {"s", "t"}
    assert run.fold([event("b", 2, 7, "apac"), Event("a", 2, DELETED)]) == {Outcome.DUPLICATE: 1, Outcome.DELETED: 1}
    run.commit()
    run.assert_committed()
    assert run.folder.newest_time == 9


def test_what_was_not_committed_is_gone(run: Run) -> None:
    run.fold([event("a", 1, 5)])
    run.commit()
    run.fold([event("a", 2, 6), event("c", 1, 1)], [BAD[1]])
    run.reopen()
    assert run.engine.keys == 1
    assert not run.engine.has_pending
    assert run.fold([event("a", 2, 6)]) == {Outcome.CORRECTED: 1}
    run.commit()
    run.assert_committed()


def test_a_commit_may_hold_a_position_alone_or_nothing(run: Run) -> None:
    run.commit()
    run.engine.note_position(SourcePosition("s", '{"offset": 3}'))
    run._positions["s"] = SourcePosition("s", '{"offset": 3}')
    assert run.engine.has_pending
    run.commit()
    assert not run.engine.has_pending
    run.reopen()
    run.fold([event("a", 1, 5)])
    run.commit()
    run.assert_committed()


def test_batches_of_one_commit_are_netted_together(run: Run) -> None:
    """Leaves that are new in a later batch of the commit, contributions that come and go within it."""
    run.fold([event("a", 1, 5), event("b", 1, 1, "apac")])
    run.fold([event("a", 2, 5, "amer"), event("c", 1, 2, "new")])
    run.fold([event("a", 3, 4), Event("c", 2, DELETED)])
    assert run.engine.pending_rows == 6
    deltas = run.engine.take_commit().deltas
    assert sorted(deltas.count.tolist()) == [1, 1, 1, 1, 2, 2, 2]
    run.reopen()
    run.fold([event("a", 1, 5)])
    run.fold([event("a", 2, 5, "amer")])
    run.commit()
    run.assert_committed()


def test_a_commit_stays_as_it_is_until_the_next_is_taken(run: Run) -> None:
    """It is written while later batches are folded, which must not reach into its columns."""
    for number in range(1, 8):
        run.engine.fold(lines(event(f"{number}-{n}", number, n) for n in range(number * 700)))
        commit = run.engine.take_commit()
        assert len(commit.changes) == len(commit.new_keys) == number * 700
        states = commit.changes.states
        before = states.version.copy(), states.measures.copy(), commit.new_keys.to_pylist()
        run.engine.fold(lines(event(f"+{number}-{n}", -1, -1) for n in range(3_000)))
        assert (states.version == before[0]).all()
        assert (states.measures == before[1]).all()
        assert commit.new_keys.to_pylist() == before[2]
        assert run.store.commit(commit) == run.engine.last_commit
        run.store.commit(run.engine.take_commit())
    run.store.close()
    assert check_store(run.path) == []


def lines(events: Iterable[Event]) -> Any:
    return TextDecoder(PIPELINE).json(b"\n".join(map(line_of, events)), "s", 0)


def test_conflicts_are_listed_with_both_contents(run: Run) -> None:
    run.fold([event("a", 1, 5), event("a", 1, 4), event("a", 1, 6)])
    run.fold([Event("a", 1, DELETED), event("a", 1, 99)])
    run.commit()
    with StoreFile.open(run.path) as reader:
        newest = reader.conflicts()[0].conflict
    assert newest == Conflict(
        "a", 1, "null", json.dumps({"labels": ["pv", "emea"], "measures": ["0.99", "-0.000000000000000099"]})
    )
    assert [json.loads(c.kept) is None for c in run.conflicts] == [False, False, True, True]
    run.assert_committed()


def test_rejects_are_listed_until_they_are_redriven(run: Run) -> None:
    run.fold([event("a", 1)], BAD[:2], at=100)
    run.fold([event("b", 1)], BAD[2:], source="t")
    run.commit()
    assert [(r.source, r.position, r.raw) for r in run.rejects] == [
        ("s", 100, BAD[0]),
        ("s", 109, BAD[1]),
        ("t", 0, BAD[2]),
        ("t", 27, BAD[3]),
    ]
    batch = TextDecoder(PIPELINE).json(line_of(event("c", 1)), "s", 0)
    run.engine.fold(batch, redriven=[1, 3])
    run.store.commit(run.engine.take_commit())
    with StoreFile.open(run.path) as reader:
        assert [listed.reject.raw for listed in reader.rejects()] == [BAD[1], BAD[3]]
        assert reader.status().keys == 3


def test_pages_are_snapshotted_when_they_are_due(run: Run, small_pages: None) -> None:
    rng = Random(1)
    for number in range(120):
        events = [event(f"k{rng.randrange(60)}", number, rng.randrange(1_000)) for _ in range(rng.randrange(6))]
        run.fold(events, BAD[: rng.randrange(2)])
        run.commit()
        if number % 25 == 24:
            run.reopen()
    assert run.pages > 10
    with closing(sqlite3.connect(run.path)) as connection:
        assert len(connection.execute("SELECT number FROM pages").fetchall()) > 60 // PAGE_ROWS // 2
        (state_from,) = connection.execute("SELECT value FROM meta WHERE key = 'state_from'").fetchone()
    assert int(state_from) > 60
    run.assert_committed()


def test_a_page_of_one_row_is_that_of_its_commit(tmp_path: Path, small_pages: None) -> None:
    """Commits are written while the next batch is folded: a page must not change under the writer's hands."""
    run = Run(tmp_path / "store.db", ManualClock())
    run.fold([event(str(n), 1) for n in range(PAGE_ROWS + 1)])
    run.commit()
    last, version, written = str(PAGE_ROWS), 1, []
    while not written:
        version += 1
        run.engine.fold(TextDecoder(PIPELINE).json(line_of(event(last, version, version)), "s", 0))
        commit = run.engine.take_commit()
        run.engine.fold(TextDecoder(PIPELINE).json(line_of(event(last, version + 1, -1, "apac")), "s", 0))
        written = [page for page in commit.pages if page.number == 1]
        version += 1
    assert written[0].states.measures.tolist() == [[version - 1], [1 - version]]
    assert written[0].states.version.tolist() == [version - 1]
    run.store.close()


@given(st.integers(0, 2**32 - 1))
@settings(
    max_examples=examples(8, short=1),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_run_gives_what_the_specification_gives(
    tmp_path_factory: pytest.TempPathFactory, small_pages: None, seed: int
) -> None:
    """Batches, commits and reopenings in any order."""
    rng = Random(seed)
    run = Run(tmp_path_factory.mktemp("run") / "store.db", ManualClock())
    committed: list[Event] = []
    for step in range(40):
        batch = random_batch((seed, step), 0, keys=rng.choice([5, 40]))
        run.fold(batch.events, rng.sample(BAD, rng.randrange(2)), rng.choice("st"), rng.randrange(1_000))
        if rng.random() < 0.6:
            committed += run._events
            run.commit()
        elif rng.random() < 0.2:
            run.reopen()
    states = {key: (e.version, e.content) for key, e in reference.winners(committed).items()}
    assert {key: (s.version, s.content) for key, s in run.folder.states.items()} == states
    reference.assert_equal(reference.totals(PIPELINE, committed), run.folder.totals, PIPELINE)
    run.assert_committed()


def test_totals_as_of_every_commit_are_those_of_that_commit(run: Run) -> None:
    past = []
    for number in range(12):
        run.fold(random_batch(("as of", number), 0).events)
        run.commit()
        past.append({node: total for node, total in run.folder.totals.items() if total})
    with StoreFile.open(run.path) as reader:
        for number, expected in enumerate(past, 1):
            for index, rollup in enumerate(PIPELINE.rollups):
                rows = reader.totals(rollup.name, commit=number).rows
                found = {row.path: (row.count, row.sums) for row in rows if row.count or any(row.sums)}
                assert sorted(found.values()) == sorted(
                    (total.count, total.sums) for node, total in expected.items() if node.rollup == index
                )


def test_a_broken_engine_refuses_to_continue(run: Run) -> None:
    with pytest.raises(RuntimeError), run.engine.intact():
        raise RuntimeError
    with pytest.raises(StoreError, match="open the store again"):
        run.fold([event("a", 1)])
    run.reopen()
    run.fold([event("a", 1)])
    run.commit()
    run.assert_committed()
