"""The CloudFormation template of a pipeline's stack: one plain document, without transforms or code of its own.

All names in it are texts, so that CloudFormation can adopt tables that an earlier stack of that name left. Its alarms
are about functions that are behind, fail or are throttled, an outbox that grows, deltas that DynamoDB refuses, rejects,
tables that are throttled or whose transactions conflict, and failed batches.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oncefold.aws.deploy import economy, releases, resources
from oncefold.aws.deploy.dashboard import dashboard
from oncefold.aws.deploy.failure_destination import failure_destination
from oncefold.aws.deploy.parameters import CODE_BUCKET, CODE_KEY, PARAMETERS, STREAM_ARN
from oncefold.aws.deploy.permissions import FUNCTIONS, NEW_BUCKET, NEW_STREAM, STREAM
from oncefold.aws.deploy.resources import SWEEP_MINUTES, Declaration, arn, either, ref
from oncefold.aws.functions.fits import check_fits
from oncefold.aws.functions.guard import ECONOMY, STANDARD
from oncefold.aws.functions.report import NAMESPACE
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline

_PERIOD_SECONDS = 300
_SWEPT_SECONDS = 3 * SWEEP_MINUTES * 60
"""A period that has sweeps in it, also when one was late."""

_ACTIONS = [either("Own", ref("AlarmTopic"), ref("AlarmTopicArn"))]


def template(pipeline: Pipeline, names: Names, mode: str = STANDARD) -> dict[str, Any]:
    """The template of a mode. Raises DefinitionError for a pipeline that DynamoDB cannot hold."""
    check_fits(pipeline)
    document = _document(pipeline, names, mode)
    return economy.changed(document, names) if mode == ECONOMY else document


def _document(pipeline: Pipeline, names: Names, mode: str) -> dict[str, Any]:
    watching = economy_alarms(names) if mode == ECONOMY else alarms(names)
    watched = [name for name, resource in watching.items() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Oncefold: the pipeline {pipeline.name}, every event counted exactly once",
        "Metadata": {"Oncefold": {"Pipeline": pipeline.name, "Fingerprint": pipeline.fingerprint}},
        "Parameters": {name: parameter.declaration for name, parameter in PARAMETERS.items()},
        "Conditions": {**resources.CONDITIONS, **releases.conditions()},
        "Resources": {
            **resources.stream(names),
            **resources.tables(names),
            **resources.key_policy(),
            **resources.functions(names),
            **failure_destination(names),
            **resources.triggers(releases.function),
            **watching,
            **releases.releases(mode),
            **dashboard(watched, mode),
        },
        "Outputs": _outputs(),
    }


def _outputs() -> dict[str, Any]:
    outputs: dict[str, Any] = {
        "StreamName": either(NEW_STREAM, ref("Stream"), {"Fn::Select": [1, {"Fn::Split": ["/", ref(STREAM_ARN)]}]}),
        "StreamArn": STREAM,
        "ReduceTableStreamArn": resources.arn("ReduceTable", "StreamArn"),
        "FailureQueueUrl": resources.ref("FailureQueue"),
        "FailureQueueArn": resources.arn("FailureQueue"),
        CODE_BUCKET: resources.ref(CODE_BUCKET),
        CODE_KEY: resources.ref(CODE_KEY),
    }
    for table in ("StateTable", "ReduceTable", "AggregateTable", "RejectTable"):
        outputs |= {f"{table}Name": resources.ref(table), f"{table}Arn": resources.arn(table)}
    for function in ("StateFunction", "ReduceFunction", "SweepFunction"):
        outputs |= {f"{function}Name": resources.ref(function), f"{function}Arn": resources.arn(function)}
    new = {"FailedBatchesBucketName": {"Condition": NEW_BUCKET, "Value": ref("FailedBatchesBucket")}}
    return {name: {"Value": value} for name, value in outputs.items()} | new


@dataclass(frozen=True, slots=True)
class _Metric:
    """A metric of CloudWatch, and the period that one value of it is taken over."""

    namespace: str
    name: str
    statistic: str
    dimensions: Mapping[str, Any]
    seconds: int = _PERIOD_SECONDS


def alarms(names: Names) -> dict[str, Declaration]:
    """All alarms, and their topic, unless one is named."""
    return dict(
        [
            *_topic(),
            *_function_alarms(FUNCTIONS, ("StateLambda", "ReduceLambda", "the sweeper")),
            *_outbox_alarms(names),
            _reject_alarm(names),
            *_table_alarms(),
            *_failure_alarms(),
        ]
    )


def _topic() -> Iterator[tuple[str, Declaration]]:
    # Not encrypted: CloudWatch may not use the key that AWS manages for SNS, and alarms hold no events.
    yield "AlarmTopic", {"Type": "AWS::SNS::Topic", "Condition": "Own"}
    yield (
        "AlarmSubscription",
        {
            "Type": "AWS::SNS::Subscription",
            "Condition": "HasEmail",
            "Properties": {"TopicArn": ref("AlarmTopic"), "Protocol": "email", "Endpoint": ref("AlarmEmail")},
        },
    )


def economy_alarms(names: Names) -> dict[str, Declaration]:
    """Those of economy mode, in which no transaction writes states."""
    found = dict([*alarms(names).items(), *_function_alarms(("Net",), ("NetLambda",)), *_stream_alarms(names)])
    del found["StateTableConflicts"]
    return found


def _stream_alarms(names: Names) -> Iterator[tuple[str, Declaration]]:
    dimensions = {"stack": names.stack}
    lost = _Metric(NAMESPACE, "StreamLost", "Maximum", dimensions, _SWEPT_SECONDS)
    description = "changes of states may have been dropped unread; make the totals anew: `oncefold aws rebuild`"
    yield "StreamLost", _alarm(description, lost, 1)


def _function_alarms(functions: Sequence[str], described: Sequence[str]) -> Iterator[tuple[str, Declaration]]:
    for name, function in zip(functions, described, strict=True):
        dimensions = {"FunctionName": ref(f"{name}Function")}
        if name != "Sweep":
            lag = _Metric("AWS/Lambda", "IteratorAge", "Maximum", dimensions)
            description = f"{function} is behind its stream; see its log and the failure queue"
            yield f"{name}Lag", _alarm(description, lag, ref("AlarmIteratorAgeMs"))
        errors = _Metric("AWS/Lambda", "Errors", "Sum", dimensions)
        yield f"{name}Errors", _alarm(f"invocations of {function} fail; its log says why", errors, 1)
        throttles = _Metric("AWS/Lambda", "Throttles", "Sum", dimensions)
        description = f"{function} is throttled; raise its concurrency or the account's"
        yield f"{name}Throttles", _alarm(description, throttles, 1, periods=3)


def _outbox_alarms(names: Names) -> Iterator[tuple[str, Declaration]]:
    dimensions = {"stack": names.stack}
    depth = _Metric(NAMESPACE, "OutboxItems", "Maximum", dimensions, _SWEPT_SECONDS)
    description = "many deltas are not in the totals; see the log of the reducer"
    yield "OutboxDepth", _alarm(description, depth, ref("AlarmOutboxItems"))
    age = _Metric(NAMESPACE, "OutboxAgeSeconds", "Maximum", dimensions, _SWEPT_SECONDS)
    description = "a delta has long not been in the totals, or the sweeper does not run; its log says why"
    # Without sweeps there are no values, which this alarm is for, too: then it goes from OK to insufficient data. A new
    # stack's alarms begin in that state, which is no change and notifies nobody.
    silence = either("Mapped", "missing", "notBreaching")
    alarm = _alarm(description, age, ref("AlarmOutboxAgeSeconds"), missing=silence)
    alarm["Properties"]["InsufficientDataActions"] = _ACTIONS
    yield "OutboxAge", alarm
    refused = _Metric(NAMESPACE, "refused", "Maximum", dimensions, _SWEPT_SECONDS)
    description = "DynamoDB refuses to add a delta, which stays in the outbox; `oncefold aws drain` says why"
    yield "RefusedDeltas", _alarm(description, refused, 1)


def _reject_alarm(names: Names) -> tuple[str, Declaration]:
    dimensions = {"stack": names.stack, "function": "state"}
    rejected = _Metric(NAMESPACE, "rejected", "Sum", dimensions)
    description = "events cannot be read; see `oncefold aws rejects`"
    return "Rejects", _alarm(description, rejected, ref("AlarmRejects"))


def _table_alarms() -> Iterator[tuple[str, Declaration]]:
    for name in ("StateTable", "ReduceTable", "AggregateTable"):
        dimensions = {"TableName": ref(name)}
        throttled = _Metric("AWS/DynamoDB", "WriteThrottleEvents", "Sum", dimensions)
        description = f"writes of {name} are throttled: a hot key or node, or more than a new table takes at once"
        yield f"{name}Throttles", _alarm(description, throttled, 1, periods=3)
        if name != "ReduceTable":
            conflicts = _Metric("AWS/DynamoDB", "TransactionConflict", "Sum", dimensions)
            description = f"many transactions on {name} meet others; see AWS.md, A hot root, and partition by key"
            yield f"{name}Conflicts", _alarm(description, conflicts, ref("AlarmConflicts"), periods=3)


def _failure_alarms() -> Iterator[tuple[str, Declaration]]:
    dimensions = {"QueueName": arn("FailureQueue", "QueueName")}
    messages = _Metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", dimensions)
    description = "batches failed for good; `oncefold aws redrive` sends them again"
    yield "FailedBatches", _alarm(description, messages, 1)
    age = _Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", dimensions)
    description = "a failed batch waits for `oncefold aws redrive`, and the stream drops its records in the end"
    yield "FailureAge", _alarm(description, age, ref("AlarmFailureAgeSeconds"))


def _alarm(
    description: str, metric: _Metric, threshold: Any, *, periods: int = 1, missing: Any = "notBreaching"
) -> Declaration:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": description,
            "Namespace": metric.namespace,
            "MetricName": metric.name,
            "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions.items()],
            "Statistic": metric.statistic,
            "Period": metric.seconds,
            "EvaluationPeriods": periods,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Threshold": threshold,
            "TreatMissingData": missing,
            "AlarmActions": _ACTIONS,
            "OKActions": _ACTIONS,
        },
    }
