"""The roles allow what the functions call, and nothing that they do not."""

import fnmatch
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from oncefold.aws.connect import client
from oncefold.aws.deploy.permissions import FUNCTIONS, PERMISSIONS, policy
from oncefold.aws.functions.guard import check_definition
from oncefold.aws.functions.layout import DEFINITION_KEY
from oncefold.aws.names import Names
from tests.aws.deploy.iam_page import PAGE, page
from tests.aws.functions.stacks import PIPELINE, Stack, lines

EVENTS = [
    '{"id": "a", "v": 1, "type": "x", "desk": "d", "value": 1.25}',
    '{"id": "a", "v": 2, "type": "y", "desk": "d", "value": 2.25}',
    '{"id": "b", "v": 1, "type": "x", "desk": "e", "value": 3}',
    "no event",
]

Call = tuple[str, str]
"""An action and a table."""

STREAMS = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"}
"""What Lambda calls, not the functions."""


class Recorder:
    """A DynamoDB client that notes the actions its calls need, each with its table."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.calls: set[Call] = set()
        self.forgets_once = False

    def __getattr__(self, operation: str) -> Any:
        real = getattr(self._real, operation)
        if operation == "exceptions":
            return real
        action = "".join(part.title() for part in operation.split("_"))

        def call(**request: Any) -> Any:
            self.calls.update(self._needed(action, request))
            if action == "TransactWriteItems" and self.forgets_once:
                self.forgets_once = False
                raise ClientError({"Error": {"Code": "IdempotentParameterMismatchException"}}, action)
            return real(**request)

        return call

    def _needed(self, action: str, request: dict[str, Any]) -> Iterator[Call]:
        if action == "TransactWriteItems":
            for write in request["TransactItems"]:
                for kind, item in write.items():
                    yield f"dynamodb:{kind}Item", item["TableName"]
        elif "RequestItems" in request:
            yield from ((f"dynamodb:{action}", table) for table in request["RequestItems"])
        else:
            only = request.get("Key", request.get("Item"))
            key = f"/{only['path']['S']}" if only is not None and "path" in only else ""
            yield f"dynamodb:{action}", request["TableName"] + key


def state(stack: Stack, recorder: Recorder) -> None:
    for some in (EVENTS[1:], [*EVENTS[:1], '{"id": "a", "v": 2, "gone": true}']):
        stack.fold(lines(some), recorder)


def reduce(stack: Stack, recorder: Recorder) -> None:
    stack.fold(lines(EVENTS[:1]))
    recorder.forgets_once = True
    stack.reduce(recorder, deltas=stack.outbox())


def sweep(stack: Stack, recorder: Recorder) -> None:
    stack.fold(lines(EVENTS[:1]))
    recorder.forgets_once = True
    stack.sweep(recorder)


def allowed(function: str, names: Names) -> set[Call]:
    """The DynamoDB actions of a role, with the tables by their names."""
    tables = {
        "StateTable": names.state_table,
        "ReduceTable": names.reduce_table,
        "AggregateTable": names.aggregate_table,
        "RejectTable": names.reject_table,
    }
    found = set()
    for permission in PERMISSIONS:
        if permission.function == function:
            key = "" if permission.only_key is None else f"/{permission.only_key}"
            table = tables.get(permission.name.partition(",")[0], permission.name)
            dynamodb = {action for action in permission.actions if action.startswith("dynamodb:")} - STREAMS
            found |= {(action, table + key) for action in dynamodb}
    return found


@pytest.mark.parametrize(("function", "run"), [*zip(FUNCTIONS, (state, reduce, sweep), strict=True)])
def test_a_role_allows_what_its_function_calls_and_no_more(
    function: str, run: Callable[[Stack, Recorder], None], stack: Names
) -> None:
    recorder = Recorder(client("dynamodb"))
    check_definition(PIPELINE, stack, recorder)
    run(Stack(client("dynamodb"), stack), recorder)
    assert recorder.calls == allowed(function, stack)


def test_words_and_arns_name_the_same_thing() -> None:
    for permission in PERMISSIONS:
        table = permission.name.partition(",")[0]
        if " " not in table:
            assert permission.resource == {"Fn::GetAtt": [table, "Arn"]}
        assert ("item" in permission.name) == (permission.only_key is not None)


def statements(function: str) -> list[dict[str, Any]]:
    """Those of a role, also those that depend on a condition."""
    found = policy(function)["Statement"]
    return [statement["Fn::If"][1] if "Fn::If" in statement else statement for statement in found]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_statement_is_about_everything(function: str) -> None:
    for statement in statements(function):
        assert statement["Effect"] == "Allow"
        assert not fnmatch.filter(statement["Action"], "*[*]*")
        resources = statement["Resource"]
        for resource in resources if isinstance(resources, list) else [resources]:
            assert set(resource) <= {"Fn::GetAtt", "Fn::Sub", "Fn::If"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_one_statement_for_each_thing_has_all_that_may_be_done_to_it(function: str) -> None:
    found = {(repr(one["Resource"]), repr(one.get("Condition"))): one["Action"] for one in statements(function)}
    assert len(found) == len(statements(function))
    actions = [action for permission in PERMISSIONS if permission.function == function for action in permission.actions]
    assert sorted(action for some in found.values() for action in some) == sorted(actions)


@pytest.mark.parametrize("function", ["State", "Reduce"])
def test_a_bucket_of_another_account_gets_no_events(function: str) -> None:
    """Names of buckets are given anew once they are free."""
    (to_bucket,) = (one for one in policy(function)["Statement"] if "Fn::If" in one)
    condition, statement, _ = to_bucket["Fn::If"]
    assert condition == "ToBucket"
    assert statement["Condition"] == {"StringEquals": {"s3:ResourceAccount": {"Ref": "AWS::AccountId"}}}
    assert statement["Action"] == ["s3:ListBucket", "s3:PutObject"]


def test_the_definition_item_is_the_only_one_that_may_be_put_among_the_totals() -> None:
    on_totals = [permission for permission in PERMISSIONS if permission.name.startswith("AggregateTable")]
    for permission in on_totals:
        if permission.actions != ("dynamodb:UpdateItem",):
            assert permission.only_key == DEFINITION_KEY["path"]["S"]
            of_item = [one for one in statements(permission.function) if set(permission.actions) <= set(one["Action"])]
            assert {
                "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["definition"]},
                "Null": {"dynamodb:LeadingKeys": "false"},
            } in [one.get("Condition") for one in of_item]


def test_the_page_of_permissions_is_the_list() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.aws.deploy.iam_page"
