"""What a deployed stack says of its functions, its event source mappings and its schedules."""

import re
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from oncefold.aws.names import Names
from oncefold.core.errors import OncefoldError
from oncefold_lab.local.mapping_settings import FOR_EVER, MappingSettings
from oncefold_lab.local.runtime import FunctionSettings

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}

Connect = Callable[[str], Any]
"""Gives a boto3 client for the name of a service."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A function that is run again and again."""

    function: str
    """Its name."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Description:
    """All that is needed to run a stack's functions."""

    functions: tuple[FunctionSettings, ...]
    mappings: tuple[MappingSettings, ...]
    """Each before those that it feeds."""
    schedules: tuple[Schedule, ...] = ()


def describe(
    names: Names, connect: Connect, folder: Path, environment: Mapping[str, str], concurrency: int
) -> Description:
    """The description of a deployed stack, its functions' code saved into `folder`.

    `environment` is added to what the functions are told; `concurrency` limits the processes of each function where
    the stack reserves no fewer. Raises OncefoldError if there is no such stack.
    """
    found = [
        _function(name, connect("lambda"), folder, environment, concurrency)
        for name in (names.state_function, names.reduce_function, names.sweep_function)
    ]
    mappings = [mapping for function in found for mapping in _mappings(function.arn, connect)]
    schedules = [schedule for function in found for schedule in _schedules(function, connect("events"))]
    return Description(tuple(found), tuple(mappings), tuple(schedules))


def _function(
    name: str, client: Any, folder: Path, environment: Mapping[str, str], concurrency: int
) -> FunctionSettings:
    try:
        described = client.get_function(FunctionName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise OncefoldError(f"there is no function {name}: deploy the stack first: oncefold aws deploy") from None
    configuration = described["Configuration"]
    code = folder / f"{name}.zip"
    with urllib.request.urlopen(described["Code"]["Location"]) as answer:  # noqa: S310 - the emulator's own address
        code.write_bytes(answer.read())
    reserved = described.get("Concurrency", {}).get("ReservedConcurrentExecutions", concurrency)
    return FunctionSettings(
        name,
        configuration["Handler"],
        code,
        {**environment, **configuration.get("Environment", {}).get("Variables", {})},
        timeout_seconds=configuration["Timeout"],
        memory_mb=configuration["MemorySize"],
        concurrency=min(reserved, concurrency),
    )


def _mappings(function_arn: str, connect: Connect) -> list[MappingSettings]:
    pages = connect("lambda").get_paginator("list_event_source_mappings").paginate(FunctionName=function_arn)
    return [_mapping(found, connect) for page in pages for found in page["EventSourceMappings"]]


def _mapping(found: Mapping[str, Any], connect: Connect) -> MappingSettings:
    destination = found.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    filters = found.get("FilterCriteria", {}).get("Filters", ())
    return MappingSettings(
        found["EventSourceArn"],
        found["FunctionArn"],
        batch_size=found["BatchSize"],
        window_seconds=found.get("MaximumBatchingWindowInSeconds", 0),
        parallelization=found.get("ParallelizationFactor", 1),
        max_retries=found.get("MaximumRetryAttempts", FOR_EVER),
        max_age_seconds=found.get("MaximumRecordAgeInSeconds", FOR_EVER),
        bisect=found.get("BisectBatchOnFunctionError", False),
        report_failures="ReportBatchItemFailures" in found.get("FunctionResponseTypes", ()),
        starting_position=found["StartingPosition"],
        filters=tuple(one["Pattern"] for one in filters),
        failure_queue_url=_queue_url(destination, connect("sqs")) if destination else None,
    )


def _queue_url(arn: str, client: Any) -> str:
    url: str = client.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    return url


def _schedules(function: FunctionSettings, client: Any) -> list[Schedule]:
    names = client.list_rule_names_by_target(TargetArn=function.arn)["RuleNames"]
    rates = [client.describe_rule(Name=name).get("ScheduleExpression", "") for name in names]
    return [Schedule(function.name, _seconds(rate)) for rate in rates if rate]


def _seconds(expression: str) -> float:
    match = _RATE.fullmatch(expression)
    if match is None:
        raise OncefoldError(
            f"a schedule of {expression} cannot be run on this machine; use rate(5 minutes) or the like"
        )
    return int(match[1]) * _SECONDS[match[2]]
