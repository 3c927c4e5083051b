"""A deployed stack's functions run on this machine: its description, mappings, schedule and logs."""

import re
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

from oncefold.aws.deploy.economy import TUMBLING_SECONDS
from oncefold.aws.functions.guard import ECONOMY
from oncefold.aws.names import Names
from oncefold.core.errors import OncefoldError
from oncefold_lab.local.environment import InvocationResult
from oncefold_lab.local.functions import FunctionSettings, LocalFunction
from oncefold_lab.local.lanes import object_key
from oncefold_lab.local.logs import LogShipper
from oncefold_lab.local.mappings import EventSourceMapping, MappingCounts
from oncefold_lab.local.settings import FOR_EVER, Disturbance, MappingSettings, PollTiming, Undisturbed
from oncefold_lab.local.streams import RecordFilter, open_stream

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
class StackDescription:
    """All that is needed to run a stack's functions."""

    functions: tuple[FunctionSettings, ...]
    mappings: tuple[MappingSettings, ...]
    """Each before those that it feeds."""
    schedules: tuple[Schedule, ...] = ()


def describe(
    names: Names, connect: Connect, folder: Path, environment: Mapping[str, str], concurrency: int
) -> StackDescription:
    """The description of a deployed stack, its functions' code saved into `folder`.

    `environment` is added to the functions' variables; `concurrency` limits the processes of each function where
    the stack reserves no fewer. Raises OncefoldError if there is no such stack.
    """

    def function(name: str) -> FunctionSettings:
        return _function(name, connect("lambda"), folder, environment, concurrency)

    state = function(names.state_function)
    economy = state.environment.get("ONCEFOLD_MODE") == ECONOMY
    others = (*([names.net_function] if economy else []), names.reduce_function, names.sweep_function)
    found = [state, *map(function, others)]
    mappings = [mapping for function in found for mapping in _mappings(function.arn, connect)]
    # The emulator forgets tumbling windows.
    windows = {names.net_function: TUMBLING_SECONDS}
    mappings = [replace(one, tumbling_seconds=windows.get(_name(one), one.tumbling_seconds)) for one in mappings]
    schedules = [schedule for function in found for schedule in _schedules(function, connect("events"))]
    return StackDescription(tuple(found), tuple(mappings), tuple(schedules))


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
        {
            **environment,
            **configuration.get("Environment", {}).get("Variables", {}),
            "AWS_LAMBDA_LOG_FORMAT": configuration.get("LoggingConfig", {}).get("LogFormat", "Text"),
        },
        timeout_seconds=configuration["Timeout"],
        memory_mb=configuration["MemorySize"],
        concurrency=min(reserved, concurrency),
    )


def _mappings(function_arn: str, connect: Connect) -> list[MappingSettings]:
    pages = connect("lambda").get_paginator("list_event_source_mappings").paginate(FunctionName=function_arn)
    return [_mapping(found, connect) for page in pages for found in page["EventSourceMappings"]]


def _mapping(found: Mapping[str, Any], connect: Connect) -> MappingSettings:
    destination = found.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination") or ""
    bucket = destination.partition(":s3:::")[2]
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
        failure_queue_url=_queue_url(destination, connect("sqs")) if destination and not bucket else None,
        failure_bucket=bucket or None,
        id=found["UUID"],
        tumbling_seconds=found.get("TumblingWindowInSeconds", 0),
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


CONCURRENCY = 4
"""Processes of one function at a time, unless set otherwise."""

Disturb = Callable[[MappingSettings], Disturbance]


