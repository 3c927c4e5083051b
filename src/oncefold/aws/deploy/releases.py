"""Published versions of the functions that events reach, and an alias each, which CodeDeploy shifts step by step.

While it shifts, alarms are watched; if one goes off, all traffic is back at the version before, and CloudFormation
rolls the stack back. Both versions accept the tables: `deploy` lets a definition in before a function has it.

Sources: "UpdatePolicy attribute" (CodeDeployLambdaAliasUpdate) and "AWS::Lambda::Version", whose description is never
changed in place, in the CloudFormation guide; "Working with deployment configurations" in CodeDeploy's.
"""

from collections.abc import Sequence
from typing import Any

from oncefold.aws.deploy.resources import NO_VALUE, Declaration, arn, either, ref
from oncefold.aws.functions.guard import ECONOMY, STANDARD
from oncefold.aws.mappings import ALIAS

RELEASED = "Released"
"""Condition: functions are published as versions, and CodeDeploy shifts events to a new one."""
_FUNCTIONS = {STANDARD: ("State", "Reduce"), ECONOMY: ("State", "Net", "Reduce")}
"""Those that events reach, by mode."""
_WATCHED = ("RefusedDeltas", "Rejects")
"""Alarms that a new version may set off, beside those about errors of functions."""
_SETTINGS = ("CodeKey", "{}MemoryMB", "{}TimeoutSeconds", "Tracing", "LogFormat", "RejectRetentionDays")
"""Parameters that a version is made of; another value makes another version."""
_MANAGED = "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited"


def conditions() -> dict[str, Any]:
    """The conditions of this part."""
    return {RELEASED: {"Fn::Not": [{"Fn::Equals": [ref("Release"), ""]}]}}


def function(name: str) -> Any:
    """What a mapping calls: the alias of a function, or the function."""
    return either(RELEASED, ref(f"{name}Alias"), arn(f"{name}Function"))


def releases(mode: str) -> dict[str, Declaration]:
    """Versions, aliases and what shifts these."""
    watched = [*(f"{name}Errors" for name in _FUNCTIONS[mode]), *_WATCHED]
    trust = {"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}
    resources: dict[str, Declaration] = {
        "ReleaseRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
                "PermissionsBoundary": either("Bounded", ref("PermissionsBoundaryArn"), NO_VALUE),
                "ManagedPolicyArns": [{"Fn::Sub": _MANAGED}],
            },
        },
        "Releases": {"Type": "AWS::CodeDeploy::Application", "Properties": {"ComputePlatform": "Lambda"}},
    }
    for name in _FUNCTIONS[mode]:
        resources |= _released(name, watched)
    for resource in resources.values():
        resource["Condition"] = RELEASED
    return resources


def _released(name: str, watched: Sequence[str]) -> dict[str, Declaration]:
    description = " ".join(f"${{{setting.format(name)}}}" for setting in _SETTINGS)
    return {
        f"{name}Version": {
            "Type": "AWS::Lambda::Version",
            # An alias can be put back to it by hand.
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Retain",
            "Properties": {"FunctionName": ref(f"{name}Function"), "Description": {"Fn::Sub": description}},
        },
        f"{name}Alias": {
            "Type": "AWS::Lambda::Alias",
            # Without a condition in it, which not every tool understands here.
            "UpdatePolicy": {
                "CodeDeployLambdaAliasUpdate": {
                    "ApplicationName": ref("Releases"),
                    "DeploymentGroupName": ref(f"{name}Release"),
                }
            },
            "Properties": {
                "Name": ALIAS,
                "FunctionName": ref(f"{name}Function"),
                "FunctionVersion": arn(f"{name}Version", "Version"),
            },
        },
        f"{name}Release": {
            "Type": "AWS::CodeDeploy::DeploymentGroup",
            "Properties": {
                "ApplicationName": ref("Releases"),
                "ServiceRoleArn": arn("ReleaseRole"),
                "DeploymentConfigName": {"Fn::Sub": "CodeDeployDefault.Lambda${Release}"},
                "DeploymentStyle": {"DeploymentType": "BLUE_GREEN", "DeploymentOption": "WITH_TRAFFIC_CONTROL"},
                "AutoRollbackConfiguration": {
                    "Enabled": True,
                    "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
                },
                "AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": ref(alarm)} for alarm in watched]},
            },
        },
    }
