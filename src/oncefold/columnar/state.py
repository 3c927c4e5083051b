"""The keyed state in memory, one row per key ever seen; the fold over whole batches, and the log of what they did.

A row is one record of int64: where its key's text begins, its version, its leaf and key length packed into one
word, then one mantissa per measure, and the low word of a version of 128 bits. A probe touches a slot, a row and the
key's text; all three are fetched ahead of their use, because at millions of keys each would be a cache miss.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from oncefold.columnar.arrays import GrowingArray, Int32s, Int64s, UInt8s, read_only, with_room
from oncefold.columnar.batch import NO_SPAN, SPAN_BITS, Batch
from oncefold.columnar.conflicts import texts_of
from oncefold.columnar.fold_kernel import KEY, META, ROUND, VALUES, fold_batch, index_keys, set_states
from oncefold.columnar.leaves import InternTable, intern_spans
from oncefold.columnar.node_values import NOTHING_KEPT, NodeValues
from oncefold.columnar.primitives import FIXED_SEED, Seed, grown, slots_for
from oncefold.commit import Changes, States
from oncefold.core.fold import Outcome


class ChangeLog:
    """Changes in order of arrival, and room for the texts of new keys. What it gives is valid until `clear`."""

    def __init__(self, measures: int) -> None:
        self._row = GrowingArray(np.uint32)
        self._outcome = GrowingArray(np.uint8)
        self._version = GrowingArray(np.int64)
        self._leaf = GrowingArray(np.int32)
        self._values = GrowingArray(np.int64, max(1, measures))
        self._key_ends = GrowingArray(np.int64)
        self._key_text = GrowingArray(np.uint8)
        self._measures = measures
        self.count = 0

    def clear(self) -> None:
        """Empty it for the next commit."""
        self.count = 0

    def columns(self, more: int) -> tuple[Any, ...]:
        """(row, outcome, version, leaf, measures by row) with room for so many more changes."""
        arrays = (self._row, self._outcome, self._version, self._leaf, self._values)
        for array in arrays:
            array.reserve(self.count + more)
        return tuple(array.rows for array in arrays)

    def changes(self, first: int = 0) -> Changes:
        """The changes from this one on."""
        part = slice(first, self.count)
        measures = self._values.rows[part, : self._measures].T
        states = States(self._version.rows[part], self._leaf.rows[part], measures)
        return Changes(self._row.rows[part], self._outcome.rows[part], states)

    def keys(self, starts: Int64s, text: UInt8s) -> pa.Array:
        """Texts as large_binary: one ends where the next one starts, relative to the first."""
        count, size = len(starts), len(text)
        self._key_ends.reserve(count + 1)
        self._key_text.reserve(size)
        offsets, copy = self._key_ends.rows[: count + 1], self._key_text.rows[:size]
        if count:
            np.subtract(starts, starts[0], out=offsets[:-1])
        offsets[-1] = size
        copy[:] = text
        return pa.Array.from_buffers(pa.large_binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(copy)])


@dataclass(frozen=True, slots=True)
class Accumulated:
    """Net change per leaf: count, and sums as high x 2**32 + low with 0 <= low < 2**32; shape (leaves, measures)."""

    count: Int64s
    high: Int64s
    low: Int64s


@dataclass(frozen=True, slots=True)
class FoldConflicts:
    """Conflicts of two contents under one version, by the column: the record, and the previous content."""

    index: Int64s
    """The record in its batch."""
    kept: Int64s
    """The same among the batch's changes."""
    row: Int64s
    leaf_before: Int32s
    measures_before: Int64s
    """Shape (conflicts, measures)."""

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True)
class FoldedBatch:
    """What a batch did to the state."""

    changes: Changes
    """A part of the log, valid until more is added to it."""
    counts: dict[Outcome, int]
    accumulated: Accumulated
    conflicts: FoldConflicts


def nothing_accumulated(leaves: int, measures: int) -> Accumulated:
    """No change at so many leaves."""
    amounts = (leaves, measures)
    return Accumulated(np.zeros(leaves, np.int64), np.zeros(amounts, np.int64), np.zeros(amounts, np.int64))


def with_leaves(accumulated: Accumulated, leaves: int) -> Accumulated:
    """The same amounts with room for so many leaves."""
    if leaves <= len(accumulated.count):
        return accumulated
    return Accumulated(
        *(with_room(amounts, leaves) for amounts in (accumulated.count, accumulated.high, accumulated.low))
    )


