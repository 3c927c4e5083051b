"""Several leaves end to end: the engine, its reopened store and the functions on AWS equal the reference model."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import numpy as np
import pytest

from oncefold.columnar.distinct import TextCounts
from oncefold.columnar.trees import Trees
from oncefold.core import fold, leafset
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total
from oncefold.core.measures import quotient
from oncefold.engine.redefinition import redefine_store
from oncefold.pipeline_file import parse_pipeline
from oncefold.queries.store_reader import StoreReader
from oncefold.store.check import check_store
from tests.aws.functions.conftest import simulated
from tests.aws.functions.stacks import Stack
from tests.aws.functions.stacks import lines as records_of
from tests.engine import measured
from tests.engine.measured import MEASURED, opened, totals
from tests.tools import reference
from tests.tools.sizes import in_full, sized

ROLLUPS = """
name = "orders"
[event]
key = "id"
version = "v"
delete = "gone"
time = "at"
[rollups]
tags = ["shop", { each = "tags", missing = "(none)" }]
items = [{ each = "items", field = "kind", missing = "-" }, { each = "items", field = "sku", missing = "-" }]
both = [{ each = "items", field = "kind", missing = "-" }, "till", { each = "tags", missing = "(none)" }]
shops = ["shop"]
[measures]
revenue = { sum = "price * qty", scale = 2, missing = "zero" }
large = { count = "price > 5" }
"""
SUMS: Pipeline = parse_pipeline(ROLLUPS)
ALL = replace(SUMS, measures=MEASURED.measures)
"""Every kind of measure."""


def records(seed: int, size: int = 60, keys: int = 9) -> list[dict[str, Any]]:
    random = Random(seed)
    return [
        {
            **record,
            "tags": random.choices(["red", "big", "\0", 7], k=random.randint(0, 3)),
            "items": [{"kind": random.choice("xy"), "sku": random.randint(1, 2)} for _ in range(random.randint(0, 3))],
        }
        for record in measured.records(random, size, keys)
    ]


def lines(events: Sequence[dict[str, Any]]) -> bytes:
    return measured.lines(events)


def expected(pipeline: Pipeline, events: Sequence[dict[str, Any]]) -> dict[Node, Total]:
    return reference.totals(pipeline, map(Decoder(pipeline).json, lines(events).splitlines()))


def wrong_nodes(path: Path, pipeline: Pipeline, events: Sequence[dict[str, Any]], size: int = 10) -> int:
    """How many nodes were wrong after some commit, with a store that is opened again for each."""
    wrong = 0
    for start in range(0, len(events), size):
        with opened(path, pipeline) as session:
            session.ingest(lines(events[start : start + size]))
        wrong += len(reference.differences(expected(pipeline, events[: start + size]), totals(path)))
    return wrong


@pytest.mark.parametrize("seed", range(sized(1, 20)))
def test_every_commit_of_the_engine_is_the_plain_definition(tmp_path: Path, seed: int) -> None:
    path, events = tmp_path / "store.db", records(seed)
    assert wrong_nodes(path, ALL, events) == 0
    assert check_store(path) == []
    with StoreReader.open(path) as reader:
        assert reader.verify().exact
        for rollup in ALL.rollups:
            for row in reader.query("", rollup=rollup.name, depth=None):
                found = reader.explain(row.path, rollup=rollup.name, limit=None)
                assert found.adds_up
                assert len({key.key for key in found}) == row.count
    for commit in range(1, len(events) // 10 + 1):
        reference.assert_equal(expected(ALL, events[: commit * 10]), totals(path, commit), ALL)


@pytest.mark.parametrize("cut", [7, *in_full("2 s", 1, 60)])
def test_cuts_and_orders_do_not_matter(tmp_path: Path, cut: int) -> None:
    random, path, events = Random(cut), tmp_path / "store.db", records(31, 100, 20)
    again = [*events, *random.sample(events, 40)]
    random.shuffle(again)
    with opened(path, ALL) as session:
        for start in range(0, len(again), cut):
            session.ingest(lines(again[start : start + cut]))
    reference.assert_equal(expected(ALL, events), totals(path), ALL)


@pytest.mark.parametrize("seed", range(sized(1, 12)))
def test_the_keys_that_make_a_measure(tmp_path: Path, seed: int) -> None:
    path, events = tmp_path / "store.db", records(seed, 80, 20)
    with opened(path, ALL) as session:
        session.ingest(lines(events))
        live = _live(events)
        for node in ("", "a", "a/red", "b/7"):
            here = [record for record in live if _counts_in(record, node)]
            priced = {record["id"]: float(record["price"]) for record in here if "price" in record}
            timed = [(record["at"], record["id"]) for record in here if "price" in record and "at" in record]
            made = _asker(session.reader, node)
            assert made("smallest") == {key for key, price in priced.items() if price == min(priced.values())}
            assert made("biggest") == {key for key, price in priced.items() if price == max(priced.values())}
            assert made("priced") == made("mean") == set(priced)
            assert made("opening") == ({min(timed)[1]} if timed else set())
            assert made("buyers") == {record["id"] for record in here if "buyer" in record}
            assert made("buyers", "ann") == {record["id"] for record in here if record.get("buyer") == "ann"}


def _live(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records of the keys that count, by the reference."""
    pairs = list(zip(map(Decoder(ALL).json, lines(events).splitlines()), events, strict=True))
    winners = reference.winners(event for event, _ in pairs)
    found = {event.key: record for event, record in pairs if event == winners[event.key]}
    return [record for key, record in found.items() if not winners[key].content.deleted]


