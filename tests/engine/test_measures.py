"""Every measure in every node, against the plain definition and against DuckDB; and known-wrong engines."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.aws.functions.fits import check_fits
from oncefold.columnar import distinct, node_values, plan
from oncefold.columnar.distinct import TextCounts
from oncefold.columnar.trees import Trees
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import DefinitionError
from oncefold.core.event import Event
from oncefold.core.fold import Node
from oncefold.core.measures import quotient
from oncefold.engine.redefinition import redefine_store
from oncefold.queries.store_reader import StoreReader
from oncefold.store.check import check_store
from tests.engine.measured import MEASURED, decoded, lines, live, opened, records, totals
from tests.tools import reference
from tests.tools.sizes import examples, in_full, sized


def batches_of(seed: int, number: int = 400, keys: int = 40, size: int = 25) -> list[list[dict[str, Any]]]:
    events = records(Random(seed), number, keys)
    return [events[start : start + size] for start in range(0, number, size)]


def wrong_nodes(path: Path, batches: Sequence[Sequence[dict[str, Any]]], reopen_after: int | None = None) -> int:
    """How many nodes were wrong after some commit, with a store reopened after some of them."""
    done: list[dict[str, Any]] = []
    wrong = 0
    begun = 0
    while begun < len(batches):
        end = len(batches) if reopen_after is None else min(begun + reopen_after, len(batches))
        with opened(path) as session:
            for batch in batches[begun:end]:
                session.ingest(lines(batch))
                done += batch
                wrong += len(reference.differences(reference.totals(MEASURED, decoded(done)), totals(path)))
        begun = end
    return wrong


@pytest.mark.parametrize("seed", range(sized(1, 12)))
def test_every_commit_has_the_values_of_the_plain_definition(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "store.db"
    batches = batches_of(seed)
    assert wrong_nodes(path, batches, reopen_after=5) == 0
    assert check_store(path) == []
    with StoreReader.open(path) as reader:
        assert reader.verify().exact
    done: list[dict[str, Any]] = []
    for number, batch in enumerate(batches, 1):
        done += batch
        reference.assert_equal(reference.totals(MEASURED, decoded(done)), totals(path, number), MEASURED)


@settings(max_examples=examples(30, short=2), deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 60))
def test_cuts_and_orders_do_not_matter(tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int) -> None:
    rng = Random(seed)
    events = records(rng, 120, 12)
    expected = reference.totals(MEASURED, decoded(events))
    for whole in (True, False):
        path = tmp_path_factory.mktemp("cut") / "store.db"
        again = [*events, *rng.sample(events, 40)]
        rng.shuffle(again)
        with opened(path) as session:
            for start in range(0, len(again), len(again) if whole else cut):
                session.ingest(lines(again[start : start + (len(again) if whole else cut)]))
        reference.assert_equal(expected, totals(path), MEASURED)


_SQL = """
SELECT shop, till, count(*) AS n,
    count(DISTINCT buyer), sum(coalesce(price * qty, 0)), min(price), sum(price), count(price), max(price),
    count(*) FILTER (price > 5), count(price), count(DISTINCT upper(note)),
    first(price ORDER BY moment, id) FILTER (price IS NOT NULL AND moment IS NOT NULL),
    last(price * qty ORDER BY moment, id) FILTER (price * qty IS NOT NULL AND moment IS NOT NULL)
