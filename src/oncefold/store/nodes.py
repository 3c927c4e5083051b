"""Queries for nodes: the node of a path, its subtree with present or past totals, its children, and search by label."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from oncefold.commit import Int64s
from oncefold.core.definition import Pipeline
from oncefold.core.errors import QueryError
from oncefold.core.nodepath import no_such_node
from oncefold.store import blobs, changes
from oncefold.store.amounts import carried, from_texts, to_ints
from oncefold.store.answers import TotalRow
from oncefold.store.connection import Connection, scalar
from oncefold.store.errors import DamagedError
from oncefold.store.rows import labels_of
from oncefold.store.segments import deltas_table

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
            rows = connection.execute("SELECT label FROM node WHERE parent = ? ORDER BY label", (node,))
            raise QueryError(no_such_node(labels[:depth], label, (found for (found,) in rows)))
        node = child
    return None if node is None else int(node)


def subtree(
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
        return [TotalRow("", 0, "", 0, (0,) * len(pipeline.amounts))]
    deepest = len(labels) + depth if depth is not None else len(pipeline.rollups[rollup].levels)
    names = "".join(f', t."sum_{amount.name}"' for amount in pipeline.amounts)
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
    for i, (amount, column) in enumerate(zip(pipeline.amounts, texts, strict=True)):
        high[i], low[i] = from_texts(column, amount.scale)
    return np.array(counts, np.int64), high, low


def _take_back(connection: Connection, ids: Int64s, as_of: int, count: Int64s, high: Int64s, low: Int64s) -> None:
    """Subtract from these nodes' amounts the deltas of all commits after `as_of`."""
    if changes.newest(connection) <= as_of:
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


_PAGE = """
SELECT n.path, n.depth, n.label, t.count{sums} FROM node AS n JOIN total AS t ON t.node = n.id
WHERE n.parent = ? AND n.label > ? AND t.count > 0 ORDER BY n.label LIMIT ?
"""
_LEVEL = """
SELECT json_group_array(json_array(n.id, n.path, n.depth, n.label, t.count, (
    SELECT count(*) FROM node AS c JOIN total AS s ON s.node = c.id WHERE c.parent = n.id AND s.count > 0){sums}))
FROM (SELECT ?1 AS id UNION ALL SELECT id FROM node WHERE parent = ?1 AND ?2) AS level
JOIN node AS n ON n.id = level.id JOIN total AS t ON t.node = n.id WHERE t.count > 0 OR n.id = ?1
"""
_FIRST_PAGE = _PAGE.replace("n.label > ?", "n.label >= ?")

_CHILDREN_OF_LEVEL = """
WITH RECURSIVE sub(id, depth, path) AS (
    SELECT id, depth, path FROM node WHERE id = ?
    UNION ALL
    SELECT n.id, n.depth, n.path FROM sub JOIN node AS n ON n.parent = sub.id WHERE sub.depth < ?)
SELECT sub.path, count(*)
FROM sub JOIN node AS c ON c.parent = sub.id JOIN total AS t ON t.node = c.id
WHERE sub.depth = ? AND t.count > 0 GROUP BY sub.id
"""

_CHILDREN_OF_PAGE = """
SELECT p.path, count(*)
FROM node AS p JOIN node AS c ON c.parent = p.id JOIN total AS t ON t.node = c.id
WHERE p.parent = ? AND p.label BETWEEN ? AND ? AND t.count > 0 GROUP BY p.id
"""


