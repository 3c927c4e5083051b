"""A definition is replaced: the new totals are its meaning over the kept events, and nothing else changes."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from oncefold.core.definition import Pipeline, Version
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, QueryError, StoreError
from oncefold.core.fieldpath import FieldPath
from oncefold.core.fold import Outcome
from oncefold.engine.redefinition import Redefinition
from oncefold.engine.session import Session
from oncefold.queries.store_reader import StoreReader
from oncefold.store import definitions, events
from oncefold.store.check import check_store
from tests.engine.redefining import Record, definition, event, play, stored
from tests.store.model import SECOND, ManualClock
from tests.tools import reference
from tests.tools.sizes import sized


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    """Segments of a few rows, so that merging happens all the time."""
    with patch.object(events, "SEGMENT_ROWS", 8), patch.object(events, "FAN_OUT", 2):
        yield


@pytest.mark.parametrize("seed", range(sized(4, 60)))
def test_the_totals_are_the_new_meaning_of_the_kept_events(tmp_path: Path, seed: int) -> None:
    play(tmp_path / "s.db", seed, sized(3, 5))


@pytest.mark.parametrize("seed", range(sized(2, 60)))
def test_without_rejects_and_conflicts_it_is_as_if_all_were_read_anew(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    old, new = definition(rng), definition(rng)
    records = [event(rng, number, clean=True) for number in range(80)]
    rng.shuffle(records)
    with Session.open(tmp_path / "s.db", old) as session, Session.open(tmp_path / "fresh.db", new) as fresh:
        for start in range(0, 60, 10):
            session.ingest(records[start : start + 10])
        if old.fingerprint != new.fingerprint:
            session.redefine(new)
        session.ingest(records[60:])
        fresh.ingest(records)
        reference.assert_equal(stored(fresh.reader), stored(session.reader), new)


def sample(number: int = 5) -> list[Record]:
    rng = random.Random(number)
    return [{**event(rng, at, clean=True), "id": f"k{at}", "gone": False, "kind": "y"} for at in range(number)]


BASE = parse_toml(
    """
name = "family"
keep_events = true
[event]
key = "id"
version = "v"
[rollups]
by_kind = ["kind"]
"""
)
MORE = parse_toml(
    """
