"""Queries and scans beyond the contract: orders of every key type, pages against a plain list, what is refused."""

from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.faults import Fault
from tests.lab.tools import ManualClock, code, make_table, put, simulated
from tests.tools.sizes import examples

RANGES: dict[str, st.SearchStrategy[Any]] = {
    "S": st.text(min_size=1, max_size=3),
    "B": st.binary(min_size=1, max_size=3),
    "N": st.decimals(-1000, 1000, places=2).map(lambda value: format(value, "f")),
}


def sort_key(kind: str, value: Any) -> Any:
    return Decimal(value) if kind == "N" else value.encode() if kind == "S" else value


def pages(call: Any, **request: Any) -> list[dict[str, Any]]:
    found = []
    while True:
        page = call(**request)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@settings(max_examples=examples(60), deadline=None)
@given(st.data(), st.sampled_from("SBN"), st.integers(1, 4), st.booleans())
def test_a_partition_comes_in_order_page_by_page(data: st.DataObject, kind: str, limit: int, forward: bool) -> None:
    dynamodb = DynamoDB(ManualClock())
    make_table(dynamodb, "table", "hash", "range", kinds="S" + kind)
    ranges = data.draw(st.lists(RANGES[kind], unique_by=lambda value: sort_key(kind, value), max_size=9))
    removed = data.draw(st.sets(st.sampled_from(ranges))) if ranges else set()

    def key(hash_: str, value: Any) -> dict[str, Any]:
        return {"hash": {"S": hash_}, "range": {kind: value}}

    for value in ranges:
        for name in ("one", "two"):
            dynamodb.put_item(TableName="table", Item=key(name, value))
        # The order exists from here on and has to be kept up.
        dynamodb.scan(TableName="table", Limit=1)
    for value in removed:
        dynamodb.delete_item(TableName="table", Key=key("one", value))
    found = pages(
        dynamodb.query,
        TableName="table",
        KeyConditionExpression="#hash = :hash",
        ExpressionAttributeNames={"#hash": "hash"},
        ExpressionAttributeValues={":hash": {"S": "one"}},
        Limit=limit,
        ScanIndexForward=forward,
    )
    left = [value for value in ranges if value not in removed]
    expected = sorted((sort_key(kind, value) for value in left), reverse=not forward)
    assert [sort_key(kind, item["range"][kind]) for item in found] == expected


@settings(max_examples=examples(40), deadline=None)
@given(st.sets(st.text(min_size=1, max_size=3), max_size=20), st.integers(1, 7), st.integers(1, 5))
def test_segments_give_every_item_once(names: set[str], total: int, limit: int) -> None:
    dynamodb = simulated()
    for name in names:
        put(dynamodb, name)
    found = [
        item["id"]["S"]
        for segment in range(total)
        for item in pages(dynamodb.scan, TableName="items", Segment=segment, TotalSegments=total, Limit=limit)
    ]
    assert sorted(found) == sorted(names)