def level(connection: Connection, pipeline: Pipeline, node: int, depth: int) -> list[tuple[TotalRow, int]]:
    """A node and, unless the depth is 0, its live children by label, each with the number of its own live children.

    It comes as one value of SQLite: with a step for each row, a thread would release the interpreter lock for each, and
    wait for a busy thread each time. Raises DamagedError for a sum that is no decimal.
    """
    names = "".join(f', t."sum_{amount.name}"' for amount in pipeline.amounts)
    (text,) = connection.execute(_LEVEL.format(sums=names), (node, depth)).fetchone()
    found = sorted(json.loads(text), key=itemgetter(2, 3))
    if not found or found[0][0] != node:
        raise DamagedError(f"node {node} has no total")
    _, paths, depths, labels, counts, children, *texts = zip(*found, strict=True)
    sums = _sums(pipeline, texts, len(paths))
    rows = (TotalRow(*row) for row in zip(paths, depths, labels, counts, sums, strict=True))
    return list(zip(rows, children, strict=True))


def _sums(pipeline: Pipeline, texts: Sequence[Sequence[str]], rows: int) -> Iterable[tuple[int, ...]]:
    columns = [
        to_ints(*from_texts(column, amount.scale)) for amount, column in zip(pipeline.amounts, texts, strict=True)
    ]
    return zip(*columns, strict=True) if columns else [()] * rows


def page(connection: Connection, pipeline: Pipeline, node: int, after: str | None, most: int) -> list[TotalRow]:
    """Live children of a node after a label (from the first without one), in order of their labels, at most `most`.

    Raises DamagedError for a sum that is no decimal.
    """
    names = "".join(f', t."sum_{amount.name}"' for amount in pipeline.amounts)
    sql = (_FIRST_PAGE if after is None else _PAGE).format(sums=names)
    rows = connection.execute(sql, (node, after or "", most)).fetchall()
    if not rows:
        return []
    paths, depths, labels, counts, *texts = zip(*rows, strict=True)
    sums = _sums(pipeline, texts, len(rows))
    return [TotalRow(*row) for row in zip(paths, depths, labels, counts, sums, strict=True)]


_CHILDREN = """
SELECT json_group_array(json_array(n.id, n.label{values}))
FROM node AS n JOIN total AS t ON t.node = n.id WHERE n.parent = ? AND t.count > 0
"""
_CHOSEN = """
SELECT n.id, n.path, n.depth, n.label, t.count, (
    SELECT count(*) FROM node AS c JOIN total AS s ON s.node = c.id WHERE c.parent = n.id AND s.count > 0){sums}
FROM json_each(?) AS wanted JOIN node AS n ON n.id = wanted.value JOIN total AS t ON t.node = n.id
"""


@dataclass(frozen=True, slots=True)
class ChildColumns:
    """The live children of a node, in order of their labels."""

    ids: Sequence[int]
    labels: Sequence[str]
    counts: Sequence[int]
    amounts: Sequence[Sequence[int]]
    """Those amounts of the pipeline that were wanted."""


def child_columns(connection: Connection, pipeline: Pipeline, node: int, wanted: Sequence[int]) -> ChildColumns:
    """The children with some of their amounts, by number; it takes as little as possible for each.

    Raises DamagedError for a sum that is no decimal.
    """
    amounts = [pipeline.amounts[index] for index in wanted]
    values = "".join([", t.count", *(f', t."sum_{amount.name}"' for amount in amounts)])
    (text,) = connection.execute(_CHILDREN.format(values=values), (node,)).fetchone()
    found = sorted(json.loads(text), key=itemgetter(1))
    if not found:
        return ChildColumns((), (), (), [()] * len(amounts))
    ids, labels, counts, *texts = zip(*found, strict=True)
    columns = [to_ints(*from_texts(column, amount.scale)) for amount, column in zip(amounts, texts, strict=True)]
    return ChildColumns(ids, labels, counts, columns)


