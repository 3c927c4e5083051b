"""What each function may do, and the call that needs it: the one list behind the roles and docs/AWS_IAM.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oncefold.aws.functions.layout import DEFINITION_KEY, POSITIONS

FUNCTIONS = ("State", "Reduce", "Sweep")
"""The functions, as their logical ids in the template begin."""
ECONOMY_FUNCTIONS = (*FUNCTIONS, "Net")
"""Those of economy mode."""


@dataclass(frozen=True, slots=True)
class Permission:
    """Some actions of one function on one thing."""

    function: str
    actions: tuple[str, ...]
    resource: Any
    """Its ARN, as the template has it."""
    name: str
    """What the thing is called."""
    call: str
    """What is called, by whom and what for."""
    only_key: str | None = None
    """Only items with this partition key."""
    condition: str | None = None
    """Only where this condition of the template holds."""
    only_own: bool = False
    """Only in the stack's own account; names of buckets say nothing of whose they are."""


def policy(function: str, *, economy: bool = False) -> dict[str, Any]:
    """The policy document of a function's role: one statement for each thing, with all that may be done to it."""
    actions: dict[str, list[str]] = {}
    first: dict[str, Permission] = {}
    for permission in ECONOMY_PERMISSIONS if economy else PERMISSIONS:
        if permission.function == function:
            what = repr((permission.resource, permission.only_key, permission.condition, permission.only_own))
            first.setdefault(what, permission)
            actions.setdefault(what, []).extend(permission.actions)
    statements = [_statement(first[what], actions[what]) for what in first]
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(permission: Permission, actions: Sequence[str]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": permission.resource}
    if permission.only_own:
        statement["Condition"] = {"StringEquals": {"s3:ResourceAccount": {"Ref": "AWS::AccountId"}}}
    if permission.only_key is not None:
        statement["Condition"] = {
            "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [permission.only_key]},
            # ForAllValues is also true of a request without the key.
            "Null": {"dynamodb:LeadingKeys": "false"},
        }
    if permission.condition is None:
        return statement
    return {"Fn::If": [permission.condition, statement, {"Ref": "AWS::NoValue"}]}


def _every(function: str) -> Sequence[Permission]:
    """What every function may do: log, and make sure of its definition."""
    log, table, key = f"{function}Log", "AggregateTable", DEFINITION_KEY["path"]["S"]
    return (
        Permission(
            function,
            ("logs:CreateLogStream", "logs:PutLogEvents"),
            _arn(log),
            "its log group",
            "Lambda, to keep what the function prints: one line for each invocation",
        ),
        Permission(
            function,
            ("dynamodb:GetItem",),
            _arn(table),
            f"AggregateTable, item `{key}`",
            "GetItem once per environment: may this definition go on with the tables?"
            + (" Every 30 s: are the totals made anew?" if function in {"State", "Net"} else ""),
            only_key=key,
        ),
        Permission(
            function,
            ("dynamodb:PutItem",),
            _arn(table),
            f"AggregateTable, item `{key}`",
            "PutItem, if there is no such item: the tables mean nothing yet",
            only_key=key,
        ),
    )


def _arn(logical_id: str, attribute: str = "Arn") -> Mapping[str, Any]:
    return {"Fn::GetAtt": [logical_id, attribute]}


TO_BUCKET, NEW_BUCKET = "ToBucket", "NewBucket"
"""Conditions: batches that fail for good go to a bucket, and that is one of the stack's own."""
FAILURES_PREFIX = "aws/lambda/"
"""Lambda's keys in a failure destination begin with it, and the id of the event source mapping follows."""


NEW_STREAM = "NewStream"
"""Condition: the stack makes its stream."""
STREAM = {"Fn::If": [NEW_STREAM, _arn("Stream"), {"Ref": "StreamArn"}]}
"""The ARN of the stream of events."""
KEY_ACTIONS = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
"""What whoever uses an encrypted table, stream, queue or bucket may do with its key, through the service."""


def failure_bucket(keys: str = "") -> Mapping[str, Any]:
    """The ARN of the bucket that batches go to which failed for good, or of keys in it."""
    new = {"Fn::Sub": f"${{FailedBatchesBucket.Arn}}{keys}"} if keys else _arn("FailedBatchesBucket")
    named = {"Fn::Sub": f"arn:${{AWS::Partition}}:s3:::${{FailureBucket}}{keys}"}
    return {"Fn::If": [NEW_BUCKET, new, named]}


def _report(function: str) -> Sequence[Permission]:
    return (
        Permission(
            function,
            ("sqs:SendMessage",),
            _arn("FailureQueue"),
            "FailureQueue",
            "Lambda, to describe a batch that failed for good",
        ),
        Permission(
            function,
            ("s3:ListBucket", "s3:PutObject"),
            [failure_bucket(), failure_bucket(f"/{FAILURES_PREFIX}*")],
            "the failure bucket, if there is one",
            "Lambda, to keep a batch that failed for good",
            condition=TO_BUCKET,
            only_own=True,
        ),
    )


def _apply(function: str) -> Sequence[Permission]:
    """What adding deltas to the totals takes."""
    return (
        Permission(
            function,
            ("dynamodb:UpdateItem",),
            _arn("AggregateTable"),
            "AggregateTable",
            "TransactWriteItems, Update: add a group of deltas to the nodes' totals",
        ),
        Permission(
            function,
            ("dynamodb:DeleteItem",),
            _arn("ReduceTable"),
            "ReduceTable",
            "TransactWriteItems, Delete: take those deltas out of the outbox",
        ),
        Permission(
            function,
            ("dynamodb:BatchGetItem",),
            _arn("ReduceTable"),
            "ReduceTable",
            "BatchGetItem after a transaction that failed without a reason: which deltas are left?",
        ),
    )


PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        "State",
        (
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:GetRecords",
            "kinesis:GetShardIterator",
            "kinesis:ListShards",
        ),
        STREAM,
        "the stream of events",
        "Lambda's event source mapping, to read the stream",
    ),
    Permission(
        "State",
        ("dynamodb:BatchGetItem",),
        _arn("StateTable"),
        "StateTable",
        "BatchGetItem: the states of a batch's keys",
    ),
    Permission(
        "State",
        ("dynamodb:PutItem",),
        _arn("StateTable"),
        "StateTable",
        "TransactWriteItems, Put: a key's new state, if the one that was read is still the current one",
    ),
    Permission(
        "State",
        ("dynamodb:PutItem",),
        _arn("ReduceTable"),
        "ReduceTable",
        "TransactWriteItems, Put: the delta that goes with the new states",
    ),
    Permission(
        "State",
        ("dynamodb:BatchWriteItem",),
        _arn("RejectTable"),
        "RejectTable",
        "BatchWriteItem: events that cannot be read, and conflicts",
    ),
    *_report("State"),
    *_every("State"),
    Permission(
        "Reduce",
        ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
        _arn("ReduceTable", "StreamArn"),
        "the stream of ReduceTable",
        "Lambda's event source mapping, to read the stream",
    ),
    Permission(
        "Reduce",
        ("dynamodb:ListStreams",),
        {"Fn::Sub": "${ReduceTable.Arn}/stream/*"},
        "streams of ReduceTable",
        "Lambda's event source mapping, to find the stream",
    ),
    *_apply("Reduce"),
    *_report("Reduce"),
    *_every("Reduce"),
    Permission(
        "Sweep",
        ("dynamodb:Scan",),
        _arn("ReduceTable"),
        "ReduceTable",
        "Scan: the deltas that are still in the outbox",
    ),
    *_apply("Sweep"),
    *_every("Sweep"),
)

