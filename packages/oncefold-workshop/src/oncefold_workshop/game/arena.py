"""One player's world: calls take milliseconds, functions fail on purpose, and troubles come by name.

What is done to a player is done from outside, at the mappings and functions that it deployed: the first mapping is
that of the messages, the others read streams of tables. Functions that read ParameterTable fail by themselves, as the
workshop's do.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oncefold_lab.simulator.calls import Moment
from oncefold_lab.simulator.change_streams import ChangeRecord
from oncefold_lab.world.faults import FaultLedger, InvocationFaults
from oncefold_lab.world.functions import Context, Handler, SimulatedFunction
from oncefold_lab.world.scheduler import START, Process, random_source
from oncefold_lab.world.world import WRITES, World, WorldSettings
from oncefold_workshop.game.rules import BatchCut, Mode
from oncefold_workshop.pipelines.settings import FailurePercentages, InducedFailure, ParameterTable

SHARDS = 2
"""Of the stream of messages."""
TIMEOUT_SECONDS = 10.0
"""Of every function that a mapping invokes."""
ZOMBIE_SECONDS = 660.0
"""A zombie goes on so long after its time was over: beyond the life of a transaction's token."""
_AFTER_ALL = -1
"""No write has this number: the invocation fails at its end."""
_KEPT = 200
"""Lines of the trace that are kept."""


