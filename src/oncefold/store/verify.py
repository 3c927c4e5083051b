"""`verify`: every total is recomputed from the key states and compared with the stored one."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from oncefold.commit import PAGE_ROWS, NewNode, NodeColumns, States
from oncefold.core import leafset
from oncefold.core.decimals import parse_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total
from oncefold.core.nodepath import join
from oncefold.store import rows
from oncefold.store.amounts import DIGITS, LOW_BITS, LOW_MASK, carried, to_ints
from oncefold.store.answers import WrongTotal
from oncefold.store.connection import Connection
from oncefold.store.errors import DamagedError
from oncefold.store.node_amounts import LeafNodes, other_amounts

Stored = Total | str | None


def differences(connection: Connection, pipeline: Pipeline, states: States) -> tuple[int, list[WrongTotal]]:
    """How many nodes there are, and those whose stored totals differ from the keys', in tree order.

    Raises DamagedError for a state at a leaf that does not exist.
    """
    leaves, nodes = rows.read_leaves(connection, len(pipeline.levels)), list(rows.read_nodes(connection, pipeline))
    by_leaf = totals_of_leaves(states, len(leaves), pipeline.layout.sums)
    ids = 1 + max((node.id for node in nodes), default=-1)
    pairs, missing = _leaf_nodes(pipeline, NodeIndex(nodes), ids, leaves, by_leaf)
    amounts = along_the_trees(pairs, by_leaf)
    sums = [to_ints(high, low) for high, low in zip(amounts.high, amounts.low, strict=True)]
    sums += other_amounts(connection, pipeline, states, pairs)
    counts = amounts.count.tolist()
    stored = _stored(connection, pipeline)

    def total(id_: int) -> Total:
        return Total(counts[id_], tuple(column[id_] for column in sums))

    wrong: list[tuple[Node, Stored, Total]] = [(node, None, total(id_)) for node, id_ in missing.items()]
    for node in nodes:
        recomputed = total(node.id)
        if stored.get(node.id) != recomputed:
            wrong.append((Node(node.rollup, node.labels), stored.get(node.id), recomputed))
    wrong.sort(key=lambda item: item[0])
    return len(nodes), [
        WrongTotal(pipeline.rollups[node.rollup].name, join(node.labels), was, recomputed)
        for node, was, recomputed in wrong
    ]


def _stored(connection: Connection, pipeline: Pipeline) -> dict[int, Stored]:
    averages = [measure.name for measure in pipeline.measures if measure.kind == "avg"]
    names = [*(f"sum_{amount.name}" for amount in pipeline.amounts), *(f"avg_{name}" for name in averages)]
    columns = "".join(f', "{name}"' for name in names)
    rows_ = connection.execute(f"SELECT node, count{columns} FROM total")  # noqa: S608 - names only
    return {node: _stored_total(pipeline, count, texts) for node, count, *texts in rows_}


def _stored_total(pipeline: Pipeline, count: int, texts: list[str]) -> Stored:
    amounts = len(pipeline.amounts)
    try:
        pairs = zip(texts[:amounts], pipeline.amounts, strict=True)
        total = Total(count, tuple(parse_decimal(text, amount.scale, 10**DIGITS) for text, amount in pairs))
    except ValueError as error:
        return str(error)
    return next(_wrong_averages(pipeline, total, iter(texts[amounts:])), total)


def _wrong_averages(pipeline: Pipeline, total: Total, texts: Iterator[str | None]) -> Iterator[str]:
    """What is wrong with the averages as they are written beside what they are made of."""
    for measure, place in zip(pipeline.measures, pipeline.layout.places, strict=True):
        if measure.kind == "avg":
            dividend, divisor = total.sums[place.amount : place.amount + 2]
            right, written = rows.average_text(dividend, divisor, measure.scale), next(texts)
            if right != written:
                yield f"the average {measure.name} is written as {written}, and is {right}"


Leaves = Sequence[tuple[str, ...]]
Bools = npt.NDArray[np.bool_]


def totals_of_leaves(states: States, leaves: int, measures: int) -> NodeColumns:
    """Per leaf, the live keys there and their exact sums. Raises DamagedError for a state at no known leaf.

    High and low halves are summed separately: 2**31 keys cannot overflow either.
    """
    count = np.zeros(leaves, np.int64)
    high, low = (np.zeros((measures, leaves), np.int64) for _ in range(2))
    for start in range(0, len(states.leaf), PAGE_ROWS):
        part = slice(start, start + PAGE_ROWS)
        live = states.leaf[part] >= 0
        leaf = states.leaf[part][live]
        if len(leaf) and int(leaf.max()) >= leaves:
            raise DamagedError(f"a key from row {start} on is at a leaf that does not exist")
        count += np.bincount(leaf, minlength=leaves)
        for i, column in enumerate(states.measures[:measures]):
            values = column[part][live]
            np.add.at(high[i], leaf, values >> LOW_BITS)
            np.add.at(low[i], leaf, values & LOW_MASK)
    return NodeColumns(np.arange(leaves, dtype=np.int32), count, high, low)


class NodeIndex:
    """The nodes by parent and label."""

    def __init__(self, nodes: Sequence[NewNode]) -> None:
        self._ids = {(n.parent if n.labels else -1 - n.rollup, n.labels[-1] if n.labels else ""): n.id for n in nodes}
        self._kept: dict[tuple[int, tuple[str, ...]], list[int]] = {}

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

    def nodes_of(self, pipeline: Pipeline, leaf: tuple[str, ...]) -> tuple[Iterable[int], Iterable[Node]]:
        """The ids of the nodes that a leaf counts in, and those of its nodes that do not exist; each once."""
        ids: list[int] = []
        absent: list[Node] = []
        for rollup, levels in enumerate(pipeline.rollup_levels):
            for labels in leafset.paths(pipeline.arrays, leaf, levels):
                found = self._path_ids(rollup, labels) if pipeline.arrays else self.path_ids(rollup, labels)
                ids += found
                absent += [Node(rollup, labels[:depth]) for depth in range(len(found), len(labels) + 1)]
        return (set(ids), set(absent)) if pipeline.arrays else (ids, absent)

    def _path_ids(self, rollup: int, labels: tuple[str, ...]) -> list[int]:
        """The same, kept: many sets of leaves share a path."""
        found = self._kept.get((rollup, labels))
        if found is None:
            found = self._kept[rollup, labels] = self.path_ids(rollup, labels)
        return found


def _leaf_nodes(
    pipeline: Pipeline, tree: NodeIndex, nodes: int, leaves: Leaves, by_leaf: NodeColumns
) -> tuple[LeafNodes, dict[Node, int]]:
    """The nodes of each leaf that has keys; nodes that are missing have ids from `nodes` on."""
    pairs: list[tuple[int, int]] = []
    missing: dict[Node, int] = {}
    for leaf in np.flatnonzero(by_leaf.count).tolist():
        ids, absent = tree.nodes_of(pipeline, leaves[leaf])
        pairs.extend((leaf, id_) for id_ in ids)
        pairs.extend((leaf, missing.setdefault(node, nodes + len(missing))) for node in absent)
    leaf_of, node_of = np.array(pairs, np.int64).reshape(-1, 2).T
    return LeafNodes(leaf_of, node_of, len(leaves), nodes + len(missing)), missing


def along_the_trees(pairs: LeafNodes, by_leaf: NodeColumns) -> NodeColumns:
    """Count and sums of all nodes, from those of the leaves."""
    count = np.zeros(pairs.nodes, np.int64)
    np.add.at(count, pairs.node, by_leaf.count[pairs.leaf])
    high, low = (np.zeros((len(by_leaf.high), pairs.nodes), np.int64) for _ in range(2))
    for i in range(len(by_leaf.high)):
        np.add.at(high[i], pairs.node, by_leaf.high[i][pairs.leaf])
        np.add.at(low[i], pairs.node, by_leaf.low[i][pairs.leaf])
    high, low = carried(high, low)
    return NodeColumns(np.arange(pairs.nodes, dtype=np.int32), count, high, low)


def leaves_below(pipeline: Pipeline, leaves: Leaves, rollup: int, labels: tuple[str, ...]) -> Bools:
    """Which leaves count in this node."""
    levels = pipeline.rollup_levels[rollup][: len(labels)]
    if pipeline.arrays:
        below = (labels in leafset.paths(pipeline.arrays, leaf, levels) for leaf in leaves)
    else:
        below = (tuple(leaf[level] for level in levels) == labels for leaf in leaves)
    return np.fromiter(below, np.bool_, len(leaves))
