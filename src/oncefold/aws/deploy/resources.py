"""The resources of the template: the stream, the tables, the functions and what starts them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oncefold.aws.deploy.parameters import NEW, STREAM_ARN
from oncefold.aws.deploy.permissions import (
    FUNCTIONS,
    KEY_ACTIONS,
    NEW_BUCKET,
    NEW_STREAM,
    STREAM,
    TO_BUCKET,
    failure_bucket,
    policy,
)
from oncefold.aws.functions.rejected import EXPIRES
from oncefold.aws.names import Names

RUNTIME = "python3.13"
ARCHITECTURE = "arm64"
SWEEP_MINUTES = 5
HANDLERS = "oncefold.aws.functions.handlers"

Declaration = dict[str, Any]


def ref(name: str) -> Mapping[str, str]:
    """A parameter, or a resource."""
    return {"Ref": name}


def arn(logical_id: str, attribute: str = "Arn") -> Mapping[str, Any]:
    """An attribute of a resource."""
    return {"Fn::GetAtt": [logical_id, attribute]}


def either(condition: str, true: Any, false: Any) -> Mapping[str, Any]:
    """One of two values by a condition."""
    return {"Fn::If": [condition, true, false]}


def flag(condition: str) -> Mapping[str, Any]:
    """A condition as a property: a real boolean, which a parameter is not."""
    return {"Fn::If": [condition, True, False]}


NO_VALUE = ref("AWS::NoValue")
_SETTINGS: Mapping[str, Any] = {"State": {"ONCEFOLD_REJECT_DAYS": ref("RejectRetentionDays")}}
"""Environment variables of functions, beside the stack's name."""

_MANAGED = "arn:${AWS::Partition}:iam::aws:policy"
KEYED = "Keyed"
"""Condition: a key of the account's own encrypts what the stack keeps."""
KEY = either(KEYED, ref("KmsKeyArn"), NO_VALUE)
_WARM: Mapping[str, Mapping[str, Any]] = {
    "State": {"ReadUnitsPerSecond": ref("StateWarmReadUnits"), "WriteUnitsPerSecond": ref("StateWarmWriteUnits")},
    "Reduce": {"WriteUnitsPerSecond": ref("ReduceWarmWriteUnits")},
    "Aggregate": {"WriteUnitsPerSecond": ref("AggregateWarmWriteUnits")},
}
"""What tables take at once, where it is set."""
_VPC: Mapping[str, Any] = {"SubnetIds": ref("SubnetIds"), "SecurityGroupIds": ref("SecurityGroupIds")}

CONDITIONS: Mapping[str, Any] = {
    "OnDemand": {"Fn::Equals": [ref("StreamMode"), "ON_DEMAND"]},
    NEW_STREAM: {"Fn::Equals": [ref(STREAM_ARN), ""]},
    KEYED: {"Fn::Not": [{"Fn::Equals": [ref("KmsKeyArn"), ""]}]},
    **{f"{name}Warm": {"Fn::Not": [{"Fn::Equals": [ref(f"{name}WarmWriteUnits"), "0"]}]} for name in _WARM},
    "Mapped": {"Fn::Equals": [ref("MappingsEnabled"), "true"]},
    "Protected": {"Fn::Equals": [ref("DeletionProtection"), "true"]},
    "StatePolicy": {"Fn::Not": [{"Fn::Equals": [ref("StatePolicyArn"), ""]}]},
    "Traced": {"Fn::Equals": [ref("Tracing"), "true"]},
    "InVpc": {"Fn::Not": [{"Fn::Equals": [{"Fn::Join": ["", ref("SubnetIds")]}, ""]}]},
    "Bounded": {"Fn::Not": [{"Fn::Equals": [ref("PermissionsBoundaryArn"), ""]}]},
    TO_BUCKET: {"Fn::Not": [{"Fn::Equals": [ref("FailureBucket"), ""]}]},
    NEW_BUCKET: {"Fn::Equals": [ref("FailureBucket"), NEW]},
    "HasDashboard": {"Fn::Equals": [ref("Dashboard"), "true"]},
    "HasEmail": {"Fn::Not": [{"Fn::Equals": [ref("AlarmEmail"), ""]}]},
    "Own": {"Fn::Or": [{"Fn::Equals": [ref("AlarmTopicArn"), ""]}, {"Condition": "HasEmail"}]},
    **{f"{name}Reserved": {"Fn::Not": [{"Fn::Equals": [ref(f"{name}Concurrency"), "0"]}]} for name in FUNCTIONS},
}