class LocalStack:
    """Runs the functions of a description.

    `with LocalStack.deployed(...) as stack:` starts and stops it; without a context, `start`, `stop` and `close`.
    """

    def __init__(
        self,
        description: StackDescription,
        connect: Connect,
        timing: PollTiming | None = None,
        disturb: Disturb = lambda _: Undisturbed(),
    ) -> None:
        """Unpack the functions. `disturb` gives what disturbs the deliveries of each mapping, for tests."""
        self._description = description
        self._functions: dict[str, LocalFunction] = {}
        self._stopping = threading.Event()
        self._schedules: list[threading.Thread] = []
        with ExitStack() as opened:
            self._logs = LogShipper(connect("logs"))
            opened.callback(self._logs.close)
            for settings in description.functions:
                self._functions[settings.name] = opened.enter_context(self._function(settings))
            self._mappings = [self._mapping(one, connect, timing, disturb(one)) for one in description.mappings]
            self._opened = opened.pop_all()

    @classmethod
    def deployed(
        cls,
        names: Names,
        connect: Connect,
        environment: Mapping[str, str],
        concurrency: int = CONCURRENCY,
        timing: PollTiming | None = None,
        disturb: Disturb = lambda _: Undisturbed(),
    ) -> Self:
        """That of a stack as it is deployed; `environment` leads its functions to AWS or the emulator.

        Raises OncefoldError if there is no such stack.
        """
        with tempfile.TemporaryDirectory(prefix="oncefold-code-") as folder:
            description = describe(names, connect, Path(folder), environment, concurrency)
            return cls(description, connect, timing, disturb)

    @property
    def counts(self) -> dict[str, MappingCounts]:
        """What the mappings did so far, by the names of their functions."""
        return {_name(mapping.settings): mapping.counts for mapping in self._mappings}

    def start(self) -> None:
        """Begin to deliver records, where they stopped if they did, and to run the schedules."""
        self._stopping.clear()
        for mapping in self._mappings:
            mapping.start()
        for schedule in self._description.schedules:
            thread = threading.Thread(target=self._keep, args=(schedule,), name=f"schedule of {schedule.function}")
            thread.start()
            self._schedules.append(thread)

    def stop(self) -> None:
        """Finish the invocations under way, and begin no other. Raises what a mapping broke on."""
        self._stopping.set()
        with ExitStack() as stops:
            for mapping in self._mappings:
                stops.callback(mapping.stop)
            for thread in self._schedules:
                stops.callback(thread.join)
            self._schedules = []

    def close(self) -> None:
        """End all processes; invocations under way fail. The log lines so far are put."""
        self._opened.close()

    def wait_until_idle(self, seconds: float) -> None:
        """Wait until all that is in the streams now, and what comes of it, is finished, and the log lines are put.

        Raises OncefoldError with what is left after so many seconds.
        """
        deadline = time.monotonic() + seconds
        for mapping in self._mappings:
            mapping.wait_until_idle(max(deadline - time.monotonic(), 0.0))
        self._logs.flush()

    def invoke(self, function: str, event: Mapping[str, Any]) -> InvocationResult:
        """Run a function by its name, beside everything else."""
        return self._functions[function].invoke(event)

    def sweep(self) -> list[InvocationResult]:
        """Run what the schedules run, now."""
        return [self._run(schedule) for schedule in self._description.schedules]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self.close()

    def _function(self, settings: FunctionSettings) -> LocalFunction:
        return LocalFunction(settings, partial(self._logs.add, settings.name))

    def _mapping(
        self, settings: MappingSettings, connect: Connect, timing: PollTiming | None, disturbance: Disturbance
    ) -> EventSourceMapping:
        stream = open_stream(connect, settings.source_arn, RecordFilter.of(settings.filters))
        function = self._functions[_name(settings)]
        return EventSourceMapping(
            settings, stream, function.invoke, _destination(settings, connect), timing, disturbance
        )

    def _keep(self, schedule: Schedule) -> None:
        while not self._stopping.wait(schedule.seconds):
            self._run(schedule)

    def _run(self, schedule: Schedule) -> InvocationResult:
        function = self._functions[schedule.function]
        _, _, _, region, account, _ = function.settings.arn.split(":", 5)
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": account,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": region,
            "resources": [],
            "detail": {},
        }
        return function.invoke(event)


def _name(settings: MappingSettings) -> str:
    """Of the mapping's function."""
    return settings.function_arn.split(":")[6]


def _destination(settings: MappingSettings, connect: Connect) -> Callable[[str], object]:
    """What keeps the messages of a mapping's discarded batches."""
    url, bucket = settings.failure_queue_url, settings.failure_bucket
    if bucket:
        s3 = connect("s3")
        return lambda body: s3.put_object(Bucket=bucket, Key=object_key(settings, body), Body=body.encode())
    if url:
        sqs = connect("sqs")
        return lambda body: sqs.send_message(QueueUrl=url, MessageBody=body)
    return _forget


def _forget(message: str) -> None:
    """A mapping without a failure destination discards silently."""
