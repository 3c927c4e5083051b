"""Oncefold's own stack in economy mode: states written without being read, totals from the stream of StateTable.

What the balance says of it: totals + outbox are what the states contribute as the positions in the stream have them,
after every write. docs/LAB.md, "Economy mode".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.direct import DirectStateFunction
from oncefold.aws.functions.guard import ECONOMY
from oncefold.aws.functions.net import NetFunction, Netted
from oncefold.aws.functions.state import StateFunction
from oncefold_lab.search.oncefold import TABLES, Oncefold, answer
from oncefold_lab.search.oracle import Balance, Watched
from oncefold_lab.search.scenario import (
    AGAIN_STATES,
    ECONOMY_INCIDENTS,
    NAMES,
    PAUSE_STATES,
    REPLAY_STATES,
    ROLL_STATES,
    SPLIT_STATES,
    Incident,
    Scenario,
    StackShape,
    draw,
)
from oncefold_lab.search.workload import SentLine
from oncefold_lab.simulator.change_streams import ChangeShards
from oncefold_lab.simulator.values import give_item
from oncefold_lab.world.functions import Context
from oncefold_lab.world.scheduler import random_source
from oncefold_lab.world.world import Violation, World

_CHANCES = {ROLL_STATES: 0.4, SPLIT_STATES: 0.4, REPLAY_STATES: 0.4, AGAIN_STATES: 0.5, PAUSE_STATES: 0.3}
_MOST_AGAIN = 4
_PAUSE_SECONDS = 45.0
_TUMBLING_SECONDS = 900


class Economy(Oncefold):
    """A stack in economy mode. A variant overrides what it does otherwise."""

    mode = ECONOMY
    state_function: type[StateFunction] = DirectStateFunction
    net_function: type[NetFunction] = NetFunction
    tables = tuple(
        (name, keys, "NEW_AND_OLD_IMAGES" if name == NAMES.state_table else view) for name, keys, view in TABLES
    )

    @classmethod
    def draw(cls, seed: int) -> Scenario:
        """The scenario of a seed: what others go through, and what may happen to the stream of StateTable."""
        drawn = draw(seed)
        random = random_source(seed, "economy")
        shape = StackShape(
            batch_size=random.choice([1, 3, 10, 100]),
            window_seconds=random.choice([0.0, 0.0, 1.0, 5.0]),
            bisect=random.random() < 0.7,
            timeout_seconds=random.choice([1.0, 3.0, 10.0, 60.0]),
            tumbling_seconds=_TUMBLING_SECONDS,
        )
        kinds = [kind for kind in ECONOMY_INCIDENTS if random.random() < _CHANCES[kind]]
        kinds += [AGAIN_STATES] * random.randrange(_MOST_AGAIN)
        more = (Incident(round(random.uniform(0.0, drawn.ends), 3), kind) for kind in kinds)
        return replace(
            drawn,
            deployment=replace(drawn.deployment, net=shape),
            incidents=tuple(sorted((*drawn.incidents, *more), key=lambda incident: incident.at)),
        )

    def _new_balance(self, world: World, lines: Iterable[SentLine]) -> Balance:
        events = (line.event for line in lines if line.event)
        return StreamBalance(self.pipeline, world.rows, events, self._changes(), lambda: world.by_zombie)

    def is_complete(self) -> bool:
        """See System."""
        assert isinstance(self._balance, StreamBalance)
        return super().is_complete() and self._world.dynamodb.due() is None and self._balance.caught_up

    def _changes(self) -> ChangeShards:
        stream = self._world.dynamodb._database.tables[NAMES.state_table].stream  # noqa: SLF001 - read without a trace
        assert stream is not None
        return stream.shards

    def _deploy_functions(self, world: World) -> None:
        super()._deploy_functions(world)
        shape = self._deployment.net
        world.add_function(NAMES.net_function, self.net, shape.timeout_seconds)
        arn: str = world.dynamodb.describe_table(TableName=NAMES.state_table)["Table"]["LatestStreamArn"]
        self._states = world.add_mapping(shape.mapping(arn), NAMES.net_function)
        # The last one is that which feeds the totals.
        world.mappings.insert(1, world.mappings.pop())
        self._random = world.random("economy")

    def net(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """NetLambda's handler."""
        dynamo, meter = self._dynamo(context)
        function = self.net_function(self.pipeline, NAMES, dynamo, context.clock, self.known_epochs(context))
        netted = function.handle(event["shardId"], [item["dynamodb"] for item in event["Records"]])
        _note(context, netted)
        context.ledger.note("position written by another", meter.conflicts)
        return {"state": {}, **answer(netted.unfinished)}

    def incident(self, kind: str) -> None:
        """See WithIncidents."""
        if kind == REPLAY_STATES:
            self._states.replay()
        elif kind == AGAIN_STATES:
            self._states.deliver_again(cut=self._random.random() < 0.5)
        elif kind == PAUSE_STATES:
            self._states.pause()
            self._world.scheduler.after(_PAUSE_SECONDS, self._states.resume)
        else:
            shards = sorted(shard.id for shard in self._changes().all.values() if shard.closed is None)
            act = self._world.dynamodb.roll_shard if kind == ROLL_STATES else self._world.dynamodb.split_shard
            act(NAMES.state_table, self._random.choice(shards))
            self._states.touch()


