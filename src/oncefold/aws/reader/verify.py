"""`verify`: every total recomputed from the keys, with the deltas that are pending accounted for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from oncefold.aws.reader.answers import Reading, StackVerification, WrongTotal
from oncefold.aws.reader.looks import Comparison, Difference, Look, compare, differing, nothing
from oncefold.aws.reader.tables import Progress, Stack, read_deltas, read_states, read_totals
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Node, Stored, Total, net
from oncefold.core.nodepath import join
from oncefold.queries import values
from oncefold.queries.answers import Amounts

TRIES = 3


@dataclass(frozen=True, slots=True)
class _Recomputed:
    """The totals that follow from the keys, and how many keys there are."""

    totals: Mapping[Node, Total]
    keys: int


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the tries came to."""

    recomputed: _Recomputed
    look: Look
    """The last one."""
    wrong: Mapping[Node, Difference]
    undecided: Iterable[Node]
    tries: int
    moved: bool


def verify(stack: Stack, read: Reading, progress: Progress, tries: int = TRIES) -> StackVerification:
    """Recompute every total and compare, again and again up to `tries` times while the pipeline moves."""
    verdict = _verdict(stack, progress, tries)
    reading = values.Reading(stack.pipeline)
    look, recomputed = verdict.look, verdict.recomputed
    return StackVerification(
        rows=tuple(_wrong_total(reading, node, verdict.wrong[node]) for node in sorted(verdict.wrong)),
        read=read,
        nodes=len(look.totals.keys() | look.waiting.keys() | recomputed.totals.keys()),
        keys=recomputed.keys,
        deltas=len(look.deltas),
        undecided=tuple(_name(stack.pipeline, node) for node in sorted(verdict.undecided)),
        tries=verdict.tries,
        moved=verdict.moved,
        scales=reading.scales,
    )


def _verdict(stack: Stack, progress: Progress, tries: int) -> _Verdict:
    none = nothing(stack.pipeline)
    before = _look(stack, progress)
    suspects: Mapping[Node, Difference] = {}
    number = 0
    while True:
        number += 1
        recomputed = _recomputed(stack, progress)
        if not differing(recomputed.totals, before, none):
            return _Verdict(recomputed, before, {}, (), number, moved=False)
        after = _look(stack, progress)
        found = compare(recomputed.totals, before, after, none)
        wrong = _proven(found, suspects)
        unproven = (found.still.keys() - wrong.keys()) | found.moving
        if wrong or not unproven or number >= tries:
            return _Verdict(recomputed, after, wrong, unproven, number, found.moved)
        suspects, before = found.still, after


def _proven(found: Comparison, suspects: Mapping[Node, Difference]) -> Mapping[Node, Difference]:
    """Nodes that are wrong beyond doubt: nothing moved, or they were wrong by the same amounts the last time."""
    if not found.moved:
        return found.still
    return {
        node: difference
        for node, difference in found.still.items()
        if node in suspects and suspects[node].excess == difference.excess
    }


def _look(stack: Stack, progress: Progress) -> Look:
    deltas = {waiting.delta.id: waiting.delta for waiting in read_deltas(stack, progress)}
    return Look(dict(read_totals(stack, progress)), deltas)


def _recomputed(stack: Stack, progress: Progress) -> _Recomputed:
    keys = 0

    def counted() -> Iterator[tuple[None, Stored]]:
        nonlocal keys
        for _, stored in read_states(stack, progress):
            keys += 1
            yield None, stored

    totals = net(stack.pipeline, counted())
    return _Recomputed(totals, keys)


def _wrong_total(reading: values.Reading, node: Node, difference: Difference) -> WrongTotal:
    held = difference.held
    return WrongTotal(
        rollup=reading.pipeline.rollups[node.rollup].name,
        path=join(node.labels),
        stored=_amounts(reading, held) if isinstance(held, Total) else None,
        fault=held if isinstance(held, str) else "",
        pending=_amounts(reading, difference.pending),
        recomputed=_amounts(reading, difference.recomputed),
    )


def _amounts(reading: values.Reading, total: Total) -> Amounts:
    return Amounts(total.count, reading.amounts(total.sums))


def _name(pipeline: Pipeline, node: Node) -> str:
    return f"{pipeline.rollups[node.rollup].name}: {join(node.labels) or '(root)'}"
