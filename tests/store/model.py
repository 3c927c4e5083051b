"""A writer in plain Python for the store's tests: it folds events by the specification and builds commits from them.

Its own dictionaries are the model that a store is compared with; `Facts` is what both can be put into.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from oncefold.commit import (
    NO_LEAF,
    Changes,
    CommitContent,
    Conflict,
    NewNode,
    NodeColumns,
    Page,
    Reject,
    SourcePosition,
    States,
)
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.fold import Node, Outcome, Stored, Total, fold, net, nodes_of
from oncefold.store import Loaded, Store
from oncefold.store.amounts import from_ints, to_ints

PIPELINE = parse_toml("""
name = "test"
[event]
key = "id"
version = "version"
delete = "gone"
[rollups]
risk = ["type", "region"]
by_region = ["region"]
[measures]
value = { sum = "value", scale = 2 }
tiny = { sum = "tiny", scale = 18 }
""")

SECOND = 10**9


@dataclass
class ManualClock:
    """A clock that the test sets."""

    now: int = 0

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True)
class Facts:
    """The contents of a store as plain values."""

    seq: int = 0
    states: dict[str, Stored] = field(default_factory=dict)
    totals: dict[Node, Total] = field(default_factory=dict)
    positions: dict[str, str] = field(default_factory=dict)
    counts: dict[Outcome, int] = field(default_factory=dict)
    newest_time: int | None = None


@dataclass(frozen=True)
class Batch:
    """What goes into one commit."""

    events: Sequence[Event]
    at: int
    positions: Sequence[SourcePosition] = ()
    rejects: Sequence[Reject] = ()
    redriven: Sequence[int] = ()
    page: bool = False
    """Whether to snapshot page 0."""


class Folder:
    """Folds batches in plain Python."""

    def __init__(self, pipeline: Pipeline = PIPELINE) -> None:
        self.pipeline = pipeline
        self.rows: dict[str, int] = {}
        self.states: dict[str, Stored] = {}
        self.leaves: dict[tuple[str, ...], int] = {}
        self.nodes: dict[Node, int] = {}
        self.totals: dict[Node, Total] = {}
        self.positions: dict[str, str] = {}
        self.counts: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.newest_time: int | None = None
        self.seq = 0

    def facts(self) -> Facts:
        return Facts(
            self.seq, dict(self.states), dict(self.totals), dict(self.positions), dict(self.counts), self.newest_time
        )

    def commit(self, batch: Batch) -> CommitContent:
        """Fold a batch into a commit."""
        keys, leaves, nodes = len(self.rows), len(self.leaves), len(self.nodes)
        before: dict[str, Stored | None] = {}
        arrived: list[tuple[int, Outcome, Stored | None]] = []
        conflicts: list[Conflict] = []
        for event in batch.events:
            was = self.states.get(event.key)
            before.setdefault(event.key, was)
            outcome, after = fold(was, event)
            said = None if outcome is Outcome.DUPLICATE else Stored(event.version, event.content)
            arrived.append((self.rows.setdefault(event.key, len(self.rows)), outcome, said))
            if outcome in (Outcome.CONFLICT_WON, Outcome.CONFLICT_LOST) and was is not None:
                dropped = was.content if outcome is Outcome.CONFLICT_WON else event.content
                conflicts.append(Conflict(event.key, event.version, _text(after.content), _text(dropped)))
            self.states[event.key] = after
        self._number_leaves(event.content for event in batch.events)
        deltas = net(self.pipeline, [(was, self.states[key]) for key, was in before.items()])
        for node, delta in deltas.items():
            self.totals[node] += delta
        self._tally(batch, [outcome for _, outcome, _ in arrived])
        touched = dict.fromkeys([*deltas, *list(self.nodes)[nodes:]])
        return CommitContent(
            at=batch.at,
            changes=self._changes(arrived),
            new_keys=pa.array([key.encode() for key in list(self.rows)[keys:]], pa.large_binary()),
            new_leaves=list(self.leaves)[leaves:],
            new_nodes=[self._new_node(node) for node in list(self.nodes)[nodes:]],
            deltas=self._amounts(deltas),
            totals=self._amounts({node: self.totals[node] for node in touched}),
            counts={outcome: count for outcome, count in self._batch_counts.items() if count},
            newest_time=self._batch_newest,
            positions=batch.positions,
            rejects=batch.rejects,
            conflicts=conflicts,
            redriven=batch.redriven,
            pages=[Page(0, self._states([self.states[key] for key in self.rows]))] if batch.page else [],
        )

    def _number_leaves(self, contents: Iterable[Content]) -> None:
        for content in contents:
            if content.labels is not None:
                self.leaves.setdefault(content.labels, len(self.leaves))
                for node in nodes_of(self.pipeline, content.labels):
                    self.nodes.setdefault(node, len(self.nodes))
                    self.totals.setdefault(node, Total(0, (0,) * len(self.pipeline.measures)))

    def _tally(self, batch: Batch, outcomes: list[Outcome]) -> None:
        self.seq += 1
        self._batch_counts = {outcome: outcomes.count(outcome) for outcome in Outcome}
        self._batch_counts[Outcome.REJECTED] = len(batch.rejects)
        for outcome, count in self._batch_counts.items():
            self.counts[outcome] += count
        times = [event.time for event in batch.events if event.time is not None]
        self._batch_newest = max(times, default=None)
        self.newest_time = max([*times, *([self.newest_time] if self.newest_time is not None else [])], default=None)
        self.positions.update((position.source, position.state) for position in batch.positions)

    def _new_node(self, node: Node) -> NewNode:
        parent = self.nodes[Node(node.rollup, node.labels[:-1])] if node.labels else -1
        return NewNode(self.nodes[node], node.rollup, parent, node.labels)

    def _changes(self, arrived: Sequence[tuple[int, Outcome, Stored | None]]) -> Changes:
        rows = np.array([row for row, _, _ in arrived], np.uint32)
        return Changes(rows, np.array([o for _, o, _ in arrived], np.uint8), self._states([s for _, _, s in arrived]))

    def _states(self, states: Sequence[Stored | None]) -> States:
        width = len(self.pipeline.measures)
        version = [0 if state is None else state.version for state in states]
        leaf = [
            0 if s is None else NO_LEAF if s.content.labels is None else self.leaves[s.content.labels] for s in states
        ]
        sums = [(0,) * width if s is None or s.content.labels is None else s.content.measures for s in states]
        columns = np.array(sums, np.int64).reshape(len(states), width).T
        return States(np.array(version, np.int64), np.array(leaf, np.int32), np.ascontiguousarray(columns))

    def _amounts(self, totals: dict[Node, Total]) -> NodeColumns:
        halves = [from_ints([total.sums[i] for total in totals.values()]) for i in range(len(self.pipeline.measures))]
        shape = (len(halves), len(totals))
        return NodeColumns(
            np.array([self.nodes[node] for node in totals], np.int32),
            np.array([total.count for total in totals.values()], np.int64),
            np.array([high for high, _ in halves], np.int64).reshape(shape),
            np.array([low for _, low in halves], np.int64).reshape(shape),
        )


def _text(content: Content) -> str:
    return json.dumps(None if content.labels is None else [content.labels, content.measures])


def facts(loaded: Loaded) -> Facts:
    """The contents of a loaded store."""
    keys = [key.decode() for piece in loaded.keys for key in piece.to_pylist()]
    states = loaded.states
    contents = zip(states.version.tolist(), states.leaf.tolist(), states.measures.T.tolist(), strict=True)
    stored = [
        Stored(version, DELETED if leaf < 0 else Content(loaded.leaves[leaf], tuple(sums)))
        for version, leaf, sums in contents
    ]
    totals = loaded.totals
    sums = [to_ints(high, low) for high, low in zip(totals.high, totals.low, strict=True)]
    amounts = {
        Node(node.rollup, node.labels): Total(int(totals.count[i]), tuple(column[i] for column in sums))
        for i, node in enumerate(loaded.nodes)
    }
    return Facts(
        loaded.seq,
        dict(zip(keys, stored, strict=True)),
        amounts,
        {source: position.state for source, position in loaded.positions.items()},
        dict(loaded.counts),
        loaded.newest_time,
    )


def stored_facts(path: Path, pipeline: Pipeline = PIPELINE) -> Facts:
    """The contents of a store when it is opened again."""
    with Store.open(path, pipeline) as store:
        return facts(store.load())


def random_batch(seed: object, at: int, keys: int = 40, most: int = 12, pages: float = 0.2) -> Batch:
    """A batch of everything, the same for the same seed."""
    rng = random.Random(str(seed))
    events = [_random_event(rng, keys) for _ in range(rng.randint(0, most))]
    positions = [SourcePosition(f"s{rng.randint(1, 2)}", json.dumps({"at": str(seed)}))]
    rejects = [Reject("s1", 7, "not a number", b"\xff{", "json")] if rng.random() < 0.2 else []
    return Batch(events, at, positions, rejects, page=rng.random() < pages)


def _random_event(rng: random.Random, keys: int) -> Event:
    content = Content(
        (rng.choice(["pv", "delta", "a/b"]), rng.choice(["emea", "", "apac"])),
        (rng.randint(-(10**17), 10**17), rng.choice([0, 1, -(10**18) + 1, 10**18 - 1])),
    )
    deleted = rng.random() < 0.1
    return Event(str(rng.randint(1, keys)), rng.randint(1, 5), DELETED if deleted else content, rng.randint(1, 10**18))