FROM live GROUP BY ROLLUP (shop, till)
"""


@pytest.mark.parametrize("seed", range(sized(1, 8)))
def test_the_values_are_those_of_duckdb(tmp_path: Path, seed: int) -> None:
    """SQL's aggregate functions over the keys that count: NULL takes no part."""
    events = records(Random(seed), 600, 200)
    path = tmp_path / "store.db"
    with opened(path) as session:
        session.ingest(lines(events))
    columns = ["id", "at", "shop", "till", "price", "qty", "buyer", "note"]
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE live (id VARCHAR, moment BIGINT, shop VARCHAR, till VARCHAR, price DECIMAL(9, 2), "
            "qty INTEGER, buyer VARCHAR, note VARCHAR)"
        )
        connection.executemany(
            "INSERT INTO live VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [[record.get(name) for name in columns] for record in live(events)],
        )
        found = connection.execute(_SQL).fetchall()
    with StoreReader.open(path) as reader:
        rows = {row.labels: row for row in reader.query("", rollup="shops", depth=None)}
    assert len(rows) == len(found)
    for shop, till, count, buyers, revenue, least, summed, priced, *others in found:
        row = rows[tuple(label for label in (shop, till) if label is not None)]
        mean = None if not priced else Fraction(quotient(int(Fraction(summed) * 1000), priced), 1000)
        greatest, large, has, words, opening, latest = others
        expected = (buyers, revenue, least, mean, greatest, large, has, words, opening, latest)
        assert row.count == count
        assert tuple(row.sums.values()) == expected


def test_a_least_value_that_is_taken_back_is_repaired_in_the_same_commit(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    basis = {"v": 1, "at": 10, "shop": "a", "till": "1", "qty": 1, "gone": False}
    with opened(path) as session:
        session.ingest(lines([{"id": f"k{n}", "price": f"{n}.00", **basis} for n in range(1, 5)]))
        session.ingest(lines([{"id": "k1", "v": 2, "gone": True}]))
        (root,) = session.totals(rollup="shops", depth=0)
        assert (root.sums["smallest"], root.sums["opening"]) == (2, 2)
        session.ingest(lines([{"id": "k1", "price": "9.00", **basis, "v": 3, "till": "2"}]))
        (root,) = session.totals(rollup="shops", depth=0)
        assert (root.sums["smallest"], root.sums["biggest"], root.sums["opening"]) == (2, 9, 9)
        session.ingest(lines([{"id": f"k{n}", "v": 9, "gone": True} for n in range(1, 5)]))
        (root,) = session.totals(rollup="shops", depth=0)
        assert root.count == 0
        assert [root.sums[name] for name in ("smallest", "biggest", "opening", "latest", "mean")] == [None] * 5
        assert (root.sums["buyers"], root.sums["priced"]) == (0, 0)


def test_nothing_is_looked_through_where_the_extreme_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    real = node_values.repair

    def counted(*arguments: Any) -> int:
        looked.append(real(*arguments))
        return looked[-1]

    monkeypatch.setattr(node_values, "repair", counted)
    basis = {"v": 1, "at": 10, "shop": "a", "till": "1", "qty": 1, "gone": False}
    with opened(tmp_path / "store.db") as session:
        looked.clear()
        session.ingest(lines([{"id": f"k{n}", "price": "5.00", **basis} for n in range(9)]))
        session.ingest(lines([{"id": "k4", "v": 2, "gone": True}]))  # others have the same price and the same time
        session.ingest(lines([{"id": "k5", "price": "4.00", **basis, "v": 2}]))
        assert looked == [0, 0, 0]
        session.ingest(lines([{"id": "k5", "v": 3, "gone": True}]))
        assert looked[-1] == 1


def test_versions_of_128_bits_stand_beside_texts(tmp_path: Path) -> None:
    """The low word of a version comes after the texts of a key."""
    assert MEASURED.version is not None
    wide = replace(MEASURED, version=replace(MEASURED.version, type="decimal"))
    events = records(Random(17), 300, 30)
    for event in events:
        event["v"] = str(10**30 + event["v"])
    found = _decoded_by(wide, events)
    for _ in range(2):
        with opened(tmp_path / "store.db", wide) as session:
            for start in range(0, 300, 50):
                session.ingest(lines(events[start : start + 50]))
            assert session.reader.verify().exact
        reference.assert_equal(reference.totals(wide, found), totals(tmp_path / "store.db"), wide)


def test_measures_are_made_anew_from_kept_events(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    events = records(Random(3), 300, 60)
    sums = replace(MEASURED, measures=MEASURED.measures[1:2], keep_events=True)
    full, fewer = replace(MEASURED, keep_events=True), replace(sums, measures=MEASURED.measures[7:])
    with opened(path, sums) as session:
        session.ingest(lines(events[:200]))
    redefine_store(path, full)
    with opened(path, full) as session:
        session.ingest(lines(events[200:]))
    everything = reference.totals(MEASURED, decoded(events))
    reference.assert_equal(everything, totals(path), MEASURED)
    redefine_store(path, fewer)
    reference.assert_equal(reference.totals(fewer, _decoded_by(fewer, events)), totals(path), fewer)
    with StoreReader.open(path) as reader:
        (root,) = reader.query("", rollup="days", depth=0, as_of=3)
        assert root.sums["buyers"] == everything[Node(1)].sums[MEASURED.layout.places[0].amount]
        assert reader.verify().exact
    assert check_store(path) == []


def _decoded_by(pipeline: Pipeline, events: Sequence[dict[str, Any]]) -> list[Event]:
    decoder = Decoder(pipeline)
    return [decoder.json(line) for line in lines(events).splitlines()]


# Known-wrong engines: each must be caught.


def _unrepaired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_values, "repair", lambda *_: 0)


def _null_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan._MISSING_FORMS, "null", plan.MISSING_IS_ZERO)


