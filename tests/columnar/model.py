"""The scalar fold compared with the columnar one after every batch; and known-wrong scalar folds."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from oncefold.columnar.batch import Batch
from oncefold.columnar.state import ChangeLog, FoldedBatch, KeyedState, nothing_accumulated
from oncefold.columnar.trees import Trees
from oncefold.commit import NO_LEAF, NewNode, NodeColumns, States, whole_version
from oncefold.core import fold as core
from oncefold.core.definition import Pipeline
from oncefold.core.event import Content, Event
from oncefold.core.fold import Node, Outcome, Stored, Total
from tests.columnar.tools import batch_of
from tests.tools import reference

Fold = Callable[[Stored | None, Event], tuple[Outcome, Stored]]
Pairs = Iterable[tuple[Stored | None, Stored | None]]
Net = Callable[[Pipeline, Pairs], dict[Node, Total]]


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a batch as the columnar fold keeps it; what a duplicate repeats is left out."""

    key: str
    outcome: Outcome
    version: int | None = None
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two contents under one version: which event of the batch, which change, and the previous content."""

    index: int
    kept: int
    key: str
    outcome: Outcome
    before: Content


@dataclass(frozen=True, slots=True)
class Step:
    """All that one batch did."""

    changes: list[Change]
    conflicts: list[Conflict]
    new_keys: list[str]
    counts: dict[Outcome, int]
    by_leaf: dict[tuple[str, ...], Total]
    deltas: dict[Node, Total]
    states: dict[str, Stored]
    totals: dict[Node, Total]


@dataclass(slots=True)
class ScalarForm:
    """The specification: core.fold, event by event. `fold`, `net` and `add` may be replaced by wrong ones."""

    pipeline: Pipeline
    fold: Fold = core.fold
    net: Net = core.net
    add: Callable[[Total, Total], Total] = Total.__add__
    states: dict[str, Stored] = field(default_factory=dict)
    totals: dict[Node, Total] = field(default_factory=dict)

    def step(self, events: Sequence[Event]) -> Step:
        """Fold one batch."""
        changes: list[Change] = []
        conflicts: list[Conflict] = []
        new: list[str] = []
        pairs: list[tuple[Stored | None, Stored | None]] = []
        for index, event in enumerate(events):
            before = self.states.get(event.key)
            outcome, after = self.fold(before, event)
            if before is None:
                new.append(event.key)
            elif outcome in {Outcome.CONFLICT_WON, Outcome.CONFLICT_LOST}:
                conflicts.append(Conflict(index, len(changes), event.key, outcome, before.content))
            duplicate = outcome is Outcome.DUPLICATE
            changes.append(Change(event.key, outcome, *(() if duplicate else (event.version, event.content))))
            self.states[event.key] = after
            pairs.append((before, after))
        deltas = self.net(self.pipeline, pairs)
        for node, delta in deltas.items():
            self.totals[node] = self.add(self.totals[node], delta) if node in self.totals else delta
        counts = dict(Counter(change.outcome for change in changes))
        totals = {node: total for node, total in self.totals.items() if total}
        return Step(changes, conflicts, new, counts, self._by_leaf(pairs), deltas, dict(self.states), totals)

    def _by_leaf(self, pairs: Pairs) -> dict[tuple[str, ...], Total]:
        sums = self.pipeline.layout.sums
        nothing = Total(0, (0,) * sums)
        leaves: dict[tuple[str, ...], Total] = {}
        for pair in pairs:
            for sign, stored in zip((-1, 1), pair, strict=True):
                if stored is not None and stored.content.labels is not None:
                    one = Total(1, stored.content.measures[:sums])
                    leaf = stored.content.labels
                    leaves[leaf] = leaves.get(leaf, nothing) + (one if sign > 0 else -one)
        return {leaf: total for leaf, total in leaves.items() if total}


class ColumnarForm:
    """KeyedState and Trees, queried after each batch for all that the specification says."""

    def __init__(self, pipeline: Pipeline, hashes: Callable[[str], int] | None = None) -> None:
        self.pipeline, self._hashes = pipeline, hashes
        self.state, self.trees = KeyedState(pipeline.value_columns), Trees(pipeline)
        self.log = ChangeLog(pipeline.value_columns)
        self.keys: list[str] = []
        self.leaves: list[tuple[str, ...]] = []
        self.nodes: list[NewNode] = []
        self._totals: dict[int, Total] = {}

    def step(self, events: Sequence[Event]) -> Step:
        """Fold one batch."""
        batch = batch_of(self.pipeline, events)
        if self._hashes is not None:
            batch = replace(batch, key_hash=np.array([self._hashes(event.key) for event in events], np.uint32))
        first = self.state.count
        folded = self.fold(batch)
        new_keys = [key.decode() for key in self.state.keys(first, self.log).to_pylist()]
        self.keys += new_keys
        new_leaves, new_nodes = self.trees.new_leaves_and_nodes()
        self.leaves += new_leaves
        self.nodes += new_nodes
        assert [node.id for node in self.nodes] == list(range(len(self.nodes)))
        assert all(node.parent < node.id for node in new_nodes)
        deltas, totals = self.trees.apply(folded.accumulated, new_nodes)
        self._totals |= self._amounts(totals)
        assert set(self._amounts(totals)) == set(self._amounts(deltas)) | {node.id for node in new_nodes}
        changes = self._changes(folded)
        return Step(
            changes,
            self._conflicts(folded),
            new_keys,
            folded.counts,
            self._by_leaf(folded),
            {self._node(number): total for number, total in self._amounts(deltas).items()},
            self.states(),
            {self._node(number): total for number, total in self._totals.items() if total},
        )

    def fold(self, batch: Batch) -> FoldedBatch:
        """The fold alone, into a log and amounts of its own."""
        codes = self.trees.intern(batch.leaves)
        nothing = nothing_accumulated(self.trees.leaves.count, self.pipeline.layout.sums)
        self.log.clear()
        return self.state.fold(batch, codes, self.trees.leaves, nothing, self.log)

    def states(self) -> dict[str, Stored]:
        """The state of every key."""
        return self._stored(
            self.state.states(0, self.state.count), [self.state.key(row) for row in range(self.state.count)]
        )

    def _stored(self, states: States, keys: Sequence[str]) -> dict[str, Stored]:
        contents = self._contents(states.leaf, states.measures)
        versions = self._versions(states)
        return {key: Stored(v, c) for key, v, c in zip(keys, versions, contents, strict=True)}

    def _versions(self, states: States) -> list[int]:
        measures = len(self.pipeline.columns)
        pairs = zip(states.version.tolist(), states.measures.T.tolist(), strict=True)
        return [whole_version(version, values, measures) for version, values in pairs]

    def _contents(
        self, leaves: Iterable[int], measures: "np.ndarray[tuple[int, int], np.dtype[np.int64]]"
    ) -> list[Content]:
        return [
            Content(None) if leaf == NO_LEAF else Content(self.trees.labels(leaf), *self._columns(values))
            for leaf, values in zip(leaves, measures.T.tolist(), strict=True)
        ]

    def _columns(self, values: Sequence[int]) -> tuple[tuple[int, ...], tuple[str | None, ...]]:
        """Numbers, and texts by their codes."""
        layout = self.pipeline.layout
        codes = values[layout.numbers : len(layout.columns)]
        texts = [None if code < 0 else self.state.texts.text(code).decode() for code in codes]
        return tuple(values[: layout.numbers]), tuple(texts)

    def _changes(self, folded: FoldedBatch) -> list[Change]:
        changes, states = folded.changes, folded.changes.states
        contents = self._contents(states.leaf, states.measures) if len(self.trees.leaves.offsets) else []
        found, versions = [], self._versions(states)
        for at, (row, number) in enumerate(zip(changes.row.tolist(), changes.outcome.tolist(), strict=True)):
            outcome = Outcome(number)
            if outcome is Outcome.DUPLICATE:
                assert states.version[at] == states.leaf[at] == 0
                assert not states.measures[:, at].any()
                found.append(Change(self.state.key(row), outcome))
            else:
                found.append(Change(self.state.key(row), outcome, versions[at], contents[at]))
        return found

    def _conflicts(self, folded: FoldedBatch) -> list[Conflict]:
        found = folded.conflicts
        contents = self._contents(found.leaf_before.tolist(), found.measures_before.T)
        return [
            Conflict(index, kept, self.state.key(row), Outcome(folded.changes.outcome[kept]), before)
            for index, kept, row, before in zip(
                found.index.tolist(), found.kept.tolist(), found.row.tolist(), contents, strict=True
            )
        ]

    def _by_leaf(self, folded: FoldedBatch) -> dict[tuple[str, ...], Total]:
        net = folded.accumulated
        assert ((net.low >= 0) & (net.low < 2**32)).all()
        leaves = {}
        for leaf, count in enumerate(net.count.tolist()):
            sums = zip(net.high[leaf].tolist(), net.low[leaf].tolist(), strict=True)
            leaves[self.trees.labels(leaf)] = Total(count, tuple((high << 32) + low for high, low in sums))
        return {leaf: total for leaf, total in leaves.items() if total}

    def _amounts(self, columns: NodeColumns) -> dict[int, Total]:
        assert ((columns.low >= 0) & (columns.low < 2**32)).all()
        kept = self.pipeline.layout.sums  # the others are `NodeValues`'
        sums = [
            [(h << 32) + w for h, w in zip(high, low, strict=True)]
            for high, low in zip(columns.high[:kept].T.tolist(), columns.low[:kept].T.tolist(), strict=True)
        ]
        return {
            number: Total(count, tuple(values))
            for number, count, values in zip(columns.node.tolist(), columns.count.tolist(), sums, strict=True)
        }

    def _node(self, number: int) -> Node:
        return Node(self.nodes[number].rollup, self.nodes[number].labels)


def hold_together(
    pipeline: Pipeline, batches: Sequence[Sequence[Event]], scalar: ScalarForm | None = None
) -> ColumnarForm:
    """Fold the batches in both forms and compare all that either says after each; gives the columnar one."""
    scalar = ScalarForm(pipeline) if scalar is None else scalar
    columnar = ColumnarForm(pipeline)
    for batch in batches:
        compare(scalar.step(batch), columnar.step(batch))
    kept = pipeline.layout.sums
    totals = {Node(*node): Total(count, sums[:kept]) for node, (count, sums) in columnar.trees.totals().items()}
    reference.assert_equal(scalar.totals, totals, pipeline)
    return columnar


def compare(expected: Step, actual: Step) -> None:
    """Fail with the first part that differs."""
    for wanted, found in zip(expected.changes, actual.changes, strict=True):
        assert wanted == found
    assert expected == actual
