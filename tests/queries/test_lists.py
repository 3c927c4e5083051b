"""`rejects`, `conflicts`, `status`, `verify` and `check` of `StoreReader`."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from oncefold.commit import SourcePosition
from oncefold.core.errors import QueryError
from oncefold.queries.status_model import SourceProgress
from oncefold.queries.store_reader import StoreReader, check
from oncefold.queries.store_status import progress_of
from oncefold.sources.position import FileState
from oncefold.store.answers import Position
from oncefold.store.reader import StoreFile
from tests.queries.stores import BEGAN, MONDAY, SECOND, SHOP, TWO_TREES, alter, build, lines, shop

# rejects and conflicts


def test_rejects_keep_the_bytes_the_place_and_the_reason(tmp_path: Path) -> None:
    raw = b'{"order": \xff\xfe}'
    path = build(tmp_path / "s.db", SHOP, lines(MONDAY), raw + b"\n")
    with StoreReader.open(path) as ask:
        found = ask.rejects()
        assert (found.total, len(found), found.commit.number) == (2, 2, 2)
        first, second = found
        assert (first.id, first.source, first.unit, first.format) == (1, "events.jsonl", "byte", "json")
        assert first.position == len(lines(MONDAY[:3]))
        assert "more than 2 decimal places" in first.reason
        assert first.raw + b"\n" == lines(MONDAY[3:4])
        assert first.commit is not None
        assert second.commit is not None
        assert first.commit.number == 1
        assert (second.raw, second.size, second.commit.number) == (raw, len(raw), 2)
        assert found.to_arrow().column("raw").to_pylist() == [first.raw, raw]
        assert [row.id for row in ask.rejects(limit=1)] == [1]
        assert ask.rejects(limit=1).total == 2
        with pytest.raises(QueryError, match="limit is -5"):
            ask.rejects(limit=-5)


def test_conflicts_show_what_counts_and_what_does_not(tmp_path: Path) -> None:
    gone = {"order": "A-1", "updated": "2026-03-02T09:00:00Z", "cancelled": True}
    with StoreReader.open(build(tmp_path / "s.db", SHOP, lines([MONDAY[0]]), lines([gone]))) as ask:
        (found,) = ask.conflicts()
        assert found.commit is not None
        assert (found.key, found.version_text, found.commit.number) == ("A-1", "2026-03-02T09:00:00Z", 2)
        assert (found.kept.labels, found.kept.leaf, found.kept.values) == (None, None, {})
        assert (found.dropped.labels, found.dropped.leaf) == (("FR", "Paris"), "FR/Paris")
        assert found.dropped.values == {"amount": Decimal("120.00")}
        table = ask.conflicts().to_arrow()
        assert table.column("kept_measure_amount").to_pylist() == [None]
        assert table.column("dropped_measure_amount").to_pylist() == [Decimal("120.00")]
        assert ask.conflicts(limit=0).total == 1


# status


def test_status_says_how_a_store_is(tmp_path: Path) -> None:
    now = BEGAN + 86_400 * SECOND
    with StoreFile.open(shop(tmp_path)) as reader:
        found = StoreReader(reader, clock=lambda: now).status()
        assert (found.commit.number, found.keys, found.live, found.nodes) == (2, 5, 4, 7)
        assert found.events == 11
        assert {name: number for name, number in found.counts.items() if number} == {
            "inserted": 5, "corrected": 1, "deleted": 1, "duplicate": 1, "stale": 1, "conflict_lost": 1, "rejected": 1,
        }  # fmt: skip
        assert (found.rejects, found.conflicts) == (1, 1)
        assert found.newest_event == datetime(2026, 3, 3, 8, 40, tzinfo=UTC)
        assert found.behind == timedelta(minutes=20, microseconds=123456)
        assert found.retention == timedelta(days=30)
        assert found.oldest.number == 0
        assert found.created == datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
        assert found.file_bytes >= (tmp_path / "shop.db").stat().st_size
        assert [(row.source, row.kind, row.state) for row in found] == [("events.jsonl", "other", '{"line":1}')]


def test_status_of_a_store_without_times_and_commits(tmp_path: Path) -> None:
    with StoreReader.open(build(tmp_path / "s.db", TWO_TREES)) as ask:
        found = ask.status()
        assert (found.commit.number, found.events, found.newest_event, found.behind, len(found)) == (
            0,
            0,
            None,
            None,
            0,
        )


def position(source: Path | str, **state: object) -> SourceProgress:
    return progress_of(Position(str(source), json.dumps(state), 3))


def test_lag_is_what_the_file_holds_beyond_the_position(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"x" * 100)
    text = position(file, kind="text", at=60, stored=60, done=False)
    assert (text.kind, text.offset, text.file_bytes, text.read_bytes, text.lag_bytes) == ("text", 60, 100, 60, 40)
    assert not text.shrunk
    assert position(file, kind="text", at=300, stored=101).shrunk
    gone = position(tmp_path / "gone", kind="text", at=60, stored=60)
    assert (gone.file_bytes, gone.lag_bytes) == (None, None)
    table = position(file, kind="parquet", at=7, stored=100, done=False)
    assert (table.kind, table.offset, table.lag_bytes) == ("table", 7, None), "rows say nothing of bytes"
    assert position(file, kind="arrow", at=9, stored=100, done=True).lag_bytes == 0
    pipe = position("-", kind="pipe", at=12, done=True)
    assert (pipe.kind, pipe.offset, pipe.file_bytes, pipe.lag_bytes) == ("pipe", 12, None, None)


def test_positions_of_other_sources_are_shown_as_they_are() -> None:
    for state in ("offset 7", "[1]", '{"shard": "a"}', ""):
        found = progress_of(Position("kinesis", state, 1))
        assert (found.kind, found.offset, found.lag_bytes, found.state) == ("other", None, None, state)


def test_real_positions_are_understood(tmp_path: Path) -> None:
    """What the sources write today is what the status reads."""
    state = FileState("text", 12, 12, "h", "t").position(str(tmp_path))
    assert isinstance(state, SourcePosition)
    assert progress_of(Position(state.source, state.state, 1)).read_bytes == 12


# verify and check


def test_verify_compares_every_node(tmp_path: Path) -> None:
    path = shop(tmp_path)
    with StoreReader.open(path) as ask:
        found = ask.verify()
        assert found.exact
        assert (found.nodes, found.keys, found.commit.number, len(found)) == (7, 5, 2, 0)
    alter(path, "UPDATE total SET sum_amount = '120.01' WHERE node = (SELECT id FROM node WHERE path = 'FR/Paris')")
    alter(path, "UPDATE total SET count = 9 WHERE node = (SELECT id FROM node WHERE path = 'US')")
    alter(path, "UPDATE total SET sum_amount = 'much' WHERE node = (SELECT id FROM node WHERE path = 'US/Austin')")
    with StoreReader.open(path) as ask:
        found = ask.verify()
        assert not found.exact
        first, second, third = found
        assert (first.rollup, first.path, first.fault) == ("place", "FR/Paris", "")
        assert first.stored is not None
        assert first.stored.sums == {"amount": Decimal("120.01")}
        assert first.recomputed.sums == {"amount": Decimal("201.00")}
        assert second.stored is not None
        assert (second.path, second.stored.count, second.recomputed.count) == ("US", 9, 2)
        assert (third.stored, third.fault) == (None, "'much' is not a number")
        rows = found.to_arrow().to_pylist()
        assert rows == found.to_dicts()
        assert rows[2]["stored_measure_amount"] is None
        assert rows[2]["recomputed_measure_amount"] == Decimal("100000000.01")


def test_verify_shows_wrong_sums_of_any_size(tmp_path: Path) -> None:
    path = shop(tmp_path)
    alter(path, "UPDATE total SET sum_amount = ? WHERE node = 0", "9" * 35 + ".99")
    with StoreReader.open(path) as ask:
        (wrong,) = ask.verify()
        assert wrong.stored is not None
        assert str(wrong.stored.sums["amount"]) == "9" * 35 + ".99"
        assert ask.verify().to_arrow().schema.field("stored_measure_amount").type == pa.decimal128(38, 2)


def test_check_finds_damage_and_names_the_commit(tmp_path: Path) -> None:
    path = shop(tmp_path)
    with StoreReader.open(path) as ask:
        found = ask.check()
        assert found.sound
        assert found.commit is not None
        assert (found.commit.number, list(found)) == (2, [])
    alter(path, "UPDATE changes SET crc32 = crc32 + 1 WHERE first_commit = 1")
    found = check(path)
    assert not found.sound
    assert len(found) >= 1
    rubbish = tmp_path / "rubbish.db"
    rubbish.write_bytes(b"not a database" * 100)
    assert check(rubbish).commit is None
    assert not check(rubbish).sound
