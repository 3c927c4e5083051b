"""The CloudFormation template of a pipeline's stack: one plain document, without transforms or code of its own.

All names stand in it as texts, so that CloudFormation can adopt tables that an earlier stack of that name left.
"""

import json
from typing import Any

from oncefold.aws.deploy import alarms, resources
from oncefold.aws.deploy.parameters import CODE_BUCKET, CODE_KEY, PARAMETERS
from oncefold.aws.functions.fits import check_fits
from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline

MOST_BYTES = 51_200
"""A template in a request to CloudFormation, at most."""


def template(pipeline: Pipeline, names: Names) -> dict[str, Any]:
    """The template. Raises DefinitionError for a pipeline that DynamoDB cannot hold."""
    check_fits(pipeline)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Oncefold: the pipeline {pipeline.name}, every event counted exactly once",
        "Metadata": {"Oncefold": {"Pipeline": pipeline.name, "Fingerprint": pipeline.fingerprint}},
        "Parameters": {name: parameter.declaration for name, parameter in PARAMETERS.items()},
        "Conditions": dict(resources.CONDITIONS),
        "Resources": {
            **resources.stream(names),
            **resources.tables(names),
            **resources.functions(names),
            **resources.triggers(names),
            **alarms.alarms(names),
        },
        "Outputs": _outputs(),
    }


def text(document: dict[str, Any], *, indent: int | None = None) -> str:
    """The template as JSON; for a request without the `indent` for people."""
    return json.dumps(document, indent=indent, separators=None if indent else (",", ":"))


def _outputs() -> dict[str, Any]:
    outputs: dict[str, Any] = {
        "StreamName": resources.ref("Stream"),
        "StreamArn": resources.arn("Stream"),
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
    return {name: {"Value": value} for name, value in outputs.items()}
