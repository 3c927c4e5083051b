"""A scenario checked against claims: explored, examined for ways that never end, and told."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oncefold_lab.model.claims import SETTLES, TRUE, Claim
from oncefold_lab.model.explore import Broken, Explored, Tell, explore
from oncefold_lab.model.protocol import Protocol
from oncefold_lab.model.rules import PROTOCOL, Rules
from oncefold_lab.model.scenario import Scenario
from oncefold_lab.model.settling import Graph, lost, round_trip, unsettled
from oncefold_lab.model.steps import Op
from oncefold_lab.model.telling import Teller
from oncefold_lab.model.trial import Trial


@dataclass(frozen=True, slots=True)
class Refuted:
    """A claim that does not hold, and a shortest schedule that shows it."""

    claim: Claim
    schedule: tuple[str, ...]
    """A line a step."""
    aftermath: tuple[str, ...]
    """What the tables hold then."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came out of a scenario."""

    scenario: Scenario
    states: int
    transitions: int
    depth: int
    """Steps to the farthest state."""
    ends: int
    """States in which all is done."""
    seconds: float
    steps: Counter[Op]
    """How often each kind of step was possible."""
    refuted: Refuted | None


def examine(protocol: Protocol, claims: Sequence[Claim] = TRUE, tell: Tell = lambda _: None) -> Explored:
    """Explore up to the first state that breaks a claim, or to the end, and look for ways without one."""
    found = explore(protocol, claims, tell)
    if found.broken is None and SETTLES in claims:
        found.broken = _never_ending(protocol, found)
    return found


def check(
    scenario: Scenario,
    clock: Callable[[], float],
    rules: Rules = PROTOCOL,
    claims: Sequence[Claim] = TRUE,
    tell: Tell = lambda _: None,
) -> Checked:
    """Examine a scenario, count and tell; `clock` gives seconds."""
    began = clock()
    protocol = Protocol(scenario, rules)
    found = examine(protocol, claims, tell)
    refuted = None if found.broken is None else _told(protocol, found.broken)
    return Checked(
        scenario,
        len(found.states),
        found.transitions,
        found.depth,
        sum(map(protocol.quiet, found.states)),
        clock() - began,
        found.steps,
        refuted,
    )


def attempt(trial: Trial, clock: Callable[[], float], tell: Tell = lambda _: None) -> Checked:
    """Try what is expected to fail."""
    return check(trial.scenario, clock, trial.rules, [trial.claim], tell)


def _never_ending(protocol: Protocol, found: Explored) -> Broken | None:
    """A schedule after which no way leads to an end; or else one that goes round, or stops elsewhere."""
    ends = [place for place, state in enumerate(found.states) if protocol.quiet(state)]
    graph = Graph(len(found.states), found.sources, found.targets)
    marks = unsettled(graph, ends)
    if 1 not in marks:
        return None
    nowhere = lost(graph, ends).find(1)
    if nowhere >= 0:
        return Broken(SETTLES, tuple(found.way(protocol, nowhere)), "from here no way leads to where all is done")
    around = round_trip(graph, marks.find(1), marks)
    schedule = (*found.way(protocol, around[0]), *found.along(protocol, around))
    return Broken(SETTLES, schedule, "and so on for ever, or no further")


def _told(protocol: Protocol, broken: Broken) -> Refuted:
    teller = Teller(protocol.world)
    schedule = tuple(map(teller.step, broken.schedule))
    last = broken.schedule[-1].state if broken.schedule else protocol.first()
    remark = [broken.remark] if broken.remark else []
    return Refuted(broken.claim, schedule, (*remark, *teller.tables(last)))
