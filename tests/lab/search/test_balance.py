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
from oncefold_lab.world.world import Climate, Violation, World
from tests.aws.functions.worlds import pipeline_of

PIPELINE = pipeline_of(1)
EVENTS = [Event("k", version, Content(("a",), (version * 100,))) for version in range(3)]


class Books:
    """An empty stack, its tables to be written by hand."""

    def __init__(self) -> None:
        self.world = World(0, Climate())
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

    def fails(self, words: str) -> None:
        with pytest.raises(Violation, match=words):
            self.balance.check()


@pytest.fixture
def books() -> Books:
    return Books()


def test_a_state_with_its_delta_is_in_order(books: Books) -> None:
    books.state(1)
    books.delta("one", 1, 100)
    books.balance.check()
    books.state(2)
    books.delta("two", 0, 100)
    books.balance.check()


def test_a_state_without_a_delta_is_not(books: Books) -> None:
    books.state(1)
    books.fails(r"2 nodes are wrong; r0 \(root\): -1 keys, m0 -1.00")


def test_nor_a_delta_without_a_state(books: Books) -> None:
    books.delta("one", 1, 100)
    books.fails("2 nodes are wrong")


def test_nor_a_delta_for_another_leaf(books: Books) -> None:
    books.state(1)
    books.delta("one", 1, 100, label="b")
    books.fails("2 nodes are wrong; r0 a: .*; r0 b: ")


def test_nor_one_that_is_written_over_another(books: Books) -> None:
    books.state(1)
    books.delta("one", 1, 100)
    books.balance.check()
    books.delta("one", 1, 200)
    books.fails("was changed")


def test_nor_one_that_leaves_without_being_added(books: Books) -> None:
    books.state(1)
    books.delta("one", 1, 100)
    books.balance.check()
    books.world.dynamodb.delete_item(TableName=NAMES.reduce_table, Key=layout.delta_key("one"))
    books.fails("2 nodes are wrong")


def test_a_state_only_grows(books: Books) -> None:
    books.state(2)
    books.delta("one", 1, 200)
    books.balance.check()
    books.state(1)
    books.fails("did not grow")


def test_a_state_was_sent(books: Books) -> None:
    books.state(1, "other")
    books.fails("never sent")


def test_a_state_stays(books: Books) -> None:
    books.state(1)
    books.delta("one", 1, 100)
    books.balance.check()
    books.world.dynamodb.delete_item(TableName=NAMES.state_table, Key=layout.state_key("k"))
    books.fails("is gone")


def test_what_cannot_be_read_is_found(books: Books) -> None:
    books.put(NAMES.state_table, {"key": {"S": "k"}, "version": {"N": "1"}, "labels": {"L": [{"S": "a"}]}})
    books.fails("cannot be read")
