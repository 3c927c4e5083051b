"""What a writer needs to go on from the last commit."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

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
from oncefold.store.segments import SegmentTable
from oncefold.store.snapshots import SnapshotSchedule
from oncefold.store.texts import read_texts

_NO_STATE = NO_LEAF - 1
"""The leaf of a row whose state was not found yet."""

_KEYS_AHEAD = 2
"""Segments of keys that are decompressed in advance, at most."""

Allocate = Callable[[int], States]
"""Makes the columns for so many rows; they may be views of longer ones."""


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
    """The key texts in row order, piece by piece; to be consumed before the next commit."""
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
    connection: Connection, pipeline: Pipeline, tables: Tables, head: LastCommit, ends: Ends, allocate: Allocate | None
) -> Loaded:
    """The contents of the store after its last commit. Raises DamagedError for damaged blobs."""
    states = new_states(ends.rows, pipeline.value_columns) if allocate is None else allocate(ends.rows)
    schedule = SnapshotSchedule()
    state_from = int(read_meta(connection)["state_from"])
    keys = read_keys(tables.keys.table)
    read_states(connection, tables.changes.table, states, state_from, schedule)
    return Loaded(
        pipeline=pipeline,
        seq=head.seq,
        rows=ends.rows,
        states=states,
        keys=keys,
        texts=iter(()) if tables.texts is None else read_texts(tables.texts.table),
        leaves=rows.read_leaves(connection, len(pipeline.levels)),
        nodes=rows.read_nodes(connection, pipeline),
        totals=rows.read_totals(connection, pipeline),
        positions={position.source: position for position in rows.read_positions(connection)},
        counts=rows.read_counts(connection),
        newest_time=head.newest_time,
        schedule=schedule,
    )


def read_keys(keys: SegmentTable) -> Iterator[pa.LargeBinaryArray]:
    """The key texts in row order, piece by piece; the first are decompressed from now on, in another thread."""
    segments = iter(keys.stored())
    pool = ThreadPoolExecutor(1, "oncefold-keys")

    def begun() -> Iterator[Future[pa.RecordBatch]]:
        for segment in segments:
            yield pool.submit(keys.decoded, segment, keys.stored_blob(segment))

    waiting = begun()
    return _finished(deque(islice(waiting, _KEYS_AHEAD)), waiting, pool)


def _finished(
    ahead: "deque[Future[pa.RecordBatch]]", waiting: Iterator["Future[pa.RecordBatch]"], pool: ThreadPoolExecutor
) -> Iterator[pa.LargeBinaryArray]:
    with pool:
        while ahead:
            batch = ahead.popleft().result()
            ahead.extend(islice(waiting, 1))
            yield batch.column(0)


def read_states(
    connection: Connection, changes: SegmentTable, states: States, state_from: int, schedule: SnapshotSchedule
) -> None:
    """Fill in every row's state: its page, then the later changes in order.

    `schedule` counts every change that is not in a page. Raises DamagedError for damaged blobs, and for rows without
    a state.
    """
    states.leaf.fill(_NO_STATE)
    page_commits = read_pages(connection, states)
    replay = Replay(states, page_commits, schedule)
    for segment in changes.stored():
        if segment.last > state_from:
            replay.apply(segment.first, blobs.columns(changes.read(segment)))
    without = np.flatnonzero(states.leaf == _NO_STATE)
    if len(without):
        raise DamagedError(f"the states of {len(without)} keys are missing, first row {without[0]}")


def read_pages(connection: Connection, states: States) -> Int64s:
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
    return commits


class Replay:
    """Applies change segments in order to states; the last change of a row counts."""

    def __init__(self, states: States, page_commits: Int64s, schedule: SnapshotSchedule) -> None:
        self._states, self._page_commits, self._schedule = states, page_commits, schedule
        self._last = np.full(len(states.version), -1, np.int32)

    def apply(self, first: int, columns: list[npt.NDArray[Any]]) -> None:
        """The changes of one segment, which begins with the commit `first`. Raises DamagedError for unknown rows."""
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
