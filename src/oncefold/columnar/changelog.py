"""What the batches of one commit did, in columns whose memory serves one commit after another."""

from typing import Any

import numpy as np
import pyarrow as pa

from oncefold.columnar.batch import Int64s, UInt8s
from oncefold.columnar.growing import GrowingArray
from oncefold.commit import Changes, States


class ChangeLog:
    """Changes in order of arrival, and room for the texts of new keys. What it gives is valid until `clear`."""

    def __init__(self, measures: int) -> None:
        self._row = GrowingArray(np.uint32)
        self._outcome = GrowingArray(np.uint8)
        self._version = GrowingArray(np.int64)
        self._place = GrowingArray(np.int32)
        self._values = GrowingArray(np.int64, max(1, measures))
        self._key_ends = GrowingArray(np.int64)
        self._key_text = GrowingArray(np.uint8)
        self._measures = measures
        self.count = 0

    def clear(self) -> None:
        """Begin anew."""
        self.count = 0

    def columns(self, more: int) -> tuple[Any, ...]:
        """(row, outcome, version, place, measures by row) with room for so many more changes."""
        arrays = (self._row, self._outcome, self._version, self._place, self._values)
        for array in arrays:
            array.reserve(self.count + more)
        return tuple(array.rows for array in arrays)

    def changes(self, first: int = 0) -> Changes:
        """The changes from this one on."""
        part = slice(first, self.count)
        measures = self._values.rows[part, : self._measures].T
        states = States(self._version.rows[part], self._place.rows[part], measures)
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
