"""Whether every blob is what was written, and its rows, commits and ids follow on each other and refer to something."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from oncefold.commit import NO_LEAF, PAGE_ROWS
from oncefold.core.definition import Pipeline
from oncefold.core.fold import Outcome
from oncefold.store import blobs, rows
from oncefold.store.connection import Connection
from oncefold.store.damaged import DamagedError
from oncefold.store.rows import Ends
from oncefold.store.schema import read_meta
from oncefold.store.segments import SegmentTable, changes_table, deltas_table, keys_table
from oncefold.store.tiers import Segment

Columns = list[npt.NDArray[Any]]


def blob_findings(connection: Connection, pipeline: Pipeline) -> Iterator[str]:
    """What is wrong with the blobs."""
    measures, ends, meta = len(pipeline.measures), rows.read_ends(connection), read_meta(connection)
    yield from _key_findings(keys_table(connection))
    last = rows.read_head(connection).seq
    for table, after in (
        (changes_table(connection, measures), int(meta["changes_from"])),
        (deltas_table(connection, measures), int(meta["deltas_from"])),
    ):
        yield from _commit_findings(table, after, last, ends)
    yield from _page_findings(connection, measures, ends)


def _key_findings(table: SegmentTable) -> Iterator[str]:
    following = 0
    for segment in table.stored():
        if segment.first != following or segment.rows != segment.last - segment.first + 1:
            yield f"keys: rows {segment.first} to {segment.last} do not follow on row {following - 1}"
        following = segment.last + 1
        try:
            table.read(segment)
        except DamagedError as error:
            yield str(error)


def _commit_findings(table: SegmentTable, after: int, last: int, ends: Ends) -> Iterator[str]:
    for segment in table.stored():
        name = f"{table.name} {segment.first} to {segment.last}"
        if not after < segment.first <= segment.last <= last:
            yield f"{name}: out of order after commit {after}, or after the last commit {last}"
        after = segment.last
        try:
            columns = blobs.columns(table.read(segment))
        except DamagedError as error:
            yield str(error)
        else:
            check = _changes if table.name == "changes" else _deltas
            yield from (f"{name}: {wrong}" for wrong in (*_commits(segment, columns[0]), *check(columns, ends)))


def _commits(segment: Segment, commit: npt.NDArray[Any]) -> Iterator[str]:
    if not len(commit) or commit[0] != 0 or commit[-1] != segment.last - segment.first:
        yield "its commits do not span from the first to the last"
    elif (np.diff(commit.astype(np.int64)) < 0).any():
        yield "its commits are out of order"


def _changes(columns: Columns, ends: Ends) -> Iterator[str]:
    _, row, outcome, _, leaf, *_ = columns
    if (row >= ends.rows).any():
        yield f"a row beyond the last key, {ends.rows - 1}"
    if (((leaf < NO_LEAF) | (leaf >= ends.leaves)) & (outcome != Outcome.DUPLICATE)).any():
        yield "a leaf that does not exist"
    if (outcome >= Outcome.REJECTED).any():
        yield "an outcome that changes cannot have"


def _deltas(columns: Columns, ends: Ends) -> Iterator[str]:
    _, node, *_ = columns
    if ((node < 0) | (node >= ends.nodes)).any():
        yield "a node that does not exist"


def _page_findings(connection: Connection, measures: int, ends: Ends) -> Iterator[str]:
    schema = blobs.state_schema(measures)
    for number, n, crc32, blob in connection.execute("SELECT number, n, crc32, blob FROM pages ORDER BY number"):
        if not 0 < n <= min(PAGE_ROWS, ends.rows - number * PAGE_ROWS):
            yield f"page {number}: holds rows beyond its end or the last key"
        try:
            _, leaf, *_ = blobs.columns(blobs.decode(schema, n, crc32, blob, f"page {number}"))
        except DamagedError as error:
            yield str(error)
        else:
            if ((leaf < NO_LEAF) | (leaf >= ends.leaves)).any():
                yield f"page {number}: a leaf that does not exist"
