"""Oncefold's own stack with rebuilds: at any moment, beside everything else, also after tables were rolled back apart.

Functions know the epochs as long as they do in Lambda, each environment by itself. An operator begins a rebuild, gives
one up, and runs it again whenever it was ended; a reader asks for all totals all the while. docs/LAB.md, "Rebuilds".
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any
from zlib import crc32

from oncefold.aws.functions import layout
from oncefold.aws.functions.epochs import DELETING, EPOCH_SECONDS, EpochCache, epochs_of
from oncefold.aws.functions.guard import definition_item
from oncefold.aws.operations.rebuild import MARGIN_SECONDS, SILENCE_SECONDS, Machine, Rebuild
from oncefold.aws.operations.rebuild_item import DRAIN, UnderWay
from oncefold.aws.reader.reader import StackOptions, StackReader
from oncefold.aws.tables import Stack
from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Node, Total
from oncefold.core.measures import quotient
from oncefold.core.nodepath import join
from oncefold.dynamodb.calls import RequestRefused
from oncefold_lab.local.environment import InvocationResult
from oncefold_lab.search.economy import Economy
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import (
    ABANDON,
    ECONOMY_INCIDENTS,
    NAMES,
    REBUILD,
    ROLLBACK,
    SNAPSHOTS,
    Incident,
    Scenario,
    draw,
)
from oncefold_lab.simulator.values import give_item
from oncefold_lab.world.functions import Context
from oncefold_lab.world.scheduler import random_source
from oncefold_lab.world.world import Violation, World

REBUILD_FUNCTION = f"{NAMES.stack}-rebuild"
"""What a person does with `oncefold aws rebuild`: a process that may end at any call, and is begun again."""
ENVIRONMENTS = 3
"""Of StateLambda, and of reducers, each of which knows the epochs by itself."""
_LIVES = (1.5, 3.0, 50.0, 50.0)
"""How long the process lives at most, in waits for functions that are under way."""
_AGAIN_SECONDS = (2.0, 30.0)
_LONGER, _LONGEST = 1.2, 20.0
"""By how much longer an operator waits from one time to the next, and in all."""
_PAUSES = {DRAIN: 0.5, DELETING: 5.0}
_PAUSE = 12.0
"""Seconds between two looks at the totals, at most; they are looked at more often where they are switched."""
_ROLLBACK_CHANCE = 0.4
_AFTER_ROLLBACK = (2.0, 60.0)
_TABLES = dict(zip(SNAPSHOTS, (NAMES.state_table, NAMES.reduce_table, NAMES.aggregate_table), strict=True))


class Rebuilding(Oncefold):
    """A stack that is rebuilt. A variant overrides what does the rebuild, or what reads."""

    rebuild: type[Rebuild] = Rebuild
    reader: type[StackReader] = StackReader

    @classmethod
    def draw(cls, seed: int) -> Scenario:
        """The scenario of a seed: what others go through, and one to three rebuilds."""
        drawn = draw(seed)
        random = random_source(seed, "rebuilds")
        last = drawn.ends
        kinds = [REBUILD] * random.choice([1, 1, 2, 3]) + [ABANDON] * (random.random() < 0.2)
        more = [Incident(round(random.uniform(0.0, last), 3), kind) for kind in kinds]
        if random.random() < _ROLLBACK_CHANCE:
            moments = sorted(random.uniform(0.0, last + 100.0) for _ in range(4))
            *before, rollback = (round(moment, 3) for moment in moments)
            random.shuffle(before)
            more += [Incident(at, kind) for at, kind in zip(before, SNAPSHOTS, strict=True)]
            more.append(Incident(rollback, ROLLBACK))
            # Often one is under way in what is put back.
            kept = before[SNAPSHOTS.index("snapshot-aggregate")]
            more.append(Incident(round(max(0.0, kept - random.uniform(0.0, 40.0)), 3), REBUILD))
        incidents = sorted((*drawn.incidents, *more), key=lambda incident: incident.at)
        return replace(drawn, incidents=tuple(incidents))

    def deploy(self, world: World) -> None:
        """See System."""
        super().deploy(world)
        world.dynamodb.put_item(TableName=NAMES.aggregate_table, Item=definition_item(self.pipeline, mode=self.mode))
        random = world.random("operator")
        clock = world.scheduler.clock
        self._environments = [EpochCache(NAMES, clock, clock) for _ in range(ENVIRONMENTS)]
        self._reducers = [EpochCache(NAMES, clock, clock) for _ in range(ENVIRONMENTS)]
        self._snapshots = {table: dict(world.rows(table)) for table in _TABLES.values()}
        self._random = random
        self._open = 0
        self._reading = False
        self._switched = 0
        self._draining = 0
        self._to_drain: set[str] = set()
        grace = self.longest_timeout + EPOCH_SECONDS + MARGIN_SECONDS + SILENCE_SECONDS
        world.add_function(REBUILD_FUNCTION, self.rebuilding, grace * random.choice(_LIVES))

    def known_epochs(self, context: Context) -> EpochCache:
        """See Oncefold."""
        return context.random.choice(self._environments)

    def reducer_epochs(self, context: Context) -> EpochCache:
        """See Oncefold."""
        return self._reducers[crc32(context.aws_request_id.encode()) % ENVIRONMENTS]

    def state(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """StateLambda's handler: whatever totals it makes, DynamoDB never finds its transactions invalid."""
        try:
            return super().state(event, context)
        except RequestRefused as error:
            raise Violation(f"a transaction is invalid: {error}") from error

    def incident(self, kind: str) -> None:
        """See WithIncidents."""
        if kind in _TABLES:
            self._snapshots[_TABLES[kind]] = dict(self._world.rows(_TABLES[kind]))
        elif kind == ROLLBACK:
            self._roll_back()
        else:
            self._operate(abandon=kind == ABANDON)

    def _roll_back(self) -> None:
        """Put the tables back, each to its own moment; then read the stream anew, and begin a new rebuild."""
        world = self._world
        now = int(world.scheduler.clock())
        world.dynamodb.restore(self._snapshots)
        self._balance.rolled_back(now)
        world.mappings[0].replay()
        self._open += 1
        again = partial(self._invoke, {"anew_after": now})
        world.scheduler.after(self._random.uniform(*_AFTER_ROLLBACK), again)

    def _operate(self, *, abandon: bool) -> None:
        self._open += 1
        self._invoke({"abandon": abandon, **({} if abandon else self.options())})

    def options(self) -> Mapping[str, Any]:
        """Options of a rebuild that is begun."""
        return {}

    def _invoke(self, payload: Mapping[str, Any], tries: int = 0, *, anew: bool = False) -> None:
        """Run the command, and again until it has come to its end, as its message says."""
        self._read_on()

        def ended(result: InvocationResult) -> None:
            if result.error is None:
                self._open -= 1
                return
            self._world.trace("operator", f"{result.error.type}: {result.error.message}")
            self._world.ledger.note("rebuild run again")
            advised = result.error.type == OncefoldError.__name__
            pause = self._random.uniform(*_AGAIN_SECONDS) * min(_LONGER**tries, _LONGEST)
            again, beginning = self.advice(payload, result.error.message) if advised else (payload, False)
            self._world.scheduler.after(pause, partial(self._invoke, again, tries + 1, anew=beginning))

        self._world.functions[REBUILD_FUNCTION].invoke(json.dumps({**payload, "anew": anew}).encode(), ended)

    def advice(self, payload: Mapping[str, Any], message: str) -> tuple[Mapping[str, Any], bool]:  # noqa: ARG002
        """What a message says to do: the command again, and whether with `--anew`."""
        return payload, True

    def rebuilding(self, event: Mapping[str, Any], context: Context) -> None:
        """The command, in a process of its own."""
        random = context.random
        spread = context.spread if random.random() < 0.5 else map
        machine = Machine(context.clock, context.clock, context.sleep, random.random, spread)
        work = self.rebuild(
            self.pipeline, NAMES, self._client, machine, owner=context.aws_request_id,
            timeout_seconds=self.longest_timeout, definition=self.wanted(event),
            streams=lambda: self._world.client("dynamodbstreams"),
        )  # fmt: skip
        segments = random.choice([1, 2, 5])
        if event.get("abandon"):
            if UnderWay.of(self._definition()) is None:
                context.ledger.note("nothing to give up")
                return
            work.run(segments, abandon=True)
        else:
            anew = event["anew"] or self.begins_anew(event.get("anew_after", 0))
            rebuilt = work.run(segments, anew=anew)
            context.ledger.note("rebuild switched", rebuilt.switched)
            context.ledger.note("rebuild resumed", rebuilt.resumed)
            context.ledger.note("keys brought in", rebuilt.brought_in)

    def wanted(self, event: Mapping[str, Any]) -> Pipeline | None:  # noqa: ARG002
        """The definition that a rebuild is to make the totals of."""
        return None

    @property
    def longest_timeout(self) -> float:
        """Of the functions that have to know the epochs."""
        return self._deployment.state.timeout_seconds

    def begins_anew(self, rolled_back: int) -> bool:
        """Whether to give up what may be under way: after a rollback, what was begun before it."""
        under = UnderWay.of(self._definition())
        return bool(rolled_back) and (under is None or under.epoch <= rolled_back)

    def _definition(self) -> dict[str, Any]:
        rows = self._world.rows(NAMES.aggregate_table).values()
        return give_item(next(item for item, _ in rows if item["label"] == layout.DEFINITION_KEY["label"]))

    def _read_on(self) -> None:
        """Let the reader look at the totals for as long as somebody rebuilds them."""
        if not self._reading:
            self._reading = True
            self._world.tasks.start("reader", self._read, self._has_read)

    def _has_read(self, result: Any) -> None:
        if isinstance(result, BaseException):
            raise result
        self._reading = False

    def _read(self) -> None:
        random = Random(self._random.random())  # noqa: S311 - repeatable
        clock = self._world.scheduler.clock
        live = epochs_of(self._definition()).live
        stack = Stack(NAMES, self.pipeline, frozenset([self.pipeline.fingerprint]), self._client, live, 1, self.mode,
            self._world.client("dynamodbstreams"))  # fmt: skip
        reader = self.reader(stack, StackOptions(exact=True), clock=lambda: int(clock() * 10**9))
        while self._open:
            under = UnderWay.of(self._definition())
            self._world.tasks.sleep(random.random() * _PAUSES.get("" if under is None else under.phase, _PAUSE))
            self._look(self.opened(reader))

    def opened(self, reader: StackReader) -> StackReader:
        """The reader that looks next."""
        return reader

    def _look(self, reader: StackReader) -> None:
        """Where no key changed while they were read, the totals are those of the keys."""
        trusted, contents = self._balance.trusted, self._balance.contents
        rollup = self._random.choice(reader.pipeline.rollups)
        try:
            found = reader.query(rollup=rollup.name, depth=None)
        except OncefoldError:
            self._world.ledger.note("totals not read")
            return
        if not trusted or not self._balance.trusted or contents != self._balance.contents:
            return
        pipeline = reader.pipeline
        if pipeline != self._balance.definition(self._balance.epochs.live):
            return
        self._world.ledger.note("totals read")
        names = [measure.name for measure in pipeline.measures]
        read = {row.path: (row.count, *(row.sums[name] for name in names)) for row in found if row.count}
        keys = {
            join(node.labels): (count, *_shown(pipeline, sums))
            for node, (count, *sums) in self._balance.live_totals().items()
            if pipeline.rollups[node.rollup].name == rollup.name
        }
        if read != keys:
            raise Violation(f"a reader was given {read} where the keys are {keys}")

    def check(self) -> None:
        """See System: also, what is switched to has every delta that was there when its draining began."""
        super().check()
        definition = self._definition()
        under, live = UnderWay.of(definition), epochs_of(definition).live
        if under is not None and under.phase == DRAIN and self._draining != under.epoch:
            items = self._world.items(NAMES.reduce_table)
            self._draining = under.epoch
            self._to_drain = {item["id"]["S"] for item in items if layout.epoch_of(item) == under.epoch}
        if live != self._switched:
            self._switched = live
            waiting = {item["id"]["S"] for item in self._world.items(NAMES.reduce_table)}
            if self._balance.trusted and live == self._draining and waiting & self._to_drain:
                raise Violation(f"switched to epoch {live} without {sorted(waiting & self._to_drain)}")

    def totals(self) -> dict[Node, Total]:
        """See System."""
        live = epochs_of(self._definition()).live
        items = self._world.items(NAMES.aggregate_table)
        pipeline = self._balance.definition(live)
        return dict(layout.parse_node(pipeline, item) for item in items if layout.node_epoch(item) == live)

    def is_complete(self) -> bool:
        """See System."""
        return super().is_complete() and not self._open and not self._reading


