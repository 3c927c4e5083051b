"""A decoded micro-batch in columns, what every decoder gives and the fold takes; and the builder of one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oncefold.columnar.arrays import Bools, Int32s, Int64s, UInt8s, UInt32s, read_only
from oncefold.columnar.leaves import LENGTH_BITS, InternTable, Leaves, encode_leaf, leaves_of
from oncefold.columnar.primitives import FIXED_SEED, Seed, hash_bytes, slots_for
from oncefold.columnar.whole import WholeRecords
from oncefold.commit import Reject
from oncefold.core.definition import Pipeline
from oncefold.core.errors import IgnoredRecord, InvalidEvent
from oncefold.core.event import Event
from oncefold.core.versions import split_words
from oncefold.kernels.declare import kernel

DELETE = -1
"""The leaf code of a delete."""

NOT_AN_EVENT = -2
"""The leaf code of a record that is blank or rejected; the fold passes over it."""

UNDECODED = -3
"""The leaf code of a record that only the scalar decoder can judge."""

SCANNED = -5
"""The leaf code of a record whose fields are found, and whose expressions are still to be computed."""

FILTERED = -4
"""The leaf code of an event that the definition's `where` leaves out."""

SPAN_BITS = LENGTH_BITS
"""A text of a key is where it is among the texts of its batch: its beginning << SPAN_BITS | its length."""

NO_SPAN = -1
"""NULL in place of a text."""

NO_TIME = -(2**63)
"""The event time of an event without one."""


@dataclass(frozen=True, slots=True)
class Batch:
    """n records in order of arrival. Key i is data[key_start[i] : key_start[i] + key_length[i]]."""

    data: UInt8s
    key_start: Int64s
    key_length: Int32s
    key_hash: UInt32s
    version: Int64s
    leaf: Int32s
    """Index into `leaves`, DELETE, FILTERED or NOT_AN_EVENT."""
    measures: Int64s
    """Shape (value columns, n): the columns of keys, texts as spans of `texts`, and after them the low word of a wide
    version."""
    where: Int64s | range
    """Byte offset or row number of each record in its source."""
    leaves: Leaves
    seed: Seed
    """Of `key_hash`; the keyed state that folds the batch has the same."""
    newest_time: int = NO_TIME
    rejects: Sequence[Reject] = ()
    padding: int = 0
    """NUL bytes in front of records, which were skipped."""
    ignored: Sequence[int] = ()
    """Where the records are that say nothing, as their envelope means them."""
    wide: bool = False
    """Whether versions have 128 bits."""
    whole: WholeRecords | None = None
    """The whole records, where the definition keeps them."""
    texts: UInt8s | None = None
    """What the texts of keys are spans of; None where there are none."""
    text_columns: int = 0
    """How many of the columns of keys are texts: the last ones, but for the low word of a wide version."""

    def __len__(self) -> int:
        return len(self.version)

    @property
    def is_event(self) -> Bools:
        """Which rows are events: live ones, deletes, and such as the definition's `where` leaves out."""
        return (self.leaf >= DELETE) | (self.leaf == FILTERED)


Scalar = Callable[[int], Event | None]
"""Decodes row i by the scalar core, None if it is blank; raises InvalidEvent."""

Refusal = Callable[[int, str], Reject]
"""The reject of row i for a reason."""


