"""`verify` and `explain`: totals held against the keys behind them, while the pipeline may change both.

Nothing here is a snapshot: the tables are read one after the other, page by page, while events are folded and deltas
applied. What can be relied on is this. A delta that is in the outbox at two moments was not applied between them. A
node whose totals are the same at two moments, and that no delta touched which came or went between, did not change. So
a node that did not change, and whose totals with the deltas that waited throughout are not those of its keys read
meanwhile, is wrong. (Deltas that come, are applied and cancel each other out leave no trace; so on a pipeline that
changes, a node is called wrong only if it is so twice, by the same difference.)

In economy mode StateTable's stream, which is read with the outbox, shows a change a moment after it was made. So there
a node is called wrong only if it is so twice, too, and some seconds lie between.
"""

import heapq
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from oncefold.aws.functions.guard import ECONOMY
from oncefold.aws.functions.layout import Delta
from oncefold.aws.functions.unread import SHOWN_SECONDS
from oncefold.aws.reader.totals import missing_node, read_node, sum_deltas
from oncefold.aws.tables import Held, Stack, no_total, read_live_deltas, read_states, read_totals
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Stored, Total, net
from oncefold.core.nodepath import join
from oncefold.queries.converters import Converter
from oncefold.queries.event_model import Explanation
from oncefold.queries.model import AsOfTime, Pending, Verification, WrongNode
from oncefold.queries.protocol import Progress

_Keyed = tuple[str, Stored]


@dataclass(frozen=True)
class Observation:
    """The totals that some nodes have, and the deltas in the outbox, by their ids."""

    totals: Mapping[Node, Held]
    deltas: Mapping[str, Delta]

    @cached_property
    def waiting(self) -> Mapping[Node, Total]:
        """What the deltas will change."""
        return sum_deltas(self.deltas.values())

    def with_deltas(self, node: Node, none: Total) -> Held:
        """A node's totals once the deltas are applied; `none` where it has none."""
        held = self.totals.get(node, none)
        return held if isinstance(held, str) else held + self.waiting.get(node, none)


@dataclass(frozen=True)
class NodeDifference:
    """A node whose totals are not those of its keys."""

    held: Held | None
    """In the table; None where the node is not there."""
    pending: Total
    """What the outbox will add."""
    recomputed: Total
    """From the keys."""

    @property
    def excess(self) -> Total | str:
        """By how much it is wrong."""
        if isinstance(self.held, str):
            return self.held
        return self.pending + -self.recomputed if self.held is None else self.held + self.pending + -self.recomputed


@dataclass(frozen=True)
class Comparison:
    """Nodes that differ: those that did not change meanwhile, and those of which it is not known."""

    unchanged: Mapping[Node, NodeDifference]
    changing: frozenset[Node]
    moved: bool
    """Whether anything changed between the two observations."""


def differing(recomputed: Mapping[Node, Total], seen: Observation, none: Total) -> set[Node]:
    """The nodes whose totals in one observation are not those of the keys."""
    nodes = recomputed.keys() | seen.totals.keys() | seen.waiting.keys()
    return {node for node in nodes if seen.with_deltas(node, none) != recomputed.get(node, none)}


def compare(recomputed: Mapping[Node, Total], before: Observation, after: Observation, none: Total) -> Comparison:
    """Compare what was recomputed between two observations with both."""
    wrong = differing(recomputed, before, none) & differing(recomputed, after, none)
    came_or_went = before.deltas.keys() ^ after.deltas.keys()
    touched = {
        node
        for seen in (before, after)
        for name in came_or_went & seen.deltas.keys()
        for node, _ in seen.deltas[name].nodes
    }
    unchanged = {node for node in wrong if node not in touched and before.totals.get(node) == after.totals.get(node)}
    return Comparison(
        unchanged={
            node: NodeDifference(after.totals.get(node), after.waiting.get(node, none), recomputed.get(node, none))
            for node in unchanged
        },
        changing=frozenset(wrong - unchanged),
        moved=bool(came_or_went) or before.totals != after.totals,
    )


