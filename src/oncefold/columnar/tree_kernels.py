"""The loops over leaves and nodes: nodes found and made, amounts carried along them, totals added."""

from typing import Any

import numpy as np

from oncefold.columnar.leaves import intern_bytes
from oncefold.columnar.primitives import shift_of
from oncefold.kernels.byte_spans import copy_bytes
from oncefold.kernels.declare import inlined, kernel

ROLLUP_BYTES = 2
"""A node is known by its rollup in so many bytes, little-endian, and its labels as a leaf has them."""

LOW_BITS = np.int64(0xFFFFFFFF)
"""The lower half of a sum of two words; what is above goes to the upper one."""


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
            low[node, m] &= LOW_BITS


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
            low[node, m] = value & LOW_BITS
