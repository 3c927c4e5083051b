"""`StackReader.query`: the rows of the embedded engine, from tables, with what is pending counted or added."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from botocore.exceptions import EndpointConnectionError

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.functions.layout import Delta
from oncefold.aws.names import Names
from oncefold.aws.reader import StackReader, open_stack, totals
from oncefold.aws.reader.totals import sum_deltas
from oncefold.cli.main import main
from oncefold.core.errors import InvalidQueryError, OncefoldError, QueryError
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Stored, Total, net
from oncefold.queries.model import AsOfTime, NodeTotal, Pending, Totals
from oncefold.queries.protocol import Reader, UnsupportedQueryError
from oncefold.queries.store_reader import StoreReader
from tests.aws.conftest import Run
from tests.aws.reader.clients import Paged, Restless
from tests.aws.reader.records import ODD, random_records
from tests.aws.reader.stacks import NOW_TEXT, NOW_TIME, OLD, Filled, count, fill, node_item, put
from tests.queries.stores import MONDAY, SHOP, TUESDAY, TWO_TREES, build, events, lines, shop
from tests.tools import reference
from tests.tools.sizes import full_only, in_full, sized

OpenReader = Callable[..., StackReader]


def assert_same(found: Iterable[NodeTotal], expected: Iterable[NodeTotal]) -> None:
    """The rows of a stack are those of a store; only how many children a node has may be left out."""
    for row, other in zip(found, expected, strict=True):
        assert row.children in {None, other.children}
        assert replace(row, children=other.children) == other


def without_children(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in row if name != "children"} for row in rows]


def pending_of(found: Totals) -> Pending:
    assert isinstance(found.as_of, AsOfTime)
    assert found.as_of.pending is not None
    return found.as_of.pending


def without_commit(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in row if name != "commit"} for row in rows]


@pytest.mark.parametrize("depth", [0, 1, 2, None])
def test_the_answer_is_that_of_a_store_of_the_same_events(
    shop_stack: Filled, open_reader: OpenReader, tmp_path: Path, depth: int | None
) -> None:
    with StoreReader.open(shop(tmp_path)) as embedded:
        for node in ("", "FR", "US", "FR/Paris", r"US/St. Louis\/MO"):
            expected, found = embedded.query(node, depth=depth), open_reader().query(node, depth=depth)
            assert_same(found, expected)
            assert (found.rollup, found.shape) == (expected.rollup, expected.shape)
            assert without_children(found.to_dicts()) == without_children(without_commit(expected.to_dicts()))
            table = expected.to_arrow().drop_columns(["commit", "children"])
            assert found.to_arrow().drop_columns("children").equals(table)
            if depth is None:
                assert found.rows == expected.rows
    assert found.to_arrow().schema.metadata == {
        b"oncefold.stack": shop_stack.names.stack.encode(),
        b"oncefold.time": NOW_TEXT.encode(),
    }


@pytest.mark.parametrize("seed", range(sized(1, 3)))
def test_any_events_give_the_rows_of_the_engine(
    stack: Names, open_reader: OpenReader, tmp_path: Path, seed: int
) -> None:
    data = lines(random_records(seed))
    fill(stack, TWO_TREES, events(TWO_TREES, data))
    whole_pages, small_pages = open_reader(), open_reader(Paged(client("dynamodb")))
    with StoreReader.open(build(tmp_path / "s.db", TWO_TREES, data)) as embedded:
        for rollup in ("by_type", "by_region"):
            whole = embedded.query(rollup=rollup, depth=None)
            assert_same(small_pages.query(rollup=rollup, depth=None), whole)
            for row in whole:
                expected = embedded.query(row.labels, rollup=rollup, depth=1)
                assert_same(whole_pages.query(row.path, rollup=rollup), expected)


@pytest.mark.parametrize("seed", range(sized(1, 3)))
@full_only("1 s")
def test_exact_adds_what_is_pending(stack: Names, open_reader: OpenReader, tmp_path: Path, seed: int) -> None:
    data = lines(random_records(seed))
    fill(stack, TWO_TREES, events(TWO_TREES, data), pending=7)
    exact, small_pages = open_reader(exact=True), open_reader(Paged(client("dynamodb")), exact=True)
    with StoreReader.open(build(tmp_path / "s.db", TWO_TREES, data)) as embedded:
        for rollup in ("by_type", "by_region"):
            expected = embedded.query(rollup=rollup, depth=None)
            found = small_pages.query(rollup=rollup, depth=None)
            assert_same(found, expected)
            for row in list(expected)[::5]:
                assert_same([exact.query(row.labels, rollup=rollup).node], [row])
    assert found.as_of == AsOfTime(stack.stack, NOW_TIME, NOW_TEXT, Pending(7, timedelta(seconds=12), added=True))


def test_totals_are_those_of_the_table_and_what_is_pending_is_counted(stack: Names, open_reader: OpenReader) -> None:
    monday = events(SHOP, lines(MONDAY))
    fill(stack, SHOP, [*monday, *events(SHOP, lines(TUESDAY))], pending=2, chunk=len(monday))
    found = open_reader().query(depth=None)
    expected = reference.totals(SHOP, monday)
    assert {row.labels: row.count for row in found} == {node.labels: total.count for node, total in expected.items()}
    assert pending_of(found) == Pending(2, timedelta(seconds=12))


def test_an_outbox_is_counted_so_far_only(
    shop_stack: Filled, open_reader: OpenReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "COUNTED_DELTAS", 5)
    put(
        shop_stack.names.reduce_table,
        [layout.delta_item(SHOP, layout.Delta(f"d{n}", ()), keys=1, created=0) for n in range(30)],
    )
    found = open_reader(Paged(client("dynamodb"), 1)).query()
    assert not pending_of(found).complete
    assert 5 < pending_of(found).deltas < 30


@pytest.mark.parametrize("exact", [False, *in_full("2 s", True)])
def test_children_come_page_by_page(stack: Names, open_reader: OpenReader, *, exact: bool) -> None:
    data = lines(random_records(3, labels=[*ODD, "a/", "a/b/c"]))
    fill(stack, TWO_TREES, events(TWO_TREES, data), pending=3 if exact else 0)
    reader = open_reader(Paged(client("dynamodb"), 1), exact=exact)
    node, *children = reader.query(rollup="by_type")
    assert len(children) > 3
    found, after = [], None
    while True:
        page = reader.query(rollup="by_type", after=after, limit=2)
        assert_same([page.node], [node])
        found += page.rows[1:]
        if not page.more:
            break
        assert len(page) == 3
        after = page.rows[-1].label
    assert found == children
    assert_same(reader.query(rollup="by_type", limit=0), [node])
    assert_same(reader.query(rollup="by_type", after=children[1].label), [node, *children[2:]])
    with pytest.raises(InvalidQueryError, match="with them depth is 1"):
        reader.query(rollup="by_type", depth=2, limit=1)


def test_what_a_stack_does_not_keep_is_refused(shop_stack: Filled, open_reader: OpenReader) -> None:
    reader = open_reader()
    for query in (
        lambda: reader.query(as_of=1),
        reader.series,
        lambda: reader.search("F"),
        lambda: reader.history("A-1"),
        lambda: reader.rejects(after=1),
    ):
        with pytest.raises(UnsupportedQueryError, match=f"stack {shop_stack.names.stack}: "):
            query()


def test_a_stack_is_a_reader(shop_stack: Filled) -> None:
    reader: Reader
    with open_stack(shop_stack.names.stack) as reader:
        assert reader.name == shop_stack.names.stack
        assert reader.shape.pipeline == "shop"


@pytest.mark.parametrize("few", [0, *in_full("1 s", 10**6)])
def test_a_scan_gives_the_same_as_queries(
    stack: Names, open_reader: OpenReader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few: int
) -> None:
    data = lines(random_records(3, labels=[*ODD, "a/", "a/b/c"]))
    fill(stack, TWO_TREES, events(TWO_TREES, data))
    monkeypatch.setattr(totals, "FEW_QUERIES", few)
    with StoreReader.open(build(tmp_path / "s.db", TWO_TREES, data)) as embedded:
        expected = embedded.query(rollup="by_type", depth=None)
        paged = Paged(client("dynamodb"))
        assert_same(open_reader(paged).query(rollup="by_type", depth=None), expected)
        scans = paged.calls.count("scan")
        assert (scans > 2 * 8) == (few == 0)
        for row in expected:
            if row.depth == 1:
                expected_below = embedded.query(row.labels, rollup="by_type")
                assert_same(open_reader().query(row.labels, rollup="by_type"), expected_below)


def test_no_event_yet_is_a_root_of_nothing(stack: Names, open_reader: OpenReader) -> None:
    fill(stack, SHOP, [])
    found = open_reader().query(depth=None)
    assert [(row.path, row.count) for row in found] == [("", 0)]
    with pytest.raises(QueryError, match="there is no node FR: nothing is at the top"):
        open_reader().query("FR")


def test_nodes_without_live_keys_are_hidden_but_can_be_queried(stack: Names, open_reader: OpenReader) -> None:
    here = Event("k", 1, Content(("FR", "Paris"), (5,)))
    fill(stack, SHOP, [here, Event("k", 2, Content(("US", "Austin"), (5,)))], chunk=1)
    assert [row.path for row in open_reader().query(depth=None)] == ["", "US", "US/Austin"]
    assert [row.count for row in open_reader().query("FR", depth=None)] == [0]


def test_exact_reads_again_while_deltas_are_applied(stack: Names, open_reader: OpenReader) -> None:
    """A delta that goes from the outbox to the totals between the two readings is counted once."""
    filled = fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=1)
    (delta,) = filled.deltas
    dynamodb = client("dynamodb")
    done: list[str] = []

    def apply(name: str, request: dict[str, Any]) -> None:
        if name == "query" and not done:
            done.append(name)
            open_reader().stack.dynamodb.delete_item(TableName=stack.reduce_table, Key=layout.delta_key(delta.id))

    expected = [(row.path, row.count) for row in open_reader().query(depth=None)]
    found = open_reader(Restless(dynamodb, apply), exact=True).query(depth=None)
    assert [(row.path, row.count) for row in found] == expected
    assert done


def test_exact_looks_below_a_node_that_what_is_pending_leaves_as_it_is(stack: Names, open_reader: OpenReader) -> None:
    """A key came to FR/Paris, moved to FR/Nice, and then away; the deltas of the first and last step are applied."""
    leaves = [("FR", "Paris"), ("FR", "Nice"), ("US", "Austin")]
    contents = [Content(leaf, (100,)) for leaf in leaves]
    filled = fill(stack, SHOP, [Event("k", version, content) for version, content in enumerate(contents)], chunk=1)
    came, moved, went = (
        Delta(f"step-{version}-0", tuple(net(SHOP, [(before, Stored(version, content))]).items()))
        for version, (before, content) in enumerate(
            zip([None, *(Stored(v, c) for v, c in enumerate(contents))], contents, strict=False)
        )
    )
    put(stack.aggregate_table, [node_item(SHOP, *total) for total in sum_deltas([came, went]).items()])
    put(stack.aggregate_table, [node_item(SHOP, Node(0, leaves[1]), Total(-1, (-100,)))])
    put(stack.reduce_table, [layout.delta_item(SHOP, moved, keys=1, created=OLD)])
    found = open_reader(exact=True).query(depth=None)
    assert [row.path for row in found] == ["", "US", "US/Austin"]
    assert filled.states["k"].content.labels == leaves[-1]


def test_exact_gives_up_on_a_pipeline_that_never_stands_still(stack: Names, open_reader: OpenReader) -> None:
    filled = fill(stack, SHOP, events(SHOP, lines(MONDAY)), pending=1)
    item = layout.delta_item(SHOP, filled.deltas[0], keys=1, created=0)
    numbers = iter(range(100))

    def go_on(name: str, request: dict[str, Any]) -> None:
        if name == "query":
            for old in client("dynamodb").scan(TableName=stack.reduce_table)["Items"]:
                client("dynamodb").delete_item(TableName=stack.reduce_table, Key={"id": old["id"]})
            put(stack.reduce_table, [{**item, "id": {"S": f"d{next(numbers)}"}}])

    with pytest.raises(OncefoldError, match="deltas were applied while the totals were read; query again"):
        open_reader(Restless(client("dynamodb"), go_on), exact=True).query()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"node": "FR/Pari"}, "there is no node FR/Pari; did you mean FR/Paris"),
        ({"node": "nowhere"}, "at the top there is FR, US"),
        ({"node": "FR/Paris/x"}, "nothing is below FR/Paris"),
        ({"node": "FR/"}, "has an empty part"),
        ({"rollup": "nope"}, "there is no rollup 'nope'; there is: place"),
        ({"depth": -1}, "depth is -1"),
    ],
)
def test_what_cannot_be_answered(
    shop_stack: Filled, open_reader: OpenReader, arguments: dict[str, Any], message: str
) -> None:
    for exact in (False, True):
        with pytest.raises(QueryError, match=message):
            open_reader(exact=exact).query(**arguments)


def test_a_total_that_is_no_number_is_not_shown(shop_stack: Filled, open_reader: OpenReader) -> None:
    key = {"path": {"S": "/place/FR"}, "label": {"S": "Paris"}}
    put(shop_stack.names.aggregate_table, [{**key, "count": {"N": "2"}, "amount": {"N": "1.005"}}])
    with pytest.raises(
        OncefoldError, match=r"are no numbers: '1\.005' has more than 2 decimal places; run: oncefold verify --stack "
    ):
        open_reader().query("FR")


def test_a_stack_that_is_not_there(aws: object) -> None:
    with pytest.raises(OncefoldError, match=r"nobody: a part of it does not exist\. GetItem: .* Is its name right"):
        open_stack("nobody")


def test_tables_without_a_definition(stack: Names) -> None:
    with pytest.raises(OncefoldError, match="its tables are there, but hold no definition yet; `oncefold aws deploy`"):
        open_stack(stack.stack)


def test_an_endpoint_that_does_not_answer(stack: Names) -> None:
    def fail(name: str, request: dict[str, Any]) -> None:
        raise EndpointConnectionError(endpoint_url="http://nowhere")

    with pytest.raises(OncefoldError, match=f"stack {stack.stack}: AWS does not answer: Could not connect"):
        open_stack(stack.stack, dynamodb=Restless(client("dynamodb"), fail))


# the command


def test_the_command_prints_a_tree(shop_stack: Filled, run: Run) -> None:
    status, out, err = run("query", "--depth", "all")
    assert (status, err) == (0, "")
    assert out.splitlines()[:8] == [
        "place              count          amount",
        "(root)                 4  100,002,201.00",
        "  FR                   2          201.00",
        "    Paris              2          201.00",
        "  US                   2  100,002,000.00",
        "    Austin             1  100,000,000.01",
        r"    St. Louis\/MO      1        1,999.99",
        "",
    ]
    assert out.splitlines()[8].startswith(f"stack {shop_stack.names.stack} at 2")
    assert out.splitlines()[8].endswith("Z; nothing is pending")


@pytest.mark.parametrize("form", ["jsonl", "csv", "json", "parquet"])
def test_every_form_has_the_rows_of_the_embedded_command(stack: Names, run: Run, tmp_path: Path, form: str) -> None:
    data = lines(random_records(4))
    fill(stack, TWO_TREES, events(TWO_TREES, data))
    store = build(tmp_path / "s.db", TWO_TREES, data)
    one, other = tmp_path / f"one.{form}", tmp_path / f"other.{form}"
    assert main(["query", "--rollup", "by_type", "-d", "all", "-s", str(store), "-o", str(one)]) == 0
    assert run("query", "--rollup", "by_type", "-d", "all", "-o", other)[0] == 0
    if form == "parquet":
        assert pq.read_table(other).equals(pq.read_table(one).drop_columns("commit"))
    elif form == "json":
        assert json.loads(other.read_text())["rows"] == json.loads(one.read_text())["rows"]
    else:
        assert list(parsed(form, other)) == without_commit(parsed(form, one))


def parsed(form: str, path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        if form == "csv":
            yield from csv.DictReader(file)
        else:
            yield from map(json.loads, file)


def test_the_command_shows_what_is_pending(stack: Names, run: Run) -> None:
    fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=2)
    assert "2 deltas pending, the oldest " in run("query")[1]
    assert "not in these totals yet" in run("query")[1]
    exact = run("query", "--exact")[1]
    assert exact.splitlines()[1].split() == ["(root)", "4", "100,002,201.00"]
    assert exact.rstrip().endswith(" old, added")
    document = json.loads(run("query", "--exact", "--format", "json")[1])
    assert document["pending"]["deltas"] == 2
    assert document["pending"]["added"]
    assert count(stack.reduce_table) == 2


def test_the_command_needs_a_stack_that_is_there(run: Run, stack: Names) -> None:
    status, out, err = run("query")
    assert (status, out) == (2, "")
    assert err.startswith(f"oncefold: stack {stack.stack}: its tables are there")