class BatchBuilder:
    """n rows to fill. Keys are spans of `data`, which the scalar rows extend."""

    def __init__(self, rows: int, pipeline: Pipeline, data: UInt8s, seed: Seed = FIXED_SEED) -> None:
        self.data, self.seed = data, seed
        self._wide, self._text_columns = pipeline.has_wide_versions, pipeline.layout.texts
        self.texts: UInt8s | None = None
        self.key_start: Int64s = np.empty(rows, np.int64)
        self.key_length: Int32s = np.zeros(rows, np.int32)
        self.key_hash: UInt32s = np.zeros(rows, np.uint32)
        self.version: Int64s = np.empty(rows, np.int64)
        self.leaf: Int32s = np.full(rows, UNDECODED, np.int32)
        self.measures: Int64s = np.empty((pipeline.value_columns, rows), np.int64)
        self.time: Int64s = np.empty(rows, np.int64)
        self.where: Int64s | range = range(rows)
        self.padding = 0
        self.leaves = InternTable(seed)

    def reserve_leaves(self, size: int) -> None:
        """Room for a distinct leaf per row, of `size` bytes in all; untouched memory costs nothing."""
        rows = len(self.version)
        slots = slots_for(min(rows, 1 << 31))
        assert slots is not None
        self.leaves.slots = slots
        self.leaves.offsets = np.empty(rows + 2, np.int64)
        self.leaves.offsets[0] = 0
        self.leaves.data = np.empty(size + 4_096, np.uint8)

    def finish(self, scalar: Scalar, refusal: Refusal) -> Batch:
        """Decode what is left with the scalar decoder, and close the batch."""
        rejects: list[Reject] = []
        ignored: list[int] = []
        events: list[tuple[int, Event]] = []
        for row in np.flatnonzero(self.leaf == UNDECODED).tolist():
            try:
                event = scalar(row)
                if event is None:
                    self.leaf[row] = NOT_AN_EVENT
                else:
                    events.append((row, event))
            except IgnoredRecord:
                self.leaf[row] = NOT_AN_EVENT
                ignored.append(row)
            except InvalidEvent as error:
                self.leaf[row] = NOT_AN_EVENT
                rejects.append(refusal(row, str(error)))
        return self.filled(events, rejects, ignored)

    def filled(self, events: list[tuple[int, Event]], rejects: Sequence[Reject], ignored: Sequence[int] = ()) -> Batch:
        """Close the batch with the rows that the scalar decoder read, and those that say nothing; none is left."""
        places = [int(self.where[row]) for row in ignored]
        if any(event.moved_from is not None for _, event in events):
            events = self._apart(events)
        if events:
            self._fill(events)
        return Batch(
            read_only(self.data),
            self.key_start,
            self.key_length,
            self.key_hash,
            self.version,
            self.leaf,
            self.measures,
            self.where,
            Leaves(self.leaves.data, self.leaves.offsets[: self.leaves.count + 1]),
            self.seed,
            int(newest(self.time, self.leaf, NO_TIME)),
            rejects,
            self.padding,
            places,
            self._wide,
            texts=None if self.texts is None else read_only(self.texts),
            text_columns=self._text_columns,
        )

    def _apart(self, events: list[tuple[int, Event]]) -> list[tuple[int, Event]]:
        """The events with a row for each, also where one record is the delete of a key and an event of another."""
        doubled = np.array([row for row, event in events if event.moved_from is not None])
        for name in ("key_start", "key_length", "key_hash", "version", "leaf", "time", "where"):
            column = np.asarray(getattr(self, name))
            setattr(self, name, np.insert(column, doubled, column[doubled]))
        self.measures = np.insert(self.measures, doubled, self.measures[:, doubled], axis=1)
        shifts = np.searchsorted(doubled, [row for row, _ in events]).tolist()
        return [
            (row + shift + further, each)
            for (row, event), shift in zip(events, shifts, strict=True)
            for further, each in enumerate(event.each())
        ]

    def _fill(self, events: list[tuple[int, Event]]) -> None:
        keys = [event.key.encode() for _, event in events]
        text = np.frombuffer(b"".join(keys), np.uint8)
        at = len(self.data)
        self.data = np.concatenate([self.data, text, np.zeros(8, np.uint8)])
        for (row, event), key in zip(events, keys, strict=True):
            self.key_start[row], self.key_length[row] = at, len(key)
            self.key_hash[row] = hash_bytes(read_only(self.data), at, len(key), self.seed)
            at += len(key)
            self.time[row] = NO_TIME if event.time is None else event.time
            self.measures[:, row] = 0
            self.measures[: len(event.content.measures), row] = event.content.measures
            if self._wide:
                self.version[row], self.measures[-1, row] = split_words(event.version)
            else:
                self.version[row] = event.version
        self._fill_texts(events)
        self._fill_leaves(events)

    def _fill_texts(self, events: list[tuple[int, Event]]) -> None:
        parts = [np.zeros(0, np.uint8) if self.texts is None else self.texts]
        at = len(parts[0])
        for row, event in events:
            for index, text in enumerate(event.content.texts, len(event.content.measures)):
                raw = None if text is None else np.frombuffer(text.encode(), np.uint8)
                self.measures[index, row] = NO_SPAN if raw is None else at << SPAN_BITS | len(raw)
                if raw is not None:
                    parts.append(raw)
                    at += len(raw)
        if len(parts) > 1:
            self.texts = np.concatenate([*parts, np.zeros(8, np.uint8)])

    def _fill_leaves(self, events: list[tuple[int, Event]]) -> None:
        live = [(row, event.content.labels) for row, event in events if event.content.labels is not None]
        for row, event in events:
            if event.content.deleted:
                self.leaf[row] = FILTERED if event.filtered else DELETE
        if live:
            codes = self.leaves.intern(leaves_of([encode_leaf(labels) for _, labels in live]))
            self.leaf[[row for row, _ in live]] = codes


@kernel("const i64[], const i32[], i64", returns="i64")
def newest(time: Any, leaf: Any, least: int) -> int:
    """The greatest time of the rows that have a leaf, or `least`."""
    found = least
    for i in range(len(time)):
        if (leaf[i] >= -1 or leaf[i] == FILTERED) and time[i] > found:
            found = time[i]
    return found
