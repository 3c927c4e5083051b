"""Transactions: conflicts, tokens over virtual time, transactions under way, and what is refused for which reason."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.faults import LATE_SECONDS, Fault
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
    simulated,
)


def number(dynamodb: DynamoDB, name: str) -> str | None:
    item = get(dynamodb, name)
    return None if item is None else item["n"]["N"]


def refused(dynamodb: DynamoDB, *writes: dict[str, Any], **more: Any) -> ClientError:
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_write_items(TransactItems=list(writes), **more)
    return raised.value


@pytest.mark.parametrize(("seconds", "total"), [(0, "1"), (599.9, "1"), (600, "2"), (86_400, "2")])
def test_a_token_is_remembered_for_ten_minutes(seconds: float, total: str) -> None:
    clock = ManualClock()
    dynamodb = simulated(clock=clock)
    for _ in range(2):
        dynamodb.transact_write_items(TransactItems=[add_write("k")], ClientRequestToken="token")
        clock.advance(seconds)
    assert number(dynamodb, "k") == total


def test_a_replay_does_not_prolong_the_ten_minutes() -> None:
    clock = ManualClock()
    dynamodb = simulated(clock=clock)
    for _ in range(3):
        dynamodb.transact_write_items(TransactItems=[add_write("k")], ClientRequestToken="token")
        clock.advance(400)
    assert number(dynamodb, "k") == "2"


def test_a_replay_costs_reading() -> None:
    dynamodb = simulated()
    writes = [put_write("k", s="x" * 1500)]
    request = {"TransactItems": writes, "ClientRequestToken": "token", "ReturnConsumedCapacity": "TOTAL"}
    first, second = (dynamodb.transact_write_items(**request)["ConsumedCapacity"] for _ in range(2))
    assert first == [{"TableName": "items", "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}]
    assert second == [{"TableName": "items", "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}]
    assert dynamodb.counts["replayed transactions"] == 1


@pytest.mark.parametrize(
    "other",
    [
        add_write("k", "2"),
        add_write("l"),
        put_write("k", n=1),
        {"Delete": {"TableName": "items", "Key": {"id": {"S": "k"}}}},
    ],
)
def test_a_token_stands_for_one_content(other: dict[str, Any]) -> None:
    dynamodb = simulated()
    dynamodb.transact_write_items(TransactItems=[add_write("k")], ClientRequestToken="token")
    error = refused(dynamodb, other, ClientRequestToken="token")
    assert code(error) == "IdempotentParameterMismatchException"
    assert "Message" in error.response
    assert number(dynamodb, "k") == "1"


def test_the_same_content_may_be_spelled_otherwise() -> None:
    dynamodb = simulated()
    for amount in ("1", "1.0", "01"):
        dynamodb.transact_write_items(TransactItems=[add_write("k", amount)], ClientRequestToken="token")
    assert number(dynamodb, "k") == "1"


def test_a_token_stands_for_the_names_behind_the_placeholders_too() -> None:
    dynamodb = simulated()
    write = add_write("k")
    update = {**write["Update"], "UpdateExpression": "ADD #n :n"}
    for names, mismatch in (({"#n": "a"}, False), ({"#n": "a"}, False), ({"#n": "b"}, True)):
        named = {"Update": {**update, "ExpressionAttributeNames": names}}
        if mismatch:
            assert code(refused(dynamodb, named, ClientRequestToken="t")) == "IdempotentParameterMismatchException"
        else:
            dynamodb.transact_write_items(TransactItems=[named], ClientRequestToken="t")
    assert get(dynamodb, "k") == {"id": {"S": "k"}, "a": {"N": "1"}}


def test_while_a_transaction_is_under_way() -> None:
    """Its items can be read, but not written; its token says so; then it ends, and is done."""
    clock = ManualClock()
    dynamodb = simulated(Fault.UNFINISHED, clock=clock)
    with pytest.raises(ReadTimeoutError):
        dynamodb.transact_write_items(TransactItems=[add_write("k"), add_write("l")], ClientRequestToken="token")
    assert get(dynamodb, "k") is None
    assert code(refused(dynamodb, add_write("k"), add_write("l"), ClientRequestToken="token")) == (
        "TransactionInProgressException"
    )
    assert code(refused(dynamodb, add_write("k"), ClientRequestToken="token")) == "IdempotentParameterMismatchException"
    assert reasons(refused(dynamodb, add_write("m"), add_write("l"))) == ["None", "TransactionConflict"]
    with pytest.raises(ClientError) as raised:
        put(dynamodb, "k")
    assert code(raised.value) == "TransactionConflictException"
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_get_items(TransactItems=[{"Get": {"TableName": "items", "Key": {"id": {"S": "k"}}}}])
    assert reasons(raised.value) == ["TransactionConflict"]
    assert dynamodb.counts["cancelled: TransactionConflict"] == 2
    batch = {"items": [{"PutRequest": {"Item": {"id": {"S": name}}}} for name in ("k", "m")]}
    assert dynamodb.batch_write_item(RequestItems=batch)["UnprocessedItems"] == {"items": batch["items"][:1]}

    due = dynamodb.due()
    assert due is not None
    assert clock() <= due <= clock() + LATE_SECONDS
    clock.seconds = due
    dynamodb.transact_write_items(TransactItems=[add_write("k"), add_write("l")], ClientRequestToken="token")
    assert (number(dynamodb, "k"), number(dynamodb, "l")) == ("1", "1")
    put(dynamodb, "k", n=9)
    clock.advance(600)
    dynamodb.transact_write_items(TransactItems=[add_write("k"), add_write("l")], ClientRequestToken="token")
    assert number(dynamodb, "k") == "10"
    assert dynamodb.due() is None


def test_a_transaction_that_fails_its_conditions_does_not_get_under_way() -> None:
    dynamodb = simulated(Fault.UNFINISHED)
    assert reasons(refused(dynamodb, put_write("k", "attribute_exists(id)"))) == ["ConditionalCheckFailed"]
    put(dynamodb, "k")
    assert dynamodb.due() is None


def test_a_late_request_finds_what_others_did_meanwhile() -> None:
    clock = ManualClock()
    dynamodb = simulated(Fault.LATE, clock=clock)
    create = put_write("k", "attribute_not_exists(id)", n=1)
    with pytest.raises(ReadTimeoutError):
        dynamodb.transact_write_items(TransactItems=[create, add_write("l")])
    put(dynamodb, "k", n=5)
    clock.advance(LATE_SECONDS)
    assert (number(dynamodb, "k"), get(dynamodb, "l")) == ("5", None)


def test_a_late_request_under_a_token_that_was_used_again_comes_to_nothing() -> None:
    clock = ManualClock()
    dynamodb = simulated(Fault.LATE, clock=clock)
    with pytest.raises(ReadTimeoutError):
        dynamodb.transact_write_items(TransactItems=[add_write("k")], ClientRequestToken="token")
    dynamodb.transact_write_items(TransactItems=[add_write("k")], ClientRequestToken="token")
    clock.advance(LATE_SECONDS)
    dynamodb.run_due()
    assert number(dynamodb, "k") == "1"


def test_each_reason_is_told_for_its_item() -> None:
    dynamodb = simulated()
    put(dynamodb, "there", n=1, s="text")
    update = {"TableName": "items", "Key": {"id": {"S": "there"}}, "UpdateExpression": "ADD s :n"}
    error = refused(
        dynamodb,
        put_write("fresh", "attribute_not_exists(id)"),
        {"Update": {**update, "ExpressionAttributeValues": {":n": {"N": "1"}}}},
        {
            "ConditionCheck": {
                "TableName": "items",
                "Key": {"id": {"S": "gone"}},
                "ConditionExpression": "attribute_exists(id)",
            }
        },
        {
            "Delete": {
                "TableName": "nodes",
                "Key": {"path": {"S": "/"}, "label": {"S": "x"}},
                "ConditionExpression": "attribute_not_exists(label)",
            }
        },
    )
    assert reasons(error) == ["None", "ValidationError", "ConditionalCheckFailed", "None"]
    reported = error.response["CancellationReasons"]
    assert reported[0] == {"Code": "None"}
    assert reported[1]["Message"] == "An operand in the update expression has an incorrect data type"
    assert reported[2] == {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert str(error).endswith("[None, ValidationError, ConditionalCheckFailed, None]")
    assert get(dynamodb, "fresh") is None


def test_the_item_that_a_condition_failed_on_is_shown_on_demand() -> None:
    dynamodb = simulated()
    put(dynamodb, "k", n=1)
    write = put_write("k", "attribute_not_exists(id)")
    write["Put"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    (reason,) = refused(dynamodb, write).response["CancellationReasons"]
    assert reason["Item"] == {"id": {"S": "k"}, "n": {"N": "1"}}


@pytest.mark.parametrize(
    ("writes", "message"),
    [
        ([], "greater than or equal to 1"),
        ([put_write(str(number)) for number in range(101)], "less than or equal to 100"),
        ([put_write("k"), add_write("k")], "cannot include multiple operations on one item"),
        ([put_write("k", "size(id)")], "not allowed"),
        ([put_write("")], "cannot contain an empty string value. Key: id"),
        ([put_write("k" * 2049)], "Size of hashkey has exceeded"),
        ([put_write("k", s="x" * 410_000)], "Item size has exceeded"),
        ([put_write(str(number), s="x" * 350_000) for number in range(12)], "exceed 4 MB"),
        ([{**put_write("k"), **add_write("l")}], "only contain one of"),
    ],
)
def test_what_is_invalid_from_the_request_alone(writes: list[dict[str, Any]], message: str) -> None:
    error = refused(simulated(), *writes)
    assert code(error) == "ValidationException"
    assert message in error.response["Error"]["Message"]


@pytest.mark.parametrize("key", [{"id": {"N": "5"}}, {"other": {"S": "k"}}, {"id": {"S": "k"}, "other": {"S": "x"}}])
def test_a_key_that_does_not_fit_is_a_reason(key: dict[str, Any]) -> None:
    error = refused(simulated(), put_write("k"), {"Delete": {"TableName": "items", "Key": key}})
    assert reasons(error) == ["None", "ValidationError"]


def test_a_table_that_is_not_there() -> None:
    assert code(refused(simulated(), put_write("k", table="nowhere"))) == "ResourceNotFoundException"


def test_an_item_can_be_throttled_within_a_transaction() -> None:
    codes = set()
    for seed in range(10):
        faults = ScriptedFaults(Fault.ITEM_THROTTLED, Fault.ITEM_THROTTLED, seed=seed)
        dynamodb = DynamoDB(ManualClock(), faults=faults)
        make_table(dynamodb, "items", "id")
        codes |= {*reasons(refused(dynamodb, add_write("k"), add_write("l")))}
        with pytest.raises(ClientError) as raised:
            dynamodb.transact_get_items(TransactItems=[{"Get": {"TableName": "items", "Key": {"id": {"S": "k"}}}}])
        codes |= {*reasons(raised.value)}
        assert get(dynamodb, "k") is None
        assert faults.counts == {Fault.ITEM_THROTTLED: 2}
    assert codes == {"None", "ThrottlingError", "ProvisionedThroughputExceeded"}


def test_reading_in_a_transaction() -> None:
    dynamodb = simulated()
    put(dynamodb, "k", n=1)
    gets = [{"Get": {"TableName": "items", "Key": {"id": {"S": name}}}} for name in ("k", "gone")]
    answer = dynamodb.transact_get_items(TransactItems=gets, ReturnConsumedCapacity="TOTAL")
    assert answer["Responses"] == [{"Item": {"id": {"S": "k"}, "n": {"N": "1"}}}, {}]
    assert answer["ConsumedCapacity"][0]["ReadCapacityUnits"] == 4.0
    with pytest.raises(ClientError, match="multiple operations on one item"):
        dynamodb.transact_get_items(TransactItems=[gets[0], gets[0]])
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_get_items(TransactItems=[gets[0], {"Get": {"TableName": "items", "Key": {}}}])
    assert reasons(raised.value) == ["None", "ValidationError"]
