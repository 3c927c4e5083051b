"""What the safety check finds when a table is written behind the functions' back."""

from typing import Any

import pytest

from oncefold.aws.functions import layout
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Stored, Total
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.oracle import Balance
from oncefold_lab.search.scenario import NAMES, SimulatedDeployment
from oncefold_lab.search.workload import line_of
from oncefold_lab.world.world import Violation, World, WorldSettings
from tests.aws.functions.worlds import pipeline_of

PIPELINE = pipeline_of(1)
EVENTS = [Event("k", version, Content(("a",), (version * 100,))) for version in range(3)]


class BalancedStack:
    """An empty stack, its tables to be written by hand."""

    def __init__(self) -> None:
        self.world = World(0, WorldSettings())
        Oncefold(SimulatedDeployment(PIPELINE), [line_of(PIPELINE, event) for event in EVENTS]).deploy(self.world)
        self.balance = Balance(PIPELINE, self.world.rows, EVENTS)

    def put(self, table: str, item: dict[str, Any]) -> None:
        self.world.dynamodb.put_item(TableName=table, Item=item)

    def state(self, version: int, key: str = "k") -> None:
        stored = Stored(version, Content(("a",), (version * 100,)))
        self.put(NAMES.state_table, {**layout.state_key(key), **layout.state_content(PIPELINE, stored)})

    def delta(self, name: str, count: int, amount: int, label: str = "a") -> None:
        total = Total(count, (amount,))
        delta = layout.Delta(name, ((Node(0), total), (Node(0, (label,)), total)))
        self.put(NAMES.reduce_table, layout.delta_item(PIPELINE, delta, keys=1, created=0))

    def fails(self, text: str) -> None:
        with pytest.raises(Violation, match=text):
            self.balance.check()


@pytest.fixture
def stack() -> BalancedStack:
    return BalancedStack()


def test_a_state_with_its_delta_is_in_order(stack: BalancedStack) -> None:
    stack.state(1)
    stack.delta("one", 1, 100)
    stack.balance.check()
    stack.state(2)
    stack.delta("two", 0, 100)
    stack.balance.check()


def test_a_state_without_a_delta_is_not(stack: BalancedStack) -> None:
    stack.state(1)
    stack.fails(r"2 nodes are wrong; r0 \(root\): -1 keys, m0 -1.00")


def test_nor_a_delta_without_a_state(stack: BalancedStack) -> None:
    stack.delta("one", 1, 100)
    stack.fails("2 nodes are wrong")


def test_nor_a_delta_for_another_leaf(stack: BalancedStack) -> None:
    stack.state(1)
    stack.delta("one", 1, 100, label="b")
    stack.fails("2 nodes are wrong; r0 a: .*; r0 b: ")


def test_nor_one_that_is_written_over_another(stack: BalancedStack) -> None:
    stack.state(1)
    stack.delta("one", 1, 100)
    stack.balance.check()
    stack.delta("one", 1, 200)
    stack.fails("was changed")


def test_nor_one_that_leaves_without_being_added(stack: BalancedStack) -> None:
    stack.state(1)
    stack.delta("one", 1, 100)
    stack.balance.check()
    stack.world.dynamodb.delete_item(TableName=NAMES.reduce_table, Key=layout.delta_key("one"))
    stack.fails("2 nodes are wrong")


def test_a_state_only_grows(stack: BalancedStack) -> None:
    stack.state(2)
    stack.delta("one", 1, 200)
    stack.balance.check()
    stack.state(1)
    stack.fails("did not grow")


def test_a_state_was_sent(stack: BalancedStack) -> None:
    stack.state(1, "other")
    stack.fails("never sent")


def test_a_state_stays(stack: BalancedStack) -> None:
    stack.state(1)
    stack.delta("one", 1, 100)
    stack.balance.check()
    stack.world.dynamodb.delete_item(TableName=NAMES.state_table, Key=layout.state_key("k"))
    stack.fails("is gone")


def test_what_cannot_be_read_is_found(stack: BalancedStack) -> None:
    stack.put(NAMES.state_table, {"key": {"S": "k"}, "version": {"N": "1"}, "labels": {"L": [{"S": "a"}]}})
    stack.fails("cannot be read")
