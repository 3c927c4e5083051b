"""`verify`: every total recomputed from the key states and held against the table."""

from oncefold.commit import States
from oncefold.core.decimals import parse_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Total
from oncefold.core.nodepath import join
from oncefold.store import rows
from oncefold.store.amounts import DIGITS, to_ints
from oncefold.store.answers import Difference
from oncefold.store.connection import Connection
from oncefold.store.recompute import Tree, along_the_trees, totals_of_leaves

Stored = Total | str | None


def differences(connection: Connection, pipeline: Pipeline, states: States) -> tuple[int, list[Difference]]:
    """How many nodes there are, and those whose stored totals differ from the keys', in tree order.

    Raises DamagedError for a state at a leaf that does not exist.
    """
    leaves, nodes = rows.read_leaves(connection, len(pipeline.levels)), list(rows.read_nodes(connection, pipeline))
    by_leaf = totals_of_leaves(states, len(leaves))
    ids = 1 + max((node.id for node in nodes), default=-1)
    amounts, missing = along_the_trees(pipeline, Tree(nodes), ids, leaves, by_leaf)
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
        Difference(pipeline.rollups[node.rollup].name, join(node.labels), was, recomputed)
        for node, was, recomputed in wrong
    ]


def _stored(connection: Connection, pipeline: Pipeline) -> dict[int, Stored]:
    names = "".join(f', "sum_{measure.name}"' for measure in pipeline.measures)
    rows_ = connection.execute(f"SELECT node, count{names} FROM total")  # noqa: S608 - names only
    return {node: _total(pipeline, count, texts) for node, count, *texts in rows_}


def _total(pipeline: Pipeline, count: int, texts: list[str]) -> Stored:
    try:
        pairs = zip(texts, pipeline.measures, strict=True)
        return Total(count, tuple(parse_decimal(text, measure.scale, 10**DIGITS) for text, measure in pairs))
    except ValueError as error:
        return str(error)
