"""The tables `keys`, `changes` and `deltas`: blobs of consecutive rows or commits, written, read and merged."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from oncefold.arrow import numbers_of
from oncefold.store import blobs
from oncefold.store.connection import Connection, transaction
from oncefold.store.errors import DamagedError

StoredBlob = tuple[int, int, bytes]
"""The rows of a blob, its CRC32 and its bytes."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A blob of consecutive rows or commits: their first and last number, its rows and its size in bytes."""

    first: int
    last: int
    rows: int
    size: int


class SegmentTable:
    """One table of segments; the first and last number of each are rows or commits."""

    def __init__(self, connection: Connection, name: str, numbered: str, schema: pa.Schema) -> None:
        self.name = name
        self.schema = schema
        self._connection = connection
        self._first, self._last = f"first_{numbered}", f"last_{numbered}"
        self._relative = "commit" in schema.names

    def stored(self) -> list[Segment]:
        """All segments in order. Raises DamagedError where the table itself is damaged."""
        sql = f"SELECT {self._first}, {self._last}, n, length(blob) FROM {self.name} ORDER BY 1"  # noqa: S608
        found = self._connection.execute(sql).fetchall()
        if not all(isinstance(value, int) for row in found for value in row):
            raise DamagedError(f"{self.name}: a row of it was altered, or is damaged")
        return [Segment(*row) for row in found]

    def read(self, segment: Segment) -> pa.RecordBatch:
        """The rows of one segment. Raises DamagedError if its blob is damaged."""
        return self.decoded(segment, self.stored_blob(segment))

    def stored_blob(self, segment: Segment) -> StoredBlob:
        """The blob of one segment as it is stored. Raises DamagedError if there is none."""
        sql = f"SELECT n, crc32, blob FROM {self.name} WHERE {self._first} = ?"  # noqa: S608
        found = self._connection.execute(sql, (segment.first,)).fetchone()
        if found is None:
            raise DamagedError(f"{self.name}: row {segment.first} is listed and cannot be found")
        rows, crc32, blob = found
        return rows, crc32, blob

    def decoded(self, segment: Segment, stored: StoredBlob) -> pa.RecordBatch:
        """The rows of a segment whose blob was read, by any thread. Raises DamagedError if it is damaged."""
        rows, crc32, blob = stored
        return blobs.decode(self.schema, rows, crc32, blob, f"{self.name} {segment.first} to {segment.last}")

    def write(self, first: int, last: int, batch: pa.RecordBatch, encoded: tuple[int, pa.Buffer]) -> Segment:
        """Add a segment, inside the caller's transaction."""
        crc32, blob = encoded
        sql = f"INSERT INTO {self.name} VALUES (?, ?, ?, ?, ?)"  # noqa: S608
        self._connection.execute(sql, (first, last, batch.num_rows, crc32, blob))
        return Segment(first, last, batch.num_rows, blob.size)

    def delete(self, first: int, last: int) -> None:
        """Remove the segments that begin in this range, inside the caller's transaction."""
        sql = f"DELETE FROM {self.name} WHERE {self._first} BETWEEN ? AND ?"  # noqa: S608
        self._connection.execute(sql, (first, last))

    def merge(self, segments: list[Segment], batches: Iterable[pa.RecordBatch]) -> tuple[Segment, pa.RecordBatch]:
        """Replace neighbouring segments by one with all their rows, `batches`, in one transaction."""
        first, last = segments[0].first, segments[-1].last
        moved = [self._rebased(batch, part.first - first) for part, batch in zip(segments, batches, strict=True)]
        whole = pa.Table.from_batches(moved, self.schema).combine_chunks().to_batches()[0]
        encoded = blobs.encode(whole)
        with transaction(self._connection):
            self.delete(first, last)
            return self.write(first, last, whole, encoded), whole

    def _rebased(self, batch: pa.RecordBatch, offset: int) -> pa.RecordBatch:
        if not self._relative:
            return batch
        moved = blobs.array(numbers_of(batch.column(0)) + np.uint32(offset))
        return pa.record_batch([moved, *batch.columns[1:]], schema=self.schema)


def keys_table(connection: Connection) -> SegmentTable:
    """Key texts by row."""
    return SegmentTable(connection, "keys", "row", blobs.KEYS)


def texts_table(connection: Connection) -> SegmentTable:
    """Texts that keys keep, by their codes."""
    return SegmentTable(connection, "texts", "row", blobs.KEYS)


def changes_table(connection: Connection, values: int) -> SegmentTable:
    """Arrivals by commit; `values` as `Pipeline.value_columns`."""
    return SegmentTable(connection, "changes", "commit", blobs.change_schema(values))


def deltas_table(connection: Connection, measures: int) -> SegmentTable:
    """Net changes of nodes by commit."""
    return SegmentTable(connection, "deltas", "commit", blobs.delta_schema(measures))