def _counts_in(record: dict[str, Any], node: str) -> bool:
    shop, _, tag = node.partition("/")
    return (not shop or record["shop"] == shop) and (not tag or tag in map(str, record["tags"]))


def _asker(reader: StoreReader, node: str) -> Callable[..., set[str]]:
    nodes = {row.path for row in reader.query("", rollup="tags", depth=None)}

    def made(measure: str, value: str | None = None) -> set[str]:
        if node not in nodes:
            return set()
        found = reader.explain(node, rollup="tags", limit=None, measure=measure, value=value)
        assert found.adds_up
        return {row.key for row in found}

    return made


_SQL = """
WITH tagged AS (SELECT *, unnest(CASE len(tags) WHEN 0 THEN ['(none)'] ELSE list_distinct(tags) END) AS tag FROM live)
SELECT shop, NULL AS tag, count(*), sum(coalesce(price * qty, 0)), min(price), count(DISTINCT buyer), sum(price),
    count(price) FROM live GROUP BY shop
UNION ALL
SELECT shop, tag, count(*), sum(coalesce(price * qty, 0)), min(price), count(DISTINCT buyer), sum(price), count(price)
    FROM tagged GROUP BY shop, tag
"""


@pytest.mark.parametrize("seed", range(sized(1, 8)))
def test_the_values_are_those_of_duckdb(tmp_path: Path, seed: int) -> None:
    """Tags in a table of their own, joined for the leaves and not for what is above them."""
    events = [
        {**record, "tags": [tag for tag in map(str, record["tags"]) if tag != "\0"]}
        for record in records(seed, 400, 99)
    ]
    columns = ["id", "shop", "price", "qty", "buyer", "tags"]
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE live (id VARCHAR, shop VARCHAR, price DECIMAL(9, 2), qty INTEGER, buyer VARCHAR, "
            "tags VARCHAR[])"
        )
        rows = [[record.get(name) for name in columns] for record in _live(events)]
        connection.executemany("INSERT INTO live VALUES (?, ?, ?, ?, ?, ?)", rows)
        found = connection.execute(_SQL).fetchall()
    with opened(tmp_path / "store.db", ALL) as session:
        session.ingest(lines(events))
        nodes = {row.labels: row for row in session.reader.query("", rollup="tags", depth=None)}
    assert len(nodes) == len(found) + 1
    for shop, tag, count, revenue, least, buyers, summed, priced in found:
        row = nodes[(shop,) if tag is None else (shop, tag)]
        names = ("revenue", "smallest", "buyers", "priced")
        assert (row.count, *(row.sums[name] for name in names)) == (count, revenue, least, buyers, priced)
        mean = row.sums["mean"]
        assert (None if mean is None else int(mean * 1000)) == (
            quotient(int(summed * 1000), priced) if priced else None
        )