name = "family"
keep_events = true
[event]
key = "id"
version = "v"
[rollups]
by_kind = ["kind"]
[measures]
more = { sum = "more", scale = 0 }
"""
)


def test_positions_counters_and_readers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Session.open(path, BASE) as session, StoreReader.open(path) as reader:
        session.ingest(sample(), source="feed", position="17")
        counts = reader.status().counts
        assert reader.query().node.sums == {}
        session.redefine(MORE)
        assert session.positions == {"feed": "17"}
        assert reader.query().node.sums == {"more": sum(record["more"] for record in sample())}
        assert reader.shape.scales == {"more": 0}
        assert reader.query(as_of=1).node.sums == {}
        assert reader.status().counts == counts
        assert reader.status().oldest.number == 0


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Session.open(path, BASE) as session:
        session.ingest([*sample(), {**sample()[0], "id": "odd", "more": "much"}])
        before = path.read_bytes(), session.reader.status()
        made = session.redefine(MORE, dry_run=True)
        assert made.commit == 0
        assert made.counts == {Outcome.INSERTED: 5, Outcome.REJECTED: 1}
        assert [(reason.split(":")[0], number) for reason, number in made.rejected] == [("field more", 1)]
        assert [totals.node.count for totals in (*made.before, *made.after)] == [6, 5]
        assert made.changes == ["[measures] were none and are now more"]
        assert (path.read_bytes(), session.reader.status().keys) == (before[0], before[1].keys)
        assert session.reader.rejects().total == 0


def test_what_the_new_definition_rejects_is_on_the_list_and_comes_back(tmp_path: Path) -> None:
    with Session.open(tmp_path / "s.db", BASE) as session:
        session.ingest([*sample(3), {**sample()[0], "id": "odd", "more": "much"}])
        session.redefine(MORE)
        (reject,) = session.reader.rejects()
        assert json.loads(reject.raw)["id"] == "odd"
        assert (reject.source, reject.position) == ("redefine", 3)
        session.ingest([{**sample()[0], "id": "odd", "v": -1}])
        assert session.totals().node.count == 4
        session.redefine(BASE)
        session.redrive()
        assert session.reader.history("odd").current.version == 0
        assert session.reader.rejects().total == 0


def test_a_store_that_keeps_no_events_says_how_to_go_on(tmp_path: Path) -> None:
    plain, more = replace(BASE, keep_events=None), replace(MORE, keep_events=None)
    with Session.open(tmp_path / "s.db", plain) as session:
        session.ingest(sample())
        with pytest.raises(DefinitionError, match=r"keeps no whole events.*new store file"):
            session.redefine(more)
    with pytest.raises(DefinitionError, match="keep_events = true in it, `oncefold redefine`"):
        Session.open(tmp_path / "s.db", more)
    with Session.open(tmp_path / "s.db", BASE) as session:
        session.ingest([{**sample()[0], "id": "new"}])
        with pytest.raises(DefinitionError, match="of 6 keys 5 have no kept event"):
            session.redefine(MORE)
        assert session.totals().node.count == 6
    with pytest.raises(DefinitionError, match=r"oncefold redefine PIPELINE --store .*s\.db"):
        Session.open(tmp_path / "s.db", MORE)


def test_a_store_that_was_filled_before_keeps_what_comes_again(tmp_path: Path) -> None:
    with Session.open(tmp_path / "s.db", replace(BASE, keep_events=None)) as session:
        session.ingest(sample())
    with Session.open(tmp_path / "s.db", BASE) as session:
        session.ingest([{**record, "v": 99} for record in sample()])
        session.redefine(MORE)
        assert session.totals().node.sums == {"more": sum(record["more"] for record in sample())}


@pytest.mark.parametrize(
    ("new", "what"),
    [
        (replace(MORE, key=(FieldPath.parse("note"),)), "has the key"),
        (replace(MORE, version=Version(FieldPath.parse("more"))), "has the version"),
        (replace(MORE, version=None), "has the version"),
    ],
)
def test_another_key_or_version_is_refused(tmp_path: Path, new: Pipeline, what: str) -> None:
    with Session.open(tmp_path / "s.db", BASE) as session:
        session.ingest(sample())
        with pytest.raises(DefinitionError, match=what):
            session.redefine(new)
        assert session.totals().node.count == 5


def test_a_key_or_version_that_reads_the_same_is_taken(tmp_path: Path) -> None:
    wide = replace(MORE, version=Version(FieldPath.parse("v"), "decimal"))
    with Session.open(tmp_path / "s.db", BASE) as session:
        session.ingest([*sample(), {**sample()[0], "kind": "z"}])
        session.redefine(wide)
        assert session.ingest([{**sample()[0], "v": 10**30}]).counts == {Outcome.CORRECTED: 1}
        assert session.reader.conflicts().rows[0].version_text == "0"
    assert check_store(tmp_path / "s.db") == []


def test_the_same_meaning_is_nothing_to_redefine(tmp_path: Path) -> None:
    with Session.open(tmp_path / "s.db", BASE) as session:
        session.ingest(sample())
        with pytest.raises(DefinitionError, match="nothing to make anew"):
            session.redefine(replace(BASE, name="other"))


def test_kept_events_are_dropped_where_the_new_definition_keeps_none(tmp_path: Path) -> None:
    last = replace(MORE, keep_events=False)
    with Session.open(tmp_path / "s.db", BASE) as session:
        session.ingest(sample())
        session.redefine(last)
        session.ingest(sample())
        with pytest.raises(DefinitionError, match="keeps no whole events"):
            session.redefine(BASE)
    assert check_store(tmp_path / "s.db") == []


def test_an_older_event_counts_where_the_newer_one_is_rejected_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Session.open(path, BASE) as session:
        session.ingest(sample(2))
        with Redefinition(path, MORE) as work:
            session._store.pause_event_compaction(paused=True)
            work.gather()
            session.ingest([{**sample()[0], "v": 7, "more": "much"}])
            work.redefine(session._store)
    with Session.open(path, MORE) as session:
        assert session.reader.history("k0").current.version == 0
        assert session.reader.rejects().total == 1
        session.redefine(BASE)
        assert session.reader.history("k0").current.version == 0
        session.redrive()
        assert session.reader.history("k0").current.version == 7


def test_a_disk_error_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Session.open(path, BASE) as session:
        session.ingest(sample())
        with (
            patch("oncefold.store.rows.write_head", side_effect=StoreError("the disk is full")),
            pytest.raises(StoreError, match="full"),
        ):
            session.redefine(MORE)
    with Session.open(path, BASE) as session:
        assert session.totals().node.count == 5
        session.redefine(MORE)
        assert session.totals().node.sums == {"more": sum(record["more"] for record in sample())}
    assert check_store(path) == []


DEBEZIUM = """
name = "rows"
keep_events = true
[event]
envelope = "debezium"
key = "id"
version = "@source.lsn"
[rollups]
by_kind = ["kind"]
"""


def change(op: str, lsn: int, before: Record | None, after: Record | None) -> Record:
    return {"op": op, "source": {"lsn": lsn}, "before": before, "after": after}


def test_a_record_that_moves_a_key_is_kept_for_both(tmp_path: Path) -> None:
    one, moved = {"id": 1, "kind": "x", "more": 5}, {"id": 2, "kind": "y", "more": 7}
    other = {"id": 3, "kind": "x", "more": 11}
    with Session.open(tmp_path / "s.db", parse_toml(DEBEZIUM)) as session:
        session.ingest([change("c", 1, None, one), change("c", 2, None, other)])
        session.ingest(
            [change("u", 3, one, moved), change("u", 4, other, {**other, "id": 4}), change("d", 5, moved, None)]
        )
        session.redefine(parse_toml(DEBEZIUM + '[measures]\nmore = { sum = "more", scale = 0 }\n'))
        found = [(row.path, row.count, str(row.sums["more"])) for row in session.totals()]
        assert found == [("", 1, "11"), ("x", 1, "11")]
        versions = {key: session.reader.history(key).current.version_text for key in "1234"}
        assert versions == {"1": "3", "2": "5", "3": "4", "4": "4"}
    assert check_store(tmp_path / "s.db") == []


def test_an_envelope_that_paths_unwrapped_may_be_named(tmp_path: Path) -> None:
    by_paths = parse_toml(
        """
        name = "rows"
        keep_events = true
        event = { key = "after.id", version = "source.lsn" }
        rollups.by_kind = ["after.kind"]
        """
    )
    with Session.open(tmp_path / "s.db", by_paths) as session:
        session.ingest([change("c", 1, None, {"id": 1, "kind": "x"}), change("u", 2, None, {"id": 1, "kind": "y"})])
        session.redefine(parse_toml(DEBEZIUM))
        assert [row.path for row in session.totals()] == ["", "y"]


def test_earlier_definitions_go_with_the_retention(tmp_path: Path) -> None:
    path, clock = tmp_path / "s.db", ManualClock(1_000 * SECOND)
    retention = timedelta(seconds=60)

    def opened(pipeline: Pipeline) -> Session:
        return Session.open(path, pipeline, retention=retention, clock=clock)

    with opened(BASE) as session, patch.object(definitions, "EXPIRED_ROWS_PER_STEP", 1):
        session.ingest([*sample(), {**sample()[0], "kind": "w"}])
        clock.now += 30 * SECOND
        session.redefine(MORE)
        clock.now += 45 * SECOND
        session.ingest(sample(6)[5:])
        assert session.totals(as_of=1).node.sums == {}  # the commit is old, but its definition was not replaced then
        clock.now += 30 * SECOND
        for number in range(30):
            clock.now += 2 * SECOND
            session.ingest([{**sample()[0], "id": f"new {number}"}])
        with pytest.raises(QueryError, match="beyond the retention"):
            session.totals(as_of=1)
        tables = {name for (name,) in sqlite3.connect(path).execute("SELECT name FROM sqlite_master")}
        assert not {name for name in tables if name.endswith("_1")}
        assert session.reader.status().oldest.number >= 2
        (conflict,) = session.reader.conflicts()
        assert (conflict.kept.leaf, conflict.dropped.leaf) == ("y", "w")
    assert check_store(path) == []


def test_a_reader_follows_whatever_it_asks(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Session.open(path, BASE) as session, StoreReader.open(path) as reader:
        session.ingest([*sample(), {**sample()[0], "kind": "w"}])
        queries: list[Callable[[], object]] = [
            reader.verify, reader.status, reader.conflicts, reader.rejects, lambda: reader.series(""),
            lambda: reader.explain(""), lambda: reader.history("k1"), lambda: reader.search("y"),
            lambda: reader.query(depth=None), lambda: reader.count_below("", rollup=None, depth=None, most=9),
        ]  # fmt: skip
        for number, query in enumerate(queries):
            query()
            session.redefine(BASE if number % 2 else MORE)
            query()
            assert tuple(reader.shape.scales) == (() if number % 2 else ("more",))
        assert reader.query(as_of=1).node.sums == {}
        assert reader.query(as_of=2).node.sums == {"more": sum(record["more"] for record in sample())}


def test_the_history_of_the_past_is_that_of_its_definition(tmp_path: Path) -> None:
    event_of_one = {**sample()[1], "id": "one", "kind": "y"}
    with Session.open(tmp_path / "s.db", MORE) as session:
        session.ingest([{**event_of_one, "v": 1, "more": 4}])
        session.ingest([{**event_of_one, "v": 2, "more": 5}, {**event_of_one, "v": 2, "more": 5}])
        session.redefine(BASE)
        session.ingest([{**event_of_one, "v": 3, "kind": "z"}])
        session.ingest([{**event_of_one, "id": "other", "v": 3}])
        reader = session.reader

        def read(as_of: int | None, **wanted: bool) -> tuple[list[tuple[str, str | None]], str, dict[str, str]]:
            found = reader.history("one", as_of=as_of, **wanted)
            values = {name: str(value) for name, value in found.current.values.items()}
            return [(row.version_text, row.leaf) for row in found], found.current.version_text, values

        assert read(1) == ([("1", "y")], "1", {"more": "4"})
        assert read(2) == ([("1", "y"), ("2", "y")], "2", {"more": "5"})
        assert len(read(2, every=True)[0]) == 3
        assert read(4) == read(None) == ([("3", "z")], "3", {})
        assert reader.history("one", as_of=2).commit.number == 2
        assert reader.history("one").forgotten_to == reader.history("one", as_of=3).commit
        with pytest.raises(QueryError, match="arrived for the key 'other' by commit 4"):
            reader.history("other", as_of=4)
        with pytest.raises(QueryError, match="nothing had arrived for the key 'one' by commit 0"):
            reader.history("one", as_of=0)
