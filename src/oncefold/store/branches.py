"""Questions about a tree that is opened step by step: how many children nodes have, and children page by page."""

import json
from collections.abc import Iterable, Sequence
from operator import itemgetter

from oncefold.core.definition import Pipeline
from oncefold.store.amounts import from_texts, to_ints
from oncefold.store.answers import TotalRow
from oncefold.store.connection import Connection
from oncefold.store.errors import DamagedError

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

    It comes as one value of SQLite: with a step for each row, a thread would give up the interpreter lock for each, and
    wait for a busy thread each time. Raises DamagedError for a sum that is no decimal.
    """
    names = "".join(f', t."sum_{measure.name}"' for measure in pipeline.measures)
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
        to_ints(*from_texts(column, measure.scale)) for measure, column in zip(pipeline.measures, texts, strict=True)
    ]
    return zip(*columns, strict=True) if columns else [()] * rows


def page(connection: Connection, pipeline: Pipeline, node: int, after: str | None, most: int) -> list[TotalRow]:
    """Live children of a node beyond a label (from the first without one), in order of their labels, at most `most`.

    Raises DamagedError for a sum that is no decimal.
    """
    names = "".join(f', t."sum_{measure.name}"' for measure in pipeline.measures)
    sql = (_FIRST_PAGE if after is None else _PAGE).format(sums=names)
    rows = connection.execute(sql, (node, after or "", most)).fetchall()
    if not rows:
        return []
    paths, depths, labels, counts, *texts = zip(*rows, strict=True)
    sums = _sums(pipeline, texts, len(rows))
    return [TotalRow(*row) for row in zip(paths, depths, labels, counts, sums, strict=True)]


def live_children(connection: Connection, node: int) -> int:
    """How many live children a node has."""
    sql = "SELECT count(*) FROM node AS c JOIN total AS t ON t.node = c.id WHERE c.parent = ? AND t.count > 0"
    return int(connection.execute(sql, (node,)).fetchone()[0])


def children_of_level(connection: Connection, node: int, depth: int) -> dict[str, int]:
    """How many live children each node at this depth of a subtree has, by path; those without are left out."""
    return dict(connection.execute(_CHILDREN_OF_LEVEL, (node, depth, depth)).fetchall())


def children_of_page(connection: Connection, node: int, first: str, last: str) -> dict[str, int]:
    """The same for the children of a node from one label to another."""
    return dict(connection.execute(_CHILDREN_OF_PAGE, (node, first, last)).fetchall())