@dataclass
class PlannedFaults(InvocationFaults):
    """Nothing goes wrong at random; retries are cut, and given-up invocations live on, as a round says."""

    cut: BatchCut | None = None
    zombies: bool = False

    def strikes(self, what: str) -> bool:  # noqa: ARG002 - of Mishaps
        """See InvocationFaults."""
        return False

    def latency(self) -> float:
        """See InvocationFaults: the whole way of a call, there and back."""
        return 0.004 + 0.036 * self.random.random()

    def freeze(self) -> float | None:
        """See InvocationFaults."""
        return ZOMBIE_SECONDS if self.zombies else None

    def retry_size(self, failed: int, most: int) -> int:
        """See Disturbance of event source mappings."""
        if self.cut is BatchCut.HALVES:
            return max(1, failed // 2)
        return most if self.cut is BatchCut.GROWN else failed


@dataclass(slots=True)
class Visit:
    """An invocation that is under way, or was given up and goes on."""

    function: str
    number: int
    event: Mapping[str, Any]
    fails_before: int | None = None
    """The write before which it fails on purpose; its end, where it makes fewer."""
    writes: int = 0
    failed: bool = False
    """Whether it has failed on purpose."""

    @property
    def records(self) -> list[Any]:
        """What it was delivered; nothing for a schedule."""
        records: list[Any] = self.event.get("Records", [])
        return records


@dataclass(slots=True)
class InvocationCounts:
    """How many invocations of a function there were, and how many of them failed."""

    all: int = 0
    failed: int = 0


@dataclass
class _Plans:
    """What is going to be done to which function, how many times."""

    fail: dict[str, int] = field(default_factory=dict)
    freeze: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def due(plan: dict[str, int], function: str) -> bool:
        """Whether it is this function's turn; then once less from now on."""
        left = plan.get(function, 0)
        if left:
            plan[function] = left - 1
        return bool(left)


class Arena(World):
    """A world for one player."""

    def __init__(self, seed: int) -> None:
        name = f"game {seed}"
        self.planned_faults = PlannedFaults(random_source(name, "mishaps"), FaultLedger())
        super().__init__(name, WorldSettings(), invocation_faults=self.planned_faults)
        self.visits: dict[Process, Visit] = {}
        self.incidents: deque[str] = deque(maxlen=_KEPT)
        """The last of what went wrong, for a person."""
        self.processed = 0
        """Messages that the first function has finished."""
        self.invocations: dict[str, InvocationCounts] = {}
        """By function, since a round began."""
        self.parameters: ParameterTable | None = None
        """Where functions read their percentages."""
        self.failing_themselves: set[str] = set()
        """Functions that read ParameterTable and fail by themselves."""
        self.mode = Mode.EASY
        """Of the round that is played."""
        self.induced: Callable[[str, str], object] = _unnoticed
        """Called with a function and an invocation that fails from outside, after its writes."""
        self.closing: list[Callable[[], object]] = []
        """Called when the world ends."""
        self._failures = FailurePercentages()
        self._plans = _Plans()
        self._numbers: dict[str, int] = {}

    @property
    def seconds(self) -> float:
        """Seconds since the game began."""
        return self.scheduler.clock() - START

    def current(self) -> Visit | None:
        """The invocation that runs now; None outside of all."""
        process = self.tasks.current()
        return None if process is None else self.visits.get(process)

    def changes(self, table: str, after: int) -> list[ChangeRecord]:
        """The records of a table's stream behind a sequence number, without a call."""
        stream = self.dynamodb._database.tables[table].stream  # noqa: SLF001 - read without a trace
        assert stream is not None
        found: list[ChangeRecord] = []
        for shard in stream.shards.all.values():
            if shard.entries and shard.entries[-1].sequence > after:
                found += [entry for entry in shard.entries if entry.sequence > after]
        return sorted(found, key=lambda entry: entry.sequence)

    def set_failures(self, percentages: FailurePercentages) -> None:
        """Let functions fail on purpose at these percentages from now on."""
        self._failures = percentages
        if self.parameters is not None:
            self.parameters.put(percentages.parameters())

    def fail_next(self) -> None:
        """Let the next invocation of every function fail after its write."""
        self._plans.fail = dict.fromkeys(self._mapped(), 1)

    def freeze_next(self) -> None:
        """Let the next write of every function be held up until long after its invocation was given up."""
        self._plans.freeze = dict.fromkeys(self._mapped(), 1)
        self.planned_faults.zombies = True

    def clear(self) -> None:
        """Nothing else is going to be done on purpose."""
        self._plans = _Plans()
        self.planned_faults.cut, self.planned_faults.zombies = None, False

    def _mapped(self) -> list[str]:
        return [mapping.function.name for mapping in self.mappings]

    def add_function(self, name: str, handler: Handler, timeout_seconds: float) -> SimulatedFunction:
        """See World; the handler is watched, and fails as the mode has it."""
        random = self.random(f"failures of {name}").random
        return super().add_function(name, self._watched(name, handler, random), timeout_seconds)

    def _watched(self, name: str, handler: Handler, random: Callable[[], float]) -> Handler:
        def handle(event: Mapping[str, Any], context: Context) -> Any:
            self._numbers[name] = self._numbers.get(name, 0) + 1
            visit = self.visits[context.process] = Visit(name, self._numbers[name], event)
            visit.fails_before = self._drawn(visit, random)
            counts = self.invocations.setdefault(name, InvocationCounts())
            counts.all += 1
            try:
                answer = handler(event, context)
                if not context.process.expired:
                    self._strike(visit, context.aws_request_id)
            except BaseException:
                counts.failed += 1
                raise
            finally:
                del self.visits[context.process]
            if name == self._mapped()[0]:
                self.processed += len(visit.records)
            return answer

        return handle

    def _drawn(self, visit: Visit, random: Callable[[], float]) -> int | None:
        """Before which write an invocation is going to fail, if it is.

        The first function fails before a record of its batch, and has a write for each; the others after their writes.
        """
        mapped = self._mapped()
        if visit.function not in mapped or not visit.records:
            return None
        chance = random()
        if visit.function != mapped[0]:
            percentage = self._failures.reduce if visit.function == mapped[-1] else self._failures.map
            return _AFTER_ALL if 100 * chance < percentage else None
        if not self._failures.state:
            return None
        records = len(visit.records)
        place = int(math.log(1 - chance) / math.log(1 - self._failures.state / 100 / records))
        return place if place < records else None

    def _strike(self, visit: Visit, request: str) -> None:
        """Raise InducedFailure at the end of an invocation, or not."""
        planned = visit.function in self._mapped() and _Plans.due(self._plans.fail, visit.function)
        drawn = visit.fails_before is not None and visit.function not in self.failing_themselves
        if planned or drawn or visit.failed:
            self.induced(visit.function, request)
            raise InducedFailure("on purpose")

    def latency(self, process: Process, operation: str, moment: Moment) -> float:
        """See World; a call takes all its time on its way there, since nothing happens to a player on the way back.

        A write that is to become a zombie's is held up until its invocation's time is over.

        Raises InducedFailure before the write before which an invocation fails.
        """
        if moment == "after":
            return 0.0
        seconds = super().latency(process, operation, moment)
        visit = self.visits.get(process)
        if visit is None or operation not in WRITES:
            return seconds
        if visit.writes == visit.fails_before and visit.function not in self.failing_themselves:
            visit.failed = True
            raise InducedFailure("on purpose")
        visit.writes += 1
        if _Plans.due(self._plans.freeze, visit.function):
            self.trace(process.name, f"{operation} is held up, and the invocation is given up")
            return seconds + TIMEOUT_SECONDS + 1.0
        return seconds

    def close(self) -> None:
        """See World."""
        super().close()
        for close in self.closing:
            close()

    def trace(self, who: str, what: str) -> None:
        """Keep what went wrong, and nothing else."""
        if not what.startswith("gets ") or what.endswith(" again"):
            self.incidents.append(f"{self.seconds:,.1f} s, {who}: {what}")

    def called(self, operation: str, outcome: str) -> None:
        """See Observer of clients: calls are not traced one by one here."""


def _unnoticed(function: str, request: str) -> None:
    """The default: failures on purpose are not logged."""
