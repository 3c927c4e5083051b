"""The world: services, functions and mappings on one clock and one seed, and what a system in it has to offer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Protocol

from oncefold.core.fold import Node, Total
from oncefold_lab.local.environment import InvocationResult
from oncefold_lab.local.settings import MappingSettings
from oncefold_lab.local.streams import RecordFilter, open_stream
from oncefold_lab.simulator.calls import Moment
from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.faults import Fault
from oncefold_lab.simulator.kinesis import Kinesis
from oncefold_lab.simulator.values import Item, give_item
from oncefold_lab.world.clients import TOKEN_SECONDS, ObservedClient, Queues
from oncefold_lab.world.faults import CRASH_AFTER, CRASH_BEFORE, Crash, FaultLedger, InvocationFaults, LedgerCallFaults
from oncefold_lab.world.functions import Handler, SimulatedFunction
from oncefold_lab.world.mapping import Mapping as EventSourceMapping
from oncefold_lab.world.scheduler import START, Process, Scheduler, Tasks, random_source

WRITES = frozenset(["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"])
PUTS = frozenset(["PutRecord", "PutRecords"])


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """How the services behave: probabilities of faults by call, shards of tables' streams, their lag in seconds."""

    faults: Mapping[Fault, float] = field(default_factory=dict)
    invocation_faults: Mapping[str, float] = field(default_factory=dict)
    stream_shards: int = 1
    stream_lag: float = 0.0