@pytest.mark.parametrize("seed", range(sized(1, 12)))
def test_the_functions_have_the_totals_of_the_engine(tmp_path: Path, seed: int) -> None:
    path, events = tmp_path / "store.db", records(seed)
    made = simulated()
    stack = Stack(made.client, made.names, SUMS, made.time)
    texts = [line.decode() for line in lines(events).splitlines()]
    for start in range(0, len(texts), 7):
        stack.fold(records_of(texts[start : start + 7]))
        stack.reduce()
    stack.fold(records_of(texts[::-1]))
    stack.reduce()
    with opened(path, SUMS) as session:
        session.ingest(lines(events))
    reference.assert_equal(expected(SUMS, events), stack.totals(), SUMS)
    reference.assert_equal(totals(path), stack.totals(), SUMS)


def test_a_store_is_redefined_to_several_leaves_and_back(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    events = [{**record, "v": number} for number, record in enumerate(records(3, 120, 30))]
    plain, sets = replace(MEASURED, name="orders", keep_events=True), replace(ALL, keep_events=True)
    with opened(path, plain) as session:
        session.ingest(lines(events[:60]))
        first = session.engine.last_commit
    redefine_store(path, sets)
    reference.assert_equal(expected(sets, events[:60]), totals(path), sets)
    with opened(path, sets) as session:
        session.ingest(lines(events[60:]))
    reference.assert_equal(expected(sets, events), totals(path), sets)
    assert check_store(path) == []
    redefine_store(path, plain)
    reference.assert_equal(expected(plain, events), totals(path), plain)
    with StoreReader.open(path) as reader:
        assert reader.verify().exact
        before = reader.query("", rollup="tags", depth=None, as_of=first + 1)
        assert {row.path: row.count for row in before if row.count} == {
            "/".join(node.labels): total.count
            for node, total in expected(sets, events[:60]).items()
            if node.rollup == 0
        }
    assert check_store(path) == []


# Known-wrong engines and functions: each must be caught.


def _above_two_leaves_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes above two leaves of a key are listed for each of them."""
    real = Trees._grow_sets

    def twice(trees: Trees, first: int) -> None:
        real(trees, first)
        ends, nodes = trees._set_ends, trees._set_nodes
        lists = [nodes[ends[i] : ends[i + 1]] for i in range(trees.leaves.count)]
        fewest = min(map(len, lists), default=0)
        lists = [np.append(one, one[0]) if len(one) > fewest and i >= first else one for i, one in enumerate(lists)]
        trees._set_nodes = np.concatenate([*lists, nodes[:0]]).astype(np.int32)
        trees._set_ends = np.cumsum([0, *map(len, lists)]).astype(np.int64)

    monkeypatch.setattr(Trees, "_grow_sets", twice)


def _a_distinct_through_two_leaves_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text counts once for each leaf that a key with it has, in the nodes above them, too."""
    real = TextCounts.apply

    def apply(counts: TextCounts, moves: Any, nodes: Any, different: Any) -> None:
        sizes = np.diff(nodes[0])
        again = moves[sizes[moves[:, 0]] > sizes.min(initial=0)]
        both = [(moves, 0), (again, 1)]
        parts = [np.column_stack([m[:, :2], np.where(m[:, 2:] < 0, m[:, 2:], 2 * m[:, 2:] + i)]) for m, i in both]
        real(counts, np.ascontiguousarray(np.concatenate(parts)), nodes, different)

    monkeypatch.setattr(TextCounts, "apply", apply)


@pytest.mark.parametrize("plant", [_above_two_leaves_twice, _a_distinct_through_two_leaves_twice])
def test_a_wrong_engine_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    events = records(5)
    assert wrong_nodes(tmp_path / "right.db", ALL, events) == 0
    plant(monkeypatch)
    assert wrong_nodes(tmp_path / "wrong.db", ALL, events, 60) > 0
    with StoreReader.open(tmp_path / "wrong.db") as reader:
        assert not reader.verify().exact


def test_wrong_functions_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a key counts in the nodes above its leaves once for each."""

    def each(pipeline: Pipeline, labels: tuple[str, ...]) -> list[Node]:
        paths = [(i, path) for i, levels in enumerate(pipeline.rollup_levels)
                 for path in leafset.paths(pipeline.arrays, labels, levels)]  # fmt: skip
        return [Node(rollup, path[:depth]) for rollup, path in paths for depth in range(len(path) + 1)]

    monkeypatch.setattr(fold, "nodes_of", each)
    made, events = simulated(), records(5)
    stack = Stack(made.client, made.names, SUMS, made.time)
    stack.fold(records_of([line.decode() for line in lines(events).splitlines()]))
    stack.reduce()
    assert reference.differences(expected(SUMS, events), stack.totals())
