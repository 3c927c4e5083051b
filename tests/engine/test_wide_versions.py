"""Versions of 128 bits and envelopes through the store: totals, history, conflicts, checks, reopening."""

import json
from pathlib import Path

import pytest

import oncefold
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.store.check import check_store

CASES = Path(__file__).parents[1] / "data" / "cases"


def pipeline_of(name: str) -> Pipeline:
    return parse_toml((CASES / name).read_text())


def test_lists_in_a_store(tmp_path: Path) -> None:
    path, pipeline = tmp_path / "s.db", pipeline_of("versions/mx2.toml")
    lines = (CASES / "versions" / "mx.jsonl").read_bytes().splitlines(keepends=True)
    for order in (lines, lines[::-1]):
        for line in order:
            with oncefold.open(path, pipeline) as store:  # each from the state that was loaded
                store.ingest(line)
    with oncefold.open(path, pipeline) as store:
        assert str(store.totals().node.sums["a"]) == "25.00"
        history = store.reader.history("1", every=True)
        assert [row.version_text for row in history.rows if row.outcome == "inserted"] == ["1700000000,7,0"]
        assert history.current.version_text == "1700000001,8,1"
        assert history.current.version is None
        assert store.reader.verify().rows == ()
    assert check_store(path) == []


SAME_HIGH_WORD = ["4421584500000000017450439091", "4421584500000000017450439092", "-4421584500000000017450439092",
                  "18446744073709551615", "18446744073709551616", "-1", "0", "1"]  # fmt: skip


@pytest.mark.parametrize("newest_first", [False, True])
def test_both_words_of_a_version_count(tmp_path: Path, newest_first: bool) -> None:
    pipeline = parse_toml("""
        name = "w"
        [event]
        key = "id"
        version = { field = "v", type = "decimal" }
        delete = "gone"
        [rollups]
        t = ["g"]
        [measures]
        a = { sum = "a" }
    """)
    order = sorted(SAME_HIGH_WORD, key=int, reverse=newest_first)
    with oncefold.open(tmp_path / "s.db", pipeline) as store:
        events = [{"id": "k", "v": version, "g": "x", "a": index} for index, version in enumerate(order)]
        store.ingest(b"".join(json.dumps(event).encode() + b"\n" for event in events))
        newest = max(order, key=int)
        assert store.reader.history("k").current.version_text == newest
        assert int(store.totals().node.sums["a"]) == order.index(newest)
        store.ingest({"id": "k", "v": newest, "g": "y", "a": 1})
        (conflict,) = store.reader.conflicts().rows
        assert conflict.version_text == newest
        assert conflict.kept.leaf == "y"
        store.ingest({"id": "k", "v": int(newest) + 1, "gone": True})
        assert store.totals().node.count == 0
        assert store.ingest({"id": "k", "v": newest, "g": "y", "a": 1}).counts == {oncefold.Outcome.STALE: 1}
    assert check_store(tmp_path / "s.db") == []


def test_ignored_records_and_moved_keys_are_counted(tmp_path: Path) -> None:
    pipeline = pipeline_of("dbz/right.toml")
    moved = b'{"before":{"id":11,"region":"EU","amount":"10"},"after":{"id":12,"region":"US","amount":"7"},'
    moved += b'"source":{"lsn":200},"op":"u"}\n'
    with oncefold.open(tmp_path / "s.db", pipeline) as store:
        counts = store.ingest((CASES / "dbz" / "ev.jsonl").read_bytes()).counts
        assert counts[oncefold.Outcome.IGNORED] == 1
        assert store.ingest(b"null\n").counts == {oncefold.Outcome.IGNORED: 1}
        assert store.ingest(moved).counts == {oncefold.Outcome.DELETED: 1, oncefold.Outcome.INSERTED: 1}
        assert store.totals("US").node.count == 1
        assert store.totals().node.count == 1
        assert store.reader.status().counts["ignored"] == 2
    assert check_store(tmp_path / "s.db") == []
