"""Changes of nodes: what changed since a commit, how a node came to its totals, and the totals of given nodes."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oncefold.commit import Int32s, Int64s
from oncefold.core.definition import Pipeline
from oncefold.store import blobs
from oncefold.store.connection import Connection, scalar
from oncefold.store.schema import stored_outcomes
from oncefold.store.segments import Segment, deltas_table

_NEWEST_FIRST = "SELECT first_commit, last_commit, n, length(blob) FROM deltas ORDER BY first_commit DESC"


@dataclass(frozen=True, slots=True)
class ChangedNodes:
    """Nodes that changed since some commit, in order of their ids."""

    node: Int32s
    commit: Int64s
    """The last commit that changed each."""


@dataclass(frozen=True, slots=True)
class NodeDeltas:
    """Every change of one node after `since`, oldest first."""

    since: int
    commit: Int64s
    count: Int64s
    high: Int64s
    """Shape (measures, changes)."""
    low: Int64s


def newest(connection: Connection) -> int:
    """The last commit that changed a total; 0 before any."""
    return int(scalar(connection, "SELECT last_commit FROM deltas ORDER BY first_commit DESC LIMIT 1") or 0)


def changed_since(connection: Connection, measures: int, commit: int, most_rows: int) -> ChangedNodes | None:
    """The nodes that commits after this one changed; None if more than `most_rows` rows of deltas had to be read.

    The deltas after that commit must be kept. Raises DamagedError for damaged blobs.
    """
    segments = _after(connection, commit)
    if sum(segment.rows for segment in segments[1:]) > most_rows:
        return None
    table = deltas_table(connection, measures)
    nodes, commits = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for segment in segments:
        relative, node, *_ = blobs.columns(table.read(segment))
        seq = relative.astype(np.int64) + segment.first
        later = seq > commit
        nodes.append(node[later])
        commits.append(seq[later])
    found, index = np.unique(np.concatenate(nodes), return_inverse=True)
    last = np.zeros(len(found), np.int64)
    np.maximum.at(last, index, np.concatenate(commits))
    return ChangedNodes(found, last)


def deltas_of(connection: Connection, measures: int, node: int, since: int, most_rows: int) -> NodeDeltas:
    """The changes of a node after `since`, or after the oldest commit within `most_rows` rows of deltas.

    The newest segment is always read. Raises DamagedError for damaged blobs.
    """
    table = deltas_table(connection, measures)
    found: list[list[npt.NDArray[Any]]] = []
    reached, read = since, 0
    for segment in _after(connection, since):
        read += segment.rows
        if found and read > most_rows:
            reached = segment.last
            break
        relative, nodes, *amounts = blobs.columns(table.read(segment))
        mine = np.flatnonzero(nodes == node)
        found.append([relative[mine].astype(np.int64) + segment.first, *(column[mine] for column in amounts)])
    empty = [np.zeros(0, np.int64)] * (2 + 2 * measures)
    columns = [np.concatenate(parts) for parts in zip(empty, *reversed(found), strict=True)]
    later = columns[0] > reached
    commit, count, *halves = (column[later] for column in columns)
    shape = (measures, len(commit))
    high = np.array(halves[0::2], np.int64).reshape(shape)
    low = np.array(halves[1::2], np.int64).reshape(shape)
    return NodeDeltas(reached, commit, count, high, low)


def _after(connection: Connection, commit: int) -> list[Segment]:
    """The segments that reach beyond a commit, newest first."""
    found = []
    for row in connection.execute(_NEWEST_FIRST):
        segment = Segment(*row)
        if segment.last <= commit:
            break
        found.append(segment)
    return found


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


class NodeEntry(NamedTuple):
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


def nodes_from(connection: Connection, first: int) -> Iterator[NodeEntry]:
    """The nodes from this id on, in order of their ids."""
    rows = connection.execute("SELECT id, rollup, path, depth FROM node WHERE id >= ? ORDER BY id", (first,))
    return map(NodeEntry._make, rows)


def ids_below(connection: Connection, rollup: str, node: int, deepest: int, most: int) -> Int32s:
    """The ids of a node and of what lies below it down to a depth, at most `most`, in no order."""
    rows = connection.execute(_BELOW, (rollup, node, deepest, most)).fetchall()
    return np.array(rows, np.int32).reshape(-1)


def values_of(connection: Connection, pipeline: Pipeline, ids: Iterable[int]) -> Iterator[NodeValues]:
    """The totals of these nodes, in no order."""
    sums = "".join(f', t."sum_{amount.name}"' for amount in pipeline.amounts)
    listed = json.dumps(list(ids))
    # One value, not a row for each: a step of SQLite releases the interpreter lock and waits for it again.
    (text,) = connection.execute(_VALUES.format(sums=sums), (listed,)).fetchone()
    for id_, rollup, path, keys, *texts in json.loads(text):
        yield NodeValues(id_, rollup, path, keys, texts)


def events_after(connection: Connection, outcomes: Sequence[str], commit: int) -> list[int]:
    """Events by outcome in all commits after one."""
    known = stored_outcomes(connection)
    sums = ", ".join(f"ifnull(sum({outcome}), 0)" if outcome in known else "0" for outcome in outcomes)
    row = connection.execute(f"SELECT {sums} FROM commits WHERE seq > ?", (commit,)).fetchone()  # noqa: S608
    return list(row)
