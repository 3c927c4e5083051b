"""Every reachable state, the nearest first; claims checked in each, and runs that never end."""

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from oncefold_lab.model.protocol import TERMINATES, TRUE, Claim, ExpectedFailure, Protocol
from oncefold_lab.model.report import ScheduleText
from oncefold_lab.model.scenario import PROTOCOL, ModelScenario, ProtocolRules
from oncefold_lab.model.state import FAULTS, ModelStep, Op, State

Progress = Callable[[int], None]
"""Called with the number of states found, each time that all of one distance are known."""


@dataclass(frozen=True, slots=True)
class Violated:
    """A claim that does not hold, and a shortest schedule that shows it: the steps from the first state on."""

    claim: Claim
    schedule: tuple[ModelStep, ...]
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
    broken: Violated | None = None

    @property
    def transitions(self) -> int:
        """Steps between all states."""
        return self.steps.total()

    def way(self, protocol: Protocol, place: int) -> list[ModelStep]:
        """The steps of a shortest way to a state."""
        places = [place]
        while places[-1]:
            places.append(self.parents[places[-1]])
        return self.along(protocol, places[::-1])

    def along(self, protocol: Protocol, places: Sequence[int]) -> list[ModelStep]:
        """The steps from each of these states to the next."""
        return [
            next(step for step in protocol.steps(self.states[place]) if step.state == self.states[after])
            for place, after in pairwise(places)
        ]


def explore(protocol: Protocol, claims: Sequence[Claim], progress: Progress = lambda _: None) -> Explored:
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
            progress(level_end)
        for claim, holds_in in of_states:
            if not holds_in(protocol, state):
                found.broken = Violated(claim, tuple(found.way(protocol, place)))
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
                    found.broken = Violated(claim, (*found.way(protocol, place), step))
                    return found
    return found


@dataclass(frozen=True, slots=True)
class Graph:
    """States by number, and the steps between them."""

    states: int
    sources: Sequence[int]
    targets: Sequence[int]

    def backward(self) -> "_Backward":
        """The same for walking backward."""
        arriving = array("l", [0]) * (self.states + 1)
        for target in self.targets:
            arriving[target + 1] += 1
        starts = array("l", accumulate(arriving))
        free = array("l", starts)
        origins = array("l", [0]) * len(self.sources)
        for source, target in zip(self.sources, self.targets, strict=True):
            origins[free[target]] = source
            free[target] += 1
        return _Backward(starts, origins)


@dataclass(frozen=True, slots=True)
class _Backward:
    starts: "array[int]"
    origins: "array[int]"

    def to(self, state: int) -> "array[int]":
        """Where the steps into a state come from, each step for itself."""
        return self.origins[self.starts[state] : self.starts[state + 1]]


def unfinished(graph: Graph, goals: Sequence[int]) -> bytearray:
    """Marks the states from which some way never comes to a goal: it ends elsewhere, or goes round for ever."""
    leaving = array("l", [0]) * graph.states
    for source in graph.sources:
        leaving[source] += 1
    backward = graph.backward()
    marks = bytearray(b"\1") * graph.states
    for goal in goals:
        marks[goal] = 0
    proven = list(goals)
    while proven:
        for origin in backward.to(proven.pop()):
            leaving[origin] -= 1
            if not leaving[origin] and marks[origin]:
                marks[origin] = 0
                proven.append(origin)
    return marks


def lost(graph: Graph, goals: Sequence[int]) -> bytearray:
    """Marks the states from which no way comes to a goal."""
    backward = graph.backward()
    marks = bytearray(b"\1") * graph.states
    for goal in goals:
        marks[goal] = 0
    reached = list(goals)
    while reached:
        for origin in backward.to(reached.pop()):
            if marks[origin]:
                marks[origin] = 0
                reached.append(origin)
    return marks


def round_trip(graph: Graph, start: int, marks: bytearray) -> list[int]:
    """From a state along marked ones until one comes again, or there is none to go to."""
    ways: dict[int, list[int]] = {}
    for source, target in zip(graph.sources, graph.targets, strict=True):
        if marks[source] and marks[target]:
            ways.setdefault(source, []).append(target)
    way = [start]
    while way[-1] in ways and way[-1] not in way[:-1]:
        way.append(ways[way[-1]][0])
    return way


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

    scenario: ModelScenario
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


def examine(protocol: Protocol, claims: Sequence[Claim] = TRUE, progress: Progress = lambda _: None) -> Explored:
    """Explore up to the first state that breaks a claim, or to the end, and search for runs without one."""
    found = explore(protocol, claims, progress)
    if found.broken is None and TERMINATES in claims:
        found.broken = _never_ending(protocol, found)
    return found


def check(
    scenario: ModelScenario,
    clock: Callable[[], float],
    rules: ProtocolRules = PROTOCOL,
    claims: Sequence[Claim] = TRUE,
    progress: Progress = lambda _: None,
) -> Checked:
    """Examine a scenario and count; `clock` gives seconds."""
    began = clock()
    protocol = Protocol(scenario, rules)
    found = examine(protocol, claims, progress)
    refuted = None if found.broken is None else _refutation(protocol, found.broken)
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


def attempt(trial: ExpectedFailure, clock: Callable[[], float], progress: Progress = lambda _: None) -> Checked:
    """Try what is expected to fail."""
    return check(trial.scenario, clock, trial.rules, [trial.claim], progress)


def _never_ending(protocol: Protocol, found: Explored) -> Violated | None:
    """A schedule after which no way leads to an end; or else one that goes round, or stops elsewhere."""
    ends = [place for place, state in enumerate(found.states) if protocol.quiet(state)]
    graph = Graph(len(found.states), found.sources, found.targets)
    marks = unfinished(graph, ends)
    if 1 not in marks:
        return None
    nowhere = lost(graph, ends).find(1)
    if nowhere >= 0:
        return Violated(TERMINATES, tuple(found.way(protocol, nowhere)), "from here no way leads to where all is done")
    around = round_trip(graph, marks.find(1), marks)
    schedule = (*found.way(protocol, around[0]), *found.along(protocol, around))
    return Violated(TERMINATES, schedule, "and so on for ever, or no further")


def _refutation(protocol: Protocol, broken: Violated) -> Refuted:
    text = ScheduleText(protocol.world)
    schedule = tuple(map(text.step, broken.schedule))
    last = broken.schedule[-1].state if broken.schedule else protocol.first()
    remark = [broken.remark] if broken.remark else []
    return Refuted(broken.claim, schedule, (*remark, *text.tables(last)))