class World:
    """Where a system is deployed. Everything in it follows from its seed, its climate and what is done to it."""

    def __init__(
        self,
        seed: int | str,
        world_settings: WorldSettings,
        ledger: FaultLedger | None = None,
        invocation_faults: InvocationFaults | None = None,
    ) -> None:
        """`invocation_faults` are those of the settings, unless others are given."""
        self.ledger = ledger or FaultLedger()
        self.scheduler = Scheduler()
        self.tasks = Tasks(self.scheduler)
        self.lines: list[tuple[float, str, str]] = []
        """The trace: when, who, what."""
        self.functions: dict[str, SimulatedFunction] = {}
        self.mappings: list[EventSourceMapping] = []
        self.watch: Callable[[], None] = lambda: None
        """Called after every write to a service."""
        self.last_write = ""
        """The last write to a table, and whose it was."""
        self.by_zombie = False
        """Whether that was an invocation whose result nobody awaits any more."""
        self._seed = seed
        self._faults = [
            LedgerCallFaults(self.random(name), world_settings.faults, self.ledger) for name in ("dynamodb", "kinesis")
        ]
        clock = self.scheduler.clock
        self.dynamodb = DynamoDB(
            clock,
            self.random("order"),
            self._faults[0],
            world_settings.stream_shards,
            stream_lag=world_settings.stream_lag,
            calls=self._called,
        )
        self.kinesis = Kinesis(clock, self.random("records"), self._faults[1], calls=self._called)
        self.queues = Queues(clock)
        self._invocation_faults = invocation_faults or InvocationFaults(
            self.random("mishaps"), self.ledger, world_settings.invocation_faults
        )
        self._tokens: dict[str, float] = {}
        self._disabled: set[str] = set()
        self.scheduler.watch(self.dynamodb, partial(self._written, "TransactWriteItems"))
        self.scheduler.watch(self.kinesis, partial(self._written, "PutRecords"))

    def random(self, name: str) -> Random:
        """A source of its own for a purpose."""
        return random_source(self._seed, name)

    def client(self, service: str) -> Any:
        """A client as a function gets it: its calls take time, and the invocation may end around each."""
        clients = {"dynamodb": self.dynamodb, "kinesis": self.kinesis, "dynamodbstreams": self.dynamodb.streams()}
        return ObservedClient(clients[service], self) if service in clients else self.queues

    def add_function(self, name: str, handler: Handler, timeout_seconds: float) -> SimulatedFunction:
        """Deploy a function."""
        random = self.random(name)
        self.functions[name] = SimulatedFunction(
            name, handler, timeout_seconds, random, self.tasks, self.scheduler, self._invocation_faults
        )
        return self.functions[name]

    def add_mapping(self, settings: MappingSettings, function: str) -> EventSourceMapping:
        """Deploy an event source mapping; its messages go to the queue of `failure_queue_url`."""
        clients: dict[str, Any] = {"kinesis": self.kinesis, "dynamodbstreams": self.dynamodb.streams()}
        stream = open_stream(clients.__getitem__, settings.source_arn, RecordFilter.of(settings.filters))

        def discard(message: str) -> None:
            if settings.failure_queue_url is not None:
                self.queues.send_message(settings.failure_queue_url, message)

        mapping = EventSourceMapping(
            settings, stream, self.functions[function], discard, self.scheduler, self._invocation_faults, self.trace
        )
        self.mappings.append(mapping)
        return mapping

    def add_schedule(self, function: str, seconds: float) -> None:
        """Have a function run again and again."""

        def run() -> None:
            if function not in self._disabled:
                self.functions[function].invoke(b"{}", _ignore)
            self.scheduler.after(seconds, run)

        self.scheduler.after(seconds, run)

    def disable(self, function: str) -> None:
        """Let a schedule not run its function."""
        self._disabled.add(function)

    def enable(self, function: str) -> None:
        """Let it run again."""
        self._disabled.discard(function)

    def rows(self, table: str) -> dict[Any, tuple[Item, int]]:
        """A table's rows as the simulator holds them, without a call; never to be changed."""
        return self.dynamodb._database.tables[table].rows  # noqa: SLF001 - read without a trace

    def items(self, table: str) -> list[Item]:
        """A table's items, without a call."""
        return [give_item(item) for item, _ in self.rows(table).values()]

    def calm(self) -> None:
        """No fault of any kind from now on; what is under way goes its way.

        Lambda goes on reading streams. A mapping of the world pauses when it finds one empty, and a page that was cut
        short may have looked so; therefore each looks once more.
        """
        self.ledger.open = False
        for faults in self._faults:
            faults.stop()
        for mapping in self.mappings:
            mapping.touch()

    def coverage(self) -> dict[str, int]:
        """Everything that was counted, by name."""
        counts = self.ledger.counts.copy()
        for faults in self._faults:
            counts.update({f"fault: {fault}": number for fault, number in faults.counts.items()})
        counts.update(self.dynamodb.counts)
        counts.update(self.kinesis.counts)
        return {name: number for name, number in sorted(counts.items()) if number}

    def trace(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.lines.append((self.scheduler.clock() - START, who, what))

    def latency(self, process: Process, operation: str, moment: Moment) -> float:  # noqa: ARG002 - for other worlds
        """Seconds that a process's call takes on its way there, or back."""
        return self._invocation_faults.latency()

    def close(self) -> None:
        """End everything that runs."""
        self.tasks.close()

    def called(self, operation: str, outcome: str) -> None:
        """See Observer of clients."""
        process = self.tasks.current()
        self.trace("outside" if process is None else process.name, f"{operation}: {outcome}")

    def token(self, token: str) -> None:
        """See Observer of clients."""
        done = self._tokens.get(token)
        if done is not None and self.scheduler.clock() >= done + TOKEN_SECONDS:
            self.ledger.note("token sent again after its life")

    def done(self, token: str) -> None:
        """See Observer of clients."""
        self._tokens.setdefault(token, self.scheduler.clock())
        process = self.tasks.current()
        if process is not None and process.expired:
            self.ledger.note("zombie's transaction done")

    def _called(self, operation: str, moment: Moment) -> None:
        """Around every call: a write is looked at, the caller waits, and perhaps is no more."""
        if moment == "after" and (operation in WRITES or operation in PUTS):
            self._written(operation)
        process = self.tasks.current()
        if process is None:
            return
        seconds = self.latency(process, operation, moment)
        if seconds:
            self.tasks.sleep(seconds)
        if process.mortal and self._invocation_faults.strikes(CRASH_BEFORE if moment == "before" else CRASH_AFTER):
            self.trace(process.name, f"crashes {moment} {operation}")
            raise Crash

    def _written(self, operation: str) -> None:
        service = "kinesis" if operation in PUTS else "dynamodb"
        if service == "dynamodb":
            process = self.tasks.current()
            self.by_zombie = process is not None and process.expired
            self.last_write = f"{operation} of {process.name if process else 'an earlier call'}"
            self.watch()
        for mapping in self.mappings:
            if mapping.settings.source_arn.split(":")[2] == service:
                mapping.touch()


def _ignore(invocation: InvocationResult) -> None:
    """The result of a scheduled invocation is not used."""


class Violation(BaseException):
    """Something that never may be so, is. No `except Exception` of a function under test hides it."""


class System(Protocol):
    """A pipeline under test. It is made for one world and deployed once."""

    def deploy(self, world: World) -> None:
        """Make its tables, streams, functions, mappings and schedules."""

    def check(self) -> None:
        """Called after every write to a service, wherever it came from. Raises Violation."""

    def totals(self) -> Mapping[Node, Total]:
        """The totals as they are now; nodes that are zero may be left out. It makes no call."""

    def is_complete(self) -> bool:
        """Whether nothing is left to be done with what its mappings delivered."""

    def check_end(self) -> None:
        """Called when all is complete, beside the comparison of the totals. Raises Violation."""
