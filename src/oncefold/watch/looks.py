"""One look at a node and what lies below it, and what a source of looks is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from oncefold.core.definition import Pipeline
from oncefold.core.errors import QueryError
from oncefold.core.fold import Node
from oncefold.core.nodepath import join
from oncefold.queries.answers import Tree
from oncefold.queries.arguments import Node as Named
from oncefold.queries.arguments import labels_of_node
from oncefold.queries.model import Commit


class NotYetError(Exception):
    """There is nothing to look at yet, and there may be soon; the words say what is missing."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Which node to look at, and how far below it."""

    node: Named = ""
    rollup: str | None = None
    depth: int | None = None
    """Levels below the node; None for all."""

    def among(self, pipeline: Pipeline) -> Node:
        """The node in this pipeline's trees. Raises QueryError for one that they can never have."""
        index, labels = pipeline.find_rollup(self.rollup), labels_of_node(self.node)
        rollup = pipeline.rollups[index]
        if len(labels) > len(rollup.levels):
            raise QueryError(
                f"there cannot be a node {join(labels)}: the rollup {rollup.name} has {len(rollup.levels)} levels"
            )
        return Node(index, labels)

    def levels_below(self, pipeline: Pipeline) -> int:
        """How many levels lie between the node and the deepest that is looked at."""
        node = self.among(pipeline)
        most = len(pipeline.rollups[node.rollup].levels) - len(node.labels)
        return most if self.depth is None else min(most, self.depth)


@dataclass(frozen=True, slots=True)
class StoreMoment:
    """The store when it was looked at: all of the look is of this commit."""

    store: str
    commit: Commit
    newest_event: datetime | None
    newest_event_text: str | None
    events: int
    """Events ever met, rejected ones too."""


@dataclass(frozen=True, slots=True)
class StackMoment:
    """The stack when it was looked at; how many events it ever met, nothing on AWS counts exactly."""

    stack: str
    time: datetime
    time_text: str
    deltas: int
    """Deltas in the outbox: not in the totals yet."""
    oldest_seconds: float | None
    """Age of the oldest of them."""
    complete: bool
    """Whether these are all; counting stops somewhere."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment."""

    pipeline: str
    tree: Tree
    """In tree order: a node, then its children by label, each followed by its own."""
    cut: bool
    """Whether more nodes were asked for than there was room for: then the deepest levels are left out, whole levels
    if possible."""
    moment: StoreMoment | StackMoment

    @property
    def events(self) -> int | None:
        """Events ever met, where that is known."""
        return self.moment.events if isinstance(self.moment, StoreMoment) else None


class Source(Protocol):
    """Where the totals are."""

    def look(self, room: int | None) -> Look:
        """Look now, at not more than `room` nodes (None: at all).

        Raises NotYetError where there is nothing to see yet, and OncefoldError where looking fails. Either way the
        next look begins afresh.
        """
        ...


Changed = Mapping[str, frozenset[str]]
"""By a node's path: which of its columns changed, `count` or measures."""
