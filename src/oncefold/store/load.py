"""What a writer needs to go on from the last commit."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from sqlite3 import Error as SqliteError
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oncefold.commit import (
    NO_LEAF,
    PAGE_ROWS,
    Int64s,
    NewNode,
    NodeColumns,
    SourcePosition,
    States,
    UInt32s,
    taken,
)
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Outcome
from oncefold.store import blobs, rows
from oncefold.store.compaction import Tables
from oncefold.store.connection import Connection
from oncefold.store.errors import DamagedError
from oncefold.store.rows import Ends, LastCommit
from oncefold.store.schema import read_meta
from oncefold.store.segments import Segment, SegmentTable, StoredBlob
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.texts import read_texts

_NO_STATE = NO_LEAF - 1
"""The leaf of a row whose state was not found yet."""

_KEYS_AHEAD = 2
"""Segments of keys that are read and not yet taken, at most."""

_ROWS_AT_ONCE = 2**16
"""Changes that are applied at once: what that takes besides stays in the processor's cache."""


class KeyedRows(Protocol):
    """What takes keys in the order of their rows, by one thread at a time."""

    def reserve(self, rows: int, size: int) -> None:
        """Make room for so many keys."""

    def add_keys(self, keys: pa.Array) -> None:
        """Append keys."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The contents of a store after its last commit."""

    pipeline: Pipeline
    seq: int
    """The last commit, 0 before the first."""
    rows: int
    """Keys that ever arrived."""
    states: States
    keys: Iterator[pa.LargeBinaryArray]
    """The key texts in row order, piece by piece, but for those that were put elsewhere; to be consumed before the next
    commit."""
    texts: Iterator[pa.LargeBinaryArray]
    """The texts that keys keep, in order of their codes; to be consumed as the keys are."""
    leaves: list[tuple[str, ...]]
    nodes: Iterator[NewNode]
    """In order of their ids, read when used; they follow from the leaves, so the engine does not read them."""
    totals: NodeColumns
    """Of all nodes, in order of their ids."""
    positions: Mapping[str, SourcePosition]
    counts: Mapping[Outcome, int]
    """Events ever, by outcome."""
    newest_time: int | None
    schedule: SnapshotSchedule
    """To choose snapshot pages with; the caller's own."""


def new_states(rows: int, measures: int) -> States:
    """Columns of key states, not filled."""
    return States(np.empty(rows, np.int64), np.empty(rows, np.int32), np.empty((measures, rows), np.int64))


def load(
    connection: Connection, pipeline: Pipeline, tables: Tables, head: LastCommit, ends: Ends, into: KeyedRows | None
) -> Loaded:
    """The contents of the store after its last commit; another thread puts the keys `into` what takes them.

    Raises DamagedError for damaged blobs.
    """
    states = new_states(ends.rows, pipeline.value_columns)
    schedule = SnapshotSchedule()
    state_from = int(read_meta(connection)["state_from"])
    if into is not None:
        into.reserve(ends.rows, 0)
    keys = KeyLoading(tables.keys.table, into)
    read_states(connection, tables.changes.table, states, state_from, schedule, keys.go_on)
    return Loaded(
        pipeline=pipeline,
        seq=head.seq,
        rows=ends.rows,
        states=states,
        keys=keys.pieces(),
        texts=iter(()) if tables.texts is None else read_texts(tables.texts.table),
        leaves=rows.read_leaves(connection, len(pipeline.levels)),
        nodes=rows.read_nodes(connection, pipeline),
        totals=rows.read_totals(connection, pipeline),
        positions={position.source: position for position in rows.read_positions(connection)},
        counts=rows.read_counts(connection),
        newest_time=head.newest_time,
        schedule=schedule,
    )


class KeyLoading:
    """The key texts in row order, decompressed by another thread, which also puts them `into` what takes them.

    This one reads their blobs, as a connection is used by one thread at a time: the first now, more at each `go_on`
    while it reads what else there is, and the others while `pieces` is consumed.
    """

    def __init__(self, table: SegmentTable, into: KeyedRows | None) -> None:
        """Raises DamagedError if a blob cannot be read."""
        self._table, self._into = table, into
        self._segments = deque(table.stored())
        self._pool = ThreadPoolExecutor(1, "oncefold-keys")
        self._running: deque[Future[pa.LargeBinaryArray | None]] = deque()
        self._begin()

    def go_on(self) -> None:
        """Begin the next pieces in the place of those that were taken; what fails does so again in `pieces`."""
        if self._into is not None:
            while self._running and self._running[0].done() and self._running[0].exception() is None:
                self._running.popleft()
            with suppress(DamagedError, SqliteError):
                self._begin()

    def pieces(self) -> Iterator[pa.LargeBinaryArray]:
        """The pieces that nothing takes; all are taken when it ends. Raises DamagedError for the first damaged one."""
        with self._pool:
            self._begin()
            while self._running:
                piece = self._running.popleft().result()
                self._begin()
                if piece is not None:
                    yield piece

    def _begin(self) -> None:
        while self._segments and len(self._running) < _KEYS_AHEAD:
            segment = self._segments[0]
            self._running.append(self._pool.submit(self._take, segment, self._table.stored_blob(segment)))
            self._segments.popleft()

    def _take(self, segment: Segment, stored: StoredBlob) -> pa.LargeBinaryArray | None:
        keys = self._table.decoded(segment, stored).column(0)
        if self._into is None:
            return keys
        self._into.add_keys(keys)
        return None


