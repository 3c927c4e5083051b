"""The reference model: what the totals of a set of events are, in the plainest words Python has.

    totals = sum over keys of the contribution of the greatest (version, content)

Every runtime must equal this for every order, duplication, re-batching, crash and replay of the same events. It
shares no logic with the fold: it looks at all events at once, keeps no state and nets nothing. Of the package it
takes only the plain values `Event`, `Node` and `Total`.

    expected = reference.totals(pipeline, events)
    reference.assert_equal(expected, {node: total for ... in store})
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from oncefold.core import nodepath
from oncefold.core.decimals import format_decimal
from oncefold.core.definition import Level, Pipeline
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Total
from oncefold.core.measures import NO_VALUE, Place

_MOST_SHOWN = 10


def winners(events: Iterable[Event]) -> dict[str, Event]:
    """The one event of each key that counts: the greatest by version, then by content."""
    by_key: defaultdict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_key[event.key].append(event)
    return {key: max(group, key=lambda event: (event.version, *_order(event.content))) for key, group in by_key.items()}


def totals(pipeline: Pipeline, events: Iterable[Event]) -> dict[Node, Total]:
    """The totals of every node that has a live key below it; all other nodes, roots too, are zero and left out."""
    live: defaultdict[Node, list[Event]] = defaultdict(list)
    for event in winners(events).values():
        for node in _nodes(pipeline, event.content):
            live[node].append(event)
    return {node: Total(len(below), amounts(pipeline, below)) for node, below in live.items()}


def amounts(pipeline: Pipeline, live: Sequence[Event]) -> tuple[int, ...]:
    """The amounts of a node with these keys: of each measure what shows it, those that are sums before the others."""
    summed, others = [], []
    for measure, place in zip(pipeline.measures, pipeline.layout.places, strict=True):
        (summed if measure.kind in {"sum", "count", "avg"} else others).extend(_amounts(measure.kind, place, live))
    return (*summed, *others)


def _amounts(kind: str, place: Place, live: Sequence[Event]) -> list[int]:
    """One measure, from the columns of the keys, of which NULL takes no part."""
    if kind == "distinct":
        return [len({text for event in live for text in [_columns(event)[place.column]] if text is not None})]
    if kind in {"sum", "count"}:
        return [sum(event.content.measures[place.column] for event in live)]
    if kind == "avg":
        return [sum(event.content.measures[place.column + part] for event in live) for part in (0, 1)]
    found = [event for event in live if event.content.measures[place.column] != NO_VALUE]
    if kind in {"first", "last"}:
        timed = [event for event in found if event.time is not None]
        timed.sort(key=lambda event: (event.time, event.key.encode()), reverse=kind == "last")
        return [timed[0].content.measures[place.column], 1] if timed else [0, 0]
    values = [event.content.measures[place.column] for event in found]
    return [min(values) if kind == "min" else max(values), 1] if values else [0, 0]


def _columns(event: Event) -> tuple[int | str | None, ...]:
    return (*event.content.measures, *event.content.texts)


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
        for measure, mantissa in zip(pipeline.amounts, total.sums, strict=True)
    )
    return ", ".join([f"{total.count} keys", *sums])


def _order(content: Content) -> tuple[bool, tuple[list[bytes], ...], tuple[int, ...], list[tuple[bool, bytes]]]:
    """A delete above all, then the labels by their UTF-8 bytes, the measures as numbers, the texts, NULL below all."""
    if content.labels is None:
        return True, (), (), []
    texts = [(text is not None, (text or "").encode()) for text in content.texts]
    return False, tuple(map(_bytes_of, content.labels)), content.measures, texts


def _bytes_of(label: str) -> list[bytes]:
    """One label, or all of a level for each element of an array, which have a NUL and a 1 behind each."""
    return [part.replace("\0\2", "\0").encode() for part in label.removesuffix("\0\1").split("\0\1")]


def _nodes(pipeline: Pipeline, content: Content) -> list[Node]:
    """The nodes a content counts in: of each rollup the root and every step down to its leaf; none for a delete."""
    if content.labels is None:
        return []
    nodes = []
    for label_of in _leaves(pipeline, content.labels):
        for index, rollup in enumerate(pipeline.rollups):
            path = [label_of[level] for level in rollup.levels]
            nodes += [Node(index, tuple(path[:depth])) for depth in range(len(path) + 1)]
    return list(dict.fromkeys(nodes))


def _leaves(pipeline: Pipeline, labels: tuple[str, ...]) -> list[dict[Level, str]]:
    """Every leaf as the label of each level: each element of one array with each of the others."""
    leaves: list[dict[Level, str]] = [{}]
    for array in dict.fromkeys(level.field if level.each else level for level in pipeline.levels):
        of_it = [level for level in pipeline.levels if array in {level, level.each and level.field}]
        columns = [
            [part.decode() for part in _bytes_of(label)] if level.each else [label]
            for level, label in zip(pipeline.levels, labels, strict=True)
            if level in of_it
        ]
        elements = [dict(zip(of_it, element, strict=True)) for element in zip(*columns, strict=True)]
        leaves = [{**leaf, **element} for leaf in leaves for element in elements]
    return leaves


def _plain(total: Total | None) -> tuple[int, ...]:
    """A total as numbers, the zero of any width as nothing."""
    numbers = () if total is None else (total.count, *total.sums)
    return numbers if any(numbers) else ()
