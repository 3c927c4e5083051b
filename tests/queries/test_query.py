"""`StoreReader.query`: exact totals, of any node, now or in the past."""

import dataclasses
import json
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import QueryError, StoreError
from oncefold.core.fold import Node, Total
from oncefold.core.nodepath import join
from oncefold.queries import Totals
from oncefold.queries.store_reader import StoreReader
from tests.core.strategies import LABELS
from tests.queries.stores import BEGAN, MONDAY, SHOP, TUESDAY, TWO_TREES, alter, build, events, lines, shop
from tests.tools import reference
from tests.tools.sizes import examples

BIGGEST = 2**95 - 1
"""39614081257132168796771975167: 29 digits, the greatest sum that a store keeps."""


def mantissa(value: Decimal, scale: int) -> int:
    digits = value.as_tuple()
    assert digits.exponent == -scale
    return int("".join(map(str, digits.digits))) * (-1 if digits.sign else 1)


def as_totals(pipeline: Pipeline, answer: Totals) -> dict[Node, Total]:
    """An answer in the form of the reference model."""
    index = pipeline.rollup_index(answer.rollup)
    found = {}
    for row in answer:
        sums = tuple(mantissa(row.sums[measure.name], measure.scale) for measure in pipeline.measures)
        found[Node(index, row.labels)] = Total(row.count, sums)
    return found


def assert_right(questions: StoreReader, *commits: bytes, **asked: Any) -> None:
    """All nodes of all rollups equal the reference."""
    pipeline = questions.pipeline
    found: dict[Node, Total] = {}
    for rollup in pipeline.rollups:
        found.update(as_totals(pipeline, questions.query(rollup=rollup.name, depth=None, **asked)))
    reference.assert_equal(reference.totals(pipeline, events(pipeline, *commits)), found, pipeline)


