"""`StackQuestions.query`: the rows of the embedded engine, from tables, with what is pending told or added."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from botocore.exceptions import EndpointConnectionError

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.names import Names
from oncefold.aws.reader import StackQuestions, tree
from oncefold.aws.reader import query as asking
from oncefold.aws.reader.answers import Outbox
from oncefold.cli.main import main
from oncefold.core.errors import OncefoldError, QuestionError
from oncefold.core.event import Content, Event
from oncefold.queries.store_reader import StoreReader
from tests.aws.conftest import Run
from tests.aws.reader.clients import Paged, Restless
from tests.aws.reader.records import ODD, random_records
from tests.aws.reader.stacks import NOW_TEXT, Filled, count, fill, put
from tests.queries.stores import MONDAY, SHOP, TUESDAY, TWO_TREES, build, events, lines, shop
from tests.tools import reference

Ask = Callable[..., StackQuestions]


def without_commit(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in row if name != "commit"} for row in rows]


@pytest.mark.parametrize("depth", [0, 1, 2, None])
def test_the_answer_is_that_of_a_store_of_the_same_events(
    shop_stack: Filled, ask: Ask, tmp_path: Path, depth: int | None
) -> None:
    with StoreReader.open(shop(tmp_path)) as embedded:
        for node in ("", "FR", "US", "FR/Paris", r"US/St. Louis\/MO"):
            expected, found = embedded.query(node, depth=depth), ask().query(node, depth=depth)
            assert found.rows == expected.rows
            assert (found.rollup, found.scales) == (expected.rollup, expected.scales)
            assert found.to_dicts() == without_commit(expected.to_dicts())
            assert found.to_arrow().equals(expected.to_arrow().drop_columns("commit"))
    assert found.to_arrow().schema.metadata == {
        b"oncefold.stack": shop_stack.names.stack.encode(),
        b"oncefold.time": NOW_TEXT.encode(),
    }


@pytest.mark.parametrize("seed", range(3))
def test_any_events_give_the_rows_of_the_engine(stack: Names, ask: Ask, tmp_path: Path, seed: int) -> None:
    data = lines(random_records(seed))
    fill(stack, TWO_TREES, events(TWO_TREES, data))
    asked, small_pages = ask(), ask(Paged(client("dynamodb")))
    with StoreReader.open(build(tmp_path / "s.db", TWO_TREES, data)) as embedded:
        for rollup in ("by_type", "by_region"):
            whole = embedded.query(rollup=rollup, depth=None)
            assert small_pages.query(rollup=rollup, depth=None).rows == whole.rows
            for row in whole:
                expected = embedded.query(row.labels, rollup=rollup, depth=1)
                assert asked.query(row.path, rollup=rollup).rows == expected.rows


@pytest.mark.parametrize("seed", range(3))
def test_exact_adds_what_is_pending(stack: Names, ask: Ask, tmp_path: Path, seed: int) -> None:
    data = lines(random_records(seed))
    fill(stack, TWO_TREES, events(TWO_TREES, data), pending=7)
    asked, small_pages = ask(), ask(Paged(client("dynamodb")))
    with StoreReader.open(build(tmp_path / "s.db", TWO_TREES, data)) as embedded:
        for rollup in ("by_type", "by_region"):
            expected = embedded.query(rollup=rollup, depth=None)
            found = small_pages.query(rollup=rollup, depth=None, exact=True)
            assert found.rows == expected.rows
            for row in list(expected)[::5]:
                assert asked.query(row.labels, rollup=rollup, exact=True).node == row
    assert found.outbox == Outbox(7, timedelta(seconds=12))
    assert found.exact


def test_totals_are_those_of_the_table_and_what_is_pending_is_told(stack: Names, ask: Ask) -> None:
    monday = events(SHOP, lines(MONDAY))
    fill(stack, SHOP, [*monday, *events(SHOP, lines(TUESDAY))], pending=2, chunk=len(monday))
    found = ask().query(depth=None)
    expected = reference.totals(SHOP, monday)
    assert {row.labels: row.count for row in found} == {node.labels: total.count for node, total in expected.items()}
    assert found.outbox == Outbox(2, timedelta(seconds=12))


def test_an_outbox_is_counted_so_far_only(shop_stack: Filled, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "TOLD_DELTAS", 5)
    put(
        shop_stack.names.reduce_table,
        [layout.delta_item(SHOP, layout.Delta(f"d{n}", ()), keys=1, created=0) for n in range(30)],
    )
    found = ask(Paged(client("dynamodb"), 1)).query()
    assert not found.outbox.complete
    assert 5 < found.outbox.deltas < 30


@pytest.mark.parametrize("few", [0, 10**6])
def test_a_scan_gives_the_same_as_queries(
    stack: Names, ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few: int
) -> None:
    data = lines(random_records(3, labels=[*ODD, "a/", "a/b/c"]))
    fill(stack, TWO_TREES, events(TWO_TREES, data))
    monkeypatch.setattr(tree, "FEW_QUERIES", few)
    with StoreReader.open(build(tmp_path / "s.db", TWO_TREES, data)) as embedded:
        expected = embedded.query(rollup="by_type", depth=None)
        paged = Paged(client("dynamodb"))
        assert ask(paged).query(rollup="by_type", depth=None).rows == expected.rows
        scans = paged.calls.count("scan")
        assert (scans > 2 * 8) == (few == 0)
        for row in expected:
            if row.depth == 1:
                assert (
                    ask().query(row.labels, rollup="by_type").rows == embedded.query(row.labels, rollup="by_type").rows
                )


def test_no_event_yet_is_a_root_of_nothing(stack: Names, ask: Ask) -> None:
    fill(stack, SHOP, [])
    found = ask().query(depth=None)
    assert [(row.path, row.count) for row in found] == [("", 0)]
    with pytest.raises(QuestionError, match="there is no node FR: nothing is at the top"):
        ask().query("FR")


def test_nodes_without_live_keys_are_hidden_but_can_be_asked(stack: Names, ask: Ask) -> None:
    here = Event("k", 1, Content(("FR", "Paris"), (5,)))
    fill(stack, SHOP, [here, Event("k", 2, Content(("US", "Austin"), (5,)))], chunk=1)
    assert [row.path for row in ask().query(depth=None)] == ["", "US", "US/Austin"]
    assert [row.count for row in ask().query("FR", depth=None)] == [0]


def test_exact_reads_again_while_deltas_are_applied(stack: Names, ask: Ask) -> None:
    """A delta that goes from the outbox to the totals between the two readings is counted once."""
    filled = fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=1)
    (delta,) = filled.deltas
    dynamodb = client("dynamodb")
    done: list[str] = []

    def apply(name: str, request: dict[str, Any]) -> None:
        if name == "query" and not done:
            done.append(name)
            ask().stack.dynamodb.delete_item(TableName=stack.reduce_table, Key=layout.delta_key(delta.id))

    expected = [(row.path, row.count) for row in ask().query(depth=None)]
    found = ask(Restless(dynamodb, apply)).query(depth=None, exact=True)
    assert [(row.path, row.count) for row in found] == expected
    assert done


def test_exact_gives_up_on_a_pipeline_that_never_stands_still(stack: Names, ask: Ask) -> None:
    filled = fill(stack, SHOP, events(SHOP, lines(MONDAY)), pending=1)
    item = layout.delta_item(SHOP, filled.deltas[0], keys=1, created=0)
    numbers = iter(range(100))

    def go_on(name: str, request: dict[str, Any]) -> None:
        if name == "query":
            for old in client("dynamodb").scan(TableName=stack.reduce_table)["Items"]:
                client("dynamodb").delete_item(TableName=stack.reduce_table, Key={"id": old["id"]})
            put(stack.reduce_table, [{**item, "id": {"S": f"d{next(numbers)}"}}])

    with pytest.raises(OncefoldError, match="deltas were applied while the totals were read; ask again"):
        ask(Restless(client("dynamodb"), go_on)).query(exact=True)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"node": "FR/Pari"}, "there is no node FR/Pari; did you mean FR/Paris"),
        ({"node": "nowhere"}, "at the top there is FR, US"),
        ({"node": "FR/Paris/x"}, "nothing is below FR/Paris"),
        ({"node": "FR/"}, "has an empty part"),
        ({"rollup": "nope"}, "there is no rollup 'nope'; there is: place"),
        ({"depth": -1}, "depth is -1"),
    ],
)
def test_what_cannot_be_answered(shop_stack: Filled, ask: Ask, asked: dict[str, Any], words: str) -> None:
    for exact in (False, True):
        with pytest.raises(QuestionError, match=words):
            ask().query(**asked, exact=exact)


def test_a_total_that_is_no_number_is_not_shown(shop_stack: Filled, ask: Ask) -> None:
    key = {"path": {"S": "/place/FR"}, "label": {"S": "Paris"}}
    put(shop_stack.names.aggregate_table, [{**key, "count": {"N": "2"}, "amount": {"N": "1.005"}}])
    with pytest.raises(
        OncefoldError, match=r"are no numbers: '1\.005' has more than 2 decimal places; run: oncefold aws v"
    ):
        ask().query("FR")


def test_a_stack_that_is_not_there(aws: object) -> None:
    with pytest.raises(OncefoldError, match=r"nobody: a part of it does not exist\. GetItem: .* Is its name right"):
        StackQuestions.open("nobody")


def test_tables_without_a_definition(stack: Names) -> None:
    with pytest.raises(OncefoldError, match="its tables are there, but hold no definition yet; `oncefold aws deploy`"):
        StackQuestions.open(stack)


def test_an_endpoint_that_does_not_answer(stack: Names) -> None:
    def fail(name: str, request: dict[str, Any]) -> None:
        raise EndpointConnectionError(endpoint_url="http://nowhere")

    with pytest.raises(OncefoldError, match=f"stack {stack.stack}: AWS does not answer: Could not connect"):
        StackQuestions.open(stack, Restless(client("dynamodb"), fail))


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


def test_the_command_tells_what_is_pending(stack: Names, run: Run) -> None:
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
