"""A scenario: everything that one seed draws, as values that can be made smaller, and how the pipeline is deployed."""

from dataclasses import dataclass
from random import Random
from typing import TypeVar

from oncefold.aws.names import Names
from oncefold.core.definition import Pipeline
from oncefold_lab.local.settings import FOR_EVER, MappingSettings
from oncefold_lab.search.workload import Send, draw_pipeline, draw_sends, with_several_leaves
from oncefold_lab.simulator.data_stream import ACCOUNT
from oncefold_lab.simulator.faults import POSSIBLE, Fault
from oncefold_lab.world.faults import (
    CRASH_AFTER,
    CRASH_BEFORE,
    CRASH_END,
    CRASH_START,
    INVOCATION_FAULTS,
    RECUT,
    REPEAT,
    STALL,
    ZOMBIE,
)
from oncefold_lab.world.scheduler import random_source
from oncefold_lab.world.world import WorldSettings

NAMES = Names("lab")
DRAIN_FUNCTION = f"{NAMES.stack}-drain"
"""What a person does with `oncefold aws drain`."""


@dataclass(frozen=True, slots=True)
class StackShape:
    """A function and its event source mapping."""

    batch_size: int = 10
    window_seconds: float = 0.0
    parallelization: int = 1
    max_retries: int = FOR_EVER
    max_age_seconds: float = FOR_EVER
    bisect: bool = True
    timeout_seconds: float = 10.0
    tumbling_seconds: int = 0

    def mapping(self, arn: str, *, report_failures: bool = True, filters: tuple[str, ...] = ()) -> MappingSettings:
        """The mapping of a stream to the function."""
        return MappingSettings(
            arn,
            f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{NAMES.stack}",
            batch_size=self.batch_size,
            window_seconds=self.window_seconds,
            parallelization=self.parallelization,
            max_retries=self.max_retries,
            max_age_seconds=self.max_age_seconds,
            bisect=self.bisect,
            report_failures=report_failures,
            filters=filters,
            failure_queue_url=NAMES.failure_queue,
            tumbling_seconds=self.tumbling_seconds,
        )


@dataclass(frozen=True, slots=True)
class SimulatedDeployment:
    """A pipeline and all that is set of its stack."""

    pipeline: Pipeline
    shards: int = 1
    """Of the Kinesis stream, in the beginning."""
    state: StackShape = StackShape()
    reduce: StackShape = StackShape()
    net: StackShape = StackShape(tumbling_seconds=900)
    """In economy mode."""
    sweep_seconds: float = 300.0


Choice = TypeVar("Choice")

SPLIT, MERGE, ROLL, SPLIT_CHANGES = "split", "merge", "roll", "split-changes"
REPLAY_EVENTS, REPLAY_CHANGES, PAUSE, OUTAGE = "replay-events", "replay-changes", "pause", "outage"
DRAIN = "drain"
INCIDENTS = (SPLIT, MERGE, ROLL, SPLIT_CHANGES, REPLAY_EVENTS, REPLAY_CHANGES, PAUSE, OUTAGE, DRAIN)
"""What happens to a stack at a moment: shards of the events' stream split and merged, shards of a table's stream rolled
over and split, a mapping begun anew at the oldest record, the events' mapping paused, everything behind the outbox
down for more than a day, and the whole outbox applied by hand."""
REBUILD, ABANDON, ROLLBACK = "rebuild", "abandon", "rollback"
SNAPSHOTS = ("snapshot-state", "snapshot-reduce", "snapshot-aggregate")
REBUILD_INCIDENTS = (REBUILD, ABANDON, ROLLBACK, *SNAPSHOTS)
"""What happens beside these to a stack that is rebuilt: `oncefold aws rebuild`, the same given up, all tables put back
to moments of their own and then rebuilt, and those moments."""
ROLL_STATES, SPLIT_STATES, REPLAY_STATES, AGAIN_STATES, PAUSE_STATES = (
    "roll-states", "split-states", "replay-states", "again-states", "pause-states",
)  # fmt: skip
ECONOMY_INCIDENTS = (ROLL_STATES, SPLIT_STATES, REPLAY_STATES, AGAIN_STATES, PAUSE_STATES)
"""What happens to the stream of StateTable: its shards rolled over and split, all of it delivered anew, the last
batches of its shards again and the later half first, and nothing of it delivered for a while."""
_CHANCES = dict.fromkeys(INCIDENTS, 0.25) | {OUTAGE: 0.1, DRAIN: 0.4}
_MOST_DRAINS = 12