def _note(context: Context, netted: Netted) -> None:
    context.ledger.note("changes netted", netted.changes)
    context.ledger.note("changes netted before", netted.known)
    context.ledger.note("position overtaken", netted.overtaken)
    context.ledger.note("net out of time", netted.unfinished is not None)
    if netted.unreadable:
        raise Violation(f"a change cannot be read: {netted.unreadable}")


@dataclass(frozen=True, slots=True)
class _Position:
    shard: str
    sequence: int


class StreamBalance(Balance):
    """The balance of a stack in economy mode: a change of a state counts once the position has passed it."""

    def __init__(self, pipeline: Any, rows: Any, events: Any, changes: ChangeShards, by_zombie: Any) -> None:
        super().__init__(pipeline, rows, events, by_zombie)
        self._changes = changes

    @property
    def caught_up(self) -> bool:
        """Whether the positions have passed every change that the stream shows."""
        items = (give_item(item) for item, _ in self._rows(NAMES.aggregate_table).values())
        found = {said.shard: said.sequence for said in map(self._node, items) if isinstance(said, _Position)}
        shards = self._changes.all.values()
        return all(shard.entries[-1].sequence <= found.get(shard.id, 0) for shard in shards if shard.entries)

    def _take_in_states(self, states: Watched) -> None:
        """The states themselves contribute nothing by themselves; that they only grow is checked all the same."""
        for before, after in states.changes():
            self._check_growth(before, after)

    def _take_in_other(self, before: Any, after: Any) -> None:
        if isinstance(after, _Position):
            self._pass(0 if before is None else before.sequence, after)

    def _pass(self, since: int, position: _Position) -> None:
        if position.sequence <= since:
            raise Violation(f"the position of {position.shard} went back from {since} to {position.sequence}")
        shard = self._changes.all.get(position.shard)
        if shard is None or position.sequence not in {entry.sequence for entry in shard.entries}:
            raise Violation(f"{position.shard} has no record {position.sequence} that a position could be behind")
        for entry in shard.entries:
            if since < entry.sequence <= position.sequence:
                for image, sign in (("OldImage", 1), ("NewImage", -1)):
                    if image in entry.images:
                        self._contribute(self._state(give_item(entry.images[image])), sign)

    def _node(self, item: dict[str, Any]) -> Any:
        if item["path"]["S"] == layout.POSITIONS:
            return _Position(item["label"]["S"], int(item["sequence"]["S"]))
        return super()._node(item)
