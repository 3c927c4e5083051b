"""The reference model: what the totals of a set of events are, in the plainest words Python has.

    totals = sum over keys of the contribution of the greatest (version, content)

Every runtime must equal this for every order, duplication, re-batching, crash and replay of the same events. It
shares no logic with the fold: it looks at all events at once, keeps no state and nets nothing. Of the package it
takes only the plain values `Event`, `Node` and `Total`.

    expected = reference.totals(pipeline, events)
    reference.assert_equal(expected, {node: total for ... in store})
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from oncefold.core import nodepath
from oncefold.core.decimals import format_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Total

_MOST_SHOWN = 10


def winners(events: Iterable[Event]) -> dict[str, Event]:
    """The one event of each key that counts: the greatest by version, then by content."""
    by_key: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_key[event.key].append(event)
    return {key: max(group, key=lambda event: (event.version, *_order(event.content))) for key, group in by_key.items()}


def totals(pipeline: Pipeline, events: Iterable[Event]) -> dict[Node, Total]:
    """The totals of every node that has a live key below it; all other nodes, roots too, are zero and left out."""
    counts: defaultdict[Node, int] = defaultdict(int)
    sums: defaultdict[Node, list[int]] = defaultdict(lambda: [0] * len(pipeline.measures))
    for event in winners(events).values():
        for node in _nodes(pipeline, event.content):
            counts[node] += 1
            for index, mantissa in enumerate(event.content.measures):
                sums[node][index] += mantissa
    return {node: Total(count, tuple(sums[node])) for node, count in counts.items()}


def differences(expected: Mapping[Node, Total], actual: Mapping[Node, Total]) -> list[Node]:
    """The nodes whose totals differ, in order; a node that is absent equals one that is zero."""
    nodes = expected.keys() | actual.keys()
    return sorted(node for node in nodes if _plain(expected.get(node)) != _plain(actual.get(node)))


def assert_equal(expected: Mapping[Node, Total], actual: Mapping[Node, Total], pipeline: Pipeline) -> None:
    """Fail with the first nodes that differ, written for a person."""
    wrong = differences(expected, actual)
    if wrong:
        lines = [
            f"  {pipeline.rollups[node.rollup].name} {nodepath.join(node.labels) or '(root)'}:"
            f" expected {describe(pipeline, expected.get(node))}, got {describe(pipeline, actual.get(node))}"
            for node in wrong[:_MOST_SHOWN]
        ]
        raise AssertionError("\n".join([f"{len(wrong)} nodes differ from the reference", *lines]))


def describe(pipeline: Pipeline, total: Total | None) -> str:
    """A total for a person: `3 keys, value 12.50`."""
    if total is None:
        return "nothing"
    sums = (
        f"{measure.name} {format_decimal(mantissa, measure.scale)}"
        for measure, mantissa in zip(pipeline.measures, total.sums, strict=True)
    )
    return ", ".join([f"{total.count} keys", *sums])


def _order(content: Content) -> tuple[bool, tuple[bytes, ...], tuple[int, ...]]:
    """A delete above all, then the labels by their UTF-8 bytes, then the measures as numbers."""
    if content.labels is None:
        return True, (), ()
    return False, tuple(label.encode() for label in content.labels), content.measures


def _nodes(pipeline: Pipeline, content: Content) -> list[Node]:
    """The nodes a content counts in: of each rollup the root and every step down to its leaf; none for a delete."""
    if content.labels is None:
        return []
    label_of = dict(zip(pipeline.levels, content.labels, strict=True))
    nodes = []
    for index, rollup in enumerate(pipeline.rollups):
        path = [label_of[level] for level in rollup.levels]
        nodes += [Node(index, tuple(path[:depth])) for depth in range(len(path) + 1)]
    return nodes


def _plain(total: Total | None) -> tuple[int, ...]:
    """A total as numbers, the zero of any width as nothing."""
    numbers = () if total is None else (total.count, *total.sums)
    return numbers if any(numbers) else ()
