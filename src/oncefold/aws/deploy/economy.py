"""What a template of economy mode has otherwise: a stream of states, the function that nets it, and their permissions.

NetLambda gets one batch of a shard at a time and without limits of retries or age, which the positions in the stream
rely on (`oncefold.aws.functions.net`). Its mapping has a tumbling window for one thing alone: with it an event says
which shard it is of ("Implementing stateful DynamoDB stream processing in Lambda").
"""

from collections.abc import Mapping
from typing import Any

from oncefold.aws.deploy import releases
from oncefold.aws.deploy.parameters import ECONOMY_PARAMETERS
from oncefold.aws.deploy.permissions import ECONOMY_FUNCTIONS
from oncefold.aws.deploy.resources import Declaration, arn, flag, function_of, log_of, ref, role_of
from oncefold.aws.functions.guard import ECONOMY
from oncefold.aws.names import Names

TUMBLING_SECONDS = 900
"""Lambda's longest window: each costs an invocation without records for every shard."""


def changed(document: dict[str, Any], names: Names) -> dict[str, Any]:
    """A template with what economy mode needs beside its alarms, releases and dashboard."""
    resources: dict[str, Any] = {**document["Resources"], **_net(names)}
    states = resources["StateTable"]["Properties"]
    resources["StateTable"] = {
        **resources["StateTable"],
        "Properties": {**states, "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"}},
    }
    for name in ECONOMY_FUNCTIONS:
        resources[f"{name}Role"] = role_of(name, economy=True)
        resources[f"{name}Function"] = _in_economy(resources[f"{name}Function"], name)
    parameters = {name: parameter.declaration for name, parameter in ECONOMY_PARAMETERS.items()}
    metadata = document["Metadata"]["Oncefold"]
    return {
        **document,
        "Metadata": {"Oncefold": {**metadata, "Mode": ECONOMY}},
        "Parameters": {**document["Parameters"], **parameters},
        "Conditions": {**document["Conditions"], "NetReserved": _reserved()},
        "Resources": resources,
    }


def _reserved() -> Mapping[str, Any]:
    return {"Fn::Not": [{"Fn::Equals": [ref("NetConcurrency"), "0"]}]}


def _in_economy(function: Declaration, name: str) -> Declaration:
    properties = function["Properties"]
    variables = {**properties["Environment"]["Variables"], "ONCEFOLD_MODE": ECONOMY}
    if name == "Sweep":
        variables["ONCEFOLD_STATE_STREAM"] = arn("StateTable", "StreamArn")
    return {**function, "Properties": {**properties, "Environment": {"Variables": variables}}}


def _net(names: Names) -> dict[str, Declaration]:
    return {
        "NetLog": log_of(names.net_function),
        "NetFunction": function_of("Net", names.net_function, "Nets changes of states into deltas", names.stack),
        "NetMapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "FunctionName": releases.function("Net"),
                "EventSourceArn": arn("StateTable", "StreamArn"),
                "StartingPosition": "TRIM_HORIZON",
                "Enabled": flag("Mapped"),
                "BatchSize": ref("NetBatchSize"),
                "MaximumBatchingWindowInSeconds": ref("NetWindowSeconds"),
                "ParallelizationFactor": 1,
                "MaximumRetryAttempts": -1,
                "MaximumRecordAgeInSeconds": -1,
                "BisectBatchOnFunctionError": True,
                "TumblingWindowInSeconds": TUMBLING_SECONDS,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
            },
        },
    }