def stream(names: Names) -> dict[str, Declaration]:
    """The stream of events. It goes with the stack: an event that was sent again counts once all the same."""
    return {
        "Stream": {
            "Type": "AWS::Kinesis::Stream",
            "Condition": NEW_STREAM,
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "Name": names.stream,
                "StreamModeDetails": {"StreamMode": ref("StreamMode")},
                "ShardCount": either("OnDemand", NO_VALUE, ref("ShardCount")),
                "RetentionPeriodHours": ref("RetentionHours"),
                "StreamEncryption": {
                    "EncryptionType": "KMS",
                    "KeyId": either(KEYED, ref("KmsKeyArn"), "alias/aws/kinesis"),
                },
            },
        }
    }


def tables(names: Names) -> dict[str, Declaration]:
    """The four tables. They outlive the stack; a later stack of the same name takes them up again."""
    return {
        "StateTable": _table(names.state_table, ("key",), **_warm("State")),
        "ReduceTable": _table(
            names.reduce_table, ("id",), StreamSpecification={"StreamViewType": "NEW_IMAGE"}, **_warm("Reduce")
        ),
        "AggregateTable": _table(names.aggregate_table, ("path", "label"), **_warm("Aggregate")),
        "RejectTable": _table(
            names.reject_table,
            ("id",),
            # Only items that a retention was set for have the attribute.
            TimeToLiveSpecification={"AttributeName": EXPIRES, "Enabled": True},
        ),
    }


def _warm(table: str) -> dict[str, Any]:
    return {"WarmThroughput": either(f"{table}Warm", _WARM[table], NO_VALUE)}


def _table(name: str, keys: Sequence[str], **more: Any) -> Declaration:
    kinds = ("HASH", "RANGE")
    return {
        "Type": "AWS::DynamoDB::Table",
        # CloudFormation adopts an existing table only if its name is in the template and it is retained.
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "TableClass": ref("TableClass"),
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
            "KeySchema": [
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, kinds, strict=False)
            ],
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY},
            "DeletionProtectionEnabled": flag("Protected"),
            **more,
        },
    }  # fmt: skip


def key_policy() -> dict[str, Declaration]:
    """What all functions may do with the account's own key: use it through services, never by themselves."""
    statement = {
        "Effect": "Allow",
        "Action": list(KEY_ACTIONS),
        "Resource": ref("KmsKeyArn"),
        "Condition": {"StringLike": {"kms:ViaService": {"Fn::Sub": "*.${AWS::Region}.${AWS::URLSuffix}"}}},
    }
    return {
        "KeyPolicy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Condition": KEYED,
            "Properties": {"PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}},
        }
    }


def functions(names: Names) -> dict[str, Declaration]:
    """The three functions, each with a role and a log group of its own."""
    named = {
        "State": (names.state_function, "Folds events into states and deltas"),
        "Reduce": (names.reduce_function, "Adds deltas to the totals"),
        "Sweep": (names.sweep_function, "Adds the deltas that no stream record announced"),
    }
    resources: dict[str, Declaration] = {}
    for name, (function, description) in named.items():
        resources[f"{name}Log"] = log_of(function)
        resources[f"{name}Role"] = role_of(name)
        resources[f"{name}Function"] = function_of(name, function, description, names.stack)
    return resources


def log_of(function: str) -> Declaration:
    """A function's log group."""
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "LogGroupName": f"/aws/lambda/{function}",
            "RetentionInDays": ref("LogRetentionDays"),
            "KmsKeyId": KEY,
        },
    }


