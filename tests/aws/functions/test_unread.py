"""The stream of states as it is watched and read by queries: nothing is lost unseen, answers are of one moment."""

from collections.abc import Callable
from random import Random
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.epochs import EpochCache
from oncefold.aws.functions.guard import ECONOMY, definition_item
from oncefold.aws.functions.unread import (
    KEPT_SECONDS,
    RETENTION_SECONDS,
    SHOWN_SECONDS,
    WATCH_KEY,
    Watched,
    is_lost,
    watch,
)
from oncefold.aws.names import Names
from oncefold.aws.operations.rebuild import Machine, Rebuild
from oncefold.aws.reader.reader import StackOptions, StackReader
from oncefold.aws.tables import Stack as Tables
from oncefold.core.event import Event
from oncefold.core.fold import Node
from oncefold.queries.model import AsOfTime
from oncefold_lab.simulator.dynamodb import DynamoDB
from tests.aws.functions.stacks import PIPELINE, Interposed, Stack, Time, net_all, stream_of
from tests.aws.functions.test_economy import changes, economy, fold, fresh
from tests.aws.functions.test_protocol import EVENTS, SOME
from tests.aws.tables import make_tables
from tests.tools import reference


def look(stack: Stack) -> Watched:
    return watch(stack.dynamo(), stack.names, stream_of(stack), stack.time.read)


def netted(stack: Stack, client: Any = None) -> None:
    """What NetLambda makes of every record that there is."""
    net_all(stack, epochs=epochs(stack), client=client)


def epochs(stack: Stack) -> Any:
    return EpochCache(stack.names, stack.time.read, stack.time.read)


def test_what_is_read_behind_a_position_is_what_is_not_netted() -> None:
    stack = economy()
    fold(stack, SOME)
    records = changes(stack)
    (shard,) = stream_of(stack).shards()
    for place in range(len(records) + 1):
        position = int(records[place - 1]["SequenceNumber"]) if place else None
        found = [one["SequenceNumber"] for one in stream_of(stack).after(shard, position, limit=2)]
        assert found == [one["SequenceNumber"] for one in records[place:]]


def test_the_age_is_that_of_the_oldest_change_that_is_not_netted() -> None:
    stack = economy()
    fold(stack, SOME[:1])
    stack.time.now += 100
    assert look(stack) == Watched(100, lost=False)
    netted(stack)
    assert look(stack) == Watched(0, lost=False)


def test_what_may_have_been_dropped_unread_is_said_until_a_rebuild() -> None:
    stack = economy()
    stack.client.put_item(TableName=stack.names.aggregate_table, Item=definition_item(PIPELINE, mode=ECONOMY))
    fold(stack, SOME)
    assert not look(stack).lost
    stack.time.now += RETENTION_SECONDS - 7_200
    assert not look(stack).lost
    stack.time.now += 7_300
    assert look(stack).lost
    netted(stack)  # the records are dropped by now
    assert look(stack).lost
    assert stack.outbox() == []
    rebuilt(stack)
    assert not look(stack).lost
    stack.reduce()
    exact(stack, EVENTS)


def exact(stack: Stack, events: list[Event]) -> None:
    assert stack.outbox() == []
    reader = reader_of(stack)
    assert reader.verify().exact
    total = reader.query("", rollup="risk", depth=0)[""]
    assert total.count == reference.totals(PIPELINE, events)[Node(0)].count


def rebuilt(stack: Stack, meanwhile: Callable[[], object] = lambda: None) -> None:
    """`oncefold aws rebuild`, while NetLambda goes on whenever it waits."""

    def sleep(seconds: float) -> None:
        stack.time.now += seconds
        meanwhile()
        netted(stack)

    machine = Machine(stack.time.read, stack.time.read, sleep, lambda: 0.5, map)
    work = Rebuild(
        PIPELINE, stack.names, stack.client, machine, owner="me", timeout_seconds=10.0, streams=stack.client.streams
    )
    assert work.run(2).switched


def reader_of(stack: Stack, client: Any = None, **options: Any) -> StackReader:
    definition = {"epoch": {"N": "0"}}
    found = stack.client.get_item(TableName=stack.names.aggregate_table, Key=layout.DEFINITION_KEY)
    definition = found.get("Item", definition)
    tables = Tables(
        stack.names, PIPELINE, frozenset([PIPELINE.fingerprint]), client or stack.client,
        int(definition["epoch"]["N"]), 1, ECONOMY, stack.client.streams(),
    )  # fmt: skip
    return StackReader(
        tables, StackOptions(**options), clock=lambda: int(stack.time.now * 10**9), sleep=stack.time.sleep
    )


