"""The expected totals, computed from all events at once, and the balance that holds after every write.

It shares no logic with the fold: it keeps no state, and nets nothing.

And states only grow, and only to what was sent. Only rows that changed are read, so that a check costs little.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.epochs import Epochs, epochs_of
from oncefold.core import nodepath
from oncefold.core.decimals import format_decimal
from oncefold.core.definition import Level, Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import OncefoldError
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Total
from oncefold_lab.search.scenario import NAMES
from oncefold_lab.simulator.values import Row, give_item
from oncefold_lab.world.world import Violation

_SHOWN = 5


def order(event: Event) -> tuple[int, bool, tuple[list[bytes], ...], tuple[int, ...]]:
    """What decides among the events of a key: version, a delete above all, labels by their bytes, measures."""
    labels = event.content.labels
    listed = tuple([part.encode() for part in _elements(label)] for label in labels or ())
    return (event.version, labels is None, listed, event.content.measures)


def _elements(label: str) -> list[str]:
    """One label, or all of a level for each element of an array, which have a NUL and a 1 behind each."""
    return [part.replace("\0\2", "\0") for part in label.removesuffix("\0\1").split("\0\1")]


def winners(events: Iterable[Event]) -> dict[str, Event]:
    """The event of each key that counts."""
    best: dict[str, Event] = {}
    for event in events:
        if event.key not in best or order(event) > order(best[event.key]):
            best[event.key] = event
    return best


def contribution(pipeline: Pipeline, content: Content, kept: Pipeline | None = None) -> dict[Node, tuple[int, ...]]:
    """What one content adds to each node: a count of one, and its measures.

    Its numbers are the sums of `kept`, where that is another definition.
    """
    if content.labels is None:
        return {}
    numbers = (1, *_numbers(pipeline, kept or pipeline, content.measures))
    return {
        Node(index, path[:depth]): numbers
        for label in _leaves(pipeline, content.labels)
        for index, rollup in enumerate(pipeline.rollups)
        for path in [tuple(label[level] for level in rollup.levels)]
        for depth in range(len(path) + 1)
    }


def _numbers(pipeline: Pipeline, kept: Pipeline, values: tuple[int, ...]) -> list[int]:
    """What a key with these values, all sums, adds to the measures of a definition."""
    if pipeline == kept:
        return list(values)
    by_field = {measure.field: value for measure, value in zip(kept.measures, values, strict=True)}
    numbers: list[int] = []
    for measure in pipeline.measures:
        numbers += [] if measure.kind == "count" else [by_field[measure.field]]
        numbers += [] if measure.kind == "sum" else [1]
    return numbers


def _leaves(pipeline: Pipeline, labels: tuple[str, ...]) -> list[dict[Level, str]]:
    """The label of each level in every leaf: each element of one array with each of the others."""
    leaves: list[dict[Level, str]] = [{}]
    by_array: dict[object, dict[Level, list[str]]] = {}
    for level, label in zip(pipeline.levels, labels, strict=True):
        columns = by_array.setdefault(level.field if level.each else level, {})
        columns[level] = _elements(label) if level.each else [label]
    for columns in by_array.values():
        elements = [dict(zip(columns, element, strict=True)) for element in zip(*columns.values(), strict=True)]
        leaves = [{**leaf, **element} for leaf in leaves for element in elements]
    return leaves


def totals(pipeline: Pipeline, events: Iterable[Event], kept: Pipeline | None = None) -> dict[Node, Total]:
    """The totals of all nodes with a live key below them; `kept` is the definition of the events, if it is another."""
    sums: dict[Node, tuple[int, ...]] = {}
    for event in winners(events).values():
        for node, numbers in contribution(pipeline, event.content, kept).items():
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


def node_text(pipeline: Pipeline, expected: Mapping[Node, Total], actual: Mapping[Node, Total]) -> str:
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
    sums = zip(pipeline.amounts, total.sums, strict=True)
    return ", ".join(
        [f"{total.count} keys", *(f"{amount.name} {format_decimal(value, amount.scale)}" for amount, value in sums)]
    )


Rows = Mapping[Any, Row]
Numbers = dict[Node, tuple[int, ...]]


class Watched:
    """A table, and its rows as they were when last looked at."""

    def __init__(self, rows: Rows, read: Callable[[dict[str, Any]], Any]) -> None:
        self._rows = rows
        self._read = read
        self._seen: dict[Any, tuple[Row, Any]] = {}

    def changes(self) -> list[tuple[Any, Any]]:
        """What every changed row says, before and after; None where there is none."""
        found = []
        for key, row in self._rows.items():
            seen = self._seen.get(key)
            if seen is None or seen[0] is not row:
                after = self._read(give_item(row[0]))
                found.append((None if seen is None else seen[1], after))
                self._seen[key] = (row, after)
        if len(self._seen) > len(self._rows):
            gone = [key for key in self._seen if key not in self._rows]
            found += [(self._seen.pop(key)[1], None) for key in gone]
        return found

    def all(self) -> Iterator[Any]:
        """What every row said when last looked at."""
        return (said for _, said in self._seen.values())


@dataclass(frozen=True, slots=True)
class _State:
    """A key's state as an event, and its mark."""

    event: Event
    mark: int