def role_of(name: str, *, economy: bool = False) -> Declaration:
    """A function's role."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "PermissionsBoundary": either("Bounded", ref("PermissionsBoundaryArn"), NO_VALUE),
            "Policies": [{"PolicyName": "calls", "PolicyDocument": policy(name, economy=economy)}],
            "ManagedPolicyArns": _managed(name),
        },
    }


def _managed(name: str) -> list[Any]:
    """Managed policies of a role, for what the account wants beside the functions' own calls."""
    other = [either("StatePolicy", ref("StatePolicyArn"), NO_VALUE)] if name == "State" else []
    return [
        *other,
        either(KEYED, ref("KeyPolicy"), NO_VALUE),
        either("Traced", {"Fn::Sub": f"{_MANAGED}/AWSXRayDaemonWriteAccess"}, NO_VALUE),
        either("InVpc", {"Fn::Sub": f"{_MANAGED}/service-role/AWSLambdaVPCAccessExecutionRole"}, NO_VALUE),
    ]


def function_of(name: str, function: str, description: str, stack: str) -> Declaration:
    """A function, by its name in the template and its own."""
    return {
        "Type": "AWS::Lambda::Function",
        "DependsOn": [f"{name}Log"],
        "Properties": {
            "FunctionName": function,
            "Description": description,
            "Runtime": RUNTIME,
            "Architectures": [ARCHITECTURE],
            "Handler": f"{HANDLERS}.{name.lower()}",
            "Code": {"S3Bucket": ref("CodeBucket"), "S3Key": ref("CodeKey")},
            "Role": arn(f"{name}Role"),
            "MemorySize": ref(f"{name}MemoryMB"),
            "Timeout": ref(f"{name}TimeoutSeconds"),
            "ReservedConcurrentExecutions": either(f"{name}Reserved", ref(f"{name}Concurrency"), NO_VALUE),
            "TracingConfig": {"Mode": either("Traced", "Active", "PassThrough")},
            "LoggingConfig": {"LogFormat": ref("LogFormat")},
            "VpcConfig": either("InVpc", _VPC, NO_VALUE),
            "Environment": {"Variables": {"ONCEFOLD_STACK": stack, **_SETTINGS.get(name, {})}},
        },
    }


def triggers(called: Callable[[str], Any]) -> dict[str, Declaration]:
    """What starts the functions; `called` is what a mapping calls, by the function's name here."""
    only_new = {"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]}
    return {
        "StateMapping": _mapping("State", called("State"), STREAM),
        "ReduceMapping": _mapping("Reduce", called("Reduce"), arn("ReduceTable", "StreamArn"), FilterCriteria=only_new),
        "SweepSchedule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Description": "Deltas that no stream record announced",
                "ScheduleExpression": f"rate({SWEEP_MINUTES} minutes)",
                "State": either("Mapped", "ENABLED", "DISABLED"),
                "Targets": [{"Id": "sweep", "Arn": arn("SweepFunction")}],
            },
        },
        "SweepPermission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": arn("SweepFunction"),
                "Action": "lambda:InvokeFunction",
                "Principal": "events.amazonaws.com",
                "SourceArn": arn("SweepSchedule"),
            },
        },
    }


def _mapping(name: str, called: Any, source: Mapping[str, Any], **more: Any) -> Declaration:
    return {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "FunctionName": called,
            "EventSourceArn": source,
            "StartingPosition": "TRIM_HORIZON",
            "Enabled": flag("Mapped"),
            "BatchSize": ref(f"{name}BatchSize"),
            "MaximumBatchingWindowInSeconds": ref(f"{name}WindowSeconds"),
            "ParallelizationFactor": ref(f"{name}Parallelization"),
            "MaximumRetryAttempts": ref(f"{name}Retries"),
            "MaximumRecordAgeInSeconds": ref(f"{name}MaxAgeSeconds"),
            "BisectBatchOnFunctionError": True,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {
                "OnFailure": {"Destination": either(TO_BUCKET, failure_bucket(), arn("FailureQueue"))}
            },
            **more,
        },
    }
