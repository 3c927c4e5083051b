"""One look at a node and what lies below it, and what a source of looks is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from oncefold.core.errors import QueryError
from oncefold.core.nodepath import join
from oncefold.queries.arguments import Node, labels_of_node, rollup_of
from oncefold.queries.model import NodeTotal, RollupShape, Shape, Totals


class NotYetError(Exception):
    """There is nothing to look at yet, and there may be soon; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Which node to look at, and how far below it."""

    node: Node = ""
    rollup: str | None = None
    depth: int | None = None
    """Levels below the node; None for all."""

    def rollup_in(self, shape: Shape) -> RollupShape:
        """The rollup that is looked at. Raises QueryError for a node that it can never have."""
        rollup, labels = rollup_of(shape, self.rollup), labels_of_node(self.node)
        if len(labels) > len(rollup.levels):
            raise QueryError(
                f"there cannot be a node {join(labels)}: the rollup {rollup.name} has {len(rollup.levels)} levels"
            )
        return rollup

    def levels_below(self, rollup: RollupShape) -> int:
        """How many levels lie between the node and the deepest that is looked at."""
        most = len(rollup.levels) - len(labels_of_node(self.node))
        return most if self.depth is None else min(most, self.depth)


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment."""

    where: str
    """The store's path, the server's URL, or the stack's name."""
    totals: Totals
    cut: bool
    """Whether more nodes were wanted than there was room for: then the deepest levels are left out, whole levels
    if possible."""
    events: int | None
    """Events ever seen, rejected ones too; None for a stack, where nothing counts them exactly."""


class Source(Protocol):
    """Where the totals are."""

    def look(self, room: int | None) -> Look:
        """Look now, at not more than `room` nodes (None: at all).

        Raises NotYetError where there is nothing to see yet, and OncefoldError where looking fails. Either way the
        next look begins afresh.
        """
        ...


Changed = Mapping[str, frozenset[str]]
"""By a node's path: which of its columns changed, as `oncefold.queries.render.rows` names them."""


def fitting(rows: Sequence[NodeTotal], room: int | None) -> tuple[tuple[NodeTotal, ...], bool]:
    """The rows of a tree for which there is room (None: for all), and whether some were left out.

    Levels are shown whole, the deepest are left out; of the node's children, the first, if not all of them fit.
    """
    if room is None or len(rows) <= room:
        return tuple(rows), False
    top = rows[0].depth
    for depth in range(max(row.depth for row in rows) - 1, top, -1):
        shallow = tuple(row for row in rows if row.depth <= depth)
        if len(shallow) <= room:
            return shallow, True
    return tuple(row for row in rows if row.depth <= top + 1)[: max(room, 1)], True
