"""The columns of a batch under construction: kernels fill the plain rows, the scalar decoder the rest."""

from collections.abc import Callable

import numpy as np

from oncefold.columnar.batch import (
    DELETE,
    NO_TIME,
    NOT_AN_EVENT,
    UNDECODED,
    Batch,
    Int32s,
    Int64s,
    Places,
    UInt8s,
    UInt32s,
    encode_leaf,
    places_of,
    read_only,
)
from oncefold.columnar.index import slots_for
from oncefold.columnar.interning import InternTable
from oncefold.columnar.native import hash_bytes
from oncefold.columnar.typed_kernels import newest
from oncefold.commit import Reject
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import Event

Scalar = Callable[[int], Event]
"""Decodes row i by the scalar core; raises InvalidEvent."""

Refusal = Callable[[int, str], Reject]
"""The reject of row i for a reason."""


class Columns:
    """n rows to fill. Keys are spans of `data`, which the scalar rows extend."""

    def __init__(self, rows: int, measures: int, data: UInt8s) -> None:
        self.data = data
        self.key_start: Int64s = np.empty(rows, np.int64)
        self.key_length: Int32s = np.zeros(rows, np.int32)
        self.key_hash: UInt32s = np.zeros(rows, np.uint32)
        self.version: Int64s = np.empty(rows, np.int64)
        self.place: Int32s = np.full(rows, UNDECODED, np.int32)
        self.measures: Int64s = np.empty((measures, rows), np.int64)
        self.time: Int64s = np.empty(rows, np.int64)
        self.where: Int64s | range = range(rows)
        self.leaves = InternTable()

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
        events: list[tuple[int, Event]] = []
        for row in np.flatnonzero(self.place == UNDECODED).tolist():
            try:
                events.append((row, scalar(row)))
            except InvalidEvent as error:
                self.place[row] = NOT_AN_EVENT
                rejects.append(refusal(row, str(error)))
        if events:
            self._settle(events)
        return Batch(
            read_only(self.data),
            self.key_start,
            self.key_length,
            self.key_hash,
            self.version,
            self.place,
            self.measures,
            self.where,
            Places(self.leaves.data, self.leaves.offsets[: self.leaves.count + 1]),
            int(newest(self.time, self.place, NO_TIME)),
            rejects,
        )

    def _settle(self, events: list[tuple[int, Event]]) -> None:
        keys = [event.key.encode() for _, event in events]
        text = np.frombuffer(b"".join(keys), np.uint8)
        at = len(self.data)
        self.data = np.concatenate([self.data, text, np.zeros(8, np.uint8)])
        for (row, event), key in zip(events, keys, strict=True):
            self.key_start[row], self.key_length[row] = at, len(key)
            self.key_hash[row] = hash_bytes(read_only(self.data), at, len(key))
            at += len(key)
            self.version[row] = event.version
            self.time[row] = NO_TIME if event.time is None else event.time
            self.measures[:, row] = event.content.measures or 0
        self._place(events)

    def _place(self, events: list[tuple[int, Event]]) -> None:
        live = [(row, event.content.labels) for row, event in events if event.content.labels is not None]
        for row, event in events:
            if event.content.deleted:
                self.place[row] = DELETE
        if live:
            codes = self.leaves.intern(places_of([encode_leaf(labels) for _, labels in live]))
            self.place[[row for row, _ in live]] = codes
