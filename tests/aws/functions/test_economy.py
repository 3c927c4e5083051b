"""Economy mode: one conditional write per key and no read, changes netted once by the position in their stream."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold.aws.functions import layout
from oncefold.aws.functions.direct import DirectStateFunction
from oncefold.aws.functions.epochs import Epochs
from oncefold.aws.functions.layout import Marked, StateChange
from oncefold.aws.functions.net import NetFunction, Netted, plan
from oncefold.aws.functions.state import FoldResult
from oncefold.core.decode import Decoder
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Outcome, Stored, Total, net
from oncefold.dynamodb.items import TRANSACTION_ITEMS
from oncefold_lab.simulator.values import give_item
from tests.aws.functions.conftest import simulated
from tests.aws.functions.stacks import PIPELINE, Interposed, Stack, lines, written
from tests.aws.functions.test_protocol import BAD, CONTRADICTION, EVENTS, SOME, Crash, crashing, deliveries
from tests.aws.functions.worlds import events, pipeline_of
from tests.tools import reference
from tests.tools.sizes import examples

SHARD = "shard"


def economy() -> Stack:
    return simulated(economy=True)


def fold(stack: Stack, sent: Sequence[str], client: Any = None, seconds: float = 3600.0) -> FoldResult:
    function = DirectStateFunction(stack.pipeline, stack.names, stack.dynamo(client, seconds), stack.time.read)
    return function.handle(lines(sent))


def changes(stack: Stack) -> list[dict[str, Any]]:
    """The records of the only shard of StateTable's stream, as Lambda delivers them."""
    stream = stack.client._database.tables[stack.names.state_table].stream
    (shard,) = stream.shards.all.values()
    return [
        {"SequenceNumber": str(entry.sequence), **{name: give_item(item) for name, item in entry.images.items()}}
        for entry in shard.entries
    ]


def netted(stack: Stack, records: Sequence[Mapping[str, Any]], client: Any = None, seconds: float = 3600.0) -> Netted:
    return NetFunction(stack.pipeline, stack.names, stack.dynamo(client, seconds), stack.time.read).handle(
        SHARD, records
    )


def settle(stack: Stack) -> None:
    assert netted(stack, changes(stack)).unfinished is None
    stack.check_balance()
    stack.reduce()


@settings(deadline=None, max_examples=examples(100))
@given(
    st.lists(events(PIPELINE), max_size=14).flatmap(lambda es: st.tuples(st.just(es), deliveries(es))),
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)), max_size=8),
)
def test_any_delivery_gives_the_totals_of_the_set(world: Any, cuts: list[tuple[int, int]]) -> None:
    sent, batches = world
    stack = economy()
    for batch in batches:
        folded = fold(stack, [written(event) for event in batch])
        assert folded.unfinished is None
        assert folded.outcomes.total() == folded.events == len(batch)
    seen = 0
    for start, length in cuts:  # none begins behind what was not delivered yet
        batch = changes(stack)[min(start, seen) :][:length]
        seen = max(seen, min(start, seen) + len(batch))
        netted(stack, batch)
    settle(stack)
    stack.check_exact(sent)
    assert {key: (s.version, s.content) for key, s in stack.states().items()} == {
        key: (event.version, event.content) for key, event in reference.winners(sent).items()
    }


def test_outcomes_are_those_of_the_other_mode(sim: Stack) -> None:
    direct = economy()
    for some in (SOME[:3], CONTRADICTION, SOME, [CONTRADICTION[0]], [*BAD, SOME[0]]):
        assert fold(direct, some).outcomes == sim.fold(lines(some)).outcomes
    assert direct.states() == sim.states()
    ids = [{item["id"]["S"] for item in stack.scan(stack.names.reject_table)} for stack in (direct, sim)]
    assert ids[0] == ids[1]


class Counting:
    """Counts the calls of a client."""

    def __init__(self, client: Any) -> None:
        self.calls: Counter[str] = Counter()
        self.client = Interposed(client, before=lambda operation: self.calls.update([operation]))


def fresh(count: int, version: int = 1) -> list[str]:
    return [
        written(Event(f"k{number}", version, Content(("a", f"d{number % 4}"), (number,)))) for number in range(count)
    ]


def test_a_key_is_one_write_and_no_read() -> None:
    stack = economy()
    for version in (1, 2):
        counting = Counting(stack.client)
        fold(stack, fresh(200, version) * 2, counting.client)
        assert counting.calls == {"update_item": 200}


def test_what_was_here_before_is_read() -> None:
    stack = economy()
    fold(stack, fresh(200))
    counting = Counting(stack.client)
    again = fold(stack, fresh(200), counting.client)
    assert again.outcomes == {Outcome.DUPLICATE: 200}
    assert counting.calls == {"update_item": 8, "batch_get_item": 2}


