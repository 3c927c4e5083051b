"""Series, branches and search: each is held against `query`, which has a reference model of its own."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.core.errors import InvalidQueryError, QueryError
from oncefold.queries import series
from oncefold.queries.store_reader import StoreReader
from tests.queries.stores import SHOP, build, lines, shop
from tests.tools.sizes import examples

EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "order": st.sampled_from(["1", "2", "3", "4", "5"]),
            "updated": st.integers(1, 9).map(lambda day: f"2026-01-0{day}"),
            "country": st.sampled_from(["A", "B"]),
            "city": st.sampled_from(["x", "y/z", ""]),
            "amount": st.integers(-(10**17), 10**17 - 1).map(lambda value: f"{value // 100}.{value % 100:02}"),
            "cancelled": st.sampled_from([False, False, False, True]),
        }
    ),
    max_size=4,
)


def store(folder: str, commits: list[list[dict[str, Any]]]) -> Path:
    return build(Path(folder) / "s.db", SHOP, *map(lines, commits))


@settings(max_examples=examples(30))
@given(commits=st.lists(EVENTS, min_size=1, max_size=12), points=st.integers(1, 15))
def test_each_point_is_what_query_says_of_its_commit(commits: list[list[dict[str, Any]]], points: int) -> None:
    with tempfile.TemporaryDirectory() as folder, StoreReader.open(store(folder, commits)) as ask:
        for node in ask.query(depth=None):
            found = ask.series(node.labels, points=points)
            assert 1 <= len(found) <= points
            assert found.rows[-1].commit == found.commit
            assert sorted({row.commit.number for row in found}) == [row.commit.number for row in found]
            for row in found:
                past = ask.query(node.labels, depth=0, as_of=row.commit.number)
                assert (row.commit, row.amounts.count, row.amounts.sums) == (
                    past.commit,
                    past.node.count,
                    past.node.sums,
                )


@settings(max_examples=examples(30))
@given(
    commits=st.lists(EVENTS, min_size=1, max_size=6),
    depth=st.one_of(st.none(), st.integers(0, 3)),
    past=st.booleans(),
    data=st.data(),
)
def test_children_are_counted_as_query_lists_them(
    commits: list[list[dict[str, Any]]], depth: int | None, past: bool, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder, StoreReader.open(store(folder, commits)) as ask:
        as_of = data.draw(st.integers(0, len(commits))) if past else None
        totals = ask.query(depth=depth, as_of=as_of)
        every = ask.query(depth=None, as_of=as_of)
        for node in totals:
            assert node.children == sum(row.labels[:-1] == node.labels and row.depth > 0 for row in every)
        labels = [row.label for row in ask.query(as_of=as_of) if row.depth]
        after = data.draw(st.one_of(st.none(), st.sampled_from(["", "A", "B", "C"])))
        limit = data.draw(st.integers(1, 3))
        page = ask.query(as_of=as_of, after=after, limit=limit)
        beyond = [label for label in labels if after is None or label > after]
        assert [row.label for row in page][1:] == beyond[:limit]
        assert page.more == (len(beyond) > limit)
        assert page.node.children == len(labels)


@settings(max_examples=examples(30))
@given(commits=st.lists(EVENTS, min_size=1, max_size=12), points=st.integers(2, 15), since=st.integers(0, 14))
def test_a_series_begins_where_it_is_told(commits: list[list[dict[str, Any]]], points: int, since: int) -> None:
    with tempfile.TemporaryDirectory() as folder, StoreReader.open(store(folder, commits)) as ask:
        whole, found = ask.series(points=500), ask.series(points=points, since=since)
        first = min(since, whole.commit.number)
        assert found.rows[0].commit.number == first
        assert all(row in whole.rows and row.commit.number >= first for row in found.rows)
        begun = next(row.commit for row in whole.rows if row.commit.number == first)
        if begun.time is not None:
            assert ask.series(points=points, since=begun.time).rows == found.rows


def test_a_series_reads_no_more_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"country": "A", "city": "x", "amount": 1}
    commits = [lines([{**event, "order": str(n), "updated": f"2026-01-01T00:00:{n:02}Z"}]) for n in range(40)]
    with StoreReader.open(build(tmp_path / "s.db", SHOP, *commits)) as ask:
        monkeypatch.setattr(series, "MOST_DELTAS", 20)
        found = ask.series("A", points=500)
        assert 1 < len(found) < 40
        for row in found:
            assert ask.query("A", depth=0, as_of=row.commit.number).node.count == row.amounts.count


def test_pages_are_of_one_level(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        with pytest.raises(InvalidQueryError, match="depth is 1"):
            ask.query(depth=2, limit=1)
        with pytest.raises(QueryError, match="did you mean FR"):
            ask.query("FRR", limit=1)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("pa", ["FR/Paris"]),
        ("ARI", ["FR/Paris"]),
        ("louis", [r"US/St. Louis\/MO"]),
        ("us", ["US", "US/Austin", r"US/St. Louis\/MO"][:2]),
        ("lyon", []),
        ("_", []),
        ("%", []),
        ("\\", []),
    ],
)
def test_search_finds_live_nodes(tmp_path: Path, text: str, paths: list[str]) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        assert [node.path for node in ask.search(text).nodes] == paths


@settings(max_examples=examples(30))
@given(commits=st.lists(EVENTS, min_size=1, max_size=8), text=st.sampled_from(["1", "2", "3", "9", ""]))
def test_search_knows_which_keys_count(commits: list[list[dict[str, Any]]], text: str) -> None:
    with tempfile.TemporaryDirectory() as folder, StoreReader.open(store(folder, commits)) as ask:
        met = {event["order"] for commit in commits for event in commit}
        found = ask.search(text).keys
        assert {key.key for key in found} == {key for key in met if key.startswith(text)}
        for key in found:
            current = ask.history(key.key).current
            assert key.live == (not current.deleted)
            assert (key.version_text, key.leaf, key.values) == (
                current.version_text or None,
                current.leaf,
                current.values,
            )
        for node in ask.search("x").nodes:
            total = ask.query(node.path, depth=0).node
            assert (node.count, node.sums) == (total.count, total.sums)


def test_rejects_beyond_one_and_only_their_beginning(tmp_path: Path) -> None:
    path = build(tmp_path / "s.db", SHOP, b"one\ntwo\n" + json.dumps({"x": "y" * 50}).encode() + b"\n")
    with StoreReader.open(path) as ask:
        found = ask.rejects(after=1, most_bytes=5)
        assert [(row.id, row.raw, row.size) for row in found] == [(2, b"two", 3), (3, b'{"x":', 59)]
        assert found.total == 3
        newest = ask.rejects(2, most_bytes=3, newest_first=True)
        assert [(row.id, row.raw) for row in newest] == [(3, b'{"x'), (2, b"two")]
        assert [row.id for row in ask.rejects(after=2, newest_first=True)] == [1]
        assert [row.id for row in ask.rejects(newest_first=True)] == [3, 2, 1]
        assert newest.total == 3