def test_a_scan_goes_on_behind_a_key_that_is_gone() -> None:
    dynamodb = simulated()
    for number in range(10):
        put(dynamodb, str(number))
    first = dynamodb.scan(TableName="items", Limit=4)
    for item in first["Items"]:
        dynamodb.delete_item(TableName="items", Key=item)
    rest = pages(dynamodb.scan, TableName="items", Limit=4, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert len(rest) == 6


def test_a_page_can_be_shorter_than_asked_and_nothing_is_missed() -> None:
    dynamodb = simulated(*[Fault.SHORT] * 30)
    for number in range(12):
        put(dynamodb, str(number))
    assert len(pages(dynamodb.scan, TableName="items")) == 12


KEYED: dict[str, Any] = {"ExpressionAttributeValues": {":p": {"S": "p"}}, "ExpressionAttributeNames": {"#p": "path"}}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "KeyConditionExpression parameter must be specified"),
        ({"KeyConditionExpression": ""}, "can not be empty"),
        ({**KEYED, "KeyConditionExpression": "label = :p AND begins_with(#p, :p)"}, "not supported"),
        (
            {**KEYED, "KeyConditionExpression": "#p = :p OR #p = :p"},
            "Invalid operator used in KeyConditionExpression: OR",
        ),
        ({**KEYED, "KeyConditionExpression": "#p = :p AND #p = :p"}, "only contain one condition per key"),
        ({**KEYED, "KeyConditionExpression": "#p = :p AND label.x = :p"}, "nested attributes"),
        ({**KEYED, "KeyConditionExpression": "#p = :p AND strange = :p"}, "missed key schema element: label"),
        ({**KEYED, "KeyConditionExpression": "#p < :p"}, "not supported"),
        (
            {**KEYED, "KeyConditionExpression": "#p = :p", "FilterExpression": "label = :p"},
            "non-primary key attributes",
        ),
        ({**KEYED, "KeyConditionExpression": "#p = :p", "Limit": 0}, "greater than or equal to 1"),
        ({**KEYED, "KeyConditionExpression": "#p = :p", "Select": "SOME"}, "enum value set"),
        (
            {**KEYED, "KeyConditionExpression": "#p = :p", "ExclusiveStartKey": {"path": {"S": "p"}}},
            "starting key is invalid",
        ),
        (
            {
                "KeyConditionExpression": "#p = :p",
                "ExpressionAttributeNames": {"#p": "path"},
                "ExpressionAttributeValues": {":p": {"N": "1"}},
            },
            "does not match schema type",
        ),
    ],
)
def test_what_a_query_cannot_ask(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError) as raised:
        simulated().query(TableName="nodes", **request_)
    assert code(raised.value) == "ValidationException"
    assert message in raised.value.response["Error"]["Message"]


def test_operands_of_a_key_condition_may_be_swapped() -> None:
    dynamodb = simulated()
    for label in "abc":
        dynamodb.put_item(TableName="nodes", Item={"path": {"S": "p"}, "label": {"S": label}})
    found = dynamodb.query(
        TableName="nodes",
        KeyConditionExpression=":p = #p AND :b <= label",
        ExpressionAttributeNames={"#p": "path"},
        ExpressionAttributeValues={":p": {"S": "p"}, ":b": {"S": "b"}},
    )
    assert [item["label"]["S"] for item in found["Items"]] == ["b", "c"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"Segment": 0}, "TotalSegments parameter is required"),
        ({"TotalSegments": 4}, "Segment parameter is required"),
        ({"Segment": 4, "TotalSegments": 4}, "must be less than parameter TotalSegments"),
    ],
)
def test_what_a_scan_cannot_ask(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        simulated().scan(TableName="items", **request_)


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("a", {"a": {"N": "1"}}),
        ("m.x, m.l[1]", {"m": {"M": {"x": {"S": "x"}, "l": {"L": [{"S": "1"}]}}}}),
        ("m.l[2], m.l[0].y, m.l[7]", {"m": {"M": {"l": {"L": [{"M": {"y": {"N": "0"}}}, {"S": "2"}]}}}}),
        ("nothing, m.nothing, a.b", {}),
    ],
)
def test_a_projection_keeps_places(expression: str, part: dict[str, Any]) -> None:
    dynamodb = simulated()
    listed = {"L": [{"M": {"y": {"N": "0"}, "z": {"N": "0"}}}, {"S": "1"}, {"S": "2"}]}
    item = {"id": {"S": "k"}, "a": {"N": "1"}, "m": {"M": {"x": {"S": "x"}, "l": listed}}}
    dynamodb.put_item(TableName="items", Item=item)
    key = {"id": {"S": "k"}}
    assert dynamodb.get_item(TableName="items", Key=key, ProjectionExpression=expression)["Item"] == part


def test_what_is_not_simulated_is_not_passed_over() -> None:
    with pytest.raises(NotImplementedError, match="IndexName"):
        simulated().query(TableName="items", IndexName="index")
