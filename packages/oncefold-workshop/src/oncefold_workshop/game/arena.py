"""One player's world: calls take milliseconds, functions fail after their writes, and troubles come by name.

What is done to a player is done from outside, at the mappings and functions that it deployed: the first mapping is
that of the messages, the others read streams of tables.
"""

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
from oncefold_workshop.game.rules import BatchCut
from oncefold_workshop.pipelines.settings import InducedFailure, Rates

TIMEOUT_SECONDS = 10.0
"""Of every function that a mapping invokes."""
ZOMBIE_SECONDS = 660.0
"""A zombie goes on so long after its time was over: beyond the life of a transaction's token."""
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
        """See InvocationFaults."""
        return self.random.uniform(0.002, 0.02)

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

    @property
    def records(self) -> list[Any]:
        """What it was delivered; nothing for a schedule."""
        records: list[Any] = self.event.get("Records", [])
        return records


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
        self._rates = Rates()
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

    def set_rates(self, rates: Rates) -> None:
        """Let functions fail after their writes at these rates from now on."""
        self._rates = rates

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
            try:
                answer = handler(event, context)
                if not context.process.expired:
                    self._strike(name, random)
            finally:
                del self.visits[context.process]
            if name == self._mapped()[0]:
                self.processed += len(visit.records)
            return answer

        return handle

    def _strike(self, name: str, random: Callable[[], float]) -> None:
        """Raise InducedFailure, or not."""
        mapped = self._mapped()
        if name not in mapped:
            return
        rate = self._rates.state if name == mapped[0] else self._rates.reduce
        by_chance, planned = random() < rate, _Plans.due(self._plans.fail, name)
        if by_chance or planned:
            raise InducedFailure("after its write")

    def latency(self, process: Process, operation: str, moment: Moment) -> float:
        """See World; a write that is to become a zombie's is held up until its invocation's time is over."""
        seconds = super().latency(process, operation, moment)
        visit = self.visits.get(process)
        if visit is None or moment == "after" or operation not in WRITES:
            return seconds
        if _Plans.due(self._plans.freeze, visit.function):
            self.trace(process.name, f"{operation} is held up, and the invocation is given up")
            return seconds + TIMEOUT_SECONDS + 1.0
        return seconds

    def trace(self, who: str, what: str) -> None:
        """Keep what went wrong, and nothing else."""
        if not what.startswith("gets ") or what.endswith(" again"):
            self.incidents.append(f"{self.seconds:,.1f} s, {who}: {what}")

    def called(self, operation: str, outcome: str) -> None:
        """See Observer of clients: nobody asks for every call here."""