_STATES = "the stream of StateTable"


def _reads_states(function: str, who: str) -> Permission:
    actions = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
    return Permission(function, actions, _arn("StateTable", "StreamArn"), _STATES, who)


_POSITION = f"AggregateTable, item `{POSITIONS}`"

ECONOMY_PERMISSIONS: tuple[Permission, ...] = (
    *(
        permission
        for permission in PERMISSIONS
        if (permission.function, permission.actions[0], permission.name)
        not in {("State", "dynamodb:PutItem", "StateTable"), ("State", "dynamodb:PutItem", "ReduceTable")}
    ),
    Permission(
        "State",
        ("dynamodb:UpdateItem",),
        _arn("StateTable"),
        "StateTable",
        "UpdateItem: a key's new state, if the stored one is lower",
    ),
    _reads_states("Net", "Lambda's event source mapping, to read the stream"),
    Permission(
        "Net",
        ("dynamodb:ListStreams",),
        {"Fn::Sub": "${StateTable.Arn}/stream/*"},
        "streams of StateTable",
        "Lambda's event source mapping, to find the stream",
    ),
    Permission(
        "Net",
        ("dynamodb:GetItem", "dynamodb:PutItem"),
        _arn("AggregateTable"),
        _POSITION,
        "GetItem, and TransactWriteItems, Put: how far a shard of the stream is netted",
        only_key=POSITIONS,
    ),
    Permission(
        "Net",
        ("dynamodb:PutItem",),
        _arn("ReduceTable"),
        "ReduceTable",
        "TransactWriteItems, Put: the deltas of a batch",
    ),
    *_every("Net"),
    _reads_states("Sweep", "The sweeper, to see how old what is not netted is"),
    Permission(
        "Sweep",
        ("dynamodb:Query", "dynamodb:BatchWriteItem"),
        _arn("AggregateTable"),
        _POSITION,
        "Query: the positions in the stream; BatchWriteItem: forget those of shards that are no more",
        only_key=POSITIONS,
    ),
    Permission(
        "Sweep",
        ("dynamodb:BatchWriteItem",),
        _arn("AggregateTable"),
        f"AggregateTable, item `{DEFINITION_KEY['path']['S']}`",
        "BatchWriteItem: until when nothing of the stream can be lost",
        only_key=DEFINITION_KEY["path"]["S"],
    ),
)
"""Those of economy mode."""
