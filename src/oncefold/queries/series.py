"""How a node came to its totals: the totals as of some commits, from the deltas that the store keeps."""

from collections.abc import Iterator, Sequence

import numpy as np

from oncefold.commit import Int64s
from oncefold.queries.converters import Converter, as_of_commit, commit_of
from oncefold.queries.model import Point, Series
from oncefold.store import commits
from oncefold.store.amounts import carried, from_ints, to_ints
from oncefold.store.answers import CommitTime
from oncefold.store.changes import NodeDeltas, deltas_of
from oncefold.store.connection import Connection, scalar
from oncefold.store.nodes import find_node
from oncefold.store.reader import StoreFile

MOST_DELTAS = 2_000_000
"""Rows of deltas that one series reads, all nodes together."""


def series_of(
    file: StoreFile,
    convert: Converter,
    rollup: str | None,
    labels: tuple[str, ...],
    points: int,
    begin: tuple[int | None, int | None] = (None, None),
) -> Series:
    """The node at so many commits, evenly spread over the time they span.

    They begin with a commit by its number or, `begin`'s second, the last one at or before a time in nanoseconds, where
    the deltas reach back so far. Raises QueryError for an unknown node.
    """
    found = file.totals(rollup, labels, depth=0)
    (now,) = found.rows
    measures = len(now.sums)
    with file.at_one_commit() as connection:
        node, since = find_node(connection, found.rollup, labels), commits.oldest(connection).seq
        deltas = deltas_of(connection, measures, -1 if node is None else node, since, MOST_DELTAS)
        chosen = list(
            _chosen(connection, max(deltas.since, _first(connection, begin, found.as_of)), found.as_of, points)
        )
        newest = file.newest_event(found.as_of.seq)
    counts, sums = _totals_at(np.array([moment.seq for moment in chosen]), deltas, now.count, now.sums)
    rows = tuple(
        Point(commit_of(moment.seq, moment.at), convert.amounts_of(count, amounts))
        for moment, count, amounts in zip(chosen, counts, sums, strict=True)
    )
    return Series(
        as_of=as_of_commit(commit_of(found.as_of.seq, found.as_of.at), newest),
        shape=convert.shape,
        rows=rows,
        rollup=found.rollup,
        path=now.path,
    )


def _first(connection: Connection, begin: tuple[int | None, int | None], last: CommitTime) -> int:
    """The number of the commit that a series begins with, if it is not older than the deltas."""
    number, time = begin
    if number is not None:
        return min(number, last.seq)
    return 0 if time is None else _last_before(connection, time, 0, last.seq)


def _totals_at(
    commits: Int64s, deltas: NodeDeltas, count: int, sums: Sequence[int]
) -> tuple[list[int], list[tuple[int, ...]]]:
    """The present totals less the deltas after each of these commits."""
    begin = np.searchsorted(deltas.commit, commits, side="right")
    counts = count - _sums_from(deltas.count, begin)
    high, low = from_ints(sums)
    columns = []
    for i in range(len(sums)):
        halves = carried(high[i] - _sums_from(deltas.high[i], begin), low[i] - _sums_from(deltas.low[i], begin))
        columns.append(to_ints(*halves))
    return counts.tolist(), list(zip(*columns, strict=True)) if columns else [()] * len(commits)


def _sums_from(values: Int64s, begin: Int64s) -> Int64s:
    """The sum of the values from each of these indexes on."""
    before = np.concatenate([[0], np.cumsum(values)])
    rest: Int64s = before[-1] - before[begin]
    return rest


def _chosen(connection: Connection, since: int, last: CommitTime, points: int) -> Iterator[CommitTime]:
    """Commits from `since` to the last, at most so many, evenly spread over their time."""
    if last.seq - since < points:
        sql = "SELECT seq, at FROM commits WHERE seq > ? ORDER BY seq"
        yield commits.find(connection, since)
        yield from (CommitTime(*row) for row in connection.execute(sql, (since,)))
        return
    if points > 1:
        yield commits.find(connection, since)
    begin, previous = _time_of(connection, since + 1), since
    for step in range(1, points - 1):
        seq = _last_before(connection, begin + (last.at - begin) * step // (points - 1), since, last.seq)
        if previous < seq < last.seq:
            previous = seq
            yield commits.find(connection, seq)
    yield last


def _time_of(connection: Connection, seq: int) -> int:
    return int(scalar(connection, "SELECT at FROM commits WHERE seq >= ? ORDER BY seq LIMIT 1", (seq,)) or 0)


def _last_before(connection: Connection, time: int, low: int, high: int) -> int:
    """The last commit at or before a time: times rise with the numbers, and have no index."""
    while low < high:
        middle = (low + high + 1) // 2
        if _time_of(connection, middle) <= time:
            low = middle
        else:
            high = middle - 1
    return low
