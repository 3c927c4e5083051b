"""Several leaves in every answer: one document from store, server and command line; where a key counts."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from oncefold.core.definition_toml import parse_toml
from oncefold.queries import Reader
from oncefold.queries.render.rows import csv_lines, json_rows
from oncefold.queries.store_reader import StoreReader
from tests.queries.test_measures import assert_one_document
from tests.serve.answers.server import Server, serving

PIPELINE = parse_toml("""
name = "orders"
[event]
key = "id"
version = "v"
delete = "gone"
[rollups]
tags = ["region", { each = "tags", missing = "(none)" }]
items = [{ each = "items", field = "kind", missing = "-" }, { each = "items", field = "sku", missing = "-" }]
[measures]
amount = { sum = "amount", scale = 2 }
least = { min = "amount", scale = 2 }
regions = { distinct = "region" }
""")


def event(key: str, version: int, region: str, tags: list[Any], amount: str, items: Any = None) -> dict[str, Any]:
    return {"id": key, "v": version, "region": region, "tags": tags, "amount": amount, "items": items}


FIRST = [
    event("A", 1, "EU", ["red", "big"], "5.00", [{"kind": "book", "sku": 1}, {"kind": "game", "sku": 2}]),
    event("B", 1, "EU", ["red"], "7.00", [{"kind": "book", "sku": 2}]),
    event("C", 1, "US", [], "1.00"),
    event("D", 1, "US", ["red", "a, b/c"], "2.00"),
]
SECOND = [
    event("B", 1, "EU", ["big"], "7.00", [{"kind": "book", "sku": 2}]),
    event("C", 2, "EU", ["red", "new"], "3.00", [{"kind": "game", "sku": 1}, {"kind": "game", "sku": 2}]),
    {"id": "D", "v": 2, "gone": True},
    event("D", 1, "US", ["red"], "2.00"),
]
QUERIES: dict[str, tuple[Any, list[str] | None, str]] = {
    "all": (
        lambda r: r.query(rollup="tags", depth=None),
        ["query", "--rollup", "tags", "--depth", "all"],
        "/totals/tags?depth=all",
    ),
    "past": (
        lambda r: r.query(rollup="items", depth=None, as_of=1),
        ["query", "--rollup", "items", "--depth", "all", "--as-of", "1"],
        "/totals/items?depth=all&as_of=1",
    ),
    "sorted": (
        lambda r: r.query("EU", rollup="tags", sort="amount"),
        ["query", "EU", "--rollup", "tags", "--sort", "amount"],
        "/totals/tags/EU?sort=amount",
    ),
    "explain": (lambda r: r.explain("EU", rollup="tags"), ["explain", "EU", "--rollup", "tags"], "/explain/tags/EU"),
    "which keys": (
        lambda r: r.explain("EU/red", rollup="tags", measure="least"),
        ["explain", "EU/red", "--rollup", "tags", "--measure", "least"],
        "/explain/tags/EU%2Fred?measure=least",
    ),
    "which keys of a value": (
        lambda r: r.explain("", rollup="tags", measure="regions", value="EU"),
        ["explain", "", "--rollup", "tags", "--measure", "regions", "--value", "EU"],
        "/explain/tags?measure=regions&value=EU",
    ),
    "history": (lambda r: r.history("C"), ["history", "C"], "/history/C"),
    "history of a deleted key": (
        lambda r: r.history("D", every=True),
        ["history", "D", "--every"],
        "/history/D?every=true",
    ),
    "conflicts": (lambda r: r.conflicts(), ["conflicts", "--limit", "all"], "/conflicts?limit=1000"),
    "verify": (lambda r: r.verify(), ["verify"], "/verify"),
    "status": (lambda r: r.status(), ["status"], "/status"),
    "series": (lambda r: r.series("EU", rollup="tags"), None, "/series/tags/EU"),
}


def lines(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("each") / "orders.db", PIPELINE, lines(FIRST), lines(SECOND)) as running:
        yield running


@pytest.fixture
def store(server: Server) -> Iterator[Reader]:
    with StoreReader.open(server.session.path) as reader:
        yield reader


@pytest.mark.parametrize("name", QUERIES)
def test_a_store_and_its_server_give_one_document(
    name: str, server: Server, store: StoreReader, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_one_document(QUERIES[name], server, store, capsys)


def test_a_node_counts_each_key_once(store: StoreReader) -> None:
    found = {row.path: (row.count, row.sums["amount"], row.children) for row in store.query(rollup="tags", depth=None)}
    assert {path: (count, str(amount), children) for path, (count, amount, children) in found.items()} == {
        "": (3, "15.00", 1),
        "EU": (3, "15.00", 3),
        "EU/big": (1, "5.00", 0),
        "EU/new": (1, "3.00", 0),
        "EU/red": (3, "15.00", 0),
    }
    assert store.verify().exact


def test_the_leaves_of_a_key_are_told_apart(store: StoreReader) -> None:
    found = store.explain("EU", rollup="tags")
    assert {row.key: (row.labels[:2], row.leaves, row.leaf) for row in found} == {
        "A": (("EU", ("big", "red")), ("EU/big", "EU/red"), "EU/big, EU/red"),
        "B": (("EU", ("red",)), ("EU/red",), "EU/red"),
        "C": (("EU", ("new", "red")), ("EU/new", "EU/red"), "EU/new, EU/red"),
    }
    assert [row["leaves"] for row in json_rows(found)] == [row.leaves for row in found]
    leaves = found.to_arrow().column("leaves")
    assert leaves.type == pa.list_(pa.string())
    assert leaves.to_pylist() == [list(row.leaves) for row in found]
    cells = csv.DictReader(io.StringIO(b"".join(csv_lines(found)).decode()))
    assert [json.loads(row["leaves"]) for row in cells] == leaves.to_pylist()
    current = store.history("A").current
    assert current.leaf == "EU/(big, red)/(book, game)/(1, 2)"
    assert current.leaves == {"tags": ("EU/big", "EU/red"), "items": ("book/1", "game/2")}


def test_the_other_rollup_has_the_same_keys(store: StoreReader) -> None:
    counts = {row.path: row.count for row in store.query(rollup="items", depth=None)}
    assert counts == {"": 3, "book": 2, "book/1": 1, "book/2": 1, "game": 2, "game/1": 1, "game/2": 2}
    assert [row.key for row in store.explain("game", rollup="items")] == ["A", "C"]
    assert store.explain("game", rollup="items").adds_up


def test_of_conflicts_both_leaves_are_shown(store: StoreReader) -> None:
    found = {row.key: (row.kept.leaf, row.dropped.leaf) for row in store.conflicts()}
    assert found == {"B": ("EU/red/book/2", "EU/big/book/2")}