@pytest.mark.parametrize("after", [False, True])
def test_every_crash_point_of_the_functions(*, after: bool) -> None:
    """Each call of a run is the last one in turn; what is delivered again makes the totals exact."""
    stack = economy()
    work: list[Callable[[Any], Any]] = [
        lambda client: fold(stack, [*SOME[:5], *BAD, *CONTRADICTION], client),
        lambda client: netted(stack, changes(stack)[:4], client),
        lambda client: fold(stack, SOME[3:], client),
        lambda client: netted(stack, changes(stack)[2:7], client),
        lambda client: netted(stack, changes(stack), client),
        stack.reduce,
    ]
    crashes = 0
    for step in work:
        for at in range(100):
            try:
                step(crashing(stack, at, after=after))
            except Crash:
                crashes += 1
            else:
                break
    assert crashes > 10
    settle(stack)
    stack.check_exact([*EVENTS, *(Decoder(PIPELINE).json(line.encode()) for line in CONTRADICTION)])
    assert len(stack.rejects("reject")) == len(BAD)
    assert len(stack.rejects("conflict")) == 1


def test_a_batch_that_is_overtaken_is_not_added_again() -> None:
    stack = economy()
    fold(stack, SOME)
    some = changes(stack)
    overtaking = iter([lambda: netted(stack, some[:3])])

    def before(operation: str) -> None:
        if operation == "transact_write_items":
            next(overtaking, lambda: None)()

    result = netted(stack, some, Interposed(stack.client, before=before))
    assert (result.overtaken, result.changes, result.known) == (1, len(some) - 3, 3)
    settle(stack)
    stack.check_exact(EVENTS)


def test_a_position_of_another_shard_does_not_matter() -> None:
    stack = economy()
    fold(stack, SOME)
    some = changes(stack)
    function = NetFunction(stack.pipeline, stack.names, stack.dynamo(), stack.time.read)
    function.handle("one", some[1::2])
    function.handle("another", some[::2])
    stack.check_balance()


def test_a_short_time_names_the_first_record_that_is_left() -> None:
    stack = economy()
    fold(stack, SOME)
    some = changes(stack)
    result = netted(stack, some, seconds=-1.0)
    assert (result.unfinished, result.left) == (some[0]["SequenceNumber"], len(some))


def test_what_oncefold_did_not_write_changes_nothing() -> None:
    stack = economy()
    fold(stack, SOME)
    stack.client.put_item(TableName=stack.names.state_table, Item={"key": {"S": "x"}, "version": {"S": "?"}})
    stack.client.delete_item(TableName=stack.names.state_table, Key={"key": {"S": "x"}})
    result = netted(stack, changes(stack))
    assert (len(result.unreadable), result.unfinished) == (2, None)
    stack.reduce()
    stack.check_exact(EVENTS)


def _change(sequence: int, labels: tuple[str, ...], mark: int = 0) -> StateChange:
    return StateChange(sequence, None, Marked(Stored(1, Content(labels, (sequence,))), mark))


WIDE = pipeline_of(3)


def test_a_batch_that_one_transaction_does_not_take_goes_in_steps() -> None:
    some = [_change(number, (f"a{number}", f"b{number}", f"c{number}")) for number in range(1, 5_001)]
    position, rest, sums = None, some, Counter[Node]()
    steps = 0
    while rest:
        step = plan(WIDE, SHARD, position, rest, Epochs())
        assert len(step.deltas) < TRANSACTION_ITEMS
        assert step.last == rest[step.changes - 1].sequence
        for delta in step.deltas:
            sums.update({node: total.count for node, total in delta.nodes})
        position, rest, steps = step.last, rest[step.changes :], steps + 1
    assert sums == {node: total.count for node, total in net(WIDE, (one.within(0) for one in some)).items()}
    assert 1 < steps < 8


def test_a_key_counts_in_an_epoch_from_its_mark_on() -> None:
    epochs = Epochs(live=0, building=5)
    brought = StateChange(7, *(Marked(Stored(1, Content(("a", "b", "c"), (3,))), mark) for mark in (0, 5)))
    step = plan(WIDE, SHARD, 6, [_change(6, ("a", "b", "c")), brought], epochs)
    totals = {(delta.epoch, node): total for delta in step.deltas for node, total in delta.nodes}
    assert totals[0, Node(0)] == Total(1, (6,))
    assert totals[5, Node(0)] == Total(1, (3,))


def test_names_of_deltas_come_once() -> None:
    some = [_change(number, ("a", "b", "c"), 9) for number in (1, 2, 3)]
    steps = [
        plan(WIDE, shard, position, some[:count], Epochs(live))
        for shard in ("one", "another")
        for position in (None, 0)
        for count in (1, 3)
        for live in (0, 9)
    ]
    names = [delta.id for step in steps for delta in step.deltas]
    assert len(names) == len({*names}) == len(steps)


def test_positions_are_longer_than_numbers() -> None:
    stack = economy()
    fold(stack, SOME[:1])
    (record,) = changes(stack)
    longest = "9" * 40
    netted(stack, [{**record, "SequenceNumber": longest}])
    (item,) = [item for item in stack.scan(stack.names.aggregate_table) if item["path"]["S"] == layout.POSITIONS]
    assert item["sequence"] == {"S": longest}
    assert netted(stack, [{**record, "SequenceNumber": longest}]).known == 1