class KeyedState:
    """All keys with their latest version and content. Single-threaded; grows, never shrinks."""

    def __init__(self, values: int, seed: Seed = FIXED_SEED) -> None:
        """`values` are the numbers of a row beside its version: see `Pipeline.value_columns`."""
        self.seed = seed
        self.texts = InternTable(seed)
        """Every text that a key ever had, by its code."""
        slots = slots_for(1)
        assert slots is not None
        self._slots = slots
        self._rows = GrowingArray(np.int64, VALUES + values)
        self._text = GrowingArray(np.uint8)
        self._used = 0
        self._values = values
        self.count = 0

    def fold(
        self,
        batch: Batch,
        codes: Int32s,
        leaves: InternTable,
        into: Accumulated,
        log: ChangeLog,
        values: NodeValues | None = None,
    ) -> FoldedBatch:
        """Fold a batch; `codes` are the numbers of its leaves among `leaves`.

        What each record did is added to the log. The net change is added to `into`, which has room for all leaves, and
        what nodes keep besides sums is kept up in `values`.
        Raises ValueError for a batch whose keys were hashed with another seed: none of them would be found.
        """
        if batch.seed is not self.seed and not np.array_equal(batch.seed, self.seed):
            raise ValueError("the keys of the batch were hashed with another seed than those of the state")
        n = len(batch)
        self.reserve(n, int(batch.key_length.sum()))
        measures = self._with_codes(batch)
        numbers = measures.shape[0] - batch.wide - batch.text_columns
        kept = NOTHING_KEPT if values is None else values.columns(leaves.count, n)
        counts = np.zeros(len(Outcome), np.int64)
        conflict = np.empty((n, 4 + self._values), np.int64)
        first = log.count
        self.count, self._used, log.count, conflicts = fold_batch(
            (batch.data, read_only(batch.key_start), read_only(batch.key_length), read_only(batch.key_hash)),
            (read_only(batch.version), read_only(batch.leaf), read_only(codes), read_only(measures)),
            (self._slots, self._rows.rows, self._text.rows),
            self.count,
            self._used,
            (leaves.data, leaves.offsets),
            (*log.columns(n), first),
            (counts, conflict, into.count, into.high, into.low, np.full(ROUND, -1, np.int64)),
            (int(batch.wide), numbers, read_only(self.texts.data), read_only(self.texts.offsets)),
            (read_only(kept[0]), kept[1], read_only(kept[2]), *kept[3:]),
        )
        changes = log.changes(first)
        return FoldedBatch(
            changes,
            {outcome: int(counts[outcome]) for outcome in Outcome if counts[outcome]},
            into,
            self._conflicts(conflict[:conflicts]),
        )

    def _with_codes(self, batch: Batch) -> Int64s:
        """What the batch's keys keep, with the codes of texts, which new ones get, in place of where they are."""
        if batch.texts is None or not batch.text_columns:
            return batch.measures
        measures = batch.measures.copy()
        end = measures.shape[0] - batch.wide
        for spans in measures[end - batch.text_columns : end]:
            spans[batch.leaf < 0] = NO_SPAN
            self.texts.reserve(len(spans), int((spans & (1 << SPAN_BITS) - 1)[spans >= 0].sum()))
            self.texts.count = intern_spans(batch.texts, spans, self.texts.table, self.texts.count)
            spans[batch.leaf < 0] = 0
        return measures

    def keys(self, first: int, log: ChangeLog) -> pa.Array:
        """The texts of the keys from row `first` on, in memory of the log."""
        starts = self._rows.rows[first : self.count, KEY]
        return log.keys(starts, self._text.rows[starts[0] if len(starts) else self._used : self._used])

    @property
    def rows(self) -> tuple[Int64s, int, UInt8s]:
        """The rows of all keys as `NodeValues` takes them, valid until the next fold."""
        return self._rows.rows, self.count, self._text.rows

    def new_texts(self, first: int) -> pa.Array:
        """The texts from this code on, as large_binary."""
        offsets = self.texts.offsets[first : self.texts.count + 1]
        return texts_of(offsets - offsets[0], self.texts.data[offsets[0] : offsets[-1]].copy())

    def states(self, first: int, stop: int) -> States:
        """A copy of the states of rows [first, stop)."""
        rows = self._rows.rows[first : min(stop, self.count)]
        leaf = (rows[:, META] >> 16).astype(np.int32)
        return States(rows[:, 1].copy(), leaf, rows[:, VALUES:].T.copy())

    def add_keys(self, keys: pa.Array) -> None:
        """Append keys that are known to be new, in row order; their states follow by `set_states`."""
        offsets = np.frombuffer(keys.buffers()[1], np.int64)[keys.offset : keys.offset + len(keys) + 1]
        size = int(offsets[-1] - offsets[0])
        text = np.frombuffer(keys.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
        self.reserve(len(keys), size)
        self._text.rows[self._used : self._used + size] = text
        hashes = np.empty(len(keys), np.uint32)
        rows, text = self._rows.rows, self._text.rows
        index_keys(offsets - offsets[0], self._slots, rows, text, self.count, self._used, hashes, self.seed)
        self.count += len(keys)
        self._used += size

    def set_states(self, first: int, states: States) -> None:
        """Set the states of rows from `first` on."""
        set_states(self._rows.rows, first, states.version, states.leaf, np.ascontiguousarray(states.measures))

    def key(self, row: int) -> str:
        """The text of a row's key."""
        start, length = int(self._rows.rows[row, 0]), int(self._rows.rows[row, META] & 0xFFFF)
        return bytes(self._text.rows[start : start + length]).decode()

    @property
    def text_bytes(self) -> int:
        """Bytes of all keys' text."""
        return self._used

    def key_spans(self, rows: Int64s) -> tuple[UInt8s, Int64s, Int64s]:
        """The text of all keys, and where that of each of these rows begins and how long it is."""
        columns = self._rows.rows
        return self._text.rows, columns[rows, KEY], columns[rows, META] & 0xFFFF

    @staticmethod
    def _conflicts(entries: Int64s) -> FoldConflicts:
        columns = (entries[:, column].copy() for column in range(4))
        index, row, kept, leaf = columns
        return FoldConflicts(index, kept, row, leaf.astype(np.int32), entries[:, 4:].copy())

    def reserve(self, rows: int, size: int) -> None:
        """Make room for so many more keys, of so many bytes of text in all."""
        self._slots = grown(self._slots, self.count + rows)
        self._rows.reserve(self.count + rows)
        self._text.reserve(self._used + size)
