"""Looks at a pipeline that may move meanwhile, and what may be concluded from them.

Nothing here is a snapshot: the tables are read one after the other, page by page, while events are folded and deltas
applied. What can be relied on is this. A delta that is in the outbox at two moments was not applied between them. A
node whose totals are the same at two moments, and that no delta touched which came or went between, was still. So a
node that was still, and whose totals with the deltas that waited throughout are not those of its keys read meanwhile,
is wrong. (Deltas that come, are applied and cancel each other out leave no trace; so on a pipeline that moves, a node
is called wrong only if it is so twice, by the same difference.)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from oncefold.aws.functions.layout import Delta
from oncefold.aws.reader.tables import Held
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total


def nothing(pipeline: Pipeline) -> Total:
    """The totals of a node that no key counts in."""
    return Total(0, (0,) * len(pipeline.measures))


def summed(deltas: Iterable[Delta]) -> dict[Node, Total]:
    """What deltas change in all, node by node."""
    totals: dict[Node, Total] = {}
    for delta in deltas:
        for node, total in delta.nodes:
            totals[node] = totals[node] + total if node in totals else total
    return totals


@dataclass(frozen=True)
class Look:
    """The totals that some nodes have, and the deltas in the outbox, by their ids."""

    totals: Mapping[Node, Held]
    deltas: Mapping[str, Delta]

    @cached_property
    def waiting(self) -> Mapping[Node, Total]:
        """What the deltas will change."""
        return summed(self.deltas.values())

    def with_deltas(self, node: Node, none: Total) -> Held:
        """A node's totals once the deltas are applied; `none` where it has none."""
        held = self.totals.get(node, none)
        return held if isinstance(held, str) else held + self.waiting.get(node, none)


@dataclass(frozen=True)
class Difference:
    """A node whose totals are not those of its keys."""

    held: Held | None
    """In the table; None where the node is not there."""
    pending: Total
    """What the outbox will add."""
    recomputed: Total
    """From the keys."""

    @property
    def excess(self) -> Total | str:
        """By how much it is wrong."""
        if isinstance(self.held, str):
            return self.held
        return self.pending + -self.recomputed if self.held is None else self.held + self.pending + -self.recomputed


@dataclass(frozen=True)
class Comparison:
    """Nodes that differ: those that were still meanwhile, and those of which it is not known."""

    still: Mapping[Node, Difference]
    moving: frozenset[Node]
    moved: bool
    """Whether anything moved between the two looks."""


def differing(recomputed: Mapping[Node, Total], look: Look, none: Total) -> set[Node]:
    """The nodes whose totals in one look are not those of the keys."""
    nodes = recomputed.keys() | look.totals.keys() | look.waiting.keys()
    return {node for node in nodes if look.with_deltas(node, none) != recomputed.get(node, none)}


def compare(recomputed: Mapping[Node, Total], before: Look, after: Look, none: Total) -> Comparison:
    """Hold what was recomputed between two looks against both."""
    wrong = differing(recomputed, before, none) & differing(recomputed, after, none)
    came_or_went = before.deltas.keys() ^ after.deltas.keys()
    touched = {
        node
        for look in (before, after)
        for name in came_or_went & look.deltas.keys()
        for node, _ in look.deltas[name].nodes
    }
    still = {node for node in wrong if node not in touched and before.totals.get(node) == after.totals.get(node)}
    return Comparison(
        still={
            node: Difference(after.totals.get(node), after.waiting.get(node, none), recomputed.get(node, none))
            for node in still
        },
        moving=frozenset(wrong - still),
        moved=bool(came_or_went) or before.totals != after.totals,
    )
