"""What nodes keep besides sums: extremes, and how many different texts their keys have.

The fold keeps the extremes of each leaf (`extremes`) and notes which texts come to a leaf and go from it. A commit
makes of both the amounts of the nodes: whole numbers, whose changes the store keeps as it keeps those of sums, so that
totals of the past, series and live changes know them without more.
"""

import numpy as np

from oncefold.columnar.arrays import GrowingArray, Int32s, Int64s, UInt8s, read_only, with_room
from oncefold.columnar.distinct import TextCounts
from oncefold.columnar.extremes import (
    FIELDS,
    FIRST,
    GREATEST,
    KNOWN,
    LAST,
    LEAST,
    STATE,
    VALUE,
    add_all,
    extremes_of_nodes,
    repair,
)
from oncefold.columnar.fold_kernel import META, VALUES
from oncefold.core.definition import Pipeline

LeafNodes = tuple[Int64s, Int32s]
"""The nodes of each leaf: nodes[ends[leaf] : ends[leaf + 1]]."""
Rows = tuple[Int64s, int, UInt8s]
"""The keyed state: its rows, how many there are, and the texts of keys."""

_EXTREMES = {"min": LEAST, "max": GREATEST, "first": FIRST, "last": LAST}
_CHUNK = 1 << 20
"""Rows whose texts are counted at once when a store is opened."""


class NodeValues:
    """The amounts of nodes that are no sums, of one pipeline; without such measures it keeps nothing."""

    def __init__(self, pipeline: Pipeline) -> None:
        layout = pipeline.layout
        behind = [
            (measure.kind, VALUES + place.column, place.amount - layout.sums)
            for measure, place in zip(pipeline.measures, layout.places, strict=True)
            if place.amount >= layout.sums and measure in pipeline.engine_only
        ]
        self.amounts = len(layout.amounts) - layout.sums
        """How many amounts a node has of these."""
        extremes = [(_EXTREMES[kind], column, VALUES + layout.time) for kind, column, _ in behind if kind != "distinct"]
        self.spec: Int64s = np.array(extremes, np.int64).reshape(-1, 3)
        self.text_columns: Int64s = np.array([column for kind, column, _ in behind if kind == "distinct"], np.int64)
        self._at_extremes = [at for kind, _, at in behind if kind != "distinct"]
        self._at_texts = [at for kind, _, at in behind if kind == "distinct"]
        self.held: Int64s = np.zeros((0, FIELDS * len(self.spec)), np.int64)
        """The extremes by leaf: see `extremes`."""
        self._known: Int64s = self.held
        """The same as of the last commit."""
        self._moves = GrowingArray(np.int64, 2 + len(self.text_columns))
        self.moved: Int64s = np.zeros(1, np.int64)
        """In one element: how many moves of texts are noted."""
        self._counts = TextCounts(len(self.text_columns))
        self._different: Int64s = np.zeros((0, len(self.text_columns)), np.int64)
        self._values: Int64s = np.zeros((0, self.amounts), np.int64)

    def columns(self, leaves: int, records: int) -> tuple[Int64s, Int64s, Int64s, Int64s, Int64s]:
        """What the fold keeps up: (spec, extremes, text columns, moves, their number), with room for a batch."""
        self.held = with_room(self.held, leaves)
        if len(self.text_columns):
            self._moves.reserve(int(self.moved[0]) + 2 * records)
        return self.spec, self.held, self.text_columns, self._moves.rows, self.moved

    def load(self, rows: Rows, leaves: int, nodes: LeafNodes, count: int) -> None:
        """Take up the states of all keys, in `leaves` leaves below `count` nodes."""
        self.held = with_room(self.held, leaves)
        if len(self.spec):
            add_all(read_only(rows[0]), rows[1], read_only(rows[2]), read_only(self.spec), self.held)
        if len(self.text_columns):
            self._different = with_room(self._different, count)
            for begin in range(0, rows[1], _CHUNK):
                part = rows[0][begin : min(begin + _CHUNK, rows[1])]
                live = part[part[:, META] >= 0]
                moves = np.column_stack([live[:, META] >> 16, np.ones(len(live), np.int64), live[:, self.text_columns]])
                self._counts.apply(np.ascontiguousarray(moves), nodes, self._different)
        self.take_changes(rows, nodes, count)

    def take_changes(self, rows: Rows, nodes: LeafNodes, count: int) -> tuple[Int64s, Int64s]:
        """The nodes, of `count` ones, whose amounts changed since the last call, and the change of each amount.

        An extreme that left is found again first, among all keys.
        """
        if not self.amounts:
            return np.zeros(0, np.int64), np.zeros((0, 0), np.int64)
        before = with_room(self._values, count)
        after = before.copy()
        if len(self.spec):
            self._take_extremes(rows, nodes, after)
        if len(self.text_columns):
            self._different = with_room(self._different, count)
            self._counts.apply(self._moves.rows[: self.moved[0]], nodes, self._different)
            self.moved[0] = 0
            after[:, self._at_texts] = self._different[: len(after)]
        self._values = after
        changed = np.flatnonzero((after != before).any(axis=1))
        return changed, after[changed] - before[changed]

    def _take_extremes(self, rows: Rows, nodes: LeafNodes, values: Int64s) -> None:
        state, text = read_only(rows[0]), read_only(rows[2])
        repair(state, rows[1], text, read_only(self.spec), self.held, np.zeros(len(self.held), np.int64))
        known = with_room(self._known, len(self.held))
        ends, nodes_of = nodes
        wanted = np.zeros(len(values), np.uint8)
        changed = np.flatnonzero((self.held != known[: len(self.held)]).any(axis=1))
        wanted[nodes_of[_spans(ends[changed], ends[changed + 1])]] = 1
        self._known = self.held.copy()
        which = np.flatnonzero(wanted)
        if not len(which):
            return
        found = np.zeros((len(values), FIELDS * len(self.spec)), np.int64)
        extremes_of_nodes(
            read_only(self.spec),
            read_only(self.held[: len(ends) - 1]),
            (state, text),
            (read_only(ends), read_only(nodes_of)),
            wanted,
            found,
        )
        for e, at in enumerate(self._at_extremes):
            exists = found[which, e * FIELDS + STATE] == KNOWN
            values[which, at] = np.where(exists, found[which, e * FIELDS + VALUE], 0)
            values[which, at + 1] = exists


def _spans(begins: Int64s, ends: Int64s) -> Int64s:
    """The numbers from each beginning to its end, one span after the other."""
    sizes = ends - begins
    before = np.cumsum(sizes) - sizes
    found: Int64s = np.repeat(begins - before, sizes) + np.arange(int(sizes.sum()))
    return found


_NOTHING: Int64s = np.zeros((1, 0), np.int64)
NOTHING_KEPT = (np.zeros((0, 3), np.int64), _NOTHING, np.zeros(0, np.int64), _NOTHING, np.zeros(1, np.int64))
"""The columns of `NodeValues.columns` where nodes keep sums alone."""
