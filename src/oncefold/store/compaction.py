"""Compaction: small segments are merged, and segments older than the retention are dropped.

Each step is a separate transaction after a commit, and bounded, so that no commit takes long. No step changes an
answer, except that `history` and past totals reach back less far.

A segment is full at `full_bytes` or FULL_ROWS and is never rewritten. The others form runs between full ones. A
segment's level is log(rows) to the base `fan_out`. The segments at the end of a run whose levels are at most c are
merged when there are (c + 1) times `fan_out` of them. So n commits leave O(log n) segments beside the full ones,
whatever their sizes; if the commits are of similar size, every row is rewritten O(log n) times. A merge reads at most
about twice `full_bytes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from oncefold.core.definition import Pipeline
from oncefold.store import blobs
from oncefold.store.connection import Connection, scalar, transaction
from oncefold.store.definitions import earlier_definitions, expire
from oncefold.store.retention import Retention, horizon
from oncefold.store.schema import read_meta, write_meta
from oncefold.store.segments import Segment, SegmentTable, changes_table, deltas_table, keys_table, texts_table

KEPT_BYTES = 64 * 2**10
"""The rows of a segment up to this size are kept in memory until it is merged."""

SEGMENTS_PER_STEP = 8
"""Segments of one table that are dropped after one commit, at most."""

COMMITS_PER_STEP = 10_000
"""Rows of `commits` that are examined, and dropped, after one commit, at most."""

EXPIRY_CHECK_NANOSECONDS = 10**9
"""Interval of the checks for expired segments while there are none."""

MIN_EXPIRED_COMMITS = 1_000
"""Expired rows of `commits` that are worth a transaction."""

FULL_ROWS = 2**20


@dataclass(frozen=True, slots=True)
class Levels:
    """The limits of merging; a commit of 100,000 events or more writes segments that are full at once."""

    fan_out: int = 32
    full_bytes: int = 2**20

    def due(self, segments: Sequence[Segment]) -> slice | None:
        """The next neighbours to merge, None without; only the last segment may be new since the last call."""
        end = len(segments)
        if end and self._full(segments[-1]):
            end -= 1
            start = self._run_start(segments, end)
            return slice(start, end) if end - start > 1 else None
        start = self._run_start(segments, end)
        if end - start < 2:
            return None
        if sum(s.size for s in segments[start:end]) >= self.full_bytes:
            return slice(start, end)
        return self._too_many(segments, start, end)

    def _too_many(self, segments: Sequence[Segment], start: int, end: int) -> slice | None:
        """The segments at the end whose levels are at most some level, if there are too many for that level."""
        first, above = end, 0
        while first > start:
            above = max(above, self._level(segments[first - 1]))
            while first > start and self._level(segments[first - 1]) <= above:
                first -= 1
            if end - first >= (above + 1) * self.fan_out:
                return slice(first, end)
        return None

    def _run_start(self, segments: Sequence[Segment], end: int) -> int:
        while end > 0 and not self._full(segments[end - 1]):
            end -= 1
        return end

    def _full(self, segment: Segment) -> bool:
        return segment.size >= self.full_bytes or segment.rows >= FULL_ROWS

    def _level(self, segment: Segment) -> int:
        level, rows = 0, segment.rows
        while rows >= self.fan_out:
            rows //= self.fan_out
            level += 1
        return level


DEFAULT_LEVELS = Levels()


class CompactedTable:
    """A table of segments in the writer, which keeps the list of segments in memory.

    It also keeps the rows of the small segments that it wrote. They are merged soon, and reading each of them again
    would cost more than the rest of a small commit.
    """

    def __init__(self, table: SegmentTable, levels: Levels) -> None:
        self.table = table
        self.list = table.stored()
        self._levels = levels
        self._kept: dict[int, pa.RecordBatch] = {}
        """By the first number of their segments; segments of at most two levels at a time."""

    @property
    def following(self) -> int:
        """The number after the last one."""
        return self.list[-1].last + 1 if self.list else 0

    def append(self, first: int, last: int, batch: pa.RecordBatch, encoded: tuple[int, pa.Buffer]) -> None:
        """Add a segment unless it is empty, inside the caller's transaction."""
        if batch.num_rows:
            self.list.append(self.table.write(first, last, batch, encoded))
            if batch.nbytes <= KEPT_BYTES:
                self._kept[first] = blobs.copied(batch)

    def merge(self) -> bool:
        """Perform a merge that is due, in one transaction; whether there was one."""
        due = self._levels.due(self.list)
        if due is None:
            return False
        parts = self.list[due]
        merged, whole = self.table.merge(parts, map(self._take_rows, parts))
        self.list[due] = [merged]
        if whole.nbytes <= KEPT_BYTES:
            self._kept[merged.first] = whole
        return True

    def _take_rows(self, segment: Segment) -> pa.RecordBatch:
        """The rows of a segment, which are then no longer kept in memory."""
        kept = self._kept.pop(segment.first, None)
        return self.table.read(segment) if kept is None else kept

    def before(self, last: int) -> int:
        """How many of the oldest segments lie wholly at or before `last`."""
        for index, segment in enumerate(self.list):
            if segment.last > last:
                return index
        return len(self.list)

    def reach(self, last: int, most: int) -> int:
        """The last number up to which `most` segments can be dropped: at most `last`, whole segments only."""
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

    def __init__(self, connection: Connection, pipeline: Pipeline, levels: Levels) -> None:
        self.keys = CompactedTable(keys_table(connection), levels)
        self.changes = CompactedTable(changes_table(connection, pipeline.value_columns), levels)
        self.deltas = CompactedTable(deltas_table(connection, len(pipeline.amounts)), levels)
        self.texts = CompactedTable(texts_table(connection), levels) if pipeline.layout.texts else None

    def all(self) -> Sequence[CompactedTable]:
        """Every table of segments."""
        return (self.keys, self.changes, self.deltas, *([] if self.texts is None else [self.texts]))