@dataclass(frozen=True, slots=True)
class _Part:
    """What a delta changes, or a node holds, in an epoch."""

    epoch: int
    numbers: Numbers


class Balance:
    """The balance of one stack, for the totals that are read and those that a rebuild is making."""

    def __init__(
        self,
        pipeline: Pipeline,
        rows: Callable[[str], Rows],
        events: Iterable[Event],
        by_zombie: Callable[[], bool] = lambda: False,
    ) -> None:
        """`rows` gives a table's rows; `events` are all that are ever sent.

        `by_zombie` says whether the last write was of an invocation that nobody awaits any more.
        """
        self._by_zombie = by_zombie
        self._pipeline = pipeline
        self._sent = {(event.key, event.version, event.content) for event in events}
        self._rows = rows
        self._watch()
        self._off: dict[int, Numbers] = {0: {}}
        """By how much totals + outbox of an epoch are more than the states contribute to it, where they are."""
        self._trusted_after = -1
        """Epochs up to here were rolled back, and may be wrong."""
        self.epochs = Epochs()
        """As they are now."""
        self._definitions: dict[int, Pipeline] = {}
        """Of every epoch that ever had one of its own."""
        self.contents = 0
        """Changes of contents so far."""
        self._parsed: dict[str, Pipeline] = {}
        self._contributions: dict[tuple[int, Content], Numbers] = {}
        """What was computed before, by the definition as an object: most states are looked at again and again."""
        self._late: set[str] = set()
        """Keys that a zombie of before the switch wrote first, without the mark of the totals that are read: they count
        nowhere until what it was given comes again, as it has to."""
        self._live: tuple[int, int, Numbers] = (-1, -1, {})
        """Epoch, `contents` and what the states contributed then."""

    def _watch(self) -> None:
        rows = self._rows
        self._states = Watched(rows(NAMES.state_table), self._state)
        self._outbox = Watched(rows(NAMES.reduce_table), self._delta)
        self._nodes = Watched(rows(NAMES.aggregate_table), self._node)

    def rolled_back(self, latest: int) -> None:
        """The tables were put back, each on its own: nothing holds of epochs up to the latest that there may be."""
        self._watch()
        self._trusted_after = latest
        self._off = {}
        self._late = set()
        self.contents += 1

    @property
    def trusted(self) -> bool:
        """Whether the totals that are read have to be right."""
        return self.epochs.live > self._trusted_after

    def check(self) -> None:
        """Check what changed. Raises Violation."""
        try:
            self._check()
        except (ArithmeticError, LookupError, OncefoldError, TypeError, ValueError) as error:
            raise Violation(f"a table holds what cannot be read: {error!r}") from error

    def live_totals(self) -> Numbers:
        """What the states contribute, node by node."""
        epoch, contents, found = self._live
        if (epoch, contents) != (self.epochs.live, self.contents):
            found = {}
            for state in self._states.all():
                if state.event.key not in self._late:
                    for node, row in self._contribution(self.epochs.live, state).items():
                        found[node] = plus(found.get(node), row)
            self._live = self.epochs.live, self.contents, found
        return found

    def _check(self) -> None:
        self._take_in_nodes()
        self._take_in_states(self._states)
        for before, after in self._outbox.changes():
            if before is not None and after is not None:
                raise Violation("a delta in the outbox was changed")
            self._add(after or before, 1 if before is None else -1)
        for epoch in self.epochs.kept:
            if epoch > self._trusted_after and self._off[epoch]:
                raise Violation(f"totals and outbox are not what the states contribute: {self._words(epoch)}")

    def _take_in_states(self, states: Watched) -> None:
        for before, after in states.changes():
            self._check_growth(before, after)
            for state, sign in ((before, 1), (after, -1)):
                if state is not None:
                    self._contribute(state, sign)

    def _take_in_other(self, before: Any, after: Any) -> None:
        """Take in what an item of AggregateTable says that is neither a node nor the definition."""

    def _take_in_nodes(self) -> None:
        for before, after in self._nodes.changes():
            self._take_in_other(before, after)
            for part, sign in ((before, -1), (after, 1)):
                if isinstance(part, Epochs):
                    self.epochs = part if sign == 1 else self.epochs
                elif isinstance(part, _Part):
                    self._add(part, sign)
        for epoch in self.epochs.kept:
            self._off.setdefault(epoch, {})

    def _check_growth(self, before: _State | None, after: _State | None) -> None:
        if after is None:
            raise Violation(f"the state of {before} is gone")
        if before is None or order(after.event) != order(before.event):
            self.contents += 1
        self._see_late(before, after)
        if before is not None and after.mark < before.mark:
            raise Violation(f"a mark went back: {before} became {after}")
        if before is not None and (order(after.event), after.mark) <= (order(before.event), before.mark):
            raise Violation(f"a state did not grow: {before} became {after}")
        if (after.event.key, after.event.version, after.event.content) not in self._sent:
            raise Violation(f"a state that was never sent: {after}")

    def _see_late(self, before: _State | None, after: _State) -> None:
        key, counts = after.event.key, after.mark >= self.epochs.live
        if before is None and not counts and self.trusted and self._by_zombie():
            self._late.add(key)
        elif counts and key in self._late:
            self._late.remove(key)
            self.contents += 1

    def _contribute(self, state: _State, sign: int) -> None:
        for epoch in self._off:
            if state.mark >= epoch:
                self._add(_Part(epoch, self._contribution(epoch, state)), sign)

    def definition(self, epoch: int) -> Pipeline:
        """What an epoch's totals are."""
        return self._definitions.get(epoch, self._pipeline)

    def _contribution(self, epoch: int, state: _State) -> Numbers:
        pipeline, content = self.definition(epoch), state.event.content
        found = self._contributions.get((id(pipeline), content))
        if found is None:
            found = self._contributions[id(pipeline), content] = contribution(pipeline, content, self._pipeline)
        return found

    def _add(self, part: _Part, sign: int) -> None:
        off = self._off.setdefault(part.epoch, {})
        for node, row in part.numbers.items():
            total = plus(off.get(node), tuple(sign * number for number in row))
            if any(total):
                off[node] = total
            else:
                off.pop(node, None)

    def _words(self, epoch: int) -> str:
        over = {node: Total(count, tuple(rest)) for node, (count, *rest) in self._off[epoch].items()}
        return f"epoch {epoch}: " * bool(epoch) + node_text(self.definition(epoch), {}, over)

    def _state(self, item: dict[str, Any]) -> _State:
        key, marked = layout.parse_marked(self._pipeline, item)
        return _State(Event(key, marked.stored.version, marked.stored.content), marked.mark)

    def _delta(self, item: dict[str, Any]) -> _Part:
        delta = layout.parse_delta(self.definition(layout.epoch_of(item)), item)
        return _Part(delta.epoch, {node: (total.count, *total.sums) for node, total in delta.nodes})

    def _node(self, item: dict[str, Any]) -> Any:
        epoch = layout.node_epoch(item)
        if epoch is None:
            return self._epochs(item) if item["label"] == layout.DEFINITION_KEY["label"] else None
        node, total = layout.parse_node(self.definition(epoch), item)
        return _Part(epoch, {node: (total.count, *total.sums)})

    def _epochs(self, item: dict[str, Any]) -> Epochs:
        found = epochs_of(item)
        for epoch, text in found.definitions:
            if text not in self._parsed:
                self._parsed[text] = parse_toml(text)
            self._definitions[epoch] = self._parsed[text]
        return found
