"""The dashboard of a stack in CloudWatch: what its alarms watch, and what it does and costs, over time.

Source: "Dashboard body structure and syntax", Amazon CloudWatch API reference.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from oncefold.aws.deploy.resources import Declaration, ref
from oncefold.aws.functions.guard import ECONOMY
from oncefold.aws.functions.report import NAMESPACE
from oncefold.aws.names import Names

_WIDTH, _HEIGHT, _ALL = 12, 6, 24
"""The height is the one that a widget has without being told."""
_MINUTE, _SWEEP = 60, 300

_PLACEHOLDER = "STACK"

_Metric = list[Any]


def dashboard(alarms: Sequence[str], mode: str) -> dict[str, Declaration]:
    """The dashboard, with the states of these alarms on top; it is called as the stack is."""
    # The parts' names are long and many, and a template has few bytes.
    graphs = _graphs(Names(_PLACEHOLDER), mode)
    body = json.dumps({"widgets": [_states(alarms), *graphs]}, separators=(",", ":"))
    body = body.replace(_PLACEHOLDER, "${AWS::StackName}")
    return {
        "StackDashboard": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Condition": "HasDashboard",
            "Properties": {"DashboardName": ref("AWS::StackName"), "DashboardBody": {"Fn::Sub": body}},
        }
    }


def _states(alarms: Sequence[str]) -> dict[str, Any]:
    arns = [f"${{{alarm}.Arn}}" for alarm in alarms]
    return {
        "type": "alarm", "x": 0, "y": 0, "width": _ALL, "height": 3, "properties": {"title": "Alarms", "alarms": arns},
    }  # fmt: skip


def _graphs(names: Names, mode: str) -> list[dict[str, Any]]:
    net = [names.net_function] if mode == ECONOMY else []
    functions = [names.state_function, *net, names.reduce_function]
    every = [*functions, names.sweep_function]
    tables = [names.state_table, names.reduce_table, names.aggregate_table]
    ours = {"stack": names.stack, "function": "state"}
    writers = ("state", *["net" for _ in net], "reduce")
    units = [_metric(NAMESPACE, "write_units", {**ours, "function": one}, one) for one in writers]
    queue = {"QueueName": names.failure_queue}
    graphs = [
        ("Events a minute", "Sum", _MINUTE, [_metric(NAMESPACE, name, ours, name) for name in ("events", "rejected")]),
        ("Behind the streams, ms", "Maximum", _MINUTE, _of("AWS/Lambda", "IteratorAge", "FunctionName", functions)),
        ("Deltas that are not in the totals", "Maximum", _SWEEP, [_outbox(names, "OutboxItems")]),
        ("Age of the oldest delta, s", "Maximum", _SWEEP, [_outbox(names, "OutboxAgeSeconds")]),
        ("Failed invocations", "Sum", _MINUTE, _of("AWS/Lambda", "Errors", "FunctionName", every)),
        ("Duration, ms, 99 %", "p99", _MINUTE, _of("AWS/Lambda", "Duration", "FunctionName", every)),
        ("Write units a minute", "Sum", _MINUTE, units),
        (
            "Writes throttled, transactions that met others",
            "Sum",
            _MINUTE,
            [
                *_of("AWS/DynamoDB", "WriteThrottleEvents", "TableName", tables),
                *_of("AWS/DynamoDB", "TransactionConflict", "TableName", tables),
            ],
        ),
        ("Failed batches", "Maximum", _SWEEP, [_metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue, "")]),
    ]
    return [
        {
            "type": "metric",
            "x": _WIDTH * (index % 2),
            "y": 3 + _HEIGHT * (index // 2),
            "width": _WIDTH,
            "properties": {
                "title": title, "region": "${AWS::Region}", "stat": statistic, "period": seconds,
                "yAxis": {"left": {"min": 0}}, "metrics": _shortened(metrics),
            },
        }
        for index, (title, statistic, seconds, metrics) in enumerate(graphs)
    ]  # fmt: skip


def _shortened(metrics: list[_Metric]) -> list[_Metric]:
    """With a point for what is as in the metric before, as far as they are of one length."""
    short = metrics[:1]
    for before, metric in pairwise(metrics):
        alike = len(before) == len(metric)
        same = zip(before, metric, strict=False)
        short.append(
            ["." if alike and old == new and isinstance(new, str) else new for old, new in same] + metric[len(before) :]
        )
    return short


def _outbox(names: Names, name: str) -> _Metric:
    return _metric(NAMESPACE, name, {"stack": names.stack}, "")


def _of(namespace: str, name: str, dimension: str, values: Sequence[str]) -> list[_Metric]:
    """The same metric of several things; CloudWatch tells their lines apart by what differs."""
    return [_metric(namespace, name, {dimension: value}, "") for value in values]


def _metric(namespace: str, name: str, dimensions: Mapping[str, str], label: str) -> _Metric:
    pairs = [part for pair in dimensions.items() for part in pair]
    return [namespace, name, *pairs, *([{"label": label}] if label else [])]
