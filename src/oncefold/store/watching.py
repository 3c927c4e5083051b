"""What someone who watches nodes asks of a store: their ids, the nodes that are new, and the totals of any."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from oncefold.commit import Int32s
from oncefold.core.definition import Pipeline
from oncefold.store.connection import Connection, scalar

_BELOW = """
WITH RECURSIVE sub(id, depth) AS (
    SELECT id, depth FROM node WHERE rollup = ? AND id = ?
    UNION ALL
    SELECT n.id, n.depth FROM sub JOIN node AS n ON n.parent = sub.id WHERE sub.depth < ?)
SELECT id FROM sub LIMIT ?
"""
_VALUES = """
SELECT json_group_array(json_array(n.id, n.rollup, n.path, t.count{sums}))
FROM json_each(?) AS j JOIN node AS n ON n.id = j.value JOIN total AS t ON t.node = n.id
"""


class MetNode(NamedTuple):
    """A node of a tree."""

    id: int
    rollup: str
    path: str
    depth: int


class NodeValues(NamedTuple):
    """The totals of a node, sums as exact texts."""

    id: int
    rollup: str
    path: str
    keys: int
    """Live keys below it."""
    sums: Sequence[str]


def nodes_met(connection: Connection) -> int:
    """How many nodes there are: ids count up from 0."""
    return int(scalar(connection, "SELECT ifnull(max(id), -1) + 1 FROM node"))


def met_from(connection: Connection, first: int) -> Iterator[MetNode]:
    """The nodes from this id on."""
    rows = connection.execute("SELECT id, rollup, path, depth FROM node WHERE id >= ? ORDER BY id", (first,))
    return map(MetNode._make, rows)


def ids_below(connection: Connection, rollup: str, node: int, deepest: int, most: int) -> Int32s:
    """The ids of a node and of what lies below it down to a depth, at most so many, in no order."""
    rows = connection.execute(_BELOW, (rollup, node, deepest, most)).fetchall()
    return np.array(rows, np.int32).reshape(-1)


def values_of(connection: Connection, pipeline: Pipeline, ids: Iterable[int]) -> Iterator[NodeValues]:
    """The totals of these nodes, in no order."""
    sums = "".join(f', t."sum_{measure.name}"' for measure in pipeline.measures)
    listed = json.dumps(list(ids))
    # One value, not a row for each: a step of SQLite gives up the interpreter lock, and waits for it again.
    (text,) = connection.execute(_VALUES.format(sums=sums), (listed,)).fetchone()
    for id_, rollup, path, keys, *texts in json.loads(text):
        yield NodeValues(id_, rollup, path, keys, texts)


def events_after(connection: Connection, outcomes: Sequence[str], commit: int) -> list[int]:
    """Events by outcome in all commits after one."""
    sums = ", ".join(f"ifnull(sum({outcome}), 0)" for outcome in outcomes)
    row = connection.execute(f"SELECT {sums} FROM commits WHERE seq > ?", (commit,)).fetchone()  # noqa: S608
    return list(row)
