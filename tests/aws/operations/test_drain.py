"""`drain` applies what is pending, once, whoever else applies it."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.functions.layout import Delta
from oncefold.aws.names import Names
from oncefold.aws.operations.drain import Drain
from oncefold.aws.reader import StackReader
from oncefold.core.fold import Node, Total
from oncefold.queries.protocol import no_progress
from tests.aws.conftest import Run
from tests.aws.reader.clients import Paged, Restless
from tests.aws.reader.records import random_records
from tests.aws.reader.stacks import OLD, Filled, count, fill, node_item, put
from tests.queries.stores import MONDAY, SHOP, TUESDAY, TWO_TREES, events, lines

OpenReader = Callable[..., StackReader]


class Clock:
    """A clock that moves when someone sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def drain_of(open_reader: OpenReader, dynamodb: Any = None) -> Drain:
    clock = Clock()
    return Drain(open_reader(dynamodb).stack, clock, clock.sleep, random.Random(1).random)


@pytest.mark.parametrize("seed", range(2))
def test_everything_pending_is_applied(stack: Names, open_reader: OpenReader, seed: int) -> None:
    filled = fill(stack, TWO_TREES, events(TWO_TREES, lines(random_records(seed))), pending=9)
    reported: list[tuple[str, int]] = []
    drained = drain_of(open_reader, Paged(client("dynamodb"), 1)).once(lambda *seen: reported.append(seen))
    assert (drained.applied, drained.empty) == (len(filled.deltas), True)
    assert reported[-1] == ("pending deltas applied", len(filled.deltas))
    assert count(stack.reduce_table) == 0
    assert open_reader().verify().exact
    assert drain_of(open_reader).once(no_progress).applied == 0


def test_two_at_once_apply_each_delta_once(stack: Names, open_reader: OpenReader) -> None:
    fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=3, chunk=2)
    both = [threading.Thread(target=drain_of(open_reader).once, args=(no_progress,)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert count(stack.reduce_table) == 0
    assert open_reader().verify().exact


def test_waiting_goes_on_until_nothing_comes(stack: Names, open_reader: OpenReader) -> None:
    filled = fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=2)
    late = [layout.delta_item(SHOP, delta, keys=1, created=OLD) for delta in filled.deltas[1:]]
    client("dynamodb").delete_item(TableName=stack.reduce_table, Key={"id": late[0]["id"]})
    drain = drain_of(open_reader)

    def arrives(seconds: float) -> None:
        put(stack.reduce_table, late)
        late.clear()

    drain = Drain(drain.stack, drain.clock, lambda s: arrives(s) if late else None, drain.random)
    drained = drain.until_empty(no_progress, 60)
    assert (drained.applied, drained.empty) == (2, True)
    assert open_reader().verify().exact


def test_waiting_has_an_end(shop_stack: Filled, open_reader: OpenReader) -> None:
    numbers = iter(range(1000))

    def go_on(name: str, request: dict[str, Any]) -> None:
        if name == "transact_write_items":
            delta = Delta(f"d{next(numbers)}-0", ((Node(0), Total(1, (1,))),))
            put(shop_stack.names.reduce_table, [layout.delta_item(SHOP, delta, keys=1, created=OLD)])

    put(
        shop_stack.names.reduce_table,
        [layout.delta_item(SHOP, Delta("d-0", ((Node(0), Total(1, (1,))),)), keys=1, created=OLD)],
    )
    drained = drain_of(open_reader, Restless(client("dynamodb"), go_on)).until_empty(no_progress, 10)
    assert not drained.empty
    assert drained.left == 1
    assert 5 < drained.applied < 30


def test_a_delta_that_dynamodb_refuses_is_reported_and_stays(
    shop_stack: Filled, open_reader: OpenReader, run: Run
) -> None:
    names = shop_stack.names
    put(names.aggregate_table, [node_item(SHOP, Node(0), Total(4, (10**38 - 1,)))])
    delta = Delta("huge-0", ((Node(0), Total(1, (1,))),))
    put(names.reduce_table, [layout.delta_item(SHOP, delta, keys=1, created=OLD)])

    def refuse(name: str, request: dict[str, Any]) -> None:
        if name == "transact_write_items":
            raise too_many_digits()

    drained = drain_of(open_reader, Restless(client("dynamodb"), refuse)).until_empty(no_progress, 10)
    assert not drained.empty
    assert (drained.applied, drained.left) == (0, 0)
    assert list(drained.refused) == ["huge-0"]
    assert count(names.reduce_table) == 1


def too_many_digits() -> Exception:
    reasons = [{"Code": "ValidationError", "Message": "Number overflow."}]
    answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    return ClientError(answer, "TransactWriteItems")


# the command


def test_the_command_drains(stack: Names, run: Run) -> None:
    fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)), pending=2)
    assert run("drain") == (0, "2 deltas applied\n", "")
    assert run("drain", "--wait", "5") == (0, "0 deltas applied\n", "")
    assert run("verify")[0] == 0
    assert run("drain", "--wait", "0")[0] == 2
