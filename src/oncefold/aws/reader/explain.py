"""`explain`: the keys behind a total."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from oncefold.aws.reader.answers import Reading, StackExplanation
from oncefold.aws.reader.looks import Look, compare, nothing
from oncefold.aws.reader.query import missing_node, node_total
from oncefold.aws.reader.tables import Progress, Stack, read_deltas, read_states
from oncefold.aws.reader.tree import read_node
from oncefold.core.fold import Node, Stored, Total
from oncefold.core.nodepath import join
from oncefold.queries import making, values
from oncefold.store.answers import KeyState

_Keyed = tuple[str, Stored]


@dataclass(slots=True)
class _Sum:
    """The total of the keys that went through."""

    total: Total

    def of(self, states: Iterable[_Keyed]) -> Iterator[_Keyed]:
        """Hand the keys on, adding them up."""
        for key, stored in states:
            self.total += Total(1, stored.content.measures)
            yield key, stored


def explain(stack: Stack, node: Node, limit: int, read: Reading, progress: Progress) -> StackExplanation:
    """The first `limit` keys that count in a node, and whether all of them make up its totals.

    Raises QuestionError for a node that does not exist.
    """
    none = nothing(stack.pipeline)
    before = _look(stack, node, progress)
    added = _Sum(none)
    counted = added.of(read_states(stack, progress, below=node))
    keys = heapq.nsmallest(max(limit, 1), counted, key=lambda item: item[0])[:limit]
    look, moved = before, False
    if before.with_deltas(node, none) != added.total:
        look = _look(stack, node, progress)
        moved = node in compare({node: added.total}, before, look, none).moving
    if not look.totals and node not in look.waiting and not added.total and node.labels:
        raise missing_node(stack, node)
    return _answer(stack, node, added.total, keys, look, read=read, moved=moved)


def _look(stack: Stack, node: Node, progress: Progress) -> Look:
    deltas = {waiting.delta.id: waiting.delta for waiting in read_deltas(stack, progress)}
    total = read_node(stack, node)
    return Look({} if total is None else {node: total}, deltas)


def _answer(
    stack: Stack, node: Node, total: Total, keys: Iterable[_Keyed], look: Look, **rest: Any
) -> StackExplanation:
    reading = values.Reading(stack.pipeline)
    held = look.with_deltas(node, nothing(stack.pipeline))
    assert isinstance(held, Total)
    return StackExplanation(
        rows=tuple(making.counted_key(reading, node.rollup, _key_state(*item)) for item in keys),
        rollup=stack.pipeline.rollups[node.rollup].name,
        path=join(node.labels),
        count=total.count,
        sums=reading.amounts(total.sums),
        scales=reading.scales,
        version_is_time=reading.version_is_time,
        node=node_total(reading, node, held),
        deltas=sum(any(node == touched for touched, _ in delta.nodes) for delta in look.deltas.values()),
        **rest,
    )


def _key_state(key: str, stored: Stored) -> KeyState:
    return KeyState(key, stored.version, stored.content.labels, stored.content.measures)
