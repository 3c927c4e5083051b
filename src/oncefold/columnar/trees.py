"""The trees: leaves to nodes, and totals along them. Only leaf deltas are accumulated; parents are summed here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oncefold.columnar.arrays import Int32s, Int64s, UInt8s, with_room
from oncefold.columnar.leaves import InternTable, Leaves, decode_all, decode_leaf, encode_all, intern_bytes, leaves_of
from oncefold.columnar.primitives import FIXED_SEED, Seed, copy_bytes, shift_of
from oncefold.columnar.state import Accumulated
from oncefold.commit import NewNode, NodeColumns
from oncefold.core.definition import Pipeline
from oncefold.core.limits import EVENT_LEAVES, PATH_BYTES
from oncefold.kernels.declare import inlined, kernel

ROLLUP_BYTES = 2
"""A node is known by its rollup in so many bytes, little-endian, and its labels as a leaf has them."""

_LOW = np.int64(0xFFFFFFFF)


@kernel(
    "(const u8[], const i64[], i64, i64), (const i32[], const i64[]), (u64[], u8[], i64[], const u64[]), i64",
    "(i32[,], i32[], i32[], i32[], i32[]), (u8[], i64[])",
    returns="i64",
)
def find_nodes(leaves: Any, paths: Any, table: Any, count: int, found: Any, scratch: Any) -> int:
    """Intern every node above the new leaves; gives the number of nodes after it.

    Of each new node its parent, its rollup, a leaf below it and its depth are written.
    `scratch` is (a node's bytes, where each label of a leaf begins).
    """
    data, offsets, first, last = leaves
    levels, level_ends = paths
    leaf_node, parent, rollup_of, leaf_of, depth_of = found
    key, begins = scratch
    shift = shift_of(table[0])
    for leaf in range(first, last):
        label = 0
        begins[0] = offsets[leaf]
        while begins[label] < offsets[leaf + 1]:
            at = begins[label]
            begins[label + 1] = at + 2 + (np.int64(data[at]) | np.int64(data[at + 1]) << 8)
            label += 1
        for rollup in range(len(level_ends) - 1):
            key[0] = rollup & 255
            key[1] = rollup >> 8
            length = ROLLUP_BYTES
            node = np.int64(rollup)
            for index in range(level_ends[rollup], level_ends[rollup + 1]):
                begin = begins[levels[index]]
                size = begins[levels[index] + 1] - begin
                copy_bytes(data, begin, key, length, size)
                length += size
                above = node
                node = intern_bytes(key, 0, length, table, count, shift)
                if node == count:
                    parent[node] = above
                    rollup_of[node] = rollup
                    leaf_of[node] = leaf
                    depth_of[node] = index + 1 - level_ends[rollup]
                    count += 1
            leaf_node[leaf, rollup] = node
    return count


@kernel(
    "(const u8[], const i64[], i64, i64), (const i32[], const i64[], const i64[], const u8[,], i64)",
    "(u64[], u8[], i64[], const u64[]), i64, (i32[], i32[], i32[], i32[], i64[]), (u8[], i64[], i64[,], i64[], i64[])",
    returns="(i64, i64)",
)
def find_nodes_of_sets(leaves: Any, paths: Any, table: Any, count: int, found: Any, scratch: Any) -> Any:
    """The same for sets of leaves: each node of any leaf of a set once, in `nodes`, those of a set up to its end.

    `paths` has the array of each level too, or -1, which arrays each rollup has, and for how many nodes there is room;
    `scratch` is (a node's bytes, where each label begins, where each element of a level begins, the number of elements
    of each array, the chosen one). Gives (the next set, the number of nodes), before the last where room runs out.
    """
    data, offsets, first, last = leaves
    levels, level_ends, array_of, arrays_of, room = paths
    parent, rollup_of, depth_of, nodes, ends = found
    key, begins, elements, sizes, chosen = scratch
    shift = shift_of(table[0])
    used = ends[first]
    rollups = level_ends.shape[0] - 1
    for leaf in range(first, last):
        level = 0
        at = offsets[leaf]
        while at < offsets[leaf + 1]:
            begins[level] = at
            size = np.int64(data[at]) | np.int64(data[at + 1]) << 8
            if array_of[level] >= 0:
                sizes[array_of[level]] = _split(data, at + 2, at + 2 + size, elements[level])
            at += 2 + size
            level += 1
        most = np.int64(0)
        for rollup in range(rollups):
            most += _begin(arrays_of[rollup], sizes, chosen) * (level_ends[rollup + 1] - level_ends[rollup])
        if (
            used + rollups + most > len(nodes)
            or count + most > room
            or table[2][count] + most * len(key) > len(table[1])
        ):
            return leaf, count
        for rollup in range(rollups):
            nodes[used] = rollup
            used += 1
        for rollup in range(rollups):
            key[0] = rollup & 255
            key[1] = rollup >> 8
            own_of_rollup = used
            for _ in range(_begin(arrays_of[rollup], sizes, chosen)):
                length = ROLLUP_BYTES
                node = np.int64(rollup)
                for index in range(level_ends[rollup], level_ends[rollup + 1]):
                    level = levels[index]
                    if array_of[level] < 0:
                        begin = begins[level]
                        size = 2 + (np.int64(data[begin]) | np.int64(data[begin + 1]) << 8)
                        copy_bytes(data, begin, key, length, size)
                        length += size
                    else:
                        length = _copy_element(data, elements[level, chosen[array_of[level]]], key, length)
                    above = node
                    node = intern_bytes(key, 0, length, table, count, shift)
                    if node == count:
                        parent[node] = above
                        rollup_of[node] = rollup
                        depth_of[node] = index + 1 - level_ends[rollup]
                        count += 1
                    is_listed = False
                    for n in range(own_of_rollup, used):
                        is_listed = is_listed or nodes[n] == node
                    if not is_listed:
                        nodes[used] = node
                        used += 1
                _advance(chosen, sizes, arrays_of[rollup])
        ends[leaf + 1] = used
    return last, count


@inlined
def _begin(has: Any, sizes: Any, chosen: Any) -> int:
    """Choose the first element of each array that a rollup has; how many combinations there are."""
    combinations = np.int64(1)
    for a in range(len(chosen)):
        chosen[a] = 0
        if has[a]:
            combinations *= sizes[a]
    return combinations


@inlined
def _split(data: Any, at: int, end: int, begins: Any) -> int:
    """Where each element of a packed text begins; how many there are."""
    found = 0
    while at < end:
        begins[found] = at
        found += 1
        while data[at] != 0 or data[at + 1] != 1:
            at += 1
        at += 2
    return found


@inlined
def _copy_element(data: Any, at: int, key: Any, to: int) -> int:
    """Write an element as a label of a leaf; where it ends."""
    begin = to
    to += 2
    while data[at] != 0 or data[at + 1] != 1:
        key[to] = data[at]
        at += 1 if data[at] != 0 else 2
        to += 1
    size = to - begin - 2
    key[begin] = size & 255
    key[begin + 1] = size >> 8
    return to


@inlined
def _advance(chosen: Any, sizes: Any, has: Any) -> None:
    """The next combination of elements of the arrays that a rollup has, the last array first."""
    a = len(chosen) - 1
    while a >= 0:
        if has[a]:
            chosen[a] += 1
            if chosen[a] < sizes[a]:
                return
            chosen[a] = 0
        a -= 1


@inlined
def _moves(leaf_count: Any, leaf_high: Any, leaf_low: Any, leaf: int) -> bool:
    """Whether a leaf's amounts are not all zero."""
    moved = leaf_count[leaf] != 0
    for m in range(leaf_high.shape[1]):
        moved = moved or leaf_high[leaf, m] != 0 or leaf_low[leaf, m] != 0
    return moved


@inlined
def _add(leaf_count: Any, leaf_high: Any, leaf_low: Any, leaf: int, count: Any, high: Any, low: Any, node: int) -> None:
    """Add a leaf's amounts to a node; carries stay where they are."""
    count[node] += leaf_count[leaf]
    for m in range(leaf_high.shape[1]):
        high[node, m] += leaf_high[leaf, m]
        low[node, m] += leaf_low[leaf, m]


@inlined
def _carry(count: Any, high: Any, low: Any) -> None:
    """Bring the carries of all nodes up."""
    for node in range(len(count)):
        for m in range(high.shape[1]):
            high[node, m] += low[node, m] >> 32
            low[node, m] &= _LOW


@kernel("const i64[], const i64[,], const i64[,], const i64[], const i32[], i64[], i64[,], i64[,]")
def add_to_nodes(
    leaf_count: Any, leaf_high: Any, leaf_low: Any, ends: Any, nodes: Any, count: Any, high: Any, low: Any
) -> None:
    """Add every leaf's amounts to all of its nodes; carries are brought up."""
    for leaf in range(len(leaf_count)):
        if _moves(leaf_count, leaf_high, leaf_low, leaf):
            for n in range(ends[leaf], ends[leaf + 1]):
                node = nodes[n]
                _add(leaf_count, leaf_high, leaf_low, leaf, count, high, low, node)
    _carry(count, high, low)


@kernel("const i64[], const i64[,], const i64[,], const i32[,], const i32[], i64[], i64[,], i64[,]")
def add_along(
    leaf_count: Any, leaf_high: Any, leaf_low: Any, leaf_node: Any, parent: Any, count: Any, high: Any, low: Any
) -> None:
    """Add every leaf's amounts to its leaf node and all nodes above, in every rollup; carries are brought up."""
    for leaf in range(len(leaf_count)):
        if _moves(leaf_count, leaf_high, leaf_low, leaf):
            for rollup in range(leaf_node.shape[1]):
                node = leaf_node[leaf, rollup]
                while node >= 0:
                    _add(leaf_count, leaf_high, leaf_low, leaf, count, high, low, node)
                    node = parent[node]
    _carry(count, high, low)


@kernel("const i32[,], const i32[], i64, i64, i64[], i32[]")
def list_nodes(leaf_node: Any, parent: Any, first: int, last: int, ends: Any, nodes: Any) -> None:
    """Write the nodes of the leaves from `first` on, and where those of each end."""
    for leaf in range(first, last):
        at = ends[leaf]
        for rollup in range(leaf_node.shape[1]):
            node = np.int64(leaf_node[leaf, rollup])
            while node >= 0:
                nodes[at] = node
                at += 1
                node = np.int64(parent[node])
        ends[leaf + 1] = at


@kernel("i64[], i64[,], i64[,], const i64[], const i64[,], const i64[,]")
def add_totals(count: Any, high: Any, low: Any, more_count: Any, more_high: Any, more_low: Any) -> None:
    """Add to the totals in place, carries brought up."""
    for node in range(len(more_count)):
        count[node] += more_count[node]
        for m in range(high.shape[1]):
            value = low[node, m] + more_low[node, m]
            high[node, m] += more_high[node, m] + (value >> 32)
            low[node, m] = value & _LOW


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
            low[others[0], net.high.shape[1] :] = others[1] & _LOW
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