class Expiry:
    """Drops segments that are older than the retention and are not needed for the key states.

    `changes_from` and `deltas_from` in `meta` name the last commits whose changes and deltas were dropped.
    """

    def __init__(self, connection: Connection, tables: Tables, retention: Retention) -> None:
        self._connection, self._tables, self._retention = connection, tables, retention
        meta = read_meta(connection)
        self._changes_from, self._deltas_from = int(meta["changes_from"]), int(meta["deltas_from"])
        self._first: int = scalar(connection, "SELECT ifnull(min(seq), 1) FROM commits")
        self._expired: int = self._first - 1
        self._earlier = earlier_definitions(connection)
        self._expiring = True
        """Whether there may be an earlier definition that is expired, or removed in part."""
        self._checked: int | None = None
        """Time of the last check that found nothing to drop; None if there may be more."""

    def step(self, now: int, needed_from: int) -> None:
        """Drop some segments if enough have expired; the changes from the commit `needed_from` on are needed."""
        before = horizon(self._retention, now)
        if before is None or (self._checked is not None and 0 <= now - self._checked < EXPIRY_CHECK_NANOSECONDS):
            return
        self._checked = None if self._drop_expired(before, needed_from) else now

    def _drop_expired(self, before: int, needed_from: int) -> bool:
        """Drop some of what is older than `before`; whether anything was."""
        expired = self._expired
        self._advance(before)
        if self._drop_definition():
            return True
        changes, deltas = self._tables.changes, self._tables.deltas
        changes_from = max(self._changes_from, changes.reach(min(self._expired, needed_from - 1), SEGMENTS_PER_STEP))
        deltas_from = max(self._deltas_from, deltas.reach(self._expired, SEGMENTS_PER_STEP))
        earliest = min([changes_from + 1, deltas_from, *(earlier.deltas_from for earlier in self._earlier)])
        first = min(earliest, self._first + COMMITS_PER_STEP)
        if changes.before(changes_from) or deltas.before(deltas_from) or first - self._first >= MIN_EXPIRED_COMMITS:
            with transaction(self._connection):
                changes.drop(changes_from)
                deltas.drop(deltas_from)
                self._connection.execute("DELETE FROM commits WHERE seq < ?", (first,))
                names = {"changes_from": changes_from, "deltas_from": deltas_from, "state_from": needed_from - 1}
                write_meta(self._connection, **{name: str(value) for name, value in names.items()})
            self._changes_from, self._deltas_from = changes_from, deltas_from
            self._first = max(self._first, first)
            return True
        return self._expired > expired

    def _drop_definition(self) -> bool:
        """Drop a part of an earlier definition whose replacement has expired, too; whether there was one."""
        if not self._expiring and not (self._earlier and self._earlier[0].last_commit < self._expired):
            return False
        with transaction(self._connection):
            self._expiring = expire(self._connection, self._expired)
        self._earlier = earlier_definitions(self._connection)
        return self._expiring

    def _advance(self, before: int) -> None:
        sql = """
            SELECT max(seq) FROM (SELECT seq, at FROM commits WHERE seq > ? ORDER BY seq LIMIT ?) WHERE at < ?"""
        found = scalar(self._connection, sql, (self._expired, COMMITS_PER_STEP, before))
        self._expired = self._expired if found is None else found