@dataclass(frozen=True, slots=True)
class _Recomputed:
    """The totals that follow from the keys, and how many keys there are."""

    totals: Mapping[Node, Total]
    keys: int


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The result of the last reading."""

    recomputed: _Recomputed
    seen: Observation
    wrong: Mapping[Node, NodeDifference]
    undecided: Iterable[Node]
    tries: int
    moved: bool


def verify(
    stack: Stack, as_of: AsOfTime, progress: Progress, tries: int, sleep: Callable[[float], object]
) -> Verification:
    """Recompute every total and compare, again and again up to `tries` times while the pipeline changes."""
    verdict = _verdict(stack, progress, tries, sleep)
    convert = Converter(stack.pipeline)
    seen, recomputed = verdict.seen, verdict.recomputed
    return Verification(
        as_of=replace(as_of, pending=Pending(len(seen.deltas), None)),
        shape=convert.shape,
        rows=tuple(_wrong_node(convert, node, verdict.wrong[node]) for node in sorted(verdict.wrong)),
        nodes=len(seen.totals.keys() | seen.waiting.keys() | recomputed.totals.keys()),
        keys=recomputed.keys,
        undecided=tuple(_name(stack.pipeline, node) for node in sorted(verdict.undecided)),
        tries=verdict.tries,
        moved=verdict.moved,
    )


def _verdict(stack: Stack, progress: Progress, tries: int, sleep: Callable[[float], object]) -> _Verdict:
    none = no_total(stack.pipeline)
    before = _observe(stack, progress)
    suspects: Mapping[Node, NodeDifference] = {}
    number = 0
    while True:
        number += 1
        recomputed = _recompute(stack, progress)
        if not differing(recomputed.totals, before, none):
            return _Verdict(recomputed, before, {}, (), number, moved=False)
        after = _observe(stack, progress)
        found = compare(recomputed.totals, before, after, none)
        wrong = _proven(found, suspects, twice=found.moved or stack.mode == ECONOMY)
        unproven = (found.unchanged.keys() - wrong.keys()) | found.changing
        if wrong or not unproven or number >= tries:
            return _Verdict(recomputed, after, wrong, unproven, number, found.moved)
        suspects, before = found.unchanged, after
        if stack.mode == ECONOMY:
            sleep(SHOWN_SECONDS)


def _proven(
    found: Comparison, suspects: Mapping[Node, NodeDifference], *, twice: bool
) -> Mapping[Node, NodeDifference]:
    """Nodes that are certainly wrong: nothing changed, or they were wrong by the same amounts the last time."""
    if not twice:
        return found.unchanged
    return {
        node: difference
        for node, difference in found.unchanged.items()
        if node in suspects and suspects[node].excess == difference.excess
    }


def _observe(stack: Stack, progress: Progress) -> Observation:
    deltas = {waiting.delta.id: waiting.delta for waiting in read_live_deltas(stack, progress)}
    return Observation(dict(read_totals(stack, progress)), deltas)


def _recompute(stack: Stack, progress: Progress) -> _Recomputed:
    keys = 0

    def counted() -> Iterator[tuple[None, Stored]]:
        nonlocal keys
        for _, stored in read_states(stack, progress):
            keys += 1
            yield None, stored

    totals = net(stack.pipeline, counted())
    return _Recomputed(totals, keys)


def _wrong_node(convert: Converter, node: Node, difference: NodeDifference) -> WrongNode:
    held = difference.held
    return WrongNode(
        rollup=convert.pipeline.rollups[node.rollup].name,
        path=join(node.labels),
        stored=convert.total(held) if isinstance(held, Total) else None,
        fault=held if isinstance(held, str) else "",
        pending=convert.total(difference.pending),
        recomputed=convert.total(difference.recomputed),
    )


def _name(pipeline: Pipeline, node: Node) -> str:
    return f"{pipeline.rollups[node.rollup].name}: {join(node.labels) or '(root)'}"


@dataclass(frozen=True, slots=True)
class Listing:
    """Which keys are listed: at most so many (None: all), without the first `after`."""

    limit: int | None
    after: int = 0


@dataclass(slots=True)
class _Sum:
    """The total of the keys that went through."""

    total: Total

    def of(self, states: Iterable[_Keyed]) -> Iterator[_Keyed]:
        """Pass the keys on, adding them up."""
        for key, stored in states:
            self.total += Total(1, stored.content.measures)
            yield key, stored


def explain(stack: Stack, node: Node, listing: Listing, as_of: AsOfTime, progress: Progress) -> Explanation:
    """The keys that count in a node by their texts, and whether all of them make up its totals.

    Raises QueryError for a node that does not exist.
    """
    none = no_total(stack.pipeline)
    before = _observe_node(stack, node, progress)
    added = _Sum(none)
    keys = _first(added.of(read_states(stack, progress, below=node)), listing)
    seen, moved = before, False
    if before.with_deltas(node, none) != added.total:
        seen = _observe_node(stack, node, progress)
        moved = node in compare({node: added.total}, before, seen, none).changing
    if not seen.totals and node not in seen.waiting and not added.total and node.labels:
        raise missing_node(stack, node)
    held = seen.with_deltas(node, none)
    assert isinstance(held, Total)
    convert = Converter(stack.pipeline)
    touching = sum(any(node == touched for touched, _ in delta.nodes) for delta in seen.deltas.values())
    return Explanation(
        as_of=replace(as_of, pending=Pending(touching, None, added=True)),
        shape=convert.shape,
        rows=tuple(
            convert.counted_key(node.rollup, key, stored.version, stored.content.labels or (), stored.content.measures)
            for key, stored in keys
        ),
        rollup=stack.pipeline.rollups[node.rollup].name,
        path=join(node.labels),
        count=added.total.count,
        sums=convert.amounts(added.total.sums),
        total=convert.total(held),
        after=listing.after,
        moved=moved,
    )


def _first(keys: Iterable[_Keyed], listing: Listing) -> list[_Keyed]:
    """The keys that are listed; all are read, so that all are added up."""
    end = sys.maxsize if listing.limit is None else listing.after + listing.limit
    return heapq.nsmallest(max(end, 1), keys, key=lambda item: item[0])[listing.after : end]


def _observe_node(stack: Stack, node: Node, progress: Progress) -> Observation:
    deltas = {waiting.delta.id: waiting.delta for waiting in read_live_deltas(stack, progress)}
    total = read_node(stack, node)
    return Observation({} if total is None else {node: total}, deltas)
