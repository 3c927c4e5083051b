"""A tree that is opened step by step: totals with how many children each node has, and children page by page."""

from dataclasses import dataclass, replace
from typing import Protocol

from oncefold.core.definition import Pipeline
from oncefold.core.errors import IllFormedQuestionError
from oncefold.core.timestamps import format_timestamp
from oncefold.queries import making
from oncefold.queries.answers import NodeTotal, Totals
from oncefold.queries.arguments import AsOf, Node, labels_of_node
from oncefold.queries.snapshot import Snapshot
from oncefold.queries.values import Reading, to_datetime
from oncefold.store import branches
from oncefold.store.answers import TotalRow
from oncefold.store.nodes import find_node, rollup_index


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a tree is asked for."""

    depth: int | None = 1
    as_of: AsOf = None
    after: str | None = None
    """Children beyond this label only; with a limit."""
    limit: int | None = None
    """At most so many children; then the depth is 1."""


@dataclass(frozen=True)
class Branch:
    """The totals of a node and of what lies below it, with the number of live children of each."""

    totals: Totals
    children: tuple[int, ...]
    """For each row of the totals."""
    more: bool
    """Whether the node has children beyond those that a limit allowed."""


class Asked(Protocol):
    """What answers `query`."""

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline of the store."""
        ...

    def query(self, node: Node = "", *, rollup: str | None = None, depth: int | None = 1, as_of: AsOf = None) -> Totals:
        """See `Questions.query`."""
        ...


def branch(ask: Asked, snapshot: Snapshot, node: Node, rollup: str | None, extent: Extent) -> Branch:
    """Raises QuestionError as `query` does, and IllFormedQuestionError for pages of more than one level."""
    depth = making.checked(extent.depth, "depth")
    if extent.limit is None and extent.after is None:
        if extent.as_of is None and depth is not None and depth <= 1:
            return _level(ask.pipeline, snapshot, node, rollup, depth)
        return _whole(ask, snapshot, node, rollup, extent)
    if extent.depth != 1:
        raise IllFormedQuestionError("limit and after page through the children of a node; with them depth is 1")
    if extent.as_of is not None:
        return _cut(_whole(ask, snapshot, node, rollup, extent), extent)
    return _page(ask, snapshot, node, rollup, extent)


def _level(pipeline: Pipeline, snapshot: Snapshot, node: Node, rollup: str | None, depth: int) -> Branch:
    """What is asked most: in as few steps as it takes."""
    labels, index, reading = labels_of_node(node), rollup_index(pipeline, rollup), Reading(pipeline)
    name = pipeline.rollups[index].name
    with snapshot.at_one_commit() as connection:
        id_ = find_node(connection, name, labels)
        nothing = [(TotalRow("", 0, "", 0, (0,) * len(pipeline.measures)), 0)]
        found = nothing if id_ is None else branches.level(connection, pipeline, id_, depth)
    newest = snapshot.head().newest_time
    totals = Totals(
        commit=snapshot.last(),
        rows=tuple(making.node_total(reading, row) for row, _ in found),
        rollup=name,
        scales=reading.scales,
        newest_event=None if newest is None else to_datetime(newest),
        newest_event_text=None if newest is None else format_timestamp(newest),
    )
    return Branch(totals, tuple(children for _, children in found), more=False)


def _whole(ask: Asked, snapshot: Snapshot, node: Node, rollup: str | None, extent: Extent) -> Branch:
    if extent.as_of is not None:  # the stored totals are those of now: what is below is asked for, and left out
        return _whole_past(ask, node, rollup, extent)
    totals = ask.query(node, rollup=rollup, depth=extent.depth)
    children = _children(totals)
    levels = len(ask.pipeline.rollups[rollup_index(ask.pipeline, rollup)].levels)
    deepest = levels if extent.depth is None else totals.node.depth + extent.depth
    if deepest < levels:
        with snapshot.at_one_commit() as connection:
            top = find_node(connection, totals.rollup, totals.node.labels)
            below = {} if top is None else branches.children_of_level(connection, top, deepest)
        children.update(below)
    return Branch(totals, tuple(children.get(row.path, 0) for row in totals), more=False)


def _whole_past(ask: Asked, node: Node, rollup: str | None, extent: Extent) -> Branch:
    more = None if extent.depth is None else extent.depth + 1
    totals = ask.query(node, rollup=rollup, depth=more, as_of=extent.as_of)
    children = _children(totals)
    if extent.depth is not None:
        deepest = totals.node.depth + extent.depth
        totals = replace(totals, rows=tuple(row for row in totals if row.depth <= deepest))
    return Branch(totals, tuple(children.get(row.path, 0) for row in totals), more=False)


def _children(totals: Totals) -> dict[str, int]:
    """How many of the rows are children of each."""
    found: dict[str, int] = {}
    above: list[str] = []
    for row in totals:
        del above[row.depth - totals.node.depth :]
        if above:
            found[above[-1]] = found.get(above[-1], 0) + 1
        above.append(row.path)
    return found


def _cut(whole: Branch, extent: Extent) -> Branch:
    rows = list(zip(whole.totals.rows, whole.children, strict=True))
    beyond = [item for item in rows[1:] if extent.after is None or item[0].label > extent.after]
    kept = [rows[0], *beyond[: extent.limit]]
    nodes, children = zip(*kept, strict=True)
    return Branch(replace(whole.totals, rows=nodes), children, more=len(beyond) > len(kept) - 1)


def _page(ask: Asked, snapshot: Snapshot, node: Node, rollup: str | None, extent: Extent) -> Branch:
    top = ask.query(node, rollup=rollup, depth=0)
    limit = making.limited(extent.limit)
    with snapshot.at_one_commit() as connection:
        id_ = find_node(connection, top.rollup, top.node.labels)
        if id_ is None:
            return Branch(top, (0,), more=False)
        found = branches.page(connection, ask.pipeline, id_, extent.after, limit + 1)
        shown = found[:limit]
        counts = branches.children_of_page(connection, id_, shown[0].label, shown[-1].label) if shown else {}
        own = branches.live_children(connection, id_)
    reading = Reading(ask.pipeline)
    rows: list[NodeTotal] = [making.node_total(reading, row) for row in shown]
    children = (own, *(counts.get(row.path, 0) for row in rows))
    return Branch(replace(top, rows=(top.node, *rows)), children, more=len(found) > limit)