def _shown(pipeline: Pipeline, amounts: list[int]) -> list[Decimal]:
    """The values of the measures, of averages by division."""
    values: list[Decimal] = []
    rest = list(amounts)
    for measure in pipeline.measures:
        value = rest.pop(0)
        if measure.kind == "avg":
            value = quotient(value, rest.pop(0))
        values.append(Decimal(value).scaleb(-measure.scale))
    return values


class EconomyRebuilding(Rebuilding, Economy):
    """A stack in economy mode that is rebuilt."""

    @classmethod
    def draw(cls, seed: int) -> Scenario:
        """The scenario of a seed: what happens to a stack that is rebuilt, and to the stream of its states."""
        drawn, economy = Rebuilding.draw(seed), Economy.draw(seed)
        more = (incident for incident in economy.incidents if incident.kind in ECONOMY_INCIDENTS)
        incidents = sorted((*drawn.incidents, *more), key=lambda incident: incident.at)
        return replace(drawn, deployment=economy.deployment, incidents=tuple(incidents))

    def _look(self, reader: StackReader) -> None:
        """A query cannot know what the stream does not show yet."""
        if self._world.dynamodb.due() is None:
            super()._look(reader)

    def _roll_back(self) -> None:
        """The stack is deployed anew as the guide says: its mapping begins with the oldest that the stream has."""
        super()._roll_back()
        self._states.replay()

    @property
    def longest_timeout(self) -> float:
        """See Rebuilding."""
        return max(self._deployment.state.timeout_seconds, self._deployment.net.timeout_seconds)
