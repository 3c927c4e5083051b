"""One run of a scenario: faults as the scenario says, then none, and then every total has to be exact."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

from botocore.exceptions import BotoCoreError, ClientError

from oncefold.aws.operations.failures import FailureQueue, FailuresSent, Redelivery
from oncefold.aws.stream.records import Record
from oncefold.core.fold import Node, Total
from oncefold_lab.search import oracle
from oncefold_lab.search.scenario import (
    DRAIN,
    DRAIN_FUNCTION,
    MERGE,
    NAMES,
    OUTAGE,
    PAUSE,
    REPLAY_CHANGES,
    REPLAY_EVENTS,
    ROLL,
    SPLIT,
    SPLIT_CHANGES,
    Scenario,
    SimulatedDeployment,
    draw,
)
from oncefold_lab.search.workload import Send, SentLine
from oncefold_lab.world.faults import FaultLedger
from oncefold_lab.world.scheduler import START
from oncefold_lab.world.world import System, Violation, World

PAUSE_SECONDS = 45.0


@runtime_checkable
class WithIncidents(Protocol):
    """A system with incidents of its own."""

    def incident(self, kind: str) -> None:
        """Let one happen."""


class Incidents:
    """Makes incidents happen in a world; where one cannot, nothing does.

    The first mapping is taken for that of the events, the last for the one that feeds the totals.
    """

    def __init__(self, world: World, system: System) -> None:
        self._world = world
        self._system = system
        self._random = world.random("incidents")
        self._table = world.mappings[-1].settings.source_arn.split("/")[1]
        self._acts = {
            SPLIT: self._split,
            MERGE: self._merge,
            ROLL: self._roll,
            SPLIT_CHANGES: self._split_changes,
            REPLAY_EVENTS: world.mappings[0].replay,
            REPLAY_CHANGES: world.mappings[-1].replay,
            PAUSE: self._pause,
            OUTAGE: self._outage,
            DRAIN: self._drain,
        }

    def happen(self, kind: str) -> None:
        """Let one happen."""
        self._world.trace("incident", kind)
        self._world.ledger.note(f"incident: {kind}")
        (self._acts.get(kind) or partial(self._of_system, kind))()

    def _of_system(self, kind: str) -> None:
        assert isinstance(self._system, WithIncidents), f"nobody knows the incident {kind}"
        self._system.incident(kind)

    def end_outage(self) -> None:
        """Bring back what the outage took."""
        self._world.enable(NAMES.sweep_function)
        self._world.mappings[-1].resume()

    def _open(self) -> list[tuple[int, int, str]]:
        """The open shards of the events' stream, in the order of their ranges."""
        stream = self._world.kinesis._streams[NAMES.stream]  # noqa: SLF001
        return sorted((shard.low, shard.high, shard.id) for shard in stream.shards() if shard.closed is None)

    def _split(self) -> None:
        low, high, shard = self._random.choice(self._open())
        middle = str((low + high) // 2)
        self._world.kinesis.split_shard(StreamName=NAMES.stream, ShardToSplit=shard, NewStartingHashKey=middle)
        self._world.mappings[0].touch()

    def _merge(self) -> None:
        shards = self._open()
        if len(shards) > 1:
            place = self._random.randrange(len(shards) - 1)
            (_, _, one), (_, _, other) = shards[place : place + 2]
            self._world.kinesis.merge_shards(StreamName=NAMES.stream, ShardToMerge=one, AdjacentShardToMerge=other)
            self._world.mappings[0].touch()

    def _changes(self) -> str:
        """An open shard of the stream that the last mapping reads."""
        stream = self._world.dynamodb._database.tables[self._table].stream  # noqa: SLF001
        assert stream is not None
        return self._random.choice(sorted(shard.id for shard in stream.shards.all.values() if shard.closed is None))

    def _roll(self) -> None:
        self._world.dynamodb.roll_shard(self._table, self._changes())
        self._world.mappings[-1].touch()

    def _split_changes(self) -> None:
        self._world.dynamodb.split_shard(self._table, self._changes())
        self._world.mappings[-1].touch()

    def _drain(self) -> None:
        drain = self._world.functions.get(DRAIN_FUNCTION)
        if drain is not None:
            drain.invoke(b"{}", lambda _: None)

    def _pause(self) -> None:
        mapping = self._world.mappings[0]
        mapping.pause()
        self._world.scheduler.after(PAUSE_SECONDS, mapping.resume)

    def _outage(self) -> None:
        self._world.disable(NAMES.sweep_function)
        self._world.mappings[-1].pause()


FINISH_SECONDS = 2 * 3600.0
"""After the last fault all has to be done within so long."""
OUTAGE_SECONDS = 25 * 3600.0
"""Longer than a stream keeps its records."""
_RETRY_SECONDS = 0.2

Build = Callable[[SimulatedDeployment, Iterable[SentLine]], System]
"""Makes a system for a deployment and all that is ever sent to it."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """How a run went."""

    scenario: Scenario
    failure: str | None
    """What was wrong, as text."""
    coverage: dict[str, int]
    """What happened, and how often."""
    admitted: tuple[int, ...]
    """Numbers of the faults that happened."""
    seconds: float
    """Virtual seconds from the beginning to the end."""
    lines: tuple[tuple[float, str, str], ...]

    def trace(self) -> list[str]:
        """What happened: when, who, what."""
        return [f"{seconds:12.6f} {who}: {what}" for seconds, who, what in self.lines]


@runtime_checkable
class WithExpected(Protocol):
    """A system whose totals mean something else than the greatest version of each key."""

    def expected(self) -> Mapping[Node, Total]:
        """The totals as they have to be in the end."""


@runtime_checkable
class WithScenarios(Protocol):
    """What builds a system for scenarios of its own."""

    def draw(self, seed: int) -> Scenario:
        """The scenario of a seed."""


def draw_for(build: Build, seed: int) -> Scenario:
    """The scenario of a seed for a system."""
    return build.draw(seed) if isinstance(build, WithScenarios) else draw(seed)


def run(scenario: Scenario, build: Build) -> TrialResult:
    """Run a scenario against a system."""
    ledger = FaultLedger(scenario.only)
    world = World(f"{scenario.seed}.{scenario.luck}", scenario.world_settings, ledger)
    failure: str | None = None
    try:
        _Run(scenario, world, build).go()
    except Violation as violation:
        failure = str(violation)
    except Exception as error:
        # Outside of every function, so nothing would ever deal with it; the seed has to be known all the same.
        failure = f"the run broke: {error!r}"
    finally:
        world.close()
    if failure is not None:
        world.trace("wrong", f"{failure} (last write: {world.last_write})")
    seconds = world.scheduler.clock() - START
    return TrialResult(scenario, failure, world.coverage(), tuple(ledger.admitted), seconds, tuple(world.lines))


class _Run:
    """The stages of a run."""

    def __init__(self, scenario: Scenario, world: World, build: Build) -> None:
        self._scenario = scenario
        self._world = world
        lines = [line for send in scenario.sends for line in send.lines]
        self._system = build(scenario.deployment, lines)
        self._sent_events = [line.event for line in lines if line.event is not None]
        self._unsent = len(scenario.sends)
        self._operating = False

    def go(self) -> None:
        """Run to the end. Raises Violation."""
        world = self._world
        world.ledger.open = False
        self._system.deploy(world)
        world.ledger.open = True
        world.watch = self._system.check
        incidents = Incidents(world, self._system)
        for number, send in enumerate(self._scenario.sends):
            world.scheduler.at(START + send.at, partial(self._send, f"sender {number}", send))
        for incident in self._scenario.incidents:
            world.scheduler.at(START + incident.at, partial(incidents.happen, incident.kind))
        world.scheduler.run(START + self._scenario.ends, lambda: False)
        world.trace("world", "calm from here on")
        world.calm()
        outage = any(incident.kind == OUTAGE for incident in self._scenario.incidents)
        if outage:
            self._finish("the stream of events", self._delivered)
            self._run(OUTAGE_SECONDS)
            incidents.end_outage()
        self._finish("the totals", self._complete)
        self._check()

    def _finish(self, what: str, done: Callable[[], bool]) -> None:
        end = self._world.scheduler.clock() + FINISH_SECONDS
        if not self._world.scheduler.run(end, done):
            raise Violation(f"{what}: not finished {FINISH_SECONDS:,.0f} s after the last fault; {self._left()}")

    def _run(self, seconds: float) -> None:
        self._world.scheduler.run(self._world.scheduler.clock() + seconds, lambda: False)

    def _delivered(self) -> bool:
        """Whether all that was sent is through the first function, also what was given up at first."""
        world = self._world
        if self._unsent or self._operating or not world.mappings[0].idle:
            return False
        if world.mappings[0].function.under_way:
            return False
        if world.queues.length(NAMES.failure_queue):
            self._operating = True
            world.tasks.start("operator", self._redrive, self._redriven)
            return False
        return True

    def _complete(self) -> bool:
        if any(function.under_way for function in self._world.functions.values()):
            return False
        return (
            self._system.is_complete() and self._delivered() and all(mapping.idle for mapping in self._world.mappings)
        )

    def _check(self) -> None:
        self._system.check()
        totals = self._system.totals()
        expected = self._expected()
        if oracle.differences(expected, totals):
            raise Violation(oracle.node_text(self._scenario.pipeline, expected, totals))
        self._system.check_end()

    def _expected(self) -> Mapping[Node, Total]:
        """What the totals have to be: the greatest version of each key, unless the system says otherwise."""
        if isinstance(self._system, WithExpected):
            return self._system.expected()
        return oracle.totals(self._scenario.pipeline, self._sent_events)

    def _left(self) -> str:
        busy = [name for name, function in self._world.functions.items() if function.under_way]
        mappings = [mapping.settings.source_arn for mapping in self._world.mappings if not mapping.idle]
        difference = oracle.node_text(self._scenario.pipeline, self._expected(), self._system.totals())
        return f"under way: {', '.join(busy + mappings) or 'nothing'}; {difference}"

    def _send(self, name: str, send: Send) -> None:
        entries = [
            {"Data": b"\n".join(line.data for line in lines), "PartitionKey": key} for key, lines in send.records
        ]
        self._world.tasks.start(name, partial(self._put, entries), self._sent)

    def _put(self, entries: list[dict[str, Any]]) -> None:
        """Put records until all of them are in the stream; some may be there more than once then."""
        client = self._world.client("kinesis")
        while entries:
            try:
                answer = client.put_records(StreamName=NAMES.stream, Records=entries)
            except (ClientError, BotoCoreError):
                self._world.tasks.sleep(_RETRY_SECONDS)
                continue
            entries = [e for e, reply in zip(entries, answer["Records"], strict=True) if "ErrorCode" in reply]

    def _sent(self, result: Any) -> None:
        if isinstance(result, BaseException):
            raise result
        self._unsent -= 1

    def _redrive(self) -> int:
        """What `oncefold aws redrive` does with the failure queue. Deltas are left to the sweeper."""
        world = self._world

        def send(records: Iterable[Record]) -> None:
            self._put([{"Data": record.data, "PartitionKey": record.partition_key} for record in records])

        redelivery = Redelivery(NAMES, NAMES.stream, world.client("kinesis"), send, lambda: True, world.tasks.sleep)
        sent = FailuresSent()
        FailureQueue(world.client("sqs"), redelivery).redrive(lambda *_: None, sent)
        if sent.kept:
            raise Violation(f"redrive kept {json.dumps(sent.kept)}")
        world.ledger.note("redriven", sent.batches)
        return sent.batches

    def _redriven(self, result: Any) -> None:
        if isinstance(result, BaseException):
            raise result
        self._operating = False