def test_a_node_and_its_children(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        totals = ask.query()
        assert [(row.path, row.depth, row.label, row.count) for row in totals] == [
            ("", 0, "", 4),
            ("FR", 1, "FR", 2),
            ("US", 1, "US", 2),
        ]
        assert [str(row.sums["amount"]) for row in totals] == ["100002201.00", "201.00", "100002000.00"]
        assert totals.rollup == "place"
        assert len(totals) == 3
        assert totals.node is totals.rows[0]
        assert [row.path for row in ask.query("US")] == ["US", "US/Austin", r"US/St. Louis\/MO"]
        assert [row.path for row in ask.query("US", depth=0)] == ["US"]
        assert len(ask.query(depth=None)) == 6


def test_totals_equal_the_reference_at_every_commit(tmp_path: Path) -> None:
    commits = [lines(MONDAY), lines(TUESDAY)]
    with StoreReader.open(shop(tmp_path)) as ask:
        assert_right(ask, *commits)
        for seq in range(3):
            assert_right(ask, *commits[:seq], as_of=seq)


def test_the_answer_names_its_commit_and_how_fresh_it_is(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        totals = ask.query()
        assert totals.commit.number == 2
        assert totals.commit.time == datetime(2026, 3, 2, 9, 0, 1, 123456, tzinfo=UTC)
        assert totals.commit.time_text == "2026-03-02T09:00:01.123456789Z"
        assert totals.newest_event_text == "2026-03-03T08:40:00Z"
        assert totals.newest_event == datetime(2026, 3, 3, 8, 40, tzinfo=UTC)
        assert ask.query(as_of=1).newest_event_text == "2026-03-02T09:11:00Z"


def test_the_past_is_named_by_commit_text_or_datetime(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        first = ask.query(as_of=1)
        assert first.commit.number == 1
        assert first.node.count == 4
        assert ask.query(as_of="1") == first
        assert ask.query(as_of="2026-03-02T09:00:00.123456789Z") == first
        assert ask.query(as_of="2026-03-02 10:00:00.9+01:00") == first
        assert ask.query(as_of="2026-03-02T09:00:00.123456788Z").commit.number == 0
        assert first.commit.time is not None
        assert ask.query(as_of=first.commit.time) == first, "the microsecond of a commit finds it"
        assert ask.query(as_of=first.commit.time - timedelta(microseconds=1)).commit.number == 0
        assert ask.query(as_of="2100-01-01").commit.number == 2


@pytest.mark.parametrize(
    ("as_of", "words"),
    [
        (3, "there is no commit 3; the last is 2"),
        (-1, "there is no commit -1"),
        ("yesterday", "neither a commit's number nor a time"),
        ("2026-13-01", "is not a date"),
        (datetime(2026, 1, 1), "has no time zone"),
        (datetime(2026, 1, 1).date(), "a datetime says which moment"),
        (1.5, "not by a float"),
    ],
)
def test_a_past_that_cannot_be_asked_is_said(tmp_path: Path, as_of: Any, words: str) -> None:
    with StoreReader.open(shop(tmp_path)) as ask, pytest.raises(QueryError, match=words):
        ask.query(as_of=as_of)


def test_the_empty_store_and_empty_nodes(tmp_path: Path) -> None:
    path = build(tmp_path / "s.db", SHOP)
    with StoreReader.open(path) as ask:
        totals = ask.query(depth=None)
        assert (totals.commit.number, totals.commit.time, totals.commit.time_text) == (0, None, None)
        assert [(row.path, row.count, row.sums) for row in totals] == [("", 0, {"amount": Decimal("0.00")})]
        assert totals.newest_event is None
        assert ask.verify().exact
    build(path, SHOP, lines(MONDAY), lines([{"order": "A-3", "updated": "2027-01-01", "cancelled": True}]))
    with StoreReader.open(path) as ask:
        (row,) = ask.query("US").rows
        assert (row.count, row.sums["amount"]) == (0, Decimal(0))


def test_unknown_names_are_said_with_what_there_is(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        with pytest.raises(QueryError, match=r"did you mean FR/Paris\?"):
            ask.query("FR/Pariss")
        with pytest.raises(QueryError, match=r"there is no rollup 'x'; there is: place"):
            ask.query(rollup="x")
        with pytest.raises(QueryError, match="has an empty part"):
            ask.query("FR//Paris")
        with pytest.raises(QueryError, match="depth is -1"):
            ask.query(depth=-1)


def test_several_trees_must_be_named(tmp_path: Path) -> None:
    path = build(tmp_path / "s.db", TWO_TREES, lines([{"book": 1, "id": 2, "v": 1, "type": "x", "region": "y"}]))
    with StoreReader.open(path) as ask:
        with pytest.raises(QueryError, match="several rollups: by_type, by_region"):
            ask.query()
        assert ask.query(rollup="by_region").rollup == "by_region"


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    ask = StoreReader.open(shop(tmp_path))
    ask.close()
    ask.close()
    with pytest.raises(StoreError, match="closed"):
        ask.query()
    with pytest.raises(StoreError, match="no such store"):
        StoreReader.open(tmp_path / "none.db")


def test_nodes_are_written_or_given_as_labels(tmp_path: Path) -> None:
    awkward = ["a/b", "q\"uo'te", "", "naïve 😀", "back\\slash", "new\nline", "-"]
    records = [
        {"order": i, "updated": i, "country": label, "city": other, "amount": i}
        for i, (label, other) in enumerate((a, b) for a in awkward for b in awkward)
    ]
    with StoreReader.open(build(tmp_path / "s.db", SHOP, lines(records))) as ask:
        assert_right(ask, lines(records))
        whole = ask.query(depth=None)
        for label in awkward:
            node = ask.query((label,), depth=0).node
            assert node.labels == (label,)
            assert node.path == join([label])
            assert node.count == len(awkward)
            assert ask.query(node.path, depth=0).node == node
            assert whole[node.path] == whole[[label]] == node
        with pytest.raises(KeyError):
            whole["nowhere"]


RECORDS = st.builds(
    lambda book, number, version, place, value, tiny, gone: {
        "book": book,
        "id": number,
        "v": version,
        "type": place[0],
        "region": place[1],
        "value": value,
        "tiny": tiny,
        "gone": gone,
    },
    st.sampled_from(["", "a/b", "é"]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.tuples(LABELS, LABELS),
    st.sampled_from(["0.01", "-9999999999999999.99", "9999999999999999.99", "7"]),
    st.sampled_from(["0.000000000000000001", "0", "-0.999999999999999999"]),
    st.sampled_from([True, False, False, False]),
)


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(st.lists(RECORDS, max_size=6), max_size=3))
def test_any_stream_gives_the_totals_of_the_reference_at_every_commit(batches: list[list[dict[str, Any]]]) -> None:
    commits = [lines(batch) for batch in batches]
    with tempfile.TemporaryDirectory() as folder:
        path = build(Path(folder) / "s.db", TWO_TREES, *commits)
        with StoreReader.open(path) as ask:
            for seq in range(len(commits) + 1):
                assert_right(ask, *commits[:seq], as_of=seq)
            assert ask.verify().exact


def big(tmp_path: Path) -> Path:
    """A store whose root has the greatest sums that can be kept."""
    record = {"book": "b", "id": 1, "v": 1, "type": "x", "region": "y", "value": "0.01"}
    path = build(tmp_path / "s.db", TWO_TREES, lines([record]))
    alter(path, "UPDATE total SET sum_value = ? WHERE node = 0", "396140812571321687967719751.67")
    alter(path, "UPDATE total SET sum_tiny = ? WHERE node = 0", "-39614081257.132168796771975167")
    return path


def test_sums_keep_every_digit_whatever_the_decimal_context(tmp_path: Path) -> None:
    with localcontext() as context, StoreReader.open(big(tmp_path)) as ask:
        context.prec = 3
        totals = ask.query(rollup="by_type")
        value, tiny = totals.node.sums["value"], totals.node.sums["tiny"]
        table = totals.to_arrow()
    assert mantissa(value, 2) == BIGGEST
    assert mantissa(tiny, 18) == -BIGGEST
    assert table.schema.field("measure_value").type == pa.decimal128(38, 2)
    assert table.schema.field("measure_tiny").type == pa.decimal128(38, 18)
    assert table.column("measure_value")[0].as_py() == value
    assert table.column("measure_tiny")[0].as_py() == tiny


def test_values_beyond_38_digits_become_wider_decimals(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        totals = ask.query()
    wide = Decimal("1" * 60 + ".25")
    node = dataclasses.replace(totals.node, sums={"amount": wide})
    table = dataclasses.replace(totals, rows=(node,)).to_arrow()
    assert table.schema.field("measure_amount").type == pa.decimal256(76, 2)
    assert table.column("measure_amount").to_pylist() == [wide]


def test_answers_as_rows_and_as_arrow_say_the_same(tmp_path: Path) -> None:
    with StoreReader.open(shop(tmp_path)) as ask:
        totals = ask.query("FR")
    assert totals.to_dicts()[1] == {
        "commit": 2,
        "rollup": "place",
        "path": "FR/Paris",
        "depth": 2,
        "label": "Paris",
        "count": 2,
        "children": 0,
        "measure_amount": Decimal("201.00"),
    }
    table = totals.to_arrow()
    assert table.to_pylist() == totals.to_dicts()
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata == {"oncefold.commit": "2", "oncefold.commit_time": "2026-03-02T09:00:01.123456789Z"}


def test_a_measure_may_have_any_name(tmp_path: Path) -> None:
    pipeline = parse_toml("""
name = "p"
[event]
key = "k"
[rollups]
all = []
[measures]
commit = { sum = "a" }
sum_commit = { sum = "b" }
key = { sum = "a" }
version = { sum = "b" }
""")
    path = build(tmp_path / "s.db", pipeline, lines([{"k": "x", "a": 1, "b": 2}]))
    with StoreReader.open(path) as ask:
        row = ask.query().to_dicts()[0]
        assert row["commit"] == 1
        assert row["measure_commit"] == 1
        assert row["measure_sum_commit"] == 2
        assert row["measure_key"] == 1
        assert ask.query().to_arrow().to_pylist() == [row]
        (explained,) = ask.explain("").to_dicts()
        assert (explained["key"], explained["measure_key"], explained["measure_version"]) == ("x", 1, 2)
        (arrived,) = ask.history("x").to_arrow().drop_columns(["time"]).to_pylist()
        assert (arrived["key"], arrived["commit"], arrived["version"]) == ("x", 1, None)


def test_a_pipeline_without_measures_counts(tmp_path: Path) -> None:
    pipeline = parse_toml('name = "p"\n[event]\nkey = "k"\n[rollups]\nall = []\n')
    with StoreReader.open(build(tmp_path / "s.db", pipeline, lines([{"k": "x"}, {"k": "y"}, {"k": "x"}]))) as ask:
        assert ask.query().node.count == 2
        assert ask.query().node.sums == {}
        assert ask.explain("").adds_up


def test_questions_are_answered_while_a_writer_goes_on(tmp_path: Path) -> None:
    path = shop(tmp_path)
    with StoreReader.open(path) as ask:
        assert ask.query().commit.number == 2
        build(path, SHOP, lines([{**MONDAY[1], "order": "new"}]))
        assert ask.query().commit.number == 3
        assert ask.query().node.count == 5
        assert ask.query().commit.time_text == "2026-03-02T09:00:01.123456789Z", (
            "a clock that went back is not followed"
        )


def test_the_clock_of_the_tests() -> None:
    assert datetime.fromtimestamp(BEGAN // 10**9, UTC) == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert json.loads(lines(MONDAY[:1])) == MONDAY[0]
