"""What is claimed of the protocol."""

from collections.abc import Callable
from dataclasses import dataclass

from oncefold_lab.model.protocol import Protocol
from oncefold_lab.model.state import State
from oncefold_lab.model.steps import Step


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that holds in every state, or at every step; with neither function, of the graph as a whole."""

    name: str
    words: str
    of_state: Callable[[Protocol, State], bool] | None = None
    of_step: Callable[[Protocol, State, Step], bool] | None = None


def balanced(protocol: Protocol, state: State) -> bool:
    """Whether totals + outbox = contributions of the states."""
    world, tables = protocol.world, state.tables
    contributed = 0
    for contributions, stored in zip(world.contributions, tables.stored, strict=True):
        contributed += contributions[stored]
    return tables.totals + world.amount(tables.outbox) == contributed


def _once(_: Protocol, state: State) -> bool:
    return not state.tables.twice


def _grows(_: Protocol, state: State, step: Step) -> bool:
    before, after = state.tables.stored, step.state.tables.stored
    return before is after or all(new >= old for old, new in zip(before, after, strict=True))


def _exact(protocol: Protocol, state: State) -> bool:
    return state.tables.totals == protocol.world.reference or not protocol.quiet(state)


def _noted(protocol: Protocol, state: State) -> bool:
    return not protocol.quiet(state) or protocol.world.noted(state.tables.notes)


BALANCED = Claim("balanced", "totals + outbox = contributions of the states, in every state", balanced)
ONCE = Claim("once", "no delta is added to the totals twice", _once)
GROWS = Claim("grows", "a key's state only grows, in the order of (version, content)", of_step=_grows)
EXACT = Claim("exact", "when all is done, the totals are those of the set of all events", _exact)
NOTED = Claim("noted", "when all is done, every content of a key's greatest version that met another is noted", _noted)
SETTLES = Claim("settles", "from every state, once faults cease, every way leads to where all is done")

TRUE = (BALANCED, ONCE, GROWS, EXACT, NOTED, SETTLES)
