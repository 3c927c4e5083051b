"""The protocol as a transition system, and what is claimed of it."""

from collections.abc import Callable
from dataclasses import dataclass

from oncefold_lab.model.direct_function import DirectSteps
from oncefold_lab.model.encoding import Encoding
from oncefold_lab.model.net_function import NettingSteps
from oncefold_lab.model.reduce_function import ReducingSteps
from oncefold_lab.model.scenario import PROTOCOL, ModelScenario, ProtocolRules
from oncefold_lab.model.state import NO_LOG, ChangeLog, ModelStep, ModelTables, State
from oncefold_lab.model.state_function import FoldingSteps


class Protocol:
    """One scenario under some rules."""

    def __init__(self, scenario: ModelScenario, rules: ProtocolRules = PROTOCOL) -> None:
        self.world = Encoding(scenario, rules)
        self._folding = DirectSteps(self.world) if scenario.economy else FoldingSteps(self.world)
        self._netting = NettingSteps(self.world) if scenario.economy else None
        self._reducing = ReducingSteps(self.world)
        self._ends = tuple(map(len, scenario.shards))

    def first(self) -> State:
        """Nothing is stored, delivered or under way."""
        shards = len({shard for some in self.world.scenario.change_shards for shard in some})
        log = ChangeLog(((),) * shards, (0,) * shards, (0,) * shards, 0) if shards else NO_LOG
        tables = ModelTables((0,) * len(self.world.keys), 0, 0, 0, 0, 0, 0, 0, (), log)
        return State(tables, (0,) * len(self._ends), (), (), (), (0,) * shards)

    def steps(self, state: State) -> list[ModelStep]:
        """Every step that is possible."""
        out: list[ModelStep] = []
        self._folding.add(state, out)
        self._reducing.add(state, out)
        if self._netting is not None:
            self._netting.add(state, out)
        return out

    def quiet(self, state: State) -> bool:
        """Whether all is done: nothing is under way, all streams are read to their ends, the outbox is empty."""
        running = state.folding or state.reducing or state.sweeping or state.netting
        return (
            not (running or state.tables.outbox or state.tables.unread)
            and state.checkpoints == self._ends
            and state.read == tuple(map(len, state.tables.log.records))
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that holds in every state, or at every step; with neither function, of the graph as a whole."""

    name: str
    description: str
    of_state: Callable[[Protocol, State], bool] | None = None
    of_step: Callable[[Protocol, State, ModelStep], bool] | None = None


def balanced(protocol: Protocol, state: State) -> bool:
    """Whether totals + outbox + changes that are not netted = contributions of the states."""
    world, tables = protocol.world, state.tables
    contributed = 0
    for contributions, stored in zip(world.contributions, tables.stored, strict=True):
        contributed += contributions[stored]
    pending = sum(
        world.changed(records[position:])
        for records, position in zip(tables.log.records, tables.log.positions, strict=True)
    )
    return tables.totals + world.amount(tables.outbox) + pending == contributed


def _once(_: Protocol, state: State) -> bool:
    return not state.tables.twice


def _grows(_: Protocol, state: State, step: ModelStep) -> bool:
    before, after = state.tables.stored, step.state.tables.stored
    return before is after or all(new >= old for old, new in zip(before, after, strict=True))


def _exact(protocol: Protocol, state: State) -> bool:
    return state.tables.totals == protocol.world.reference or not protocol.quiet(state)


def _noted(protocol: Protocol, state: State) -> bool:
    return not protocol.quiet(state) or protocol.world.noted(state.tables.notes)


def _counted(_: Protocol, state: State) -> bool:
    log = state.tables.log
    return not log.twice and all(
        netted == (1 << position) - 1 for netted, position in zip(log.netted, log.positions, strict=True)
    )


def _forward(_: Protocol, state: State, step: ModelStep) -> bool:
    before, after = state.tables.log.positions, step.state.tables.log.positions
    return before is after or all(new >= old for old, new in zip(before, after, strict=True))


BALANCED = Claim(
    "balanced",
    "totals + outbox = contributions of the states, in every state; in economy mode with the changes not netted yet",
    balanced,
)
ONCE = Claim("once", "no delta is added to the totals twice", _once)
GROWS = Claim("grows", "a key's state only grows, in the order of (version, content)", of_step=_grows)
EXACT = Claim("exact", "when all is done, the totals are those of the set of all events", _exact)
NOTED = Claim(
    "noted", "when all is done, every content of a key's greatest version that contradicted another is noted", _noted
)
COUNTED = Claim(
    "counted",
    "in economy mode each change up to its shard's position is netted once, and none behind it, in every state",
    _counted,
)
FORWARD = Claim("forward", "in economy mode no position ever goes back", of_step=_forward)
TERMINATES = Claim("terminates", "from every state, once faults cease, every way leads to where all is done")

TRUE = (BALANCED, ONCE, GROWS, EXACT, NOTED, COUNTED, FORWARD, TERMINATES)


@dataclass(frozen=True, slots=True)
class ExpectedFailure:
    """A mutation of the protocol with a claim that it breaks, or a false claim of the protocol itself."""

    name: str
    description: str
    scenario: ModelScenario
    claim: Claim
    rules: ProtocolRules = PROTOCOL
