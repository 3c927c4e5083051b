"""The template's alarms: functions that are behind, fail or are held back; an outbox that grows; failed batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oncefold.aws.deploy.permissions import FUNCTIONS
from oncefold.aws.deploy.resources import NO_VALUE, SWEEP_MINUTES, Resource, arn, either, ref
from oncefold.aws.functions.report import NAMESPACE
from oncefold.aws.names import Names

_PERIOD_SECONDS = 300
_SWEPT_SECONDS = 3 * SWEEP_MINUTES * 60
"""A period that has sweeps in it, also when one was late."""

_ACTIONS = either("HasEmail", [ref("AlarmTopic")], either("HasTopic", [ref("AlarmTopicArn")], NO_VALUE))


@dataclass(frozen=True, slots=True)
class _Metric:
    """A metric of CloudWatch, and the period that one value of it is taken over."""

    namespace: str
    name: str
    statistic: str
    dimensions: Mapping[str, Any]
    seconds: int = _PERIOD_SECONDS


def alarms(names: Names) -> dict[str, Resource]:
    """All alarms, and the topic if they go to an address."""
    return dict([*_topic(), *_of_functions(names), *_of_outbox(names), _of_failures()])


def _topic() -> Iterator[tuple[str, Resource]]:
    # Not encrypted: CloudWatch may not use the key that AWS manages for SNS, and alarms hold no events.
    yield "AlarmTopic", {"Type": "AWS::SNS::Topic", "Condition": "HasEmail"}
    yield (
        "AlarmSubscription",
        {
            "Type": "AWS::SNS::Subscription",
            "Condition": "HasEmail",
            "Properties": {"TopicArn": ref("AlarmTopic"), "Protocol": "email", "Endpoint": ref("AlarmEmail")},
        },
    )


def _of_functions(names: Names) -> Iterator[tuple[str, Resource]]:
    named = dict(zip(FUNCTIONS, (names.state_function, names.reduce_function, names.sweep_function), strict=True))
    for name, function in named.items():
        dimensions = {"FunctionName": function}
        if name != "Sweep":
            lag = _Metric("AWS/Lambda", "IteratorAge", "Maximum", dimensions)
            words = f"{function} is behind its stream; look at its log and at the failure queue"
            yield f"{name}Lag", _alarm(words, lag, ref("AlarmIteratorAgeMs"))
        errors = _Metric("AWS/Lambda", "Errors", "Sum", dimensions)
        yield f"{name}Errors", _alarm(f"invocations of {function} fail; its log says why", errors, 1)
        throttles = _Metric("AWS/Lambda", "Throttles", "Sum", dimensions)
        words = f"invocations of {function} are held back; raise the account's or the function's concurrency"
        yield f"{name}Throttles", _alarm(words, throttles, 1, periods=3)


def _of_outbox(names: Names) -> Iterator[tuple[str, Resource]]:
    dimensions = {"stack": names.stack}
    depth = _Metric(NAMESPACE, "OutboxItems", "Maximum", dimensions, _SWEPT_SECONDS)
    words = "many deltas are not in the totals; look at the log of the reducer"
    yield "OutboxDepth", _alarm(words, depth, ref("AlarmOutboxItems"))
    age = _Metric(NAMESPACE, "OutboxAgeSeconds", "Maximum", dimensions, _SWEPT_SECONDS)
    words = "a delta has long not been in the totals, or the sweeper does not run; its log says why"
    # Without sweeps there are no values, which is what this alarm is for.
    silence = either("Mapped", "breaching", "notBreaching")
    yield "OutboxAge", _alarm(words, age, ref("AlarmOutboxAgeSeconds"), missing=silence)


def _of_failures() -> tuple[str, Resource]:
    dimensions = {"QueueName": arn("FailureQueue", "QueueName")}
    messages = _Metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", dimensions)
    words = "batches failed for good; see `oncefold aws status` and send them again with `oncefold aws redrive`"
    return "FailedBatches", _alarm(words, messages, 1)


def _alarm(words: str, metric: _Metric, threshold: Any, *, periods: int = 1, missing: Any = "notBreaching") -> Resource:
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": words,
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
