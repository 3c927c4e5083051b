"""Conditions against a plain evaluator, and what DynamoDB takes for no condition."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings

from oncefold_lab.simulator.dynamodb import DynamoDB
from tests.lab.plain import CONDITIONS, ITEMS, Plain, PlainItem, wire
from tests.lab.tools import code, put, simulated
from tests.tools.sizes import examples


def _request(text: str, values: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {"ConditionExpression": text}
    return {**request, "ExpressionAttributeValues": values} if values else request


def _holds(dynamodb: DynamoDB, name: str, text: str, values: dict[str, Any], names: Any = None) -> bool:
    request = _request(text, values)
    if names:
        request["ExpressionAttributeNames"] = names
    try:
        dynamodb.put_item(TableName="items", Item={"id": {"S": name}}, **request)
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


@settings(max_examples=examples(250), deadline=None)
@given(CONDITIONS, ITEMS)
def test_a_condition_holds_when_plain_python_says_so(condition: Plain, item: PlainItem) -> None:
    dynamodb = simulated()
    dynamodb.put_item(TableName="items", Item={"id": {"S": "k"}, **{name: wire(value) for name, value in item.items()}})
    values = {name: wire(value) for name, value in condition.values.items()}
    assert _holds(dynamodb, "k", condition.text, values) is condition.holds(item)


@settings(max_examples=examples(100), deadline=None)
@given(CONDITIONS)
def test_an_item_that_is_not_there_has_no_attributes(condition: Plain) -> None:
    values = {name: wire(value) for name, value in condition.values.items()}
    assert _holds(simulated(), "k", condition.text, values) is condition.holds({})


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("n < :two OR n > :two AND n > :two", True),
        ("(n < :two OR n > :two) AND n > :two", False),
        ("NOT n > :two AND n > :two", False),
        ("not not n = :one and n <> :two", True),
        ("#n.x = :one OR n=:one", True),
        ("n BETWEEN :one AND :two AND n < :two", True),
    ],
)
def test_what_binds_first(text: str, holds: bool) -> None:
    dynamodb = simulated()
    put(dynamodb, "k", n=1)
    values = {name: {"N": number} for name, number in ((":one", "1"), (":two", "2")) if name in text}
    assert _holds(dynamodb, "k", text, values, {"#n": "m"} if "#n" in text else None) is holds


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (_request("", {}), "can not be empty"),
        (_request("a = ", {}), 'Syntax error; token: "<EOF>", near: "= "'),
        (_request("a = :v extra", {":v": {"S": ""}}), 'Syntax error; token: "extra", near: ":v extra"'),
        (_request("a ! :v", {":v": {"S": ""}}), 'Syntax error; token: "!"'),
        (_request("_a = :v", {":v": {"S": ""}}), "Syntax error"),
        (_request("a", {}), "Syntax error"),
        (_request("a IN ()", {}), "Syntax error"),
        (_request("a[:v] = :v", {":v": {"S": ""}}), "Syntax error"),
        (_request("status = :v", {":v": {"S": ""}}), "reserved keyword: status"),
        (_request("a.Count = :v", {":v": {"S": ""}}), "reserved keyword: Count"),
        (_request("((a = :v))", {":v": {"S": ""}}), "redundant parentheses"),
        (_request("a = a", {}), "first operand must be distinct"),
        (_request("contains(a, a)", {}), "operator: contains, first operand: [a]"),
        (_request("dog(a)", {}), "Invalid function name; function: dog"),
        (_request("size(a)", {}), "not allowed to be used this way in an expression; function: size"),
        (_request("list_append(a, b) = :v", {":v": {"S": ""}}), "not allowed"),
        (_request("attribute_exists(a) = :v", {":v": {"S": ""}}), "not allowed"),
        (_request("size(a, b) = :v", {":v": {"S": ""}}), "number of operands: 2"),
        (_request("attribute_exists(:v)", {":v": {"S": ""}}), "requires a document path"),
        (_request("attribute_type(a, :v)", {":v": {"S": "DOG"}}), "type: DOG"),
        (_request("a < :v", {":v": {"L": []}}), "operator: <, operand type: L"),
        (_request(":v >= a", {":v": {"BOOL": True}}), "operator: >=, operand type: BOOL"),
        (_request("begins_with(a, :v)", {":v": {"N": "1"}}), "begins_with, operand type: N"),
        (_request("size(:v) = :v", {":v": {"N": "1"}}), "size, operand type: N"),
        (
            _request("a BETWEEN :v AND :w", {":v": {"N": "2"}, ":w": {"N": "1"}}),
            "upper bound to be greater than or equal to lower bound",
        ),
        (_request("a BETWEEN :v AND :w", {":v": {"N": "2"}, ":w": {"S": "1"}}), "same data type"),
        (_request("a = :v", {}), "not defined; attribute value: :v"),
        (_request("#a = :v", {":v": {"S": ""}}), "not defined; attribute name: #a"),
        (_request("a = :v", {":v": {"S": ""}, ":w": {"S": ""}}), "unused in expressions: keys: {:w}"),
        (_request("a = :v", {":v": {"N": "x"}}), "contains invalid value: The parameter cannot be converted"),
        ({"ExpressionAttributeValues": {":v": {"S": ""}}}, "can only be specified when using expressions"),
        ({"ExpressionAttributeNames": {"#a": "a"}}, "can only be specified when using expressions"),
        ({**_request("attribute_exists(a)", {}), "ExpressionAttributeNames": {}}, "must not be empty"),
        ({**_request("attribute_exists(a)", {}), "ExpressionAttributeNames": {"#a": "a"}}, "keys: {#a}"),
        ({**_request("attribute_exists(a)", {}), "ExpressionAttributeNames": {"a": "a"}}, 'Syntax error; key: "a"'),
        (_request("a = :v OR " * 500 + "a = :v", {":v": {"S": ""}}), "exceeded the maximum allowed size"),
    ],
)
def test_what_is_refused(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError) as raised:
        simulated().put_item(TableName="items", Item={"id": {"S": "k"}}, **request_)
    assert code(raised.value) == "ValidationException"
    assert message in raised.value.response["Error"]["Message"]
