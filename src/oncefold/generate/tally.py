"""The right answer, from the generator's own plan: for each key the event with its greatest version."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from oncefold.generate.events import Kind, Latest, Outcome
from oncefold.generate.leaves import LEVELS, leaf
from oncefold.generate.mixing import Ints, cents
from oncefold.generate.planner import plan

if TYPE_CHECKING:
    from oncefold.generate.events import Events
    from oncefold.generate.workload import Workload

_GONE = -1
_KEYS_AT_A_TIME = 1 << 16


class Tally:
    """The truth about the events added so far, which must be the stream's events in order from its first."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._latest = Latest()
        self._kinds = np.zeros(len(Kind), dtype=np.int64)
        self._outcomes = np.zeros(len(Outcome), dtype=np.int64)
        self._moves = 0

    @property
    def events(self) -> int:
        """Number of events added."""
        return int(self._kinds.sum())

    def add(self, events: Events) -> None:
        """Count these events in."""
        self._kinds += np.bincount(events.kind, minlength=len(Kind))
        self._outcomes += np.bincount(events.outcome, minlength=len(Outcome))
        self._moves += int(events.moved.sum())
        newest = events.outcome == Outcome.ACCEPTED
        self._latest.extend(int(self._kinds[Kind.KEY]))
        leaf = np.where(events.deleted, _GONE, events.leaf)
        self._latest.put(events.key[newest], events.version[newest], leaf[newest])

    def truth(self) -> dict[str, Any]:
        """Return what a reader of exactly these events must arrive at, as plain JSON values."""
        counts, sums = self._leaf_totals()
        live = int(counts.sum())
        kinds = [int(n) for n in self._kinds]
        return {
            "rollup": "risk",
            "levels": [f"Hierarchy.{level}" for level in LEVELS],
            "workload": asdict(self._workload),
            "totals": {
                "events": self.events,
                "keys": self._latest.keys,
                "live_keys": live,
                "deleted_keys": self._latest.keys - live,
                "modifications": kinds[Kind.MODIFICATION],
                "moves": self._moves,
                "deletes": kinds[Kind.DELETE],
                "out_of_order": kinds[Kind.OUT_OF_ORDER],
                "duplicates": kinds[Kind.DUPLICATE],
            },
            "outcomes": {outcome.name.lower(): int(self._outcomes[outcome]) for outcome in Outcome},
            "nodes": _nodes(counts, sums),
        }

    def _leaf_totals(self) -> tuple[Ints, Ints]:
        """Return the live keys and the sum of cents of every leaf, in whole numbers throughout."""
        counts = np.zeros(self._workload.leaves, dtype=np.int64)
        sums = np.zeros(self._workload.leaves, dtype=np.int64)
        for first in range(0, self._latest.keys, _KEYS_AT_A_TIME):
            last = min(first + _KEYS_AT_A_TIME, self._latest.keys)
            leaf = self._latest.leaf[first:last].astype(np.int64)
            version = self._latest.version[first:last].astype(np.int64)
            value = cents(self._workload.seed, np.arange(first, last), version)
            live = leaf != _GONE
            np.add.at(counts, leaf[live], 1)
            np.add.at(sums, leaf[live], value[live])
        return counts, sums


def truth(workload: Workload, events: int | None = None) -> dict[str, Any]:
    """Return the truth about the first `events` events of the workload, or about all of them."""
    tally = Tally(workload)
    for block in plan(workload):
        tally.add(block if events is None else block.part(0, max(0, events - tally.events)))
    return tally.truth()


def _nodes(counts: Ints, sums: Ints) -> dict[str, dict[str, int | str]]:
    """Add the leaves up along the tree; nodes without live keys are absent, the root is always there."""
    nodes: dict[str, list[int]] = {"": [0, 0]}
    for index in np.flatnonzero(counts).tolist():
        for node in leaf(index).nodes:
            total = nodes.setdefault(node, [0, 0])
            total[0] += int(counts[index])
            total[1] += int(sums[index])
    return {node: {"count": nodes[node][0], "value": _amount(nodes[node][1])} for node in sorted(nodes)}


def _amount(value: int) -> str:
    return f"{value // 100}.{value % 100:02d}"