CALLED = tuple(sorted({fault for faults in POSSIBLE.values() for fault in faults} - {Fault.STALE}))
"""Faults that calls of the functions can have; they read nothing that may be stale."""

_INVOCATION_FAULT_RATES = {
    CRASH_BEFORE: 0.02,
    CRASH_AFTER: 0.02,
    CRASH_START: 0.03,
    CRASH_END: 0.04,
    STALL: 0.015,
    ZOMBIE: 0.7,
    RECUT: 0.5,
    REPEAT: 0.1,
}
_FAULT_RATE = 0.02
_SLACK_SECONDS = 20.0
_LATE_SECONDS = (20.0, 20.0, 200.0, 800.0)
"""Until so long after the last event incidents happen; the longest is beyond the life of a transaction's token."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happens to a stack, so many seconds from the beginning."""

    at: float
    kind: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A stack, what is sent to it, and what goes wrong."""

    seed: int
    deployment: SimulatedDeployment
    world_settings: WorldSettings
    sends: tuple[Send, ...]
    incidents: tuple[Incident, ...]
    luck: int = 0
    """Another course of events under the same scenario."""
    only: frozenset[int] | None = None
    """Numbers of the faults that happen; None: all."""

    @property
    def pipeline(self) -> Pipeline:
        """What is deployed."""
        return self.deployment.pipeline

    @property
    def ends(self) -> float:
        """Seconds after which nothing goes wrong any more."""
        moments = [*(send.at for send in self.sends), *(incident.at for incident in self.incidents)]
        return max(moments, default=0.0) + _SLACK_SECONDS


def draw(seed: int, pipeline: Pipeline | None = None) -> Scenario:
    """The scenario of a seed, for a pipeline of its own or for the one that is given."""
    random = random_source(seed, "scenario")
    drawn = draw_pipeline(random)
    pipeline = pipeline or with_several_leaves(random_source(seed, "leaves"), drawn)
    sends = draw_sends(random_source(seed, "workload"), pipeline)
    deployment = SimulatedDeployment(
        pipeline,
        shards=random.choice([1, 1, 2, 4]),
        state=_shape(random, (1, 2, 5, 100), (FOR_EVER, FOR_EVER, 1, 3)),
        reduce=_shape(random, (1, 3, 10, 100), (FOR_EVER, FOR_EVER, 1, 3)),
    )
    often = random.choice([0.5, 1.0, 3.0])
    world_settings = WorldSettings(
        faults=dict.fromkeys(_some(random, CALLED), _FAULT_RATE * random.choice([0.3, 1.0, 5.0])),
        invocation_faults={name: _INVOCATION_FAULT_RATES[name] * often for name in _some(random, INVOCATION_FAULTS)},
        stream_shards=random.choice([1, 1, 2, 4]),
        stream_lag=random.choice([0.0, 0.0, 0.5, 5.0]),
    )
    return Scenario(seed, deployment, world_settings, sends, _incidents(random, sends[-1].at))


def _shape(random: Random, batches: tuple[int, ...], retries: tuple[int, ...]) -> StackShape:
    return StackShape(
        batch_size=random.choice(batches),
        window_seconds=random.choice([0.0, 0.0, 1.0, 5.0]),
        parallelization=random.choice([1, 1, 2, 5]),
        max_retries=random.choice(retries),
        max_age_seconds=random.choice([FOR_EVER, FOR_EVER, FOR_EVER, 60.0]),
        bisect=random.random() < 0.7,
        timeout_seconds=random.choice([1.0, 3.0, 10.0, 60.0]),
    )


def _some(random: Random, things: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """About half of them: a seed with everything would never get far into anything."""
    return tuple(thing for thing in things if random.random() < 0.5)


def _incidents(random: Random, last: float) -> tuple[Incident, ...]:
    kinds = [kind for kind in INCIDENTS if random.random() < _CHANCES[kind]]
    kinds += [DRAIN] * random.randrange(_MOST_DRAINS) if DRAIN in kinds else []
    late = random.choice(_LATE_SECONDS)
    incidents = (Incident(round(random.uniform(0.0, last + late), 3), kind) for kind in kinds)
    return tuple(sorted(incidents, key=lambda incident: incident.at))
