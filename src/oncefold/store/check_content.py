"""Whether what a store says in several ways is the same: states, totals and deltas."""

from collections.abc import Iterator

import numpy as np

from oncefold.commit import NO_LEAF, PAGE_ROWS, Int64s, NodeColumns, States
from oncefold.core.definition import Pipeline
from oncefold.store import blobs, rows
from oncefold.store.amounts import carried
from oncefold.store.connection import Connection
from oncefold.store.load import Replay, new_states, read_states
from oncefold.store.paging import Paging
from oncefold.store.schema import read_meta
from oncefold.store.segments import changes_table, deltas_table
from oncefold.store.verify import differences


def content_findings(connection: Connection, pipeline: Pipeline) -> Iterator[str]:
    """What does not fit together, given that every blob is sound."""
    measures, meta = len(pipeline.measures), read_meta(connection)
    states = new_states(rows.read_ends(connection).rows, measures)
    read_states(connection, changes_table(connection, measures), states, int(meta["state_from"]), Paging())
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
    replay = Replay(alone, np.zeros(-(-len(alone.version) // PAGE_ROWS), np.int64), Paging())
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
    yield from _tree_findings(connection, pipeline, NodeColumns(totals.node, count, high, low))


def _before(connection: Connection, totals: NodeColumns) -> tuple[Int64s, Int64s, Int64s]:
    """The totals before all deltas that are kept."""
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
    """Every inner node's totals must have been the sums of its children's then, too."""
    nodes = list(rows.read_nodes(connection, pipeline))
    depths = np.array([len(rollup.levels) for rollup in pipeline.rollups])
    inner = np.array([len(node.labels) < depths[node.rollup] for node in nodes], bool)
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
