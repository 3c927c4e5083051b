"""Faults: each has the effect that it says, is counted when it happened, and stops when told."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.faults import LATE_SECONDS, POSSIBLE, Fault, Faults, rates
from tests.lab.tools import (
    ManualClock,
    ScriptedFaults,
    add_write,
    code,
    get,
    make_table,
    put,
    put_write,
    reasons,
    shards,
    simulated,
)

SILENCE = (ConnectionClosedError, ReadTimeoutError)
THROTTLES = {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"}
KEY = {"TableName": "items", "Key": {"id": {"S": "k"}}}


def add(dynamodb: DynamoDB) -> None:
    dynamodb.update_item(**KEY, UpdateExpression="ADD n :n", ExpressionAttributeValues={":n": {"N": "1"}})


WRITES: dict[str, Any] = {
    "PutItem": lambda dynamodb: put(dynamodb, "k", n=1),
    "UpdateItem": add,
    "TransactWriteItems": lambda dynamodb: dynamodb.transact_write_items(TransactItems=[put_write("k", n=1)]),
    "BatchWriteItem": lambda dynamodb: dynamodb.batch_write_item(
        RequestItems={"items": [{"PutRequest": {"Item": {"id": {"S": "k"}, "n": {"N": "1"}}}}]}
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("seed", range(8))
def test_what_fails_before_its_effect_has_none(write: Any, seed: int) -> None:
    for fault in (Fault.THROTTLED, Fault.FAILED, Fault.UNSENT):
        faults = ScriptedFaults(fault, seed=seed)
        dynamodb = DynamoDB(ManualClock(), faults=faults)
        make_table(dynamodb, "items", "id")
        with pytest.raises((ClientError, *SILENCE)) as raised:
            write(dynamodb)
        if fault is Fault.UNSENT:
            assert isinstance(raised.value, SILENCE)
        else:
            assert isinstance(raised.value, ClientError)
            assert code(raised.value) in (THROTTLES if fault is Fault.THROTTLED else {"InternalServerError"})
        assert get(dynamodb, "k") is None
        assert faults.counts == {fault: 1}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("seed", range(8))
def test_a_lost_reply_leaves_the_effect(write: Any, seed: int) -> None:
    faults = ScriptedFaults(Fault.LOST_REPLY, seed=seed)
    dynamodb = DynamoDB(ManualClock(), faults=faults)
    make_table(dynamodb, "items", "id")
    with pytest.raises((ClientError, *SILENCE)) as raised:
        write(dynamodb)
    if isinstance(raised.value, ClientError):
        assert code(raised.value) == "InternalServerError"
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert get(dynamodb, "k") == {"id": {"S": "k"}, "n": {"N": "1"}}
    assert faults.counts == {Fault.LOST_REPLY: 1}


def test_a_refusal_can_be_lost_too() -> None:
    dynamodb = simulated(None, Fault.LOST_REPLY)
    put(dynamodb, "k")
    with pytest.raises((ClientError, *SILENCE)) as raised:
        dynamodb.put_item(TableName="items", Item=KEY["Key"], ConditionExpression="attribute_not_exists(id)")
    assert not isinstance(raised.value, ClientError) or code(raised.value) == "InternalServerError"


def test_an_effect_comes_late() -> None:
    clock = ManualClock()
    dynamodb = simulated(None, Fault.LATE, clock=clock)
    put(dynamodb, "k", n=1)
    with pytest.raises(ReadTimeoutError):
        add(dynamodb)
    assert (get(dynamodb, "k") or {})["n"] == {"N": "1"}
    clock.advance(LATE_SECONDS)
    assert (get(dynamodb, "k") or {})["n"] == {"N": "2"}


def test_a_late_write_is_judged_when_it_comes() -> None:
    clock = ManualClock()
    dynamodb = simulated(Fault.LATE, clock=clock)
    with pytest.raises(ReadTimeoutError):
        dynamodb.delete_item(**KEY, ConditionExpression="attribute_not_exists(n)")
    put(dynamodb, "k", n=1)
    clock.advance(LATE_SECONDS)
    assert get(dynamodb, "k") is not None


def test_what_was_sent_late_is_what_was_asked() -> None:
    """Changing the request afterwards does not reach what is on its way."""
    clock = ManualClock()
    dynamodb = simulated(Fault.LATE, clock=clock)
    item: dict[str, Any] = {"id": {"S": "k"}, "l": {"L": [{"S": "asked"}]}}
    with pytest.raises(ReadTimeoutError):
        dynamodb.put_item(TableName="items", Item=item)
    item["l"]["L"].append({"S": "later"})
    clock.advance(LATE_SECONDS)
    assert (get(dynamodb, "k") or {})["l"] == {"L": [{"S": "asked"}]}


def test_conflicts_are_told_as_each_operation_tells_them() -> None:
    dynamodb = simulated(Fault.CONFLICT, Fault.CONFLICT, None, Fault.CONFLICT)
    with pytest.raises(ClientError) as raised:
        put(dynamodb, "k")
    assert code(raised.value) == "TransactionConflictException"
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_write_items(TransactItems=[add_write(name) for name in "abc"])
    assert sorted(reasons(raised.value)) == ["None", "None", "TransactionConflict"]
    assert get(dynamodb, "a") is None
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_get_items(TransactItems=[{"Get": KEY}])
    assert reasons(raised.value) == ["TransactionConflict"]


@pytest.mark.parametrize("seed", range(10))
def test_a_batch_is_read_in_parts(seed: int) -> None:
    faults = ScriptedFaults(*[None] * 10, *[Fault.PARTIAL] * 50, seed=seed)
    dynamodb = DynamoDB(ManualClock(), faults=faults)
    make_table(dynamodb, "items", "id")
    for number in range(10):
        put(dynamodb, str(number))
    wanted: Any = {"items": {"Keys": [{"id": {"S": str(n)}} for n in range(10)], "ConsistentRead": True}}
    found, calls = [], 0
    while wanted:
        answer = dynamodb.batch_get_item(RequestItems=wanted)
        assert answer["Responses"]["items"]
        found += [item["id"]["S"] for item in answer["Responses"]["items"]]
        wanted = answer["UnprocessedKeys"]
        assert all(block["ConsistentRead"] for block in wanted.values())
        calls += 1
    assert sorted(found) == [str(number) for number in range(10)]
    assert faults.counts[Fault.PARTIAL] == calls - (faults.counts[Fault.PARTIAL] < calls)


def test_a_batch_is_written_in_parts() -> None:
    dynamodb = simulated(*[Fault.PARTIAL] * 50)
    wanted: Any = {"items": [{"PutRequest": {"Item": {"id": {"S": str(number)}}}} for number in range(10)]}
    calls = 0
    while wanted:
        wanted = dynamodb.batch_write_item(RequestItems=wanted)["UnprocessedItems"]
        calls += 1
    assert calls > 1
    assert dynamodb.scan(TableName="items")["Count"] == 10


def test_a_batch_arrives_late() -> None:
    clock = ManualClock()
    dynamodb = simulated(Fault.LATE, clock=clock)
    with pytest.raises(ReadTimeoutError):
        WRITES["BatchWriteItem"](dynamodb)
    assert get(dynamodb, "k") is None
    clock.advance(LATE_SECONDS)
    assert get(dynamodb, "k") == {"id": {"S": "k"}, "n": {"N": "1"}}


def test_only_a_consistent_read_sees_the_last_change() -> None:
    dynamodb = simulated(*[None] * 3, *[Fault.STALE] * 6)
    put(dynamodb, "k", n=1)
    put(dynamodb, "k", n=2)
    put(dynamodb, "new", n=1)
    assert dynamodb.get_item(**KEY)["Item"]["n"] == {"N": "1"}
    assert dynamodb.get_item(**KEY, ConsistentRead=True)["Item"]["n"] == {"N": "2"}
    assert "Item" not in dynamodb.get_item(TableName="items", Key={"id": {"S": "new"}})
    assert [item["n"]["N"] for item in dynamodb.scan(TableName="items")["Items"]] == ["1"]
    assert dynamodb.scan(TableName="items", ConsistentRead=True)["Count"] == 2


def test_each_fault_happens_where_it_is_possible_and_nowhere_after_it_is_stopped() -> None:
    faults = Faults(Random(3), rates(0.08))
    clock = ManualClock()
    dynamodb = DynamoDB(clock, Random(4), faults)
    make_table(dynamodb, "items", "id", view="NEW_IMAGE")

    def everything() -> None:
        writes = [add_write("a"), add_write("b")]
        keys = {"items": {"Keys": [{"id": {"S": name}} for name in "abc"]}}
        puts = {"items": [{"PutRequest": {"Item": {"id": {"S": name}}}} for name in "abc"]}
        add(dynamodb)
        dynamodb.transact_write_items(TransactItems=writes)
        dynamodb.batch_get_item(RequestItems=keys)
        dynamodb.batch_write_item(RequestItems=puts)
        dynamodb.scan(TableName="items")
        for shard in shards(dynamodb):
            arn = dynamodb.describe_table(TableName="items")["Table"]["LatestStreamArn"]
            position = dynamodb.streams().get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )
            dynamodb.streams().get_records(ShardIterator=position["ShardIterator"])

    failed = Counter[str]()
    for _ in range(600):
        try:
            everything()
        except (ClientError, *SILENCE) as error:
            failed[type(error).__name__] += 1
        clock.advance(1)
    assert set(faults.counts) == set(Fault)
    assert set(failed) > THROTTLES
    assert {"LimitExceededException", "InternalServerError", "ReadTimeoutError", "ConnectionClosedError"} < set(failed)
    faults.stop()
    clock.advance(LATE_SECONDS)
    before = dict(faults.counts)
    for _ in range(50):
        everything()
    assert faults.counts == before


def test_tables_are_made_without_faults() -> None:
    dynamodb = DynamoDB(ManualClock(), faults=Faults(Random(0), {Fault.FAILED: 1.0}))
    make_table(dynamodb, "items", "id")
    assert dynamodb.list_tables()["TableNames"] == ["items"]
    assert "CreateTable" not in POSSIBLE


class Crash(Exception):  # noqa: N818 - what a test raises to stop a caller
    """What a test raises to stop a caller."""


@pytest.mark.parametrize(("moment", "done"), [("before", False), ("after", True)])
def test_a_caller_crashes_before_or_after_the_effect(moment: str, done: bool) -> None:
    crashing = False

    def hook(operation: str, when: str) -> None:
        if crashing and (operation, when) == ("PutItem", moment):
            raise Crash

    dynamodb = simulated(calls=hook)
    crashing = True
    with pytest.raises(Crash):
        put(dynamodb, "k")
    assert (get(dynamodb, "k") is not None) is done


def test_another_caller_comes_in_between() -> None:
    """What a hook does before a call happens before its effect, and the clock that it moves has moved."""
    clock = ManualClock()
    reported: list[tuple[str, str]] = []

    def hook(operation: str, when: str) -> None:
        reported.append((operation, when))
        if (operation, when) == ("UpdateItem", "before"):
            clock.advance(5)
            put(dynamodb, "k", n=10)

    dynamodb = simulated(calls=hook, clock=clock)
    reported.clear()
    add(dynamodb)
    assert (get(dynamodb, "k") or {})["n"] == {"N": "11"}
    assert reported[:4] == [
        ("UpdateItem", "before"),
        ("PutItem", "before"),
        ("PutItem", "after"),
        ("UpdateItem", "after"),
    ]


def test_an_error_looks_as_boto3_makes_it() -> None:
    dynamodb = simulated()
    put(dynamodb, "k", n=1)
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as raised:
        dynamodb.put_item(
            TableName="items",
            Item=KEY["Key"],
            ConditionExpression="attribute_not_exists(id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    error = raised.value
    assert isinstance(error, ClientError)
    assert isinstance(error, dynamodb.exceptions.ClientError)
    assert error.operation_name == "PutItem"
    assert error.response["Error"] == {
        "Code": "ConditionalCheckFailedException",
        "Message": "The conditional request failed",
    }
    assert error.response["message"] == "The conditional request failed"
    assert error.response["Item"] == {"id": {"S": "k"}, "n": {"N": "1"}}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert dynamodb.counts["ConditionalCheckFailedException"] == 1