def deployed() -> Stack:
    stack = economy()
    stack.client.put_item(TableName=stack.names.aggregate_table, Item=definition_item(PIPELINE, mode=ECONOMY))
    return stack


def test_totals_are_made_anew_while_events_go_on() -> None:
    stack = deployed()
    fold(stack, SOME[:5])
    netted(stack)
    stack.reduce()
    sent = iter(SOME[5:])
    rebuilt(stack, meanwhile=lambda: fold(stack, [line for line in [next(sent, "")] if line]))
    fold(stack, list(sent))
    netted(stack)
    stack.reduce()
    exact(stack, EVENTS)


def test_queries_count_what_is_nowhere_but_in_the_stream() -> None:
    stack = deployed()
    fold(stack, SOME[:4])
    netted(stack)
    stack.reduce()
    fold(stack, SOME[4:])
    found = reader_of(stack, exact=True).query("", rollup="risk", depth=0)
    assert found[""].count == reference.totals(PIPELINE, EVENTS)[Node(0)].count
    plain = reader_of(stack).query("", rollup="risk", depth=0)
    pending = [one.as_of.pending for one in (found, plain) if isinstance(one.as_of, AsOfTime)]
    assert [one is not None and one.added for one in pending] == [True, False]
    assert {0 if one is None else one.deltas for one in pending} == {len(changes(stack)) - len(SOME[:4]) + 1}
    assert reader_of(stack).verify().exact
    explained = reader_of(stack).explain("", rollup="risk")
    assert explained.count == explained.total.count


def test_what_is_netted_while_a_query_reads_is_in_one_place() -> None:
    stack = deployed()
    fold(stack, SOME)
    moves = iter([lambda: netted(stack)])

    def before(operation: str) -> None:
        if operation == "scan":
            next(moves, lambda: None)()

    found = reader_of(stack, Interposed(stack.client, before=before), exact=True).query("", rollup="risk", depth=0)
    assert found[""].count == reference.totals(PIPELINE, EVENTS)[Node(0)].count


def test_a_wrong_total_is_found() -> None:
    stack = deployed()
    fold(stack, fresh(20))
    netted(stack)
    stack.reduce()
    assert reader_of(stack).verify().exact
    key = {"path": {"S": "/"}, "label": {"S": "risk"}}
    stack.client.update_item(
        TableName=stack.names.aggregate_table, Key=key, UpdateExpression="ADD #count :one",
        ExpressionAttributeNames={"#count": "count"}, ExpressionAttributeValues={":one": {"N": "1"}},
    )  # fmt: skip
    assert not reader_of(stack).verify().exact


def test_what_the_stream_shows_a_moment_later_makes_no_total_wrong() -> None:
    time = Time()
    dynamodb = DynamoDB(clock=time.read, random=Random(0), stream_lag=0.9 * SHOWN_SECONDS)
    stack = Stack(dynamodb, Names("late"), time=time)
    make_tables(stack.names, dynamodb, economy=True)
    stack.client.put_item(TableName=stack.names.aggregate_table, Item=definition_item(PIPELINE, mode=ECONOMY))
    fold(stack, fresh(20))
    found = reader_of(stack).verify()
    assert (found.exact, found.tries) == (True, 2)


def test_positions_of_shards_that_are_no_more_are_forgotten() -> None:
    stack = deployed()
    fold(stack, SOME)
    netted(stack)
    stack.client.roll_shard(stack.names.state_table, stream_of(stack).shards()[0])
    stack.time.now += KEPT_SECONDS + 1
    look(stack)
    kept = [item for item in stack.scan(stack.names.aggregate_table) if item["path"]["S"] == layout.POSITIONS]
    assert kept == []


def test_a_loss_of_other_totals_is_none() -> None:
    assert not is_lost(None, 0)
    assert not is_lost({**WATCH_KEY, "safe": {"N": "1"}}, 0)
    assert is_lost({**WATCH_KEY, "safe": {"N": "1"}, "lost": {"N": "0"}}, 0)
    assert not is_lost({**WATCH_KEY, "safe": {"N": "1"}, "lost": {"N": "0"}}, 5)