def _average_of_averages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The averages of leaves are averaged: each leaf counts once, whatever number of keys it has."""
    real, at = Trees.apply, MEASURED.layout.places[3].amount

    def apply(trees: Trees, net: Any, *rest: Any) -> Any:
        high, low = net.high.copy(), net.low.copy()
        for leaf in range(len(high)):
            summed, number = ((int(high[leaf, at + i]) << 32) + int(low[leaf, at + i]) for i in (0, 1))
            if number:
                mean = quotient(summed, abs(number)) * (1 if number > 0 else -1)
                high[leaf, at], low[leaf, at] = mean >> 32, mean & 0xFFFFFFFF
                high[leaf, at + 1], low[leaf, at + 1] = (0, 1) if number > 0 else (-1, 0xFFFFFFFF)
        return real(trees, replace(net, high=high, low=low), *rest)

    monkeypatch.setattr(Trees, "apply", apply)


def _counted_at_each_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that two leaves have counts twice in the nodes above them."""
    real = TextCounts.apply

    def apply(counts: TextCounts, moves: Any, *rest: Any) -> None:
        texts = moves[:, 2:]
        apart = np.where(texts < 0, texts, texts * 1_000 + moves[:, :1])
        real(counts, np.ascontiguousarray(np.column_stack([moves[:, :2], apart])), *rest)

    monkeypatch.setattr(TextCounts, "apply", apply)


def _never_uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text stays counted when the last key that has it is corrected."""
    real = distinct.count_texts
    monkeypatch.setattr(
        distinct, "count_texts", lambda moves, *rest: real(np.where(moves < -1, moves, np.abs(moves)), *rest)
    )


def _ties_by_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two leaves with the same time the first one wins, whatever the keys are."""
    real = node_values.extremes_of_nodes

    def blind(spec: Any, held: Any, keys: Any, *rest: Any) -> None:
        real(spec, held, (keys[0], np.zeros_like(keys[1])), *rest)

    monkeypatch.setattr(node_values, "extremes_of_nodes", blind)


def _forgets_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the keys of an opened store have is not taken up."""
    monkeypatch.setattr(node_values.NodeValues, "load", lambda *_: None)


@pytest.mark.parametrize(
    "plant",
    [
        _unrepaired,
        _null_is_zero,
        _average_of_averages,
        *in_full("2 s each", _counted_at_each_leaf, _never_uncounted, _ties_by_arrival, _forgets_at_the_end),
    ],
)
def test_a_wrong_engine_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    batches = batches_of(5, number=200, keys=30)
    assert wrong_nodes(tmp_path / "right.db", batches, reopen_after=4) == 0
    plant(monkeypatch)
    assert wrong_nodes(tmp_path / "wrong.db", batches, reopen_after=4) > 0


def test_the_functions_on_aws_refuse_what_no_sum_gives() -> None:
    with pytest.raises(DefinitionError) as error:
        check_fits(MEASURED)
    assert "buyers (distinct), smallest (min), biggest (max)" in str(error.value)
    assert "oncefold run PIPELINE.toml kinesis:" in str(error.value)
