"""The fold: state + event -> state + delta. This is the specification; every other form must equal it.

Rules, per key:

1. no state yet: the event is taken (INSERTED, or DELETED if it is a delete);
2. a greater version is taken (CORRECTED, or DELETED); an event that `where` leaves out takes its key out of the
   totals as a delete does (FILTERED instead of DELETED);
3. a lower version is STALE and changes nothing;
4. an equal version with equal content is a DUPLICATE and changes nothing;
5. an equal version with other content is a conflict: the greater content by `Content.rank` counts, whichever
   came first (CONFLICT_WON if the event replaces the state, CONFLICT_LOST if not).

A taken event nets its content against the one it replaces, so that the state always is the event of greatest
(version, rank) and the totals depend on the set of events alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from oncefold.core import leafset
from oncefold.core.definition import Pipeline
from oncefold.core.event import Content, Event


class Outcome(IntEnum):
    """What became of an event. The first four, and FILTERED, changed the state.

    The numbers are stored: never renumber them. An ignored record is no event: an envelope's sign that says nothing.
    """

    INSERTED = 0
    CORRECTED = 1
    DELETED = 2
    CONFLICT_WON = 3
    DUPLICATE = 4
    STALE = 5
    CONFLICT_LOST = 6
    REJECTED = 7
    FILTERED = 8
    IGNORED = 9

    @property
    def taken(self) -> bool:
        """Whether the event became its key's state."""
        return self <= Outcome.CONFLICT_WON or self == Outcome.FILTERED


@dataclass(frozen=True, slots=True)
class Stored:
    """A key's state: the version and content that count."""

    version: int
    content: Content


def fold(stored: Stored | None, event: Event) -> tuple[Outcome, Stored]:
    """What becomes of one event, and the key's state after it."""
    after = Stored(event.version, event.content)
    if stored is None:
        return _taken(event, Outcome.INSERTED), after
    if event.version > stored.version:
        return _taken(event, Outcome.CORRECTED), after
    if event.version < stored.version:
        return Outcome.STALE, stored
    if event.content == stored.content:
        return Outcome.DUPLICATE, stored
    if event.content.rank > stored.content.rank:
        return Outcome.CONFLICT_WON, after
    return Outcome.CONFLICT_LOST, stored


def _taken(event: Event, live: Outcome) -> Outcome:
    if event.filtered:
        return Outcome.FILTERED
    return Outcome.DELETED if event.content.deleted else live


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """A node of a rollup: the rollup's index and the labels down to it; no labels is the root."""

    rollup: int
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Total:
    """The live keys below a node, and its amounts (`Pipeline.amounts`) as whole numbers of their smallest unit."""

    count: int
    sums: tuple[int, ...]

    def __add__(self, other: "Total") -> "Total":
        return Total(self.count + other.count, tuple(a + b for a, b in zip(self.sums, other.sums, strict=True)))

    def __neg__(self) -> "Total":
        return Total(-self.count, tuple(-value for value in self.sums))

    def __bool__(self) -> bool:
        return bool(self.count) or any(self.sums)


def nodes_of(pipeline: Pipeline, labels: tuple[str, ...]) -> list[Node]:
    """Every node that a leaf counts in, each once: the whole path of each rollup, root included.

    Of a set of leaves the nodes of all, so that a key counts once in a node with several of its leaves below it.
    """
    nodes: list[Node] = []
    for rollup, indexes in enumerate(pipeline.rollup_levels):
        for path in leafset.paths(pipeline.arrays, labels, indexes):
            nodes.extend(Node(rollup, path[:depth]) for depth in range(len(path) + 1))
    return list(dict.fromkeys(nodes)) if pipeline.arrays else nodes


def net(pipeline: Pipeline, changes: Iterable[tuple[Stored | None, Stored | None]]) -> dict[Node, Total]:
    """The delta of the totals for (before, after) pairs of key states; nodes whose delta is nothing are left out.

    Only of the amounts that are sums: a minimum, say, does not follow from what changed.
    """
    by_leaf: dict[tuple[str, ...], Total] = {}
    sums = pipeline.layout.sums
    nothing = Total(0, (0,) * sums)
    for before, after in changes:
        if before is not None and before.content.labels is not None:
            leaf = before.content.labels
            by_leaf[leaf] = by_leaf.get(leaf, nothing) + -Total(1, before.content.measures[:sums])
        if after is not None and after.content.labels is not None:
            leaf = after.content.labels
            by_leaf[leaf] = by_leaf.get(leaf, nothing) + Total(1, after.content.measures[:sums])
    return _along_the_trees(pipeline, by_leaf, nothing)


def _along_the_trees(pipeline: Pipeline, by_leaf: Mapping[tuple[str, ...], Total], nothing: Total) -> dict[Node, Total]:
    deltas: dict[Node, Total] = {}
    for leaf, total in by_leaf.items():
        if total:
            for node in nodes_of(pipeline, leaf):
                deltas[node] = deltas.get(node, nothing) + total
    return {node: total for node, total in deltas.items() if total}
