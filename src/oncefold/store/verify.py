"""`verify`: every total is recomputed from the key states and compared with the stored one."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from oncefold.commit import PAGE_ROWS, NewNode, NodeColumns, States
from oncefold.core.decimals import parse_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total
from oncefold.core.nodepath import join
from oncefold.store import rows
from oncefold.store.amounts import DIGITS, LOW_BITS, LOW_MASK, carried, to_ints
from oncefold.store.answers import WrongTotal
from oncefold.store.connection import Connection
from oncefold.store.errors import DamagedError

Stored = Total | str | None


def differences(connection: Connection, pipeline: Pipeline, states: States) -> tuple[int, list[WrongTotal]]:
    """How many nodes there are, and those whose stored totals differ from the keys', in tree order.

    Raises DamagedError for a state at a leaf that does not exist.
    """
    leaves, nodes = rows.read_leaves(connection, len(pipeline.levels)), list(rows.read_nodes(connection, pipeline))
    by_leaf = totals_of_leaves(states, len(leaves), pipeline.layout.sums)
    ids = 1 + max((node.id for node in nodes), default=-1)
    amounts, missing = along_the_trees(pipeline, NodeIndex(nodes), ids, leaves, by_leaf)
    sums = [to_ints(high, low) for high, low in zip(amounts.high, amounts.low, strict=True)]
    counts = amounts.count.tolist()
    stored = _stored(connection, pipeline)
    wrong: list[tuple[Node, Stored, Total]] = [(node, None, total) for node, total in missing.items()]
    for node in nodes:
        recomputed = Total(counts[node.id], tuple(column[node.id] for column in sums))
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
    pipeline: Pipeline, tree: NodeIndex, nodes: int, leaves: Leaves, by_leaf: NodeColumns
) -> tuple[NodeColumns, dict[Node, Total]]:
    """Totals of the nodes with ids below `nodes`, from those of the leaves; and of nodes that are missing."""
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
    high, low = (np.zeros((len(by_leaf.high), nodes), np.int64) for _ in range(2))
    for i in range(len(by_leaf.high)):
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
