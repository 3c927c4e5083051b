"""`StoreReader.explain` and `StoreReader.history`: the keys behind a total, and what arrived for one."""

from datetime import timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from oncefold.core.errors import QueryError
from oncefold.queries.converters import to_nanos
from oncefold.queries.store_reader import StoreReader
from oncefold.store.reader import StoreFile
from tests.queries.stores import BEGAN, MONDAY, SECOND, SHOP, TUESDAY, TWO_TREES, alter, build, events, lines, shop
from tests.tools import reference

BOOKS = [
    {"book": "US", "id": "Texas", "v": 1, "type": "x", "region": "north", "value": 1, "tiny": "0.5"},
    {"book": "US/a", "id": "", "v": 1, "type": "x", "region": "south", "value": 2},
    {"book": "US", "id": 7, "v": 1, "type": "y", "region": "north", "value": 3},
    {"book": "US", "id": 7, "v": 2, "type": "y", "region": "south", "value": 4},
]


@pytest.fixture
def books(tmp_path: Path) -> Path:
    return build(tmp_path / "s.db", TWO_TREES, lines(BOOKS))


def test_explain_lists_the_keys_and_they_add_up(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        found = ask.explain("FR")
        assert (found.commit.number, found.rollup, found.path, found.count) == (2, "place", "FR", 2)
        assert found.sums == {"amount": Decimal("201.00")}
        assert [(row.key, row.version_text, row.leaf, row.labels, str(row.values["amount"])) for row in found] == [
            ("A-1", "2026-03-02T09:00:00Z", "FR/Paris", ("FR", "Paris"), "120.00"),
            ("A-2", "2026-03-03T08:00:00.250000001Z", "FR/Paris", ("FR", "Paris"), "81.00"),
        ]
        assert found.complete
        assert found.adds_up
        assert ask.explain("FR/Lyon").count == 0
        assert ask.explain("FR/Lyon").adds_up


def test_explain_shows_as_many_as_asked(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        found = ask.explain("", limit=1)
        assert (len(found), found.count, found.complete, found.adds_up) == (1, 4, False, True)
        assert len(ask.explain("", limit=0)) == 0
        everything = ask.explain("", limit=None)
        assert everything.adds_up
        winners = reference.winners(events(SHOP, lines(MONDAY), lines(TUESDAY)))
        assert {row.key: row.labels for row in everything} == {
            key: event.content.labels for key, event in winners.items() if not event.content.deleted
        }
        with pytest.raises(QueryError, match="limit is -1"):
            ask.explain("", limit=-1)
        with pytest.raises(QueryError, match="at the top there is FR, US"):
            ask.explain("XX")


def test_explain_adds_up_exactly_or_says_that_it_does_not(tmp_path: Path) -> None:
    records = [
        {"order": i, "updated": i, "country": "c", "city": "d", "amount": "9999999999999999.99"} for i in range(40)
    ]
    path = build(tmp_path / "s.db", SHOP, lines(records))
    with localcontext() as context, StoreReader.open(path) as ask:
        context.prec = 4
        assert ask.explain("c", limit=None).adds_up
        assert str(ask.explain("c").sums["amount"]) == "399999999999999999.60"
    alter(path, "UPDATE total SET sum_amount = '399999999999999999.59' WHERE node = 1")
    with StoreReader.open(path) as ask:
        assert not ask.explain("c", limit=None).adds_up


def test_an_answer_is_of_one_commit_even_if_another_is_made_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shop(tmp_path)
    asked = StoreFile.totals

    def interrupted(self: StoreFile, *args: Any, **named: Any) -> Any:
        found = asked(self, *args, **named)
        build(path, SHOP, lines([{**MONDAY[0], "order": "new"}]))
        return found

    monkeypatch.setattr(StoreFile, "totals", interrupted)
    with StoreReader.open(path) as ask:
        found = ask.explain("FR")
        assert (found.commit.number, found.count, found.adds_up) == (2, 2, True)
        assert ask.explain("FR").commit.number == 3


def test_explain_shows_the_leaf_in_the_rollup_that_was_asked(books: Path) -> None:
    with StoreReader.open(books) as ask:
        by_type = ask.explain("x", rollup="by_type")
        assert [(row.key, row.leaf) for row in by_type] == [("US/Texas", "x/north"), (r"US\/a/\e", "x/south")]
        assert [row.version for row in by_type] == [1, 1]
        by_region = ask.explain(("south",), rollup="by_region")
        assert [(row.key, row.leaf) for row in by_region] == [(r"US\/a/\e", "south"), ("US/7", "south")]
        assert by_region.rows[1].labels == ("y", "south")
        table = by_type.to_arrow()
        assert table.column_names == ["commit", "key", "version", "leaf", "measure_value", "measure_tiny"]
        assert table.schema.field("version").type == pa.int64()
        assert table.column("measure_tiny").to_pylist() == [Decimal("0.500000000000000000"), Decimal(0)]


def test_history_shows_what_was_accepted(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        found = ask.history("A-2")
        assert [(row.commit.number, row.outcome, row.leaf, str(row.values["amount"])) for row in found] == [
            (1, "inserted", "FR/Lyon", "80.50"),
            (2, "corrected", "FR/Paris", "81.00"),
        ]
        assert found.key == "A-2"
        assert found.commit.number == 2
        assert found.forgotten_to is None
        assert (found.current.leaf, found.current.values) == ("FR/Paris", {"amount": Decimal("81.00")})
        assert not found.current.deleted
        assert [row.outcome for row in ask.history("A-2", every=True)] == ["inserted", "corrected", "stale"]
        assert [row.outcome for row in ask.history("A-1", every=True)] == ["inserted", "duplicate"]
        assert [row.outcome for row in ask.history("A-3", every=True)] == ["inserted", "conflict_lost"]


def test_history_of_a_deleted_key(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        found = ask.history("A-5")
    assert found.current.deleted
    assert (found.current.leaf, found.current.values) == (None, {})
    last = found.rows[-1]
    assert (last.outcome, last.labels, last.leaf, last.values, last.known) == ("deleted", None, None, {}, True)
    assert found.to_dicts()[-1]["measure_amount"] is None


def test_timestamp_versions_are_exact_in_every_form(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        found = ask.history("A-2")
        corrected = found.rows[1]
        assert corrected.version_text == "2026-03-03T08:00:00.250000001Z"
        assert found.to_dicts()[1]["version"] == corrected.version_text
        table = found.to_arrow()
        assert table.schema.field("version").type == pa.timestamp("ns", "UTC")
        assert table.column("version")[1].value == corrected.version
        assert table.column("time")[1].value == BEGAN + SECOND
        assert corrected.commit.time is not None
        assert to_nanos(corrected.commit.time) == (BEGAN + SECOND) // 1000 * 1000


@pytest.mark.parametrize("key", ["US/Texas", ("US", "Texas"), ["US", "Texas"]])
def test_a_composite_key_is_written_or_given_in_parts(books: Path, key: Any) -> None:
    with StoreReader.open(books) as ask:
        assert ask.history(key).key == "US/Texas"


def test_keys_as_people_write_them(books: Path, tmp_path: Path) -> None:
    with StoreReader.open(books) as ask:
        assert ask.history(("US", 7)).key == ask.history("US/7").key == "US/7"
        assert ask.history(("US/a", "")).key == ask.history(r"US\/a/\e").key == r"US\/a/\e"
        with pytest.raises(QueryError, match=r"the key US has 1 part; a key of this pipeline is its book and id"):
            ask.history("US")
        with pytest.raises(QueryError, match="has 3 parts"):
            ask.history(("US", "a", ""))
        with pytest.raises(QueryError, match="not a key: 'US//a' has an empty part"):
            ask.history("US//a")
        with pytest.raises(QueryError, match=r"no event with the key 'US/nobody' has arrived"):
            ask.history("US/nobody")
    single = build(tmp_path / "single.db", SHOP, lines([{**MONDAY[0], "order": "a/b"}, {**MONDAY[0], "order": 7}]))
    with StoreReader.open(single) as ask:
        assert ask.history("a/b").key == ask.history(("a/b",)).key == "a/b"
        assert ask.history(7).key == "7"
        with pytest.raises(QueryError, match="one text, its order"):
            ask.history(("a", "b"))


def test_history_beyond_the_retention_says_so(tmp_path: Path) -> None:
    path = shop(tmp_path)
    alter(path, "UPDATE meta SET value = '1' WHERE key = 'changes_from'")
    with StoreReader.open(path) as ask:
        found = ask.history("A-2", every=True)
        assert found.forgotten_to is not None
        assert found.forgotten_to.number == 1
        assert found.commit.time is not None
        assert found.forgotten_to.time == found.commit.time - timedelta(seconds=1)