def chosen(connection: Connection, pipeline: Pipeline, ids: Sequence[int]) -> list[tuple[TotalRow, int]]:
    """The nodes with these ids, in this order, each with the number of its live children.

    Raises DamagedError for a sum that is no decimal.
    """
    names = "".join(f', t."sum_{amount.name}"' for amount in pipeline.amounts)
    found = connection.execute(_CHOSEN.format(sums=names), (json.dumps(list(ids)),)).fetchall()
    if not found:
        return []
    known, paths, depths, labels, counts, children, *texts = zip(*found, strict=True)
    sums = _sums(pipeline, texts, len(found))
    rows = (TotalRow(*row) for row in zip(paths, depths, labels, counts, sums, strict=True))
    by_id = dict(zip(known, zip(rows, children, strict=True), strict=True))
    return [by_id[id_] for id_ in ids]


_BELOW = """
WITH RECURSIVE sub(id, depth) AS (
    SELECT id, depth FROM node WHERE id = ?
    UNION ALL
    SELECT n.id, n.depth FROM sub JOIN node AS n ON n.parent = sub.id WHERE sub.depth < ?)
SELECT count(*) FROM (SELECT 1 FROM sub LIMIT ?)
"""


def count_children(connection: Connection, node: int, most: int) -> int:
    """How many children a node has, live or not; of more than `most` one more is counted."""
    sql = "SELECT count(*) FROM (SELECT 1 FROM node WHERE parent = ? LIMIT ?)"
    return int(scalar(connection, sql, (node, most + 1)))


def count_below(connection: Connection, node: int, deepest: int, most: int) -> int:
    """How many nodes lie below a node down to a depth, live or not; of more than `most` one more is counted."""
    return int(scalar(connection, _BELOW, (node, deepest, most + 2))) - 1


def children_of_level(connection: Connection, node: int, depth: int) -> dict[str, int]:
    """How many live children each node at this depth of a subtree has, by path; those without are left out."""
    return dict(connection.execute(_CHILDREN_OF_LEVEL, (node, depth, depth)).fetchall())


def children_of_page(connection: Connection, node: int, first: str, last: str) -> dict[str, int]:
    """The same for the children of a node from one label to another."""
    return dict(connection.execute(_CHILDREN_OF_PAGE, (node, first, last)).fetchall())


_NODES = """
SELECT n.rollup, n.path, t.count{sums} FROM node AS n JOIN total AS t ON t.node = n.id
WHERE n.id < ? AND ({like}) AND t.count > 0 AND n.parent IS NOT NULL{rollup}
ORDER BY NOT ({begins}), n.depth, n.path LIMIT ?
"""
_LIKE = r"n.label LIKE ? ESCAPE '\'"


@dataclass(frozen=True, slots=True)
class NodeMatch:
    """A live node whose label holds the text, with its totals."""

    rollup: str
    path: str
    count: int
    sums: tuple[int, ...]


def find_nodes(
    connection: Connection, pipeline: Pipeline, text: str, rollup: str | None, bounds: tuple[int, int]
) -> list[NodeMatch]:
    """Live nodes whose label holds the text, those first whose label begins with it.

    `bounds` are how many at most, and among how many of the first nodes. ASCII letters match in either case; others as
    they are, and in the case of all of the text.
    """
    forms = list(dict.fromkeys((text, text.lower(), text.upper(), text.title())))
    patterns = [_escaped(form) for form in forms]
    any_of = " OR ".join([_LIKE] * len(patterns))
    limit, most = bounds
    sums = "".join(f', t."sum_{amount.name}"' for amount in pipeline.amounts)
    where = "" if rollup is None else " AND n.rollup = ?"
    sql = _NODES.format(sums=sums, like=any_of, begins=any_of, rollup=where)
    inside, begins = [f"%{pattern}%" for pattern in patterns], [f"{pattern}%" for pattern in patterns]
    parameters = [most, *inside, *([] if rollup is None else [rollup]), *begins, limit]
    found = connection.execute(sql, parameters).fetchall()
    if not found:
        return []
    rollups, paths, counts, *texts = zip(*found, strict=True)
    each = zip(rollups, paths, counts, _sums(pipeline, texts, len(found)), strict=True)
    return [NodeMatch(*row) for row in each]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
