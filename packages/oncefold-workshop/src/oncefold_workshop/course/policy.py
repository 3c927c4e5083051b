"""Policies as IAM reads them: which calls a function may make, on which resources."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from oncefold_lab.simulator.data_stream import ACCOUNT

READ_STREAM: Mapping[str, tuple[str, ...]] = {
    "kinesis": ("kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"),
    "dynamodb": (
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ),
}
"""What Lambda needs of a function's role to read a stream for it, by the stream's service."""
_ALONE = {
    "put_item": "PutItem",
    "update_item": "UpdateItem",
    "delete_item": "DeleteItem",
    "get_item": "GetItem",
    "query": "Query",
    "scan": "Scan",
}
_WITHIN = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
_BATCHES = {"batch_get_item": "BatchGetItem", "batch_write_item": "BatchWriteItem"}


@dataclass(frozen=True, slots=True)
class Statement:
    """Actions that are allowed on resources; both may have `*` and `?` in them."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def allows(self, action: str, resource: str) -> bool:
        """Whether it allows an action on a resource. Names of actions have no case."""
        named = any(fnmatchcase(action.lower(), pattern.lower()) for pattern in self.actions)
        return named and any(fnmatchcase(resource, pattern) for pattern in self.resources)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a function's role allows: what a statement allows, and nothing else."""

    statements: tuple[Statement, ...]

    def missing(self, actions: Iterable[str], resource: str) -> tuple[str, ...]:
        """Those of the actions that it does not allow on a resource."""
        return tuple(action for action in actions if not any(one.allows(action, resource) for one in self.statements))

    def refused(self, operation: str, request: Mapping[str, Any]) -> tuple[str, str] | None:
        """The first action of a request that it does not allow, and its resource; None if all are allowed."""
        for action, table in _needed(operation, request):
            if self.missing([action], table_arn(table)):
                return action, table_arn(table)
        return None


def table_arn(table: str) -> str:
    """The ARN of a table in the lab."""
    return f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{table}"


def _needed(operation: str, request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a request of DynamoDB's client needs, and of which table."""
    if operation in _ALONE:
        yield f"dynamodb:{_ALONE[operation]}", request["TableName"]
    elif operation in _BATCHES:
        yield from ((f"dynamodb:{_BATCHES[operation]}", table) for table in request["RequestItems"])
    elif operation == "transact_get_items":
        yield from (("dynamodb:GetItem", item["Get"]["TableName"]) for item in request["TransactItems"])
    else:
        for item in request["TransactItems"]:
            yield from ((f"dynamodb:{_WITHIN[kind]}", action["TableName"]) for kind, action in item.items())
