"""`check-store`: every check of a store file, each finding as one line of text."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from oncefold.commit import NO_LEAF, PAGE_ROWS, Int64s, NodeColumns, States
from oncefold.core.definition import Pipeline
from oncefold.core.errors import StoreError
from oncefold.core.nodepath import join
from oncefold.store import blobs, rows
from oncefold.store.amounts import carried
from oncefold.store.check_blobs import blob_findings, count_findings
from oncefold.store.connection import Connection, scalar
from oncefold.store.errors import DamagedError
from oncefold.store.load import Replay, new_states, read_states
from oncefold.store.reader import StoreFile, connect_reader
from oncefold.store.schema import read_meta, stored_outcomes
from oncefold.store.segments import changes_table, deltas_table
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.verify import differences


def check_store(path: str | Path, *, connect: Callable[[Path], Connection] = connect_reader) -> list[str]:
    """What is wrong with a store, one line each; empty if all is well. A writer may have it open.

    The database's own integrity, the checksum and schema of every blob, that rows and commits are consecutive,
    that ids refer to something, that every commit counts what its changes, rejects and conflicts are, that the key
    states from snapshots are those from all changes (while all are kept), that the totals are those of the key
    states, and that the deltas add up to them.
    """
    found: list[str] = []
    try:
        with StoreFile.open(path, connect=connect) as reader, reader.at_one_commit() as connection:
            _collect(_findings(reader, connection), found)
    except StoreError as error:
        found.append(str(error))
    except (KeyError, ValueError) as error:
        found.append(f"{path}: a value was altered, or is damaged: {error}")
    return found


def _collect(findings: Iterable[str], into: list[str]) -> None:
    """Collect the findings up to damage that makes further checks impossible."""
    try:
        into.extend(findings)
    except DamagedError as error:
        into.append(str(error))


def _findings(reader: StoreFile, connection: Connection) -> Iterator[str]:
    damaged = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
    yield from damaged
    yield from _meta_findings(reader, connection)
    yield from _commit_findings(connection)
    yield from _node_findings(connection)
    blobs = list(blob_findings(connection, reader.pipeline))
    yield from blobs
    if not blobs and not damaged:
        yield from count_findings(connection, reader.pipeline)
        yield from content_findings(connection, reader.pipeline)


def _meta_findings(reader: StoreFile, connection: Connection) -> Iterator[str]:
    meta = read_meta(connection)
    if meta["fingerprint"] != reader.pipeline.fingerprint:
        yield "meta: the fingerprint is not that of the stored definition"
    head = rows.read_head(connection)
    for name in ("changes_from", "deltas_from", "state_from"):
        if not 0 <= int(meta[name]) <= head.seq:
            yield f"meta: {name} is {meta[name]}, but the last commit is {head.seq}"


def _commit_findings(connection: Connection) -> Iterator[str]:
    meta = read_meta(connection)
    first, last, count = connection.execute("SELECT min(seq), max(seq), count(*) FROM commits").fetchone()
    if count and last - first + 1 != count:
        yield f"commits: {last - first + 1 - count} rows are missing between {first} and {last}"
    if count and first > max(1, min(int(meta["changes_from"]) + 1, int(meta["deltas_from"]))):
        yield f"commits: the first row is {first}, but older changes or deltas are kept"
    back = "SELECT a.seq FROM commits AS a JOIN commits AS b ON b.seq = a.seq + 1 WHERE b.at < a.at LIMIT 1"
    if (seq := scalar(connection, back)) is not None:
        yield f"commits: time goes back after commit {seq}"
    for table in ("positions", "rejects", "conflicts", "pages"):
        sql = f'SELECT count(*) FROM {table} WHERE "commit" > ?'  # noqa: S608 - names only
        if beyond := scalar(connection, sql, (last or 0,)):
            yield f"{table}: {beyond} rows name a commit after the last"
    if not count or first == 1:
        yield from _counter_findings(connection)


def _counter_findings(connection: Connection) -> Iterator[str]:
    counted = dict(connection.execute("SELECT outcome, events FROM counters").fetchall())
    names = stored_outcomes(connection)
    sums = connection.execute(f"SELECT {', '.join(f'sum({name})' for name in names)} FROM commits").fetchone()  # noqa: S608
    for name, found in zip(names, sums, strict=True):
        if counted.get(name) != (found or 0):
            yield f"counters: {name} is {counted.get(name)}, but the commits add up to {found or 0}"


def _node_findings(connection: Connection) -> Iterator[str]:
    ends = rows.read_ends(connection)
    for table, end in (("node", ends.nodes), ("place", ends.leaves)):
        if scalar(connection, f"SELECT count(*) FROM {table}") != end:  # noqa: S608 - names only
            yield f"{table}: ids are missing below {end}"
    for sql, wrong in _ORPHANS.items():
        if (found := scalar(connection, sql)) is not None:
            yield f"{wrong}, first {found}"
    paths = connection.execute(
        "SELECT n.id, n.path, n.label, p.path FROM node AS n JOIN node AS p ON p.id = n.parent ORDER BY n.id"
    )
    for id_, path, label, above in paths:
        if path != join((*rows.labels_of(above), label)):
            yield f"node: the path of {id_} is {path!r}, but its parent's is {above!r} and its label {label!r}"


_ORPHANS = {
    "SELECT min(id) FROM node WHERE parent NOT IN (SELECT id FROM node)": "node: parents are missing",
    "SELECT min(n.id) FROM node AS n JOIN node AS p ON p.id = n.parent "
    "WHERE n.depth != p.depth + 1 OR n.rollup != p.rollup OR n.id <= p.id": "node: parents do not fit",
    "SELECT min(id) FROM node WHERE parent IS NULL AND (depth != 0 OR path != '' OR label != '')": "node: bad roots",
    "SELECT min(id) FROM node WHERE id NOT IN (SELECT node FROM total)": "total: nodes without totals",
    "SELECT min(node) FROM total WHERE node NOT IN (SELECT id FROM node)": "total: totals without a node",
}
"""What finds the first wrong id, and what it means."""


def content_findings(connection: Connection, pipeline: Pipeline) -> Iterator[str]:
    """Contradictions between states, totals and deltas; every blob must be sound."""
    values, meta = pipeline.value_columns, read_meta(connection)
    states = new_states(rows.read_ends(connection).rows, values)
    read_states(connection, changes_table(connection, values), states, int(meta["state_from"]), SnapshotSchedule())
    if meta["changes_from"] == "0":
        yield from _state_findings(connection, states)
    _, wrong = differences(connection, pipeline, states)
    for item in wrong:
        yield f"total of {item.rollup} {item.path or '(root)'}: {item.stored}, but its keys give {item.recomputed}"
    if not wrong:
        yield from _delta_findings(connection, pipeline, empty_at_first=meta["deltas_from"] == "0")


def _state_findings(connection: Connection, states: States) -> Iterator[str]:
    alone = new_states(len(states.version), len(states.measures))
    table = changes_table(connection, len(states.measures))
    replay = Replay(alone, np.zeros(-(-len(alone.version) // PAGE_ROWS), np.int64), SnapshotSchedule())
    for segment in table.stored():
        replay.apply(segment.first, blobs.columns(table.read(segment)))
    differs = (alone.version != states.version) | (alone.leaf != states.leaf)
    differs |= (alone.measures != states.measures).any(axis=0) & (states.leaf != NO_LEAF)
    if differs.any():
        first = int(np.flatnonzero(differs)[0])
        yield f"pages: {int(differs.sum())} states are not those of the changes, first row {first}"


def _delta_findings(connection: Connection, pipeline: Pipeline, *, empty_at_first: bool) -> Iterator[str]:
    totals = rows.read_totals(connection, pipeline)
    count, high, low = _before(connection, totals)
    amounts = np.vstack([count, high, low])
    if empty_at_first and amounts.any():
        node = int(np.flatnonzero(amounts.any(axis=0))[0])
        yield f"deltas: those of node {node} do not add up to its totals"
    if (count < 0).any():
        yield f"deltas: before the oldest, node {int(np.flatnonzero(count < 0)[0])} would have less than no keys"
    sums = pipeline.layout.sums  # what else nodes keep is no sum of their children's
    yield from _tree_findings(connection, pipeline, NodeColumns(totals.node, count, high[:sums], low[:sums]))


def _before(connection: Connection, totals: NodeColumns) -> tuple[Int64s, Int64s, Int64s]:
    """The totals before the oldest delta that is kept."""
    count, high, low = totals.count.copy(), totals.high.copy(), totals.low.copy()
    table = deltas_table(connection, len(high))
    for segment in table.stored():
        _, node, counts, *halves = blobs.columns(table.read(segment))
        np.subtract.at(count, node, counts)
        for i in range(len(high)):
            np.subtract.at(high[i], node, halves[2 * i])
            np.subtract.at(low[i], node, halves[2 * i + 1])
    return count, *carried(high, low)


def _tree_findings(connection: Connection, pipeline: Pipeline, before: NodeColumns) -> Iterator[str]:
    """Before the oldest delta, too, every inner node's totals must be the sums of its children's.

    Not those of a node whose children are of a level for each element of an array: a key may count in several.
    """
    nodes = list(rows.read_nodes(connection, pipeline))
    adds_up = [[not level.each for level in rollup.levels] for rollup in pipeline.rollups]
    inner = np.array([any(adds_up[node.rollup][len(node.labels) :][:1]) for node in nodes], bool)
    parent = np.array([node.parent for node in nodes], int)
    children = np.flatnonzero(parent >= 0)
    count, high, low = (np.zeros_like(column) for column in (before.count, before.high, before.low))
    np.add.at(count, parent[children], before.count[children])
    for i in range(len(high)):
        np.add.at(high[i], parent[children], before.high[i][children])
        np.add.at(low[i], parent[children], before.low[i][children])
    high, low = carried(high, low)
    differs = (count != before.count) | (high != before.high).any(axis=0) | (low != before.low).any(axis=0)
    for node in np.flatnonzero(differs & inner)[:1].tolist():
        yield f"deltas: before the oldest, node {node} would not be the sum of its children"
