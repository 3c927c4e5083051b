"""Whether all comes to its end: which states, along steps that are no faults, do not surely lead there."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


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


def unsettled(graph: Graph, goals: Sequence[int]) -> bytearray:
    """Marks the states from which some way never comes to a goal: it ends elsewhere, or goes round for ever."""
    leaving = array("l", [0]) * graph.states
    for source in graph.sources:
        leaving[source] += 1
    backward = graph.backward()
    marks = bytearray(b"\1") * graph.states
    for goal in goals:
        marks[goal] = 0
    settled = list(goals)
    while settled:
        for origin in backward.to(settled.pop()):
            leaving[origin] -= 1
            if not leaving[origin] and marks[origin]:
                marks[origin] = 0
                settled.append(origin)
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
