"""Every measure in every answer: one document from the store, over HTTP and on the command line; which keys make it."""

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from oncefold.cli.main import main
from oncefold.core.errors import QueryError
from oncefold.queries import Reader
from oncefold.queries.changes.notices import _measures
from oncefold.queries.http_reader import HttpReader
from oncefold.queries.render.rows import columns_of, csv_lines, json_lines
from oncefold.queries.store_reader import StoreReader
from oncefold.store.changes import values_of
from oncefold.store.nodes import find_node
from tests.engine.measured import MEASURED, lines, live, records
from tests.queries.test_contract import CLOCK, LOAD, plain, without
from tests.serve.answers.server import Server, serving

EVENTS = records(Random(11), 300, 60)
LIVE = live(EVENTS)

QUERIES: dict[str, tuple[Any, list[str] | None, str]] = {
    "all": (
        lambda r: r.query(rollup="shops", depth=None),
        ["query", "--rollup", "shops", "--depth", "all"],
        "/totals/shops?depth=all",
    ),
    "past": (
        lambda r: r.query(rollup="shops", as_of=0),
        ["query", "--rollup", "shops", "--as-of", "0"],
        "/totals/shops?as_of=0",
    ),
    "explain": (
        lambda r: r.explain("a", rollup="shops", limit=None),
        ["explain", "a", "--rollup", "shops", "--limit", "all"],
        "/explain/shops/a?limit=all",
    ),
    "which keys": (
        lambda r: r.explain("", rollup="shops", measure="smallest"),
        ["explain", "", "--rollup", "shops", "--measure", "smallest"],
        "/explain/shops?measure=smallest",
    ),
    "which keys of a value": (
        lambda r: r.explain("", rollup="shops", measure="buyers", value="ann"),
        ["explain", "", "--rollup", "shops", "--measure", "buyers", "--value", "ann"],
        "/explain/shops?measure=buyers&value=ann",
    ),
    "history": (
        lambda r: r.history(LIVE[0]["id"], every=True),
        ["history", LIVE[0]["id"], "--every"],
        f"/history/{LIVE[0]['id']}?every=true",
    ),
    "conflicts": (lambda r: r.conflicts(), ["conflicts", "--limit", "all"], "/conflicts?limit=1000"),
    "verify": (lambda r: r.verify(), ["verify"], "/verify"),
    "status": (lambda r: r.status(), ["status"], "/status"),
    "series": (lambda r: r.series("a", rollup="shops"), None, "/series/shops/a"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("measures") / "orders.db"
    with serving(path, MEASURED, lines(EVENTS[:150]), lines(EVENTS[150:])) as running:
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


def assert_one_document(
    asked: tuple[Any, list[str] | None, str], server: Server, store: Reader, capsys: pytest.CaptureFixture[str]
) -> None:
    """A query of a store and its server, in Python, over HTTP and on the command line, gives the same in every form."""
    query, command, route = asked
    url = f"http://127.0.0.1:{server.port}"
    with HttpReader.open(url) as remote:
        expected = without(plain(query(store)), CLOCK)
        assert without(plain(query(remote)), CLOCK, LOAD) == expected
        answers = query(store), query(remote)
        assert columns_of(answers[0]) == columns_of(answers[1])
        assert list(csv_lines(answers[0])) == list(csv_lines(answers[1]))
        assert list(json_lines(answers[0])) == list(json_lines(answers[1]))
        assert answers[0].to_arrow().equals(answers[1].to_arrow(), check_metadata=True)
    assert without(server.ask(route).json(), CLOCK, LOAD) == expected
    for backend in (["--store", str(server.session.path)], ["--server", url]):
        if command is not None:
            assert main([*command, "--format", "json", *backend]) == 0
            assert without(json.loads(capsys.readouterr().out), CLOCK, LOAD) == expected
            assert main([*command, *backend]) == 0
            assert capsys.readouterr().out


def test_what_is_null_is_null_in_every_form(store: StoreReader) -> None:
    found = store.query(rollup="shops", as_of=0)
    (row,) = found.to_dicts()
    assert row["measure_mean"] is None
    assert row["measure_buyers"] == Decimal(0)
    assert found.to_arrow().column("measure_smallest").to_pylist() == [None]
    (cells,) = csv.DictReader(io.StringIO(b"".join(csv_lines(found)).decode()))
    assert (cells["measure_mean"], cells["measure_revenue"], cells["measure_buyers"]) == ("", "0.00", "0")
    assert json.loads(next(iter(json_lines(found))))["measures"]["latest"] is None


def test_a_key_has_its_text_and_numbers(store: StoreReader) -> None:
    found = store.explain("", rollup="shops", limit=None)
    assert found.to_arrow().schema.field("measure_buyers").type == pa.string()
    texts = {row.key: row.values["buyers"] for row in found}
    assert texts == {record["id"]: _text(record.get("buyer")) for record in LIVE}
    assert found.adds_up


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


@pytest.mark.parametrize("node", ["", "a", "b/2"])
def test_the_keys_that_make_a_measure(store: StoreReader, node: str) -> None:
    here = [r for r in LIVE if not node or f"{r['shop']}/{r['till']}".startswith(node)]
    (total,) = store.query(node, rollup="shops", depth=0)

    def made(measure: str, value: str | None = None) -> set[str]:
        found = store.explain(node, rollup="shops", limit=None, measure=measure, value=value)
        assert found.adds_up
        assert found.count == len(found)
        return {row.key for row in found}

    priced = {r["id"]: Decimal(r["price"]) for r in here if "price" in r}
    assert made("smallest") == {key for key, price in priced.items() if price == total.sums["smallest"]}
    assert made("biggest") == {key for key, price in priced.items() if price == total.sums["biggest"]}
    assert made("mean") == made("priced") == set(priced)
    assert made("large") == {key for key, price in priced.items() if price > 5}
    assert made("revenue") == {r["id"] for r in here}
    assert made("buyers") == {r["id"] for r in here if "buyer" in r}
    assert made("buyers", "7") == {r["id"] for r in here if r.get("buyer") == 7}
    assert made("words", "X") == {r["id"] for r in here if r.get("note", "").upper() == "X"}
    timed = [(r["at"], r["id"]) for r in here if "price" in r and "at" in r]
    assert made("opening") == {min(timed)[1]}


def test_what_does_not_exist_is_named(store: StoreReader) -> None:
    with pytest.raises(QueryError, match="there is no measure 'buyer'; there is: buyers, revenue"):
        store.explain("", rollup="shops", measure="buyer")
    with pytest.raises(QueryError, match="no key ever had the value 'zoe'"):
        store.explain("", rollup="shops", measure="buyers", value="zoe")
    with pytest.raises(QueryError, match="revenue is a sum; only of a distinct"):
        store.explain("", rollup="shops", measure="revenue", value="1")
    with pytest.raises(QueryError, match="name the measure"):
        store.explain("", rollup="shops", value="ann")


def test_live_changes_have_the_values(server: Server, store: StoreReader) -> None:
    rows = store.query(rollup="shops", depth=None)
    stored = {row.path: {name: None if v is None else f"{v:f}" for name, v in row.sums.items()} for row in rows}
    with server.session.reader.file.at_one_commit() as connection:
        ids = [find_node(connection, "shops", row.labels) for row in rows]
        found = {each.path: _measures(each.sums, MEASURED) for each in values_of(connection, MEASURED, ids)}
    assert found == stored
