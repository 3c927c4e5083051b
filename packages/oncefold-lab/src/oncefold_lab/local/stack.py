"""A deployed stack's functions at work on this machine: its mappings, its schedule and its logs."""

import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from oncefold.aws.names import Names
from oncefold_lab.local.description import Connect, Description, Schedule, describe
from oncefold_lab.local.disturbance import Disturbance, Undisturbed
from oncefold_lab.local.environment import Invocation
from oncefold_lab.local.filters import Filter
from oncefold_lab.local.logs import LogShipper
from oncefold_lab.local.mapping_settings import MappingSettings
from oncefold_lab.local.mappings import Counts, EventSourceMapping
from oncefold_lab.local.pace import Pace
from oncefold_lab.local.runtime import Function, FunctionSettings
from oncefold_lab.local.streams import open_stream

CONCURRENCY = 4
"""Processes of one function at a time, unless told otherwise."""

Disturb = Callable[[MappingSettings], Disturbance]


class LocalStack:
    """Runs the functions of a description.

    `with LocalStack.deployed(...) as stack:` starts and stops it; without a context, `start`, `stop` and `close`.
    """

    def __init__(
        self,
        description: Description,
        connect: Connect,
        pace: Pace | None = None,
        disturb: Disturb = lambda _: Undisturbed(),
    ) -> None:
        """Unpack the functions. `disturb` gives what disturbs the deliveries of each mapping, for tests."""
        self._description = description
        self._functions: dict[str, Function] = {}
        self._stopping = threading.Event()
        self._schedules: list[threading.Thread] = []
        with ExitStack() as opened:
            self._logs = LogShipper(connect("logs"))
            opened.callback(self._logs.close)
            for settings in description.functions:
                self._functions[settings.name] = opened.enter_context(self._function(settings))
            self._mappings = [self._mapping(one, connect, pace, disturb(one)) for one in description.mappings]
            self._opened = opened.pop_all()

    @classmethod
    def deployed(
        cls,
        names: Names,
        connect: Connect,
        environment: Mapping[str, str],
        concurrency: int = CONCURRENCY,
        pace: Pace | None = None,
        disturb: Disturb = lambda _: Undisturbed(),
    ) -> Self:
        """That of a stack as it is deployed; `environment` leads its functions to AWS or the emulator.

        Raises OncefoldError if there is no such stack.
        """
        with tempfile.TemporaryDirectory(prefix="oncefold-code-") as folder:
            description = describe(names, connect, Path(folder), environment, concurrency)
            return cls(description, connect, pace, disturb)

    @property
    def counts(self) -> dict[str, Counts]:
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

    def invoke(self, function: str, event: Mapping[str, Any]) -> Invocation:
        """Run a function by its name, beside everything else."""
        return self._functions[function].invoke(event)

    def sweep(self) -> list[Invocation]:
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

    def _function(self, settings: FunctionSettings) -> Function:
        return Function(settings, partial(self._logs.add, settings.name))

    def _mapping(
        self, settings: MappingSettings, connect: Connect, pace: Pace | None, disturbance: Disturbance
    ) -> EventSourceMapping:
        stream = open_stream(connect, settings.source_arn, Filter.of(settings.filters))
        function = self._functions[_name(settings)]
        discard = _into_queue(connect("sqs"), settings.failure_queue_url) if settings.failure_queue_url else _forget
        return EventSourceMapping(settings, stream, function.invoke, discard, pace, disturbance)

    def _keep(self, schedule: Schedule) -> None:
        while not self._stopping.wait(schedule.seconds):
            self._run(schedule)

    def _run(self, schedule: Schedule) -> Invocation:
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


def _into_queue(client: Any, url: str) -> Callable[[str], object]:
    return lambda body: client.send_message(QueueUrl=url, MessageBody=body)


def _forget(message: str) -> None:
    """A mapping without a failure destination tells nobody."""
