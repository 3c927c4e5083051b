"""What a template of economy mode has otherwise: a stream of states, the function that nets it, and their permissions.

NetLambda gets one batch of a shard at a time and without limits of retries or age, which the positions in the stream
rely on (`oncefold.aws.functions.net`). Its mapping has a tumbling window for one thing alone: with it an event says
which shard it is of ("Implementing stateful DynamoDB stream processing in Lambda").

A request to CloudFormation has 51,200 bytes for a template, so that there is neither a dashboard nor are new versions
shifted step by step (`releases`).
"""

from collections.abc import Mapping
from typing import Any

from oncefold.aws.deploy.parameters import ECONOMY_PARAMETERS
from oncefold.aws.deploy.permissions import ECONOMY_FUNCTIONS
from oncefold.aws.deploy.releases import RELEASED
from oncefold.aws.deploy.resources import Declaration, arn, flag, function_of, log_of, ref, role_of
from oncefold.aws.functions.guard import ECONOMY
from oncefold.aws.names import Names

TUMBLING_SECONDS = 900
"""Lambda's longest window: each costs an invocation without records for every shard."""
LACKING = frozenset({"Dashboard", "Release"})
"""Parameters of the other mode's template that this one lacks."""
_CONDITIONS = frozenset({"HasDashboard", RELEASED})
"""And conditions, which do not hold."""


def changed(document: dict[str, Any], names: Names, alarms: Mapping[str, Declaration]) -> dict[str, Any]:
    """The template of economy mode, made of that of standard mode."""
    kept = {name: one for name, one in document["Resources"].items() if one.get("Condition") not in _CONDITIONS}
    resources: dict[str, Any] = {**_otherwise(kept), **_net(names), **alarms}
    del resources["StateTableConflicts"]  # no transaction writes states
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
        "Parameters": {**_without(document["Parameters"], LACKING), **parameters},
        "Conditions": {**_without(document["Conditions"], _CONDITIONS), "NetReserved": _reserved()},
        "Resources": resources,
    }


def _without(named: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if name not in names}


def _otherwise(value: Any) -> Any:
    """What a part of the template is where the conditions do not hold that are left out."""
    if isinstance(value, Mapping):
        if "Fn::If" in value and value["Fn::If"][0] in _CONDITIONS:
            return _otherwise(value["Fn::If"][2])
        return {name: _otherwise(item) for name, item in value.items()}
    return [_otherwise(item) for item in value] if isinstance(value, list) else value


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
                "FunctionName": arn("NetFunction"),
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
