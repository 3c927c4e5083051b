"""Every state that can be reached, the nearest first, with the shortest way to any of them."""

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from oncefold_lab.model.claims import Claim
from oncefold_lab.model.protocol import Protocol
from oncefold_lab.model.state import State
from oncefold_lab.model.steps import FAULTS, Op, Step

Tell = Callable[[int], None]
"""Told how many states were found, each time that all of one distance are known."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A claim that does not hold, and a shortest schedule that shows it: the steps from the first state on."""

    claim: Claim
    schedule: tuple[Step, ...]
    remark: str = ""
    """What the last step alone does not show."""


@dataclass(slots=True)
class Explored:
    """What an exploration found."""

    states: list[State] = field(default_factory=list)
    """In the order they were found, which is that of their distance from the first."""
    parents: "array[int]" = field(default_factory=lambda: array("l"))
    """For each state, the one that it was found from."""
    sources: "array[int]" = field(default_factory=lambda: array("l"))
    """Where the steps that are no faults begin,"""
    targets: "array[int]" = field(default_factory=lambda: array("l"))
    """and where they end."""
    steps: Counter[Op] = field(default_factory=Counter)
    depth: int = 0
    """Steps to the farthest state."""
    broken: Broken | None = None

    @property
    def transitions(self) -> int:
        """Steps between all states."""
        return self.steps.total()

    def way(self, protocol: Protocol, place: int) -> list[Step]:
        """The steps of a shortest way to a state."""
        places = [place]
        while places[-1]:
            places.append(self.parents[places[-1]])
        return self.along(protocol, places[::-1])

    def along(self, protocol: Protocol, places: Sequence[int]) -> list[Step]:
        """The steps from each of these states to the next."""
        return [
            next(step for step in protocol.steps(self.states[place]) if step.state == self.states[after])
            for place, after in pairwise(places)
        ]


def explore(protocol: Protocol, claims: Sequence[Claim], tell: Tell = lambda _: None) -> Explored:
    """Explore all states breadth first, up to the first one that breaks a claim."""
    found = Explored()
    of_states = [(claim, claim.of_state) for claim in claims if claim.of_state is not None]
    of_steps = [(claim, claim.of_step) for claim in claims if claim.of_step is not None]
    first = protocol.first()
    states, parents, steps = found.states, found.parents, found.steps
    places = {first: 0}
    states.append(first)
    parents.append(0)
    level_end = 1
    for place, state in enumerate(states):
        if place == level_end:
            found.depth += 1
            level_end = len(states)
            tell(level_end)
        for claim, holds_in in of_states:
            if not holds_in(protocol, state):
                found.broken = Broken(claim, tuple(found.way(protocol, place)))
                return found
        for step in protocol.steps(state):
            op = step.op
            steps[op] += 1
            after = places.setdefault(step.state, len(states))
            if after == len(states):
                states.append(step.state)
                parents.append(place)
            if op not in FAULTS:
                found.sources.append(place)
                found.targets.append(after)
            for claim, holds_at in of_steps:
                if not holds_at(protocol, state, step):
                    found.broken = Broken(claim, (*found.way(protocol, place), step))
                    return found
    return found
