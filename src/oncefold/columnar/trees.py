"""The trees: leaves to nodes, and totals along them. Only leaf deltas are accumulated; parents are summed here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oncefold.columnar.arrays import Int32s, Int64s, UInt8s, with_room
from oncefold.columnar.leaves import InternTable, Leaves, decode_all, decode_leaf, encode_all, leaves_of
from oncefold.columnar.primitives import FIXED_SEED, Seed
from oncefold.columnar.state import Accumulated
from oncefold.columnar.tree_kernels import (
    LOW_BITS,
    ROLLUP_BYTES,
    add_along,
    add_to_nodes,
    add_totals,
    find_nodes,
    find_nodes_of_sets,
    list_nodes,
)
from oncefold.commit import NewNode, NodeColumns
from oncefold.core.definition import Pipeline
from oncefold.core.limits import EVENT_LEAVES, PATH_BYTES


class Trees:
    """Every leaf and node so far, with the exact totals of all nodes.

    A node is known by its rollup in two bytes and its labels as a leaf has them; ids count up as nodes appear.
    """

    def __init__(self, pipeline: Pipeline, seed: Seed = FIXED_SEED) -> None:
        paths = self._paths = pipeline.rollup_levels
        self._level_count = len(pipeline.levels)
        self._measures = len(pipeline.amounts)
        self._levels: Int32s = np.array([index for path in paths for index in path], np.int32)
        self._level_ends: Int64s = np.cumsum([0, *map(len, paths)]).astype(np.int64)
        self.leaves = InternTable(seed)
        self._nodes = InternTable(seed)
        self._reported_nodes = 0
        self._parent: Int32s = np.zeros(0, np.int32)
        self._rollup: Int32s = np.zeros(0, np.int32)
        self._leaf: Int32s = np.zeros(0, np.int32)
        self._depth: Int32s = np.zeros(0, np.int32)
        self._leaf_node: Int32s = np.zeros((0, len(paths)), np.int32)
        self._known_leaves = 0
        self._listed_leaves = 0
        self._node_ends: Int64s = np.zeros(1, np.int64)
        self._nodes_of: Int32s = np.zeros(0, np.int32)
        self._has_sets = bool(pipeline.arrays)
        self._arrays_of: UInt8s = np.zeros((len(paths), len(pipeline.arrays)), np.uint8)
        for rollup, arrays in enumerate(pipeline.rollup_arrays):
            self._arrays_of[rollup, list(arrays)] = 1
        self._array_of: Int64s = np.full(self._level_count + 1, -1, np.int64)
        for array, levels in enumerate(pipeline.arrays):
            self._array_of[list(levels)] = array
        self._set_ends: Int64s = np.zeros(1, np.int64)
        self._set_nodes: Int32s = np.zeros(0, np.int32)
        self._count: Int64s = np.zeros(0, np.int64)
        self._high: Int64s = np.zeros((0, self._measures), np.int64)
        self._low: Int64s = np.zeros((0, self._measures), np.int64)

    @property
    def nodes(self) -> int:
        """How many nodes there are of all rollups; those of leaves that were never reported are not among them."""
        return self._nodes.count

    def restore(self, leaves: Sequence[tuple[str, ...]], totals: NodeColumns) -> None:
        """Take up what a store holds: all leaves, and the totals of all nodes by id.

        Nodes need not be given: their ids follow from the order of the leaves. Raises ValueError if the totals are not
        those of as many nodes.
        """
        self.leaves.intern(encode_all(leaves))
        self._grow(0)
        if self._nodes.count != len(totals.node):
            raise ValueError(f"there are {len(totals.node):,} totals for {self._nodes.count:,} nodes")
        self._reported_nodes, self._known_leaves = self._nodes.count, self.leaves.count
        self._count[totals.node] = totals.count
        self._high[totals.node] = totals.high.T
        self._low[totals.node] = totals.low.T

    def intern(self, leaves: Leaves) -> Int32s:
        """The numbers of a batch's leaves."""
        return self.leaves.intern(leaves)

    def new_leaves_and_nodes(self) -> tuple[list[tuple[str, ...]], list[NewNode]]:
        """What is new since the last call; roots are, at the first."""
        first, self._known_leaves = self._known_leaves, self.leaves.count
        self._grow(first)
        found = Leaves(self.leaves.data, self.leaves.offsets[: self.leaves.count + 1])
        leaves = decode_all(found, first, self._level_count)
        new = slice(self._reported_nodes, self._nodes.count)
        if self._has_sets:
            self._reported_nodes = self._nodes.count
            return leaves, [
                NewNode(number, rollup, int(self._parent[number]), labels)
                for number in range(new.start, new.stop)
                for rollup, labels in [self._node(number)]
            ]
        columns = (self._rollup[new], self._parent[new], self._leaf[new] - first, self._depth[new])
        in_order = [_along(leaves, path) for path in self._paths]
        nodes = [
            NewNode(number, rollup, parent, in_order[rollup][leaf][:depth] if depth else ())
            for number, rollup, parent, leaf, depth in zip(
                range(new.start, new.stop), *(column.tolist() for column in columns), strict=True
            )
        ]
        self._reported_nodes = self._nodes.count
        return leaves, nodes

    def _grow(self, first_leaf: int) -> None:
        """Find the nodes of the leaves from this one on."""
        rollups = len(self._level_ends) - 1
        if not self._nodes.count:
            self._nodes.intern(leaves_of([_node_key(rollup, b"") for rollup in range(rollups)]))
            self._make_room(rollups)
            self._parent[:rollups] = -1
            self._rollup[:rollups] = range(rollups)
        if self._has_sets:
            self._grow_sets(first_leaf)
            return
        offsets, count = self.leaves.offsets, self.leaves.count
        most = (count - first_leaf) * len(self._levels)
        size = rollups * int(offsets[count] - offsets[first_leaf]) + 2 * most
        self._nodes.reserve(most, size * max(1, len(self._levels)))
        self._make_room(self._nodes.count + most)
        self._leaf_node = with_room(self._leaf_node, count)
        self._nodes.count = find_nodes(
            (self.leaves.data, offsets, first_leaf, count),
            (self._levels, self._level_ends),
            self._nodes.table,
            self._nodes.count,
            (self._leaf_node, self._parent, self._rollup, self._leaf, self._depth),
            (np.zeros(2 * PATH_BYTES, np.uint8), np.zeros(len(self._levels) + 2, np.int64)),
        )

    def _grow_sets(self, first_leaf: int) -> None:
        """The same where leaves are sets."""
        count, depth, arrays = self.leaves.count, len(self._levels), self._arrays_of.shape[1]
        self._set_ends = with_room(self._set_ends, count + 1)
        scratch = (
            np.zeros(2 * PATH_BYTES, np.uint8),
            np.zeros(self._level_count + 2, np.int64),
            np.zeros((self._level_count, EVENT_LEAVES), np.int64),
            np.zeros(arrays, np.int64),
            np.zeros(arrays, np.int64),
        )
        while first_leaf < count:
            most = (EVENT_LEAVES + count - first_leaf) * depth
            self._nodes.reserve(most, EVENT_LEAVES * depth * 2 * PATH_BYTES)
            self._make_room(self._nodes.count + most)
            listed = int(self._set_ends[first_leaf])
            self._set_nodes = with_room(
                self._set_nodes, listed + most + len(self._level_ends) * (count - first_leaf + 1)
            )
            first_leaf, self._nodes.count = find_nodes_of_sets(
                (self.leaves.data, self.leaves.offsets, first_leaf, count),
                (self._levels, self._level_ends, self._array_of, self._arrays_of, self._nodes.count + most),
                self._nodes.table,
                self._nodes.count,
                (self._parent, self._rollup, self._depth, self._set_nodes, self._set_ends),
                scratch,
            )

    def _node(self, number: int) -> tuple[int, tuple[str, ...]]:
        """(rollup, labels) of a node."""
        key = self._nodes.text(number)
        return int.from_bytes(key[:ROLLUP_BYTES], "little"), decode_leaf(key[ROLLUP_BYTES:])

    def nodes_of_leaves(self) -> tuple[Int64s, Int32s]:
        """The nodes that each leaf counts in, each once: nodes[ends[leaf] : ends[leaf + 1]]."""
        first, count = self._listed_leaves, self.leaves.count
        if self._has_sets:
            return self._set_ends[: count + 1], self._set_nodes
        if first < count:
            most = (count - first) * (len(self._levels) + len(self._level_ends) - 1)
            self._node_ends = with_room(self._node_ends, count + 1)
            self._nodes_of = with_room(self._nodes_of, int(self._node_ends[first]) + most)
            list_nodes(self._leaf_node, self._parent, first, count, self._node_ends, self._nodes_of)
            self._listed_leaves = count
        return self._node_ends[: count + 1], self._nodes_of

    def apply(
        self, net: Accumulated, new_nodes: Sequence[NewNode], others: tuple[Int64s, Int64s] | None = None
    ) -> tuple[NodeColumns, NodeColumns]:
        """Add net changes per leaf to all nodes above; (deltas of the changed nodes, totals of those and the new).

        `others` are the nodes of which other amounts than sums change, and the changes.
        """
        nodes = self._nodes.count
        count = np.zeros(nodes, np.int64)
        high = np.zeros((nodes, self._measures), np.int64)
        low = np.zeros((nodes, self._measures), np.int64)
        if self._has_sets:
            add_to_nodes(net.count, net.high, net.low, self._set_ends, self._set_nodes, count, high, low)
        else:
            add_along(net.count, net.high, net.low, self._leaf_node, self._parent, count, high, low)
        if others is not None:
            high[others[0], net.high.shape[1] :] = others[1] >> 32
            low[others[0], net.high.shape[1] :] = others[1] & LOW_BITS
        add_totals(self._count, self._high, self._low, count, high, low)
        changed = (count != 0) | high.any(axis=1) | low.any(axis=1)
        deltas = _columns(np.flatnonzero(changed), count, high, low)
        if new_nodes:
            changed[[node.id for node in new_nodes]] = True
        return deltas, _columns(np.flatnonzero(changed), self._count, self._high, self._low)

    def labels(self, leaf: int) -> tuple[str, ...]:
        """The labels of a leaf."""
        return decode_leaf(self.leaves.text(leaf))

    def totals(self) -> Mapping[tuple[int, tuple[str, ...]], tuple[int, tuple[int, ...]]]:
        """(rollup, labels) to (count, sums) of every node, empty ones too."""
        return {
            self._node(i): (
                int(self._count[i]),
                tuple((int(h) << 32) + int(w) for h, w in zip(self._high[i], self._low[i], strict=True)),
            )
            for i in range(self._nodes.count)
        }

    def _make_room(self, nodes: int) -> None:
        self._parent = with_room(self._parent, nodes)
        self._rollup = with_room(self._rollup, nodes)
        self._leaf = with_room(self._leaf, nodes)
        self._depth = with_room(self._depth, nodes)
        self._count = with_room(self._count, nodes)
        self._high = with_room(self._high, nodes)
        self._low = with_room(self._low, nodes)


def _along(leaves: list[tuple[str, ...]], path: Sequence[int]) -> list[tuple[str, ...]]:
    """The labels of each leaf in the order of a rollup's levels."""
    if not leaves or list(path) == list(range(len(path))):
        return leaves
    return [tuple([leaf[level] for level in path]) for leaf in leaves]


def _node_key(rollup: int, labels: bytes) -> bytes:
    return rollup.to_bytes(ROLLUP_BYTES, "little") + labels


def _columns(nodes: Any, count: Int64s, high: Int64s, low: Int64s) -> NodeColumns:
    return NodeColumns(
        nodes.astype(np.int32),
        count[nodes],
        np.ascontiguousarray(high[nodes].T),
        np.ascontiguousarray(low[nodes].T),
    )
