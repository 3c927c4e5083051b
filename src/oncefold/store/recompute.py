"""Totals recomputed from the key states, exactly: the check behind `verify`, and the keys behind a node."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from oncefold.commit import PAGE_ROWS, NewNode, NodeColumns, States
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total
from oncefold.store.amounts import LOW_BITS, LOW_MASK, carried
from oncefold.store.damaged import DamagedError

Leaves = Sequence[tuple[str, ...]]
Bools = npt.NDArray[np.bool_]


def totals_of_leaves(states: States, leaves: int) -> NodeColumns:
    """Per leaf, the live keys there and their exact sums. Raises DamagedError for a state at no known leaf.

    High and low halves are summed apart: 2**31 keys cannot overflow either.
    """
    count = np.zeros(leaves, np.int64)
    high, low = (np.zeros((len(states.measures), leaves), np.int64) for _ in range(2))
    for start in range(0, len(states.leaf), PAGE_ROWS):
        part = slice(start, start + PAGE_ROWS)
        live = states.leaf[part] >= 0
        leaf = states.leaf[part][live]
        if len(leaf) and int(leaf.max()) >= leaves:
            raise DamagedError(f"a key from row {start} on is at a leaf that does not exist")
        count += np.bincount(leaf, minlength=leaves)
        for i, column in enumerate(states.measures):
            values = column[part][live]
            np.add.at(high[i], leaf, values >> LOW_BITS)
            np.add.at(low[i], leaf, values & LOW_MASK)
    return NodeColumns(np.arange(leaves, dtype=np.int32), count, high, low)


class Tree:
    """The nodes by parent and label."""

    def __init__(self, nodes: Sequence[NewNode]) -> None:
        self._ids = {(n.parent if n.labels else -1 - n.rollup, n.labels[-1] if n.labels else ""): n.id for n in nodes}

    def path_ids(self, rollup: int, labels: Sequence[str]) -> list[int]:
        """The ids of the nodes from the root down these labels; it ends early where there is none."""
        ids: list[int] = []
        parent = -1 - rollup
        for label in ("", *labels):
            found = self._ids.get((parent, label))
            if found is None:
                break
            ids.append(found)
            parent = found
        return ids


def along_the_trees(
    pipeline: Pipeline, tree: Tree, nodes: int, leaves: Leaves, by_leaf: NodeColumns
) -> tuple[NodeColumns, dict[Node, Total]]:
    """Totals of the nodes with ids below `nodes` from those of the leaves; and of nodes that should be there too."""
    pairs: list[tuple[int, int]] = []
    missing: dict[Node, Total] = {}
    for leaf in np.flatnonzero(by_leaf.count).tolist():
        for rollup, levels in enumerate(pipeline.rollup_levels):
            labels = tuple(leaves[leaf][level] for level in levels)
            ids = tree.path_ids(rollup, labels)
            pairs.extend((leaf, id_) for id_ in ids)
            for depth in range(len(ids), len(labels) + 1):
                node, total = Node(rollup, labels[:depth]), _total(by_leaf, leaf)
                missing[node] = missing[node] + total if node in missing else total
    leaf_of, node_of = np.array(pairs, np.int64).reshape(-1, 2).T
    count = np.zeros(nodes, np.int64)
    np.add.at(count, node_of, by_leaf.count[leaf_of])
    high, low = (np.zeros((len(pipeline.measures), nodes), np.int64) for _ in range(2))
    for i in range(len(pipeline.measures)):
        np.add.at(high[i], node_of, by_leaf.high[i][leaf_of])
        np.add.at(low[i], node_of, by_leaf.low[i][leaf_of])
    high, low = carried(high, low)
    return NodeColumns(np.arange(nodes, dtype=np.int32), count, high, low), missing


def _total(amounts: NodeColumns, index: int) -> Total:
    sums = (
        (int(high[index]) << LOW_BITS) + int(low[index]) for high, low in zip(amounts.high, amounts.low, strict=True)
    )
    return Total(int(amounts.count[index]), tuple(sums))


def leaves_below(pipeline: Pipeline, leaves: Leaves, rollup: int, labels: tuple[str, ...]) -> Bools:
    """Which leaves count in this node."""
    levels = pipeline.rollup_levels[rollup][: len(labels)]
    below = (tuple(leaf[level] for level in levels) == labels for leaf in leaves)
    return np.fromiter(below, np.bool_, len(leaves))
