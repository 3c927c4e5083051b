"""The trees: leaves to nodes, and totals along them. Only leaf deltas are accumulated; parents are summed here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oncefold.columnar.batch import Int32s, Int64s, Places, decode_leaf, encode_leaf
from oncefold.columnar.interning import InternTable, with_room
from oncefold.columnar.keyed import Accumulated
from oncefold.columnar.native import kernel
from oncefold.core.definition import Pipeline
from oncefold.store.commit import NewNode, NodeColumns

_LOW = np.int64(0xFFFFFFFF)


class Trees:
    """Every place and node met so far, with the exact totals of all nodes."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._paths = pipeline.rollup_levels
        self._measures = len(pipeline.measures)
        self.places = InternTable()
        self._nodes: dict[tuple[int, tuple[str, ...]], int] = {}
        self._parent: Int32s = np.zeros(0, np.int32)
        self._leaf_node: Int32s = np.zeros((0, len(self._paths)), np.int32)
        self._known_places = 0
        self._count: Int64s = np.zeros(0, np.int64)
        self._high: Int64s = np.zeros((0, self._measures), np.int64)
        self._low: Int64s = np.zeros((0, self._measures), np.int64)

    def restore(self, places: Sequence[tuple[str, ...]], nodes: Sequence[NewNode], totals: NodeColumns) -> None:
        """Take up what a store holds; nodes come in order of their ids."""
        for node in nodes:
            self._nodes[node.rollup, node.labels] = node.id
        self._make_room(len(nodes))
        self._parent[: len(nodes)] = [node.parent for node in nodes]
        self._count[totals.node] = totals.count
        self._high[totals.node] = totals.high.T
        self._low[totals.node] = totals.low.T
        if places:
            leaves = [encode_leaf(labels) for labels in places]
            offsets = np.cumsum([0, *map(len, leaves)]).astype(np.int64)
            self.places.intern(Places(np.frombuffer(b"".join(leaves) + b"\0", np.uint8), offsets))
        self.new_places_and_nodes()

    def intern(self, places: Places) -> Int32s:
        """The numbers of a batch's leaves; -2 and -1 as indexes give themselves (not an event, delete)."""
        codes = np.empty(len(places) + 2, np.int32)
        codes[:-2] = self.places.intern(places)
        codes[-2:] = (-2, -1)
        return codes

    def new_places_and_nodes(self) -> tuple[list[tuple[str, ...]], list[NewNode]]:
        """What was met since the last call; roots are met at the first."""
        first = self._known_places
        places = [decode_leaf(self.places.text(number)) for number in range(first, self.places.count)]
        nodes: list[NewNode] = []
        if not self._nodes:
            for rollup in range(len(self._paths)):
                self._node(rollup, (), nodes)
        self._leaf_node = with_room(self._leaf_node, self.places.count)
        for number, labels in enumerate(places, first):
            self._leaf_node[number] = [
                self._node(rollup, tuple(labels[index] for index in path), nodes)
                for rollup, path in enumerate(self._paths)
            ]
        self._known_places = self.places.count
        self._make_room(len(self._nodes))
        for node in nodes:
            self._parent[node.id] = node.parent
        return places, nodes

    def apply(self, net: Accumulated, new_nodes: Sequence[NewNode]) -> tuple[NodeColumns, NodeColumns]:
        """Add net changes per place to all nodes above; (deltas of the changed nodes, totals of those and the new)."""
        nodes = len(self._nodes)
        count = np.zeros(nodes, np.int64)
        high = np.zeros((nodes, self._measures), np.int64)
        low = np.zeros((nodes, self._measures), np.int64)
        _along(net.count, net.high, net.low, self._leaf_node, self._parent, count, high, low)
        _add(self._count, self._high, self._low, count, high, low)
        changed = (count != 0) | high.any(axis=1) | low.any(axis=1)
        deltas = _columns(np.flatnonzero(changed), count, high, low)
        if new_nodes:
            changed[[node.id for node in new_nodes]] = True
        return deltas, _columns(np.flatnonzero(changed), self._count, self._high, self._low)

    def labels(self, place: int) -> tuple[str, ...]:
        """The labels of a place."""
        return decode_leaf(self.places.text(place))

    def totals(self) -> Mapping[tuple[int, tuple[str, ...]], tuple[int, tuple[int, ...]]]:
        """(rollup, labels) to (count, sums) of every node, empty ones too."""
        return {
            node: (
                int(self._count[i]),
                tuple((int(h) << 32) + int(w) for h, w in zip(self._high[i], self._low[i], strict=True)),
            )
            for node, i in self._nodes.items()
        }

    def _node(self, rollup: int, labels: tuple[str, ...], new: list[NewNode]) -> int:
        known = self._nodes.get((rollup, labels))
        if known is not None:
            return known
        parent = self._node(rollup, labels[:-1], new) if labels else -1
        number = self._nodes[rollup, labels] = len(self._nodes)
        new.append(NewNode(number, rollup, parent, labels))
        return number

    def _make_room(self, nodes: int) -> None:
        self._parent = with_room(self._parent, nodes)
        self._count = with_room(self._count, nodes)
        self._high = with_room(self._high, nodes)
        self._low = with_room(self._low, nodes)


def _columns(nodes: Any, count: Int64s, high: Int64s, low: Int64s) -> NodeColumns:
    return NodeColumns(
        nodes.astype(np.int32),
        count[nodes],
        np.ascontiguousarray(high[nodes].T),
        np.ascontiguousarray(low[nodes].T),
    )


@kernel
def _along(
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
def _add(count: Any, high: Any, low: Any, more_count: Any, more_high: Any, more_low: Any) -> None:
    """Add to the totals in place, carries brought up."""
    for node in range(len(more_count)):
        count[node] += more_count[node]
        for m in range(high.shape[1]):
            value = low[node, m] + more_low[node, m]
            high[node, m] += more_high[node, m] + (value >> 32)
            low[node, m] = value & _LOW
