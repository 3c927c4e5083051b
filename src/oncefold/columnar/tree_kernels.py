"""Loops along the trees: meeting nodes, and adding amounts up to the roots."""

from typing import Any

import numpy as np

from oncefold.columnar.index import shift_of
from oncefold.columnar.interning import intern_bytes
from oncefold.columnar.native import copy_bytes, kernel

ROLLUP_BYTES = 2
"""A node is known by its rollup in so many bytes, little-endian, and its labels as a leaf has them."""

_LOW = np.int64(0xFFFFFFFF)


@kernel
def meet_nodes(places: Any, paths: Any, table: Any, count: int, found: Any, scratch: Any) -> int:
    """Intern every node above the new places; gives the number of nodes after it.

    Of each new node its parent, its rollup, a place below it and its depth are noted.
    `scratch` is (a node's bytes, where each label of a place begins).
    """
    data, offsets, first, last = places
    levels, level_ends = paths
    leaf_node, parent, rollup_of, place_of, depth_of = found
    key, begins = scratch
    shift = shift_of(table[0])
    for place in range(first, last):
        label = 0
        begins[0] = offsets[place]
        while begins[label] < offsets[place + 1]:
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
                    place_of[node] = place
                    depth_of[node] = index + 1 - level_ends[rollup]
                    count += 1
            leaf_node[place, rollup] = node
    return count


@kernel
def split_leaves(data: Any, offsets: Any, first: int, level: int, out_offsets: Any, out: Any) -> None:
    """The label at one level of the leaves from `first` on, one after the other in `out`."""
    used = np.int64(0)
    for i in range(len(out_offsets) - 1):
        at = offsets[first + i]
        size = np.int64(data[at]) | np.int64(data[at + 1]) << 8
        for _ in range(level):
            at += 2 + size
            size = np.int64(data[at]) | np.int64(data[at + 1]) << 8
        copy_bytes(data, at + 2, out, used, size)
        used += size
        out_offsets[i + 1] = used


@kernel
def add_along(
    place_count: Any, place_high: Any, place_low: Any, leaf: Any, parent: Any, count: Any, high: Any, low: Any
) -> None:
    """Add every place's amounts to its leaf node and all nodes above, in every rollup; carries are brought up."""
    measures = high.shape[1]
    for place in range(len(place_count)):
        moved = place_count[place] != 0
        for m in range(measures):
            moved = moved or place_high[place, m] != 0 or place_low[place, m] != 0
        if moved:
            for rollup in range(leaf.shape[1]):
                node = leaf[place, rollup]
                while node >= 0:
                    count[node] += place_count[place]
                    for m in range(measures):
                        high[node, m] += place_high[place, m]
                        low[node, m] += place_low[place, m]
                    node = parent[node]
    for node in range(len(count)):
        for m in range(measures):
            high[node, m] += low[node, m] >> 32
            low[node, m] &= _LOW


@kernel
def add_totals(count: Any, high: Any, low: Any, more_count: Any, more_high: Any, more_low: Any) -> None:
    """Add to the totals in place, carries brought up."""
    for node in range(len(more_count)):
        count[node] += more_count[node]
        for m in range(high.shape[1]):
            value = low[node, m] + more_low[node, m]
            high[node, m] += more_high[node, m] + (value >> 32)
            low[node, m] = value & _LOW
