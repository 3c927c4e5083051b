"""What nodes keep besides sums, recomputed from the states of all keys: for `verify` and `explain`."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oncefold.commit import Int64s, States
from oncefold.core.definition import Pipeline
from oncefold.core.measures import ADDITIVE, NO_VALUE
from oncefold.store.connection import Connection
from oncefold.store.keys import key_texts

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LeafNodes:
    """Which nodes each leaf counts in: pairs of a leaf and a node, each once."""

    leaf: Int64s
    node: Int64s
    leaves: int
    """How many leaves there are."""
    nodes: int
    """How many nodes there are."""


def other_amounts(connection: Connection, pipeline: Pipeline, states: States, pairs: LeafNodes) -> list[list[int]]:
    """By amount that is no sum, in order, its value at every node."""
    found: list[list[int]] = []
    for measure, place in zip(pipeline.measures, pipeline.layout.places, strict=True):
        if measure.kind in ADDITIVE:
            continue
        column = states.measures[place.column]
        if measure.kind == "distinct":
            found.append(_different(states, column, pairs).tolist())
        elif measure.kind in {"min", "max"}:
            found += _extreme(states, column, pairs, greatest=measure.kind == "max")
        else:
            time = states.measures[pipeline.layout.time]
            found += _by_time(connection, states, column, time, pairs, last=measure.kind == "last")
    return found


def _extreme(states: States, column: Int64s, pairs: LeafNodes, *, greatest: bool) -> list[list[int]]:
    sign = -1 if greatest else 1
    least = _least_by_leaf(states, column != NO_VALUE, sign * column, pairs.leaves)
    at_node = np.full(pairs.nodes, _MOST)
    np.minimum.at(at_node, pairs.node, least[pairs.leaf])
    exists = at_node != _MOST
    return [np.where(exists, sign * at_node, 0).tolist(), exists.astype(np.int64).tolist()]


_MOST = np.int64(2**63 - 1)


def _least_by_leaf(states: States, counts: Bools, values: Int64s, leaves: int) -> Int64s:
    """The least value of the live keys at each leaf that count."""
    which = (states.leaf >= 0) & counts
    least = np.full(leaves, _MOST)
    np.minimum.at(least, states.leaf[which], values[which])
    return least


def _by_time(
    connection: Connection, states: States, column: Int64s, time: Int64s, pairs: LeafNodes, *, last: bool
) -> list[list[int]]:
    sign = -1 if last else 1
    counts = (column != NO_VALUE) & (time != NO_VALUE)
    least = _least_by_leaf(states, counts, sign * time, pairs.leaves)
    timed = np.flatnonzero((states.leaf >= 0) & counts)
    rows = timed[sign * time[timed] == least[states.leaf[timed]]]
    best: dict[int, tuple[int, bytes, int]] = {}
    keys = key_texts(connection, rows)
    for at, key, when, value in zip(
        states.leaf[rows].tolist(), keys, time[rows].tolist(), column[rows].tolist(), strict=True
    ):
        entry = (when, key.encode(), value)
        if at not in best or (entry > best[at]) == last:
            best[at] = entry
    at_node: dict[int, tuple[int, bytes, int]] = {}
    for at, node in zip(pairs.leaf.tolist(), pairs.node.tolist(), strict=True):
        if at in best and (node not in at_node or (best[at] > at_node[node]) == last):
            at_node[node] = best[at]
    values = [at_node[node][2] if node in at_node else 0 for node in range(pairs.nodes)]
    return [values, [int(node in at_node) for node in range(pairs.nodes)]]


def _different(states: States, column: Int64s, pairs: LeafNodes) -> Int64s:
    """How many different codes the live keys below each node have."""
    which = (states.leaf >= 0) & (column >= 0)
    codes = int(column.max(initial=0)) + 1
    at_leaf = np.unique(states.leaf[which].astype(np.int64) * codes + column[which])
    leaf, code = np.divmod(at_leaf, codes)
    order = np.argsort(pairs.leaf, kind="stable")
    nodes, begins = pairs.node[order], np.searchsorted(pairs.leaf[order], np.arange(pairs.leaves + 1))
    found = [np.zeros(0, np.int64)]
    for step in range(int(np.diff(begins).max(initial=0))):
        has = begins[leaf] + step < begins[leaf + 1]
        found.append(np.unique(nodes[begins[leaf[has]] + step] * codes + code[has]))
    different: Int64s = np.bincount(np.unique(np.concatenate(found)) // codes, minlength=pairs.nodes)
    return different
