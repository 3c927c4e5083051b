"""`explain`: the keys of a node, and whether they add up to its totals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.names import Names
from oncefold.aws.reader import StackReader
from oncefold.core.errors import QueryError
from oncefold.core.event import Content
from oncefold.core.fold import Node, Stored, Total
from oncefold.queries.store_reader import StoreReader
from tests.aws.conftest import Run
from tests.aws.reader.clients import Paged, Restless
from tests.aws.reader.records import random_records
from tests.aws.reader.stacks import Filled, fill, node_item, put, state_item
from tests.queries.stores import MONDAY, SHOP, TUESDAY, TWO_TREES, build, events, lines
from tests.tools.sizes import sized

OpenReader = Callable[..., StackReader]


@pytest.mark.parametrize("pending", sized([7], [0, 7]))
@pytest.mark.parametrize("seed", range(sized(1, 2)))
def test_the_keys_are_those_of_the_engine(
    stack: Names, open_reader: OpenReader, tmp_path: Path, seed: int, pending: int
) -> None:
    data = lines(random_records(seed))
    fill(stack, TWO_TREES, events(TWO_TREES, data), pending=pending)
    reader = open_reader(Paged(client("dynamodb")))
    with StoreReader.open(build(tmp_path / "s.db", TWO_TREES, data)) as embedded:
        for rollup in ("by_type", "by_region"):
            for node in list(embedded.query(rollup=rollup, depth=None))[::4]:
                expected = embedded.explain(node.labels, rollup=rollup, limit=None)
                found = reader.explain(node.labels, rollup=rollup, limit=None)
                assert found.rows == tuple(sorted(expected.rows, key=lambda row: row.key))
                assert (found.count, found.sums, found.path) == (expected.count, expected.sums, expected.path)
                assert (found.total.count, found.total.sums) == (node.count, node.sums)
                assert found.complete
                assert found.adds_up


def test_some_of_the_keys_are_listed_and_all_are_added_up(shop_stack: Filled, open_reader: OpenReader) -> None:
    for limit in (0, 1, 3):
        found = open_reader().explain("", limit=limit)
        assert [row.key for row in found] == ["A-1", "A-2", "A-3"][:limit]
        assert not found.complete
        assert found.adds_up
        assert (found.count, found.total.count) == (4, 4)
    (row,) = open_reader().explain("FR", limit=1).to_dicts()
    assert list(row) == ["key", "version", "leaf", "measure_amount"]
    assert row["version"] == "2026-03-02T09:00:00Z"


def test_keys_that_do_not_add_up(shop_stack: Filled, open_reader: OpenReader) -> None:
    put(shop_stack.names.aggregate_table, [node_item(SHOP, Node(0, ("FR",)), Total(3, (20100,)))])
    found = open_reader().explain("FR")
    assert not found.adds_up
    assert not found.moved
    assert (found.count, found.total.count) == (2, 3)
    assert open_reader().explain("US").adds_up


def test_a_node_that_moves_is_not_called_wrong(shop_stack: Filled, open_reader: OpenReader) -> None:
    number = 0

    def go_on(name: str, request: dict[str, Any]) -> None:
        nonlocal number
        if name == "scan" and request["TableName"] == shop_stack.names.reduce_table and request["Segment"] == 0:
            number += 1
            total = Total(1, (1000 + number,))
            put(shop_stack.names.aggregate_table, [node_item(SHOP, Node(0, ("FR", "Lyon")), total)])

    found = open_reader(Restless(client("dynamodb"), go_on)).explain("FR/Lyon")
    assert not found.adds_up
    assert found.moved


def test_a_node_that_only_the_keys_know(shop_stack: Filled, open_reader: OpenReader) -> None:
    put(shop_stack.names.state_table, [state_item(SHOP, "new", Stored(1, Content(("AT", "Linz"), (5,))))])
    found = open_reader().explain("AT/Linz")
    assert ([row.key for row in found], found.adds_up, found.total.count) == (["new"], False, 0)
    with pytest.raises(QueryError, match="there is no node AT: at the top there is FR, US"):
        open_reader().explain("AT/Graz")
    with pytest.raises(QueryError, match="there is no rollup 'x'"):
        open_reader().explain("AT", rollup="x")


# the command


def test_the_command_shows_keys_and_their_sum(shop_stack: Filled, run: Run) -> None:
    status, out, err = run("explain", "FR/Paris")
    assert (status, err) == (0, "")
    assert out.splitlines()[:7] == [
        "FR/Paris of place: 2 keys",
        "  amount 201.00",
        "",
        "key  version                         leaf      amount",
        "A-1  2026-03-02T09:00:00Z            FR/Paris  120.00",
        "A-2  2026-03-03T08:00:00.250000001Z  FR/Paris   81.00",
        "",
    ]
    assert out.splitlines()[7] == "The keys add up to the total exactly."
    status, out, err = run("explain", "", "--limit", "1", "--format", "csv")
    assert (status, err) == (0, "oncefold: 1 of 4 keys are listed; --limit all lists every one\n")
    assert out.splitlines()[0] == "key,version,leaf,measure_amount"
    assert "1 of 4 keys are listed; --limit all lists every one." in run("explain", "", "-n", "1")[1]


def test_the_command_says_what_does_not_add_up(shop_stack: Filled, run: Run) -> None:
    put(shop_stack.names.aggregate_table, [node_item(SHOP, Node(0, ("FR",)), Total(3, (20100,)))])
    status, out, _ = run("explain", "FR")
    assert status == 1
    assert "The keys do NOT add up to the total, which is 3 keys, amount 201.00; run: oncefold verify" in out
    document = json.loads(run("explain", "FR", "--format", "json")[1])
    assert document["total"] == {"count": 3, "measures": {"amount": "201.00"}}
    assert document["pending"]["deltas"] == 0
    assert not document["adds_up"]


def test_the_command_takes_pending_deltas_into_account(stack: Names, run: Run) -> None:
    fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=2)
    status, out, _ = run("explain", "FR")
    assert status == 0
    assert "The keys add up to the total with 2 pending deltas exactly." in out
    assert len(client("dynamodb").scan(TableName=stack.reduce_table)["Items"]) == 2
    assert layout.parse_delta(SHOP, client("dynamodb").scan(TableName=stack.reduce_table)["Items"][0])
