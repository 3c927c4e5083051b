"""What the totals have to be, from all events at once: the greatest (version, content) of each key counts.

It shares no logic with the fold: it keeps no state, and nets nothing.
"""

from collections.abc import Iterable, Mapping

from oncefold.core import nodepath
from oncefold.core.decimals import format_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Total

_SHOWN = 5


def order(event: Event) -> tuple[int, bool, tuple[bytes, ...], tuple[int, ...]]:
    """What decides among the events of a key: version, a delete above all, labels by their bytes, measures."""
    labels = event.content.labels
    return (event.version, labels is None, tuple(map(str.encode, labels or ())), event.content.measures)


def winners(events: Iterable[Event]) -> dict[str, Event]:
    """The event of each key that counts."""
    best: dict[str, Event] = {}
    for event in events:
        if event.key not in best or order(event) > order(best[event.key]):
            best[event.key] = event
    return best


def contribution(pipeline: Pipeline, content: Content) -> dict[Node, tuple[int, ...]]:
    """What one content adds to each node: a count of one, and its measures."""
    if content.labels is None:
        return {}
    label = dict(zip(pipeline.levels, content.labels, strict=True))
    paths = (tuple(label[level] for level in rollup.levels) for rollup in pipeline.rollups)
    numbers = (1, *content.measures)
    return {Node(index, path[:depth]): numbers for index, path in enumerate(paths) for depth in range(len(path) + 1)}


def totals(pipeline: Pipeline, events: Iterable[Event]) -> dict[Node, Total]:
    """The totals of all nodes with a live key below them."""
    sums: dict[Node, tuple[int, ...]] = {}
    for event in winners(events).values():
        for node, numbers in contribution(pipeline, event.content).items():
            sums[node] = plus(sums.get(node), numbers)
    return {node: Total(count, tuple(rest)) for node, (count, *rest) in sums.items()}


def plus(one: tuple[int, ...] | None, other: tuple[int, ...]) -> tuple[int, ...]:
    """The sum of two rows of numbers; None is nothing."""
    return other if one is None else tuple(a + b for a, b in zip(one, other, strict=True))


def differences(expected: Mapping[Node, Total], actual: Mapping[Node, Total]) -> list[Node]:
    """The nodes whose totals differ, in order; a node that is absent equals one that is zero."""
    return sorted(
        node
        for node in expected.keys() | actual.keys()
        if (expected.get(node) or None) != (actual.get(node) or None)
    )  # fmt: skip


def words(pipeline: Pipeline, expected: Mapping[Node, Total], actual: Mapping[Node, Total]) -> str:
    """The first nodes that differ, for a person."""
    wrong = differences(expected, actual)
    shown = [
        f"{pipeline.rollups[node.rollup].name} {nodepath.join(node.labels) or '(root)'}: "
        f"{describe(pipeline, actual.get(node))} instead of {describe(pipeline, expected.get(node))}"
        for node in wrong[:_SHOWN]
    ]
    return "; ".join([f"{len(wrong)} nodes are wrong", *shown])


def describe(pipeline: Pipeline, total: Total | None) -> str:
    """A total for a person: `3 keys, value 12.50`."""
    if total is None:
        return "nothing"
    sums = zip(pipeline.measures, total.sums, strict=True)
    return ", ".join(
        [f"{total.count} keys", *(f"{measure.name} {format_decimal(value, measure.scale)}" for measure, value in sums)]
    )
