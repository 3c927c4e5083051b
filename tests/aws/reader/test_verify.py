"""`verify` finds and names whatever is wrong in state, totals or deltas, also while the pipeline moves."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.functions.layout import Delta
from oncefold.aws.names import Names
from oncefold.aws.reader import StackReader
from oncefold.aws.tables import SEGMENTS
from oncefold.core.errors import OncefoldError, QueryError
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Stored, Total, net
from oncefold.queries.model import AsOfTime
from tests.aws.conftest import Run
from tests.aws.reader.clients import Paged, Restless
from tests.aws.reader.records import random_records
from tests.aws.reader.stacks import NOW_TEXT, OLD, Filled, fill, node_item, put, state_item
from tests.queries.stores import MONDAY, SHOP, TUESDAY, TWO_TREES, events, lines
from tests.tools import reference
from tests.tools.sizes import in_full, sized

OpenReader = Callable[..., StackReader]


@pytest.mark.parametrize("seed", range(sized(1, 3)))
@pytest.mark.parametrize("pending", sized([6], [0, 6]))
def test_right_totals_are_exact(stack: Names, open_reader: OpenReader, seed: int, pending: int) -> None:
    folded = events(TWO_TREES, lines(random_records(seed)))
    filled = fill(stack, TWO_TREES, folded, pending=pending)
    found = open_reader(Paged(client("dynamodb"))).verify()
    assert found.exact
    assert isinstance(found.as_of, AsOfTime)
    assert found.as_of.pending is not None
    assert (found.keys, found.as_of.pending.deltas, found.tries) == (len(filled.states), pending, 1)
    assert found.nodes >= len(reference.totals(TWO_TREES, folded))
    assert (found.as_of.stack, found.as_of.time_text) == (stack.stack, NOW_TEXT)


def tamper_total(filled: Filled) -> None:
    put(filled.names.aggregate_table, [node_item(SHOP, Node(0, ("FR", "Paris")), Total(2, (20101,)))])


def tamper_root(filled: Filled) -> None:
    put(filled.names.aggregate_table, [node_item(SHOP, Node(0), Total(5, filled.totals[Node(0)].sums))])


def lose_a_node(filled: Filled) -> None:
    key = layout.node_key(SHOP, Node(0, ("US", "St. Louis/MO")))
    client("dynamodb").delete_item(TableName=filled.names.aggregate_table, Key=key)


def invent_a_node(filled: Filled) -> None:
    put(filled.names.aggregate_table, [node_item(SHOP, Node(0, ("AT",)), Total(0, (1,)))])


def lose_a_key(filled: Filled) -> None:
    client("dynamodb").delete_item(TableName=filled.names.state_table, Key=layout.state_key("A-6"))


def move_a_key(filled: Filled) -> None:
    stored = filled.states["A-1"]
    content = Content(("FR", "Lyon"), stored.content.measures)
    put(filled.names.state_table, [state_item(SHOP, "A-1", Stored(stored.version, content))])


def bring_a_key_back(filled: Filled) -> None:
    stored = filled.states["A-5"]
    assert stored.content.deleted
    put(filled.names.state_table, [state_item(SHOP, "A-5", Stored(stored.version, Content(("DE", "Ulm"), (1,))))])


def lose_a_delta(filled: Filled) -> None:
    client("dynamodb").delete_item(TableName=filled.names.reduce_table, Key=layout.delta_key(filled.deltas[0].id))


def double_a_delta(filled: Filled) -> None:
    copy = Delta("copy-0", filled.deltas[0].nodes)
    put(filled.names.reduce_table, [layout.delta_item(SHOP, copy, keys=1, created=OLD)])


@pytest.mark.parametrize(
    ("tamper", "first"),
    [
        (tamper_total, "FR/Paris"),
        (tamper_root, ""),
        (lose_a_node, r"US/St. Louis\/MO"),
        (invent_a_node, "AT"),
        (lose_a_key, ""),
        (move_a_key, "FR/Lyon"),
        (bring_a_key_back, ""),
        (lose_a_delta, ""),
        (double_a_delta, ""),
    ],
)
def test_whatever_is_wrong_is_named(
    stack: Names, open_reader: OpenReader, tamper: Callable[[Filled], None], first: str
) -> None:
    filled = fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=1)
    tamper(filled)
    found = open_reader().verify()
    assert not found.exact
    assert found.rows[0].path == first
    assert [row.path for row in found] == sorted(row.path for row in found)
    assert not found.undecided
    assert (found.tries, found.moved) == (1, False)


def test_what_was_expected_and_found(shop_stack: Filled, open_reader: OpenReader) -> None:
    tamper_total(shop_stack)
    (wrong,) = open_reader().verify()
    assert wrong.stored is not None
    assert (wrong.stored.count, wrong.stored.sums) == (2, {"amount": Decimal("201.01")})
    assert (wrong.recomputed.count, wrong.recomputed.sums) == (2, {"amount": Decimal("201.00")})
    assert wrong.pending is not None
    assert (wrong.pending.count, wrong.pending.sums) == (0, {"amount": Decimal("0.00")})
    (row,) = open_reader().verify().to_dicts()
    assert row["stored_measure_amount"] == Decimal("201.01")
    assert row["recomputed_measure_amount"] == Decimal("201.00")


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ({"N": "1.001"}, "'1.001' has more than 2 decimal places"),
        ({"S": "x"}, "a part of it is missing or no number: 'N'"),
    ],
)
def test_a_total_that_is_no_number(
    shop_stack: Filled, open_reader: OpenReader, amount: dict[str, str], message: str
) -> None:
    item = node_item(SHOP, Node(0, ("FR",)), Total(2, (0,)))
    put(shop_stack.names.aggregate_table, [{**item, "amount": amount}])
    (wrong,) = open_reader().verify()
    assert (wrong.path, wrong.stored, wrong.fault) == ("FR", None, message)


@pytest.mark.parametrize(
    ("table", "item"),
    [
        ("state_table", {"key": {"S": "k"}, "version": {"S": "1"}}),
        ("aggregate_table", {"path": {"S": "/nope"}, "label": {"S": "x"}, "count": {"N": "1"}}),
        ("reduce_table", {"id": {"S": "d"}, "created": {"N": "1"}, "nodes": {"S": "nonsense"}}),
    ],
)
def test_items_that_nobody_wrote(shop_stack: Filled, open_reader: OpenReader, table: str, item: dict[str, Any]) -> None:
    put(getattr(shop_stack.names, table), [item])
    with pytest.raises(OncefoldError, match=r"cannot be read .* Oncefold did not write it so"):
        open_reader().verify()


def test_tries_are_one_at_least(shop_stack: Filled, open_reader: OpenReader) -> None:
    with pytest.raises(QueryError, match="tries is 0"):
        open_reader(tries=0).verify()


# while the pipeline moves


class Busy:
    """A pipeline that goes on whenever one of these tables is about to be scanned, before any segment is."""

    def __init__(self, filled: Filled, *tables: str, reducing: bool) -> None:
        self.filled, self.tables, self.reducing, self.number = filled, tables, reducing, 0
        self._begun: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, name: str, request: dict[str, Any]) -> None:
        table = request.get("TableName", "")
        if name != "scan" or "ExclusiveStartKey" in request or table not in self.tables:
            return
        with self._lock:
            if self._begun[table] % SEGMENTS == 0:
                self.number += 1
                self.fold(Event(f"busy-{self.number}", 1, Content(("FR", "Nice"), (self.number,))))
            self._begun[table] += 1

    def fold(self, event: Event) -> None:
        names = self.filled.names
        after = Stored(event.version, event.content)
        put(names.state_table, [state_item(SHOP, event.key, after)])
        totals = net(SHOP, [(None, after)])
        if self.reducing:
            for node, total in totals.items():
                now = self.filled.totals.get(node, Total(0, (0,))) + total
                self.filled.totals[node] = now
                put(names.aggregate_table, [node_item(SHOP, node, now)])
        else:
            delta = Delta(f"{event.key}-0", tuple(totals.items()))
            put(names.reduce_table, [layout.delta_item(SHOP, delta, keys=1, created=OLD)])


@pytest.mark.parametrize("reducing", [True, False])
def test_what_moved_before_the_keys_were_read_is_in_the_second_reading(
    shop_stack: Filled, open_reader: OpenReader, *, reducing: bool
) -> None:
    busy = Busy(shop_stack, shop_stack.names.state_table, reducing=reducing)
    found = open_reader(Restless(client("dynamodb"), busy)).verify()
    assert found.exact
    assert (found.tries, found.moved) == (1, True)


@pytest.mark.parametrize("reducing", [True, False])
def test_a_wrong_node_is_found_while_others_move(
    shop_stack: Filled, open_reader: OpenReader, *, reducing: bool
) -> None:
    wrong = Node(0, ("US", "Austin"))
    put(shop_stack.names.aggregate_table, [node_item(SHOP, wrong, Total(1, (1,)))])
    busy = Busy(shop_stack, shop_stack.names.state_table, reducing=reducing)
    found = open_reader(Restless(client("dynamodb"), busy)).verify()
    assert [row.path for row in found] == ["US/Austin"]
    assert (found.tries, found.moved) == (2, True), "seen twice with the same difference"


@pytest.mark.parametrize("reducing", [True, *in_full("1 s", False)])
def test_a_pipeline_that_never_stands_still_is_not_called_wrong(
    shop_stack: Filled, open_reader: OpenReader, *, reducing: bool
) -> None:
    tables = (shop_stack.names.state_table, shop_stack.names.reduce_table)
    busy = Busy(shop_stack, *tables, reducing=reducing)
    found = open_reader(Restless(client("dynamodb"), busy), tries=4).verify()
    assert not found.exact
    assert not found.rows
    assert found.undecided == ("place: (root)", "place: FR", "place: FR/Nice")
    assert (found.tries, found.moved) == (4, True)
    assert open_reader().verify().exact


# the command


def test_the_command_says_exact(shop_stack: Filled, run: Run) -> None:
    status, out, err = run("verify")
    assert (status, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith(f"compared 7 nodes with 5 keys; stack {shop_stack.names.stack} at 2")
    assert second == "exact"


def test_the_command_names_the_first_wrong_node(shop_stack: Filled, run: Run) -> None:
    tamper_total(shop_stack)
    lose_a_node(shop_stack)
    status, out, err = run("verify")
    assert (status, err) == (1, "")
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["WRONG:", "FR/Paris", "of", "place"],
        ["stored", "pending", "recomputed"],
        ["count", "2", "0", "2"],
        ["amount", "201.01", "0.00", "201.00"],
        ["and", "1", "more", "wrong", "node;", "--format", "json", "lists", "all"],
    ]
    status, out, _ = run("verify", "--format", "json")
    assert status == 1
    document = json.loads(out)
    assert [wrong["path"] for wrong in document["rows"]] == ["FR/Paris", r"US/St. Louis\/MO"]
    assert document["rows"][1]["stored"] is None
    assert document["rows"][0]["recomputed"] == {"count": 2, "measures": {"amount": "201.00"}}


def test_the_command_drains_first_on_request(stack: Names, run: Run) -> None:
    fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=2)
    assert ", 2 pending deltas accounted for;" in run("verify")[1]
    status, out, _ = run("verify", "--drain")
    assert status == 0
    assert "pending" not in out


def test_the_command_cannot_decide(shop_stack: Filled, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = (shop_stack.names.state_table, shop_stack.names.reduce_table)
    restless = Restless(client("dynamodb"), Busy(shop_stack, *tables, reducing=True))
    monkeypatch.setattr("oncefold.aws.reader.reader.client", lambda service: restless)
    status, out, err = run("verify", "--tries", "2")
    assert (status, err) == (2, "")
    assert out.splitlines()[1:] == [
        "the pipeline moved meanwhile: all was read 2 times",
        "UNDECIDED: 3 nodes moved in every reading; none of the others is wrong",
        "  place: (root)",
        "  place: FR",
        "  place: FR/Nice",
        "stop sending for as long as a reading takes, or give more --tries",
    ]
