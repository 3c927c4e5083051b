"""Questions about nodes: which one a path names, what lies below it, and its totals now or as of a past commit."""

import difflib
from collections.abc import Sequence

import numpy as np

from oncefold.commit import Int64s
from oncefold.core.definition import Pipeline
from oncefold.core.errors import QueryError
from oncefold.core.nodepath import escape, join
from oncefold.store import blobs, deltas
from oncefold.store.amounts import carried, from_texts, to_ints
from oncefold.store.answers import TotalRow
from oncefold.store.connection import Connection, scalar
from oncefold.store.rows import labels_of
from oncefold.store.segments import deltas_table

_SHOWN_LABELS = 10

_SUBTREE = """
WITH RECURSIVE sub(id, depth, label, path) AS (
    SELECT id, depth, label, path FROM node WHERE id = ?
    UNION ALL
    SELECT n.id, n.depth, n.label, n.path FROM sub JOIN node AS n ON n.parent = sub.id WHERE sub.depth < ?)
SELECT sub.id, sub.path, sub.depth, sub.label, t.count{sums} FROM sub JOIN total AS t ON t.node = sub.id
"""


def find_node(connection: Connection, rollup: str, labels: tuple[str, ...]) -> int | None:
    """The id of a node; None for the root of a store without commits. Raises QueryError."""
    node = scalar(connection, "SELECT id FROM node WHERE parent IS NULL AND rollup = ?", (rollup,))
    for depth, label in enumerate(labels):
        child = scalar(connection, "SELECT id FROM node WHERE parent = ? AND label = ?", (node, label))
        if child is None:
            raise QueryError(_no_child(connection, node, labels[:depth], label))
        node = child
    return None if node is None else int(node)


def _no_child(connection: Connection, node: int | None, above: tuple[str, ...], label: str) -> str:
    rows = connection.execute("SELECT label FROM node WHERE parent = ? ORDER BY label", (node,))
    known = [escape(found) for (found,) in rows]
    where = f"below {join(above)}" if above else "at the top"
    if not known:
        return f"there is no node {join((*above, label))}: nothing is {where}"
    words = f"there is no node {join((*above, label))}"
    near = difflib.get_close_matches(escape(label), known, 3)
    if near:
        prefix = f"{join(above)}/" if above else ""
        return f"{words}; did you mean {' or '.join(prefix + found for found in near)}?"
    more = ", ..." if len(known) > _SHOWN_LABELS else ""
    return f"{words}: {where} there is {', '.join(known[:_SHOWN_LABELS])}{more}"


def below(
    connection: Connection,
    pipeline: Pipeline,
    rollup: int,
    labels: tuple[str, ...],
    depth: int | None,
    past: int | None,
) -> list[TotalRow]:
    """A node and what lies at most `depth` levels below it, as of now or of a past commit.

    Nodes without live keys are left out, except the node itself. Raises QueryError for an unknown node.
    """
    node = find_node(connection, pipeline.rollups[rollup].name, labels)
    if node is None:
        return [TotalRow("", 0, "", 0, (0,) * len(pipeline.measures))]
    deepest = len(labels) + depth if depth is not None else len(pipeline.rollups[rollup].levels)
    names = "".join(f', t."sum_{measure.name}"' for measure in pipeline.measures)
    rows = connection.execute(_SUBTREE.format(sums=names), (node, deepest)).fetchall()
    rows.sort(key=lambda row: labels_of(row[1]))  # SQLite does not promise to keep the order of a recursion
    ids, paths, depths, names_, counts, *texts = zip(*rows, strict=True)
    count, high, low = _amounts(pipeline, counts, texts)
    if past is not None:
        _take_back(connection, np.array(ids), past, count, high, low)
    sums = zip(*[to_ints(*carried(h, lo)) for h, lo in zip(high, low, strict=True)], strict=True)
    each = zip(paths, depths, names_, count.tolist(), sums if texts else [()] * len(ids), strict=True)
    return [TotalRow(*row) for index, row in enumerate(each) if row[3] or index == 0]


def _amounts(
    pipeline: Pipeline, counts: Sequence[int], texts: Sequence[Sequence[str]]
) -> tuple[Int64s, Int64s, Int64s]:
    shape = (len(texts), len(counts))
    high, low = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for i, (measure, column) in enumerate(zip(pipeline.measures, texts, strict=True)):
        high[i], low[i] = from_texts(column, measure.scale)
    return np.array(counts, np.int64), high, low


def _take_back(connection: Connection, ids: Int64s, as_of: int, count: Int64s, high: Int64s, low: Int64s) -> None:
    """Subtract from these nodes' amounts the deltas of all commits after `as_of`."""
    if deltas.newest(connection) <= as_of:
        return
    slot = np.full(int(ids.max()) + 1, -1, np.int64)
    slot[ids] = np.arange(len(ids))
    table = deltas_table(connection, len(high))
    for segment in table.stored():
        if segment.last <= as_of:
            continue
        commit, node, counts, *halves = blobs.columns(table.read(segment))
        later = np.flatnonzero((commit.astype(np.int64) + segment.first > as_of) & (node < len(slot)))
        later = later[slot[node[later]] >= 0]
        at = slot[node[later]]
        np.subtract.at(count, at, counts[later])
        for i in range(len(high)):
            np.subtract.at(high[i], at, halves[2 * i][later])
            np.subtract.at(low[i], at, halves[2 * i + 1][later])
