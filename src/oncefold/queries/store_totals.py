"""`query` of a store: a node and what lies below it, each with how many children it has; children page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oncefold.core.errors import InvalidQueryError
from oncefold.queries.arguments import AsOf, Node, checked, commit_or_time, labels_of_node, limited
from oncefold.queries.converters import Converter, as_of_commit, commit_of
from oncefold.queries.model import Totals
from oncefold.store import commits, nodes
from oncefold.store.answers import CommitTime, TotalRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oncefold.store.connection import Connection
    from oncefold.store.reader import StoreFile

_Counted = list[tuple[TotalRow, int]]
"""Rows in tree order, each with how many live children it has."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a tree is wanted, as `StoreFile.query` takes it."""

    depth: int | None = 1
    as_of: AsOf = None
    after: str | None = None
    limit: int | None = None

    @property
    def paged(self) -> bool:
        """Whether a part of the children is wanted."""
        return self.limit is not None or self.after is not None


def totals_of(file: StoreFile, convert: Converter, node: Node, rollup: str | None, extent: Extent) -> Totals:
    """The totals. Raises QueryError for what does not exist, InvalidQueryError for pages of several levels."""
    checked(extent.depth, "depth")
    if extent.paged and extent.depth != 1:
        raise InvalidQueryError("limit and after page through the children of a node; with them depth is 1")
    tree = _Tree(convert, convert.pipeline.find_rollup(rollup), labels_of_node(node))
    with file.at_one_commit() as connection:
        if extent.as_of is None:
            at = CommitTime(file.head().seq, file.head().at)
            found, more = tree.now(connection, extent)
        else:
            at = commits.resolve(connection, *commit_or_time(extent.as_of))
            found, more = tree.past(connection, at, extent)
        newest = file.newest_event(at.seq)
    return Totals(
        as_of=as_of_commit(commit_of(at.seq, at.at), newest),
        shape=convert.shape,
        rows=tuple(convert.row_total(row, children) for row, children in found),
        rollup=tree.rollup,
        more=more,
    )


@dataclass(frozen=True, slots=True)
class _Tree:
    """A node of a rollup, and what is below it."""

    convert: Converter
    index: int
    labels: tuple[str, ...]

    @property
    def rollup(self) -> str:
        return self.convert.pipeline.rollups[self.index].name

    def now(self, connection: Connection, extent: Extent) -> tuple[_Counted, bool]:
        """The rows, and whether a limit left children out."""
        pipeline = self.convert.pipeline
        id_ = nodes.find_node(connection, self.rollup, self.labels)
        if id_ is None:
            return [(TotalRow("", 0, "", 0, (0,) * len(pipeline.measures)), 0)], False
        if extent.paged:
            return self._page(connection, id_, extent)
        if extent.depth is not None and extent.depth <= 1:
            return nodes.level(connection, pipeline, id_, extent.depth), False
        rows = self._below(connection, extent.depth, None)
        children = _children_of(rows)
        levels = len(pipeline.rollups[self.index].levels)
        deepest = levels if extent.depth is None else len(self.labels) + extent.depth
        if deepest < levels:
            children.update(nodes.children_of_level(connection, id_, deepest))
        return _counted(rows, children), False

    def past(self, connection: Connection, at: CommitTime, extent: Extent) -> tuple[_Counted, bool]:
        """The same as of a past commit: one level more is read, to count the children of the deepest."""
        depth = None if extent.depth is None else extent.depth + 1
        rows = self._below(connection, depth, at.seq)
        children = _children_of(rows)
        if extent.depth is not None:
            rows = [row for row in rows if row.depth <= len(self.labels) + extent.depth]
        found = _counted(rows, children)
        if not extent.paged:
            return found, False
        beyond = [item for item in found[1:] if extent.after is None or item[0].label > extent.after]
        limit = limited(extent.limit)
        return [found[0], *beyond[:limit]], len(beyond) > limit

    def _below(self, connection: Connection, depth: int | None, past: int | None) -> list[TotalRow]:
        return nodes.subtree(connection, self.convert.pipeline, self.index, self.labels, depth, past)

    def _page(self, connection: Connection, id_: int, extent: Extent) -> tuple[_Counted, bool]:
        pipeline, limit = self.convert.pipeline, limited(extent.limit)
        ((top, own),) = nodes.level(connection, pipeline, id_, 0)
        found = nodes.page(connection, pipeline, id_, extent.after, min(limit, 2**62) + 1)
        shown = found[:limit]
        counts = nodes.children_of_page(connection, id_, shown[0].label, shown[-1].label) if shown else {}
        return [(top, own), *_counted(shown, counts)], len(found) > limit


def _counted(rows: Sequence[TotalRow], children: dict[str, int]) -> _Counted:
    return [(row, children.get(row.path, 0)) for row in rows]


def _children_of(rows: Sequence[TotalRow]) -> dict[str, int]:
    """How many of the rows are children of each, by path; the rows are in tree order."""
    found: dict[str, int] = {}
    above: list[str] = []
    top = rows[0].depth
    for row in rows:
        del above[row.depth - top :]
        if above:
            found[above[-1]] = found.get(above[-1], 0) + 1
        above.append(row.path)
    return found
