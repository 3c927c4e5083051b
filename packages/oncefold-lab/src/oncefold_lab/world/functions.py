"""Functions as Lambda runs them: invocations at once, a limit of time, crashes, and those that live on beyond it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from oncefold_lab.local.environment import FunctionError, InvocationResult
from oncefold_lab.world.faults import CRASH_END, CRASH_START, Crash, FaultLedger, InvocationFaults
from oncefold_lab.world.scheduler import Process, Scheduler, Tasks

CALLS_AT_ONCE = 4
_COLD_SECONDS = 0.005


@dataclass(frozen=True)
class Context:
    """What a handler gets beside its event: Lambda's context, and time and randomness as the world has them."""

    aws_request_id: str
    deadline: float
    clock: Callable[[], float]
    """Seconds since 1970."""
    sleep: Callable[[float], None]
    random: Random
    process: Process
    ledger: FaultLedger
    """Where a handler may count what happened."""

    def get_remaining_time_in_millis(self) -> int:
        """As in Lambda."""
        return max(0, int((self.deadline - self.clock()) * 1000))

    def spread(self, function: Callable[[Any], Any], things: Iterable[Any]) -> Iterator[Any]:
        """Like `map`, with the calls of up to four under way at a time."""
        return self.process.spread(function, things, CALLS_AT_ONCE)


Handler = Callable[[Mapping[str, Any], Context], Any]


class SimulatedFunction:
    """A deployed function."""

    def __init__(
        self, name: str, handler: Handler, timeout_seconds: float, random: Random, tasks: Tasks, scheduler: Scheduler,
        invocation_faults: InvocationFaults,
    ) -> None:  # fmt: skip
        self.name = name
        self._handler = handler
        self._timeout = timeout_seconds
        self._random = random
        self._tasks = tasks
        self._scheduler = scheduler
        self._invocation_faults = invocation_faults
        self._number = 0
        self.under_way = 0
        self.concurrency: int | None = None
        """Invocations that may be under way at a time; None: no limit."""

    def invoke(self, payload: bytes, on_result: Callable[[InvocationResult], object]) -> None:
        """Begin an invocation; `on_result` gets how it went once it is over, or its time is."""
        self._number += 1
        request = f"{self.name} {self._number}"
        began = self._scheduler.clock()
        if self.concurrency is not None and self.under_way >= self.concurrency:
            throttled = FunctionError("TooManyRequestsException", "Rate Exceeded.")
            self._scheduler.after(0.0, lambda: on_result(_invocation(request, throttled, began, began)))
            return
        self.under_way += 1

        def over(result: Any) -> None:
            self.under_way -= 1
            if not process.expired:
                on_result(_invocation(request, result, began, self._scheduler.clock()))

        process = self._tasks.start(request, partial(self._run, payload, request), over, mortal=True)
        self._scheduler.after(self._timeout, partial(self._expire, process, began, on_result))

    def _run(self, payload: bytes, request: str) -> Any:
        deadline = self._scheduler.clock() + self._timeout
        self._tasks.sleep(_COLD_SECONDS + self._invocation_faults.latency())
        if self._invocation_faults.strikes(CRASH_START):
            raise Crash
        process = self._tasks.current()
        assert process is not None
        clock, sleep = self._scheduler.clock, self._tasks.sleep
        context = Context(request, deadline, clock, sleep, self._random, process, self._invocation_faults.ledger)
        answer = self._handler(json.loads(payload), context)
        if self._invocation_faults.strikes(CRASH_END):
            raise Crash
        return answer

    def _expire(self, process: Process, began: float, on_result: Callable[[InvocationResult], object]) -> None:
        """Report that the time is up; the invocation is ended, or goes on unseen."""
        if process.over:
            return
        self._invocation_faults.ledger.note("timed out")
        process.expired = True
        error = FunctionError("Sandbox.Timedout", f"{process.name} timed out after {self._timeout} seconds")
        on_result(_invocation(process.name, error, began, self._scheduler.clock()))
        freeze = self._invocation_faults.freeze()
        if freeze is None:
            process.end(Crash())
        else:
            process.thaws = self._scheduler.clock() + freeze


def _invocation(request: str, result: Any, began: float, ended: float) -> InvocationResult:
    error, payload = None, b""
    if isinstance(result, FunctionError):
        error = result
    elif isinstance(result, BaseException):
        error = FunctionError(type(result).__name__, str(result))
    else:
        payload = json.dumps(result).encode()
    return InvocationResult(request, payload, error, ended - began, ended, "", ())