def read_states(
    connection: Connection,
    changes: SegmentTable,
    states: States,
    state_from: int,
    schedule: SnapshotSchedule,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Fill in every row's state: its page, then the later changes in order; `between` is called after each part.

    `schedule` counts every change that is not in a page. Raises DamagedError for damaged blobs, and for rows without
    a state.
    """
    states.leaf.fill(_NO_STATE)
    page_commits = read_pages(connection, states, between)
    replay = Replay(states, page_commits, schedule)
    for segment in changes.stored():
        if segment.last > state_from:
            replay.apply(segment.first, blobs.columns(changes.read(segment)))
            between()
    without = np.flatnonzero(states.leaf == _NO_STATE)
    if len(without):
        raise DamagedError(f"the states of {len(without)} keys are missing, first row {without[0]}")


def read_pages(connection: Connection, states: States, between: Callable[[], None] = lambda: None) -> Int64s:
    """Fill in the rows that snapshot pages hold; the commit of every page, 0 without one."""
    rows, measures = len(states.version), len(states.measures)
    schema = blobs.state_schema(measures)
    commits = np.zeros(-(-rows // PAGE_ROWS), np.int64)
    for number, commit, n, crc32, blob in connection.execute('SELECT number, "commit", n, crc32, blob FROM pages'):
        version, leaf, *sums = blobs.columns(blobs.decode(schema, n, crc32, blob, f"page {number}"))
        start = number * PAGE_ROWS
        if n > PAGE_ROWS or start + n > rows:
            raise DamagedError(f"page {number} holds rows beyond the last key")
        commits[number] = commit
        states.version[start : start + n] = version
        states.leaf[start : start + n] = leaf
        for i, column in enumerate(sums):
            states.measures[i, start : start + n] = column
        between()
    return commits


class Replay:
    """Applies change segments in order to states; the last change of a row counts."""

    def __init__(self, states: States, page_commits: Int64s, schedule: SnapshotSchedule) -> None:
        self._states, self._page_commits, self._schedule = states, page_commits, schedule
        self._last = np.full(len(states.version), -1, np.int32)

    def apply(self, first: int, columns: list[npt.NDArray[Any]]) -> None:
        """The changes of one segment, which begins with the commit `first`. Raises DamagedError for unknown rows."""
        for start in range(0, len(columns[0]), _ROWS_AT_ONCE):
            self._apply(first, [column[start : start + _ROWS_AT_ONCE] for column in columns])

    def _apply(self, first: int, columns: list[npt.NDArray[Any]]) -> None:
        commit, row, outcome, version, leaf, *sums = columns
        if len(row) and int(row.max()) >= len(self._last):
            raise DamagedError(f"the changes from commit {first} name a row beyond the last key")
        page = row // PAGE_ROWS
        seq = commit.astype(np.int64) + first
        news = np.flatnonzero(taken(outcome) & (seq > self._page_commits[page]))
        self._count(page[news], seq[news], len(row))
        kept = news[self._last_of_each(row[news])]
        target = row[kept]
        self._states.version[target] = version[kept]
        self._states.leaf[target] = leaf[kept]
        for into, column in zip(self._states.measures, sums, strict=True):
            into[target] = column[kept]

    def _last_of_each(self, row: UInt32s) -> npt.NDArray[np.bool_]:
        """Which entries are the last of their row. NumPy does not say which of several wins in `a[row] = value`."""
        order = np.arange(len(row), dtype=np.int32)
        np.maximum.at(self._last, row, order)
        last: npt.NDArray[np.bool_] = self._last[row] == order
        self._last[row] = -1
        return last

    def _count(self, page: UInt32s, seq: Int64s, rows: int) -> None:
        first = np.full(len(self._page_commits), np.iinfo(np.int64).max)
        np.minimum.at(first, page, seq)
        self._schedule.count(np.bincount(page, minlength=len(first)), first)
        self._schedule.log += rows
