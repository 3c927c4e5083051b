"""The tables `keys`, `changes` and `deltas`: blobs of consecutive rows or commits, appended, merged and dropped."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from oncefold.store import blobs
from oncefold.store.connection import Connection, transaction
from oncefold.store.damaged import DamagedError
from oncefold.store.tiers import Segment, Tiers

KEPT_BYTES = 64 * 2**10
"""The rows of a segment up to this size are kept in memory until it is merged."""


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
        sql = f"SELECT n, crc32, blob FROM {self.name} WHERE {self._first} = ?"  # noqa: S608
        found = self._connection.execute(sql, (segment.first,)).fetchone()
        if found is None:
            raise DamagedError(f"{self.name}: row {segment.first} is listed and cannot be found")
        rows, crc32, blob = found
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
        """Replace neighbours, whose rows these are, by one segment that holds the same; a transaction of its own."""
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
        moved = blobs.array(batch.column(0).to_numpy() + np.uint32(offset))
        return pa.record_batch([moved, *batch.columns[1:]], schema=self.schema)


class Segments:
    """A table of segments as its one writer knows it: the list is kept in memory.

    So are the rows of the small segments that were written since it was opened. They are merged soon, and to read each
    again would cost more than all else of a small commit.
    """

    def __init__(self, table: SegmentTable, tiers: Tiers) -> None:
        self.table = table
        self.list = table.stored()
        self._tiers = tiers
        self._kept: dict[int, pa.RecordBatch] = {}
        """By the first number of their segments; fewer than two classes of them at a time."""

    def append(self, first: int, last: int, batch: pa.RecordBatch, encoded: tuple[int, pa.Buffer]) -> None:
        """Add a segment unless it is empty, inside the caller's transaction."""
        if batch.num_rows:
            self.list.append(self.table.write(first, last, batch, encoded))
            if batch.nbytes <= KEPT_BYTES:
                self._kept[first] = blobs.copied(batch)

    def merge(self) -> bool:
        """Do a merge that is due, in a transaction of its own; whether there was one."""
        due = self._tiers.due(self.list)
        if due is None:
            return False
        parts = self.list[due]
        merged, whole = self.table.merge(parts, map(self._taken, parts))
        self.list[due] = [merged]
        if whole.nbytes <= KEPT_BYTES:
            self._kept[merged.first] = whole
        return True

    def _taken(self, segment: Segment) -> pa.RecordBatch:
        """The rows of a segment, which are kept no longer."""
        kept = self._kept.pop(segment.first, None)
        return self.table.read(segment) if kept is None else kept

    def before(self, last: int) -> int:
        """How many of the oldest segments lie wholly at or before `last`."""
        for index, segment in enumerate(self.list):
            if segment.last > last:
                return index
        return len(self.list)

    def reach(self, last: int, most: int) -> int:
        """How far dropping can get: up to `last`, but by so many segments only, and by none in part."""
        reached = self.before(last)
        if reached > most:
            return self.list[most - 1].last
        return last if reached == len(self.list) else min(last, self.list[reached].first - 1)

    def drop(self, last: int) -> None:
        """Remove the segments that lie wholly at or before `last`, inside the caller's transaction."""
        gone = self.before(last)
        if gone:
            self.table.delete(self.list[0].first, self.list[gone - 1].first)
            for segment in self.list[:gone]:
                self._kept.pop(segment.first, None)
            del self.list[:gone]


class Tables:
    """The segments of a store."""

    def __init__(self, connection: Connection, measures: int, tiers: Tiers) -> None:
        self.keys = Segments(keys_table(connection), tiers)
        self.changes = Segments(changes_table(connection, measures), tiers)
        self.deltas = Segments(deltas_table(connection, measures), tiers)

    def all(self) -> Sequence[Segments]:
        """Every table of segments."""
        return (self.keys, self.changes, self.deltas)


def keys_table(connection: Connection) -> SegmentTable:
    """Key texts by row."""
    return SegmentTable(connection, "keys", "row", blobs.KEYS)


def changes_table(connection: Connection, measures: int) -> SegmentTable:
    """Arrivals by commit."""
    return SegmentTable(connection, "changes", "commit", blobs.change_schema(measures))


def deltas_table(connection: Connection, measures: int) -> SegmentTable:
    """Net changes of nodes by commit."""
    return SegmentTable(connection, "deltas", "commit", blobs.delta_schema(measures))
