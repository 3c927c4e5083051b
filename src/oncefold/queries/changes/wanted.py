"""Which nodes a subscriber subscribes to, and their ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from oncefold.commit import Int32s
from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidQueryError, QueryError
from oncefold.core.nodepath import join
from oncefold.queries.arguments import Node, labels_of_node
from oncefold.store.changes import NodeEntry, ids_below, nodes_from
from oncefold.store.connection import Connection
from oncefold.store.nodes import find_node
from oncefold.store.rows import labels_of, node_count

MOST_WATCHED = 200_000
"""Nodes that one subscription may name, with those below them."""
MOST_NEW = 10_000
"""New nodes that are looked at one by one; after more, the trees are looked through again."""


class TooManyError(InvalidQueryError):
    """A subscription names more nodes than may be."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Nodes by their names; equal values are served together."""

    rollups: frozenset[str]
    """Every node of these is wanted, unless there are tops."""
    tops: frozenset[tuple[str, tuple[str, ...]]]
    """(rollup, labels) of nodes that need not be there yet; empty for all nodes."""
    depth: int | None = None
    """How many levels below the tops; None is all."""


def wanted(pipeline: Pipeline, rollup: str | None, paths: Sequence[Node], depth: int | None, *, deep: bool) -> Wanted:
    """What a request names; `deep` if it says no depth. Raises QueryError."""
    every = {one.name for one in pipeline.rollups}
    if not paths:
        names = every if rollup is None else {pipeline.rollups[pipeline.find_rollup(rollup)].name}
        tops = frozenset() if deep else frozenset((name, ()) for name in names)
        return Wanted(frozenset(names), tops, None if deep else depth)
    name = pipeline.rollups[pipeline.find_rollup(rollup)].name
    named = frozenset((name, labels_of_node(path)) for path in paths)
    return Wanted(frozenset({name}), named, 1 if deep else depth)


@dataclass(frozen=True, slots=True)
class WatchedNodes:
    """The ids of the nodes that are wanted, as far as nodes are known."""

    ids: Int32s
    """Rising; unused if all nodes are wanted."""
    known: int
    """All nodes with smaller ids were looked at; -1 if there came to be too many."""


def watch(connection: Connection, want: Wanted) -> WatchedNodes:
    """Look the trees through. Raises TooManyError for more than MOST_WATCHED nodes."""
    found = [np.zeros(0, np.int32)]
    for rollup, labels in want.tops:
        try:
            node = find_node(connection, rollup, labels)
        except QueryError:
            continue
        if node is not None:
            deepest = 2**31 if want.depth is None else len(labels) + want.depth
            found.append(ids_below(connection, rollup, node, deepest, MOST_WATCHED + 1))
    ids = np.unique(np.concatenate(found))
    if len(ids) > MOST_WATCHED:
        raise TooManyError(
            f"that is more than {MOST_WATCHED:,} nodes; name fewer, or a smaller depth, or no path and no depth: then "
            "every node is reported"
        )
    return WatchedNodes(ids, node_count(connection))


def grown(connection: Connection, wants: Sequence[tuple[Wanted, WatchedNodes]]) -> list[WatchedNodes]:
    """The same with the nodes that were added since."""
    total = node_count(connection)
    first = min((watched.known for want, watched in wants if want.tops and watched.known >= 0), default=total)
    if first == total:
        return [watched for _, watched in wants]
    if total - first > MOST_NEW:
        return [_again(connection, want) if want.tops and seen.known >= 0 else seen for want, seen in wants]
    new = _sorted_out([want for want, _ in wants], nodes_from(connection, first))
    return [
        WatchedNodes(np.union1d(seen.ids, np.array(ids, np.int32)).astype(np.int32), total) if seen.known >= 0 else seen
        for (_, seen), ids in zip(wants, new, strict=True)
    ]


def _again(connection: Connection, want: Wanted) -> WatchedNodes:
    try:
        return watch(connection, want)
    except TooManyError:  # it grew; such a subscriber is sent a reset
        return WatchedNodes(np.zeros(0, np.int32), -1)


def _sorted_out(wants: Sequence[Wanted], nodes: Iterable[NodeEntry]) -> list[list[int]]:
    """For each want, the ids of these nodes that lie in it."""
    by_top: dict[tuple[str, str], list[tuple[int, int | None]]] = {}
    for index, want in enumerate(wants):
        for rollup, labels in want.tops:
            by_top.setdefault((rollup, join(labels)), []).append((index, want.depth))
    found: list[list[int]] = [[] for _ in wants]
    for node in nodes:
        labels = labels_of(node.path)
        for depth in range(node.depth + 1):
            for index, most in by_top.get((node.rollup, join(labels[:depth])), ()):
                if most is None or node.depth - depth <= most:
                    found[index].append(node.id)
    return found
