"""Questions about keys: where one is, what arrived for it, and which ones are behind a node."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from oncefold.commit import PAGE_ROWS, Int64s
from oncefold.core.errors import QueryError
from oncefold.core.fold import Outcome
from oncefold.store import blobs
from oncefold.store.answers import Arrival, KeyState, Moment
from oncefold.store.connection import Connection
from oncefold.store.segments import changes_table, keys_table

Leaves = Sequence[tuple[str, ...]]


def find_row(connection: Connection, key: str) -> int:
    """The row of a key, looked for among the newest first. Raises QueryError if it never arrived."""
    table = keys_table(connection)
    wanted = pa.scalar(key.encode(), pa.large_binary())
    for segment in reversed(table.stored()):
        index = pc.index(table.read(segment).column(0), wanted).as_py()
        if index >= 0:
            return int(segment.first + index)
    raise QueryError(f"no event with the key {key!r} has arrived")


def key_texts(connection: Connection, wanted: Int64s) -> list[str]:
    """The keys of these rows, which are in rising order."""
    table = keys_table(connection)
    texts: list[str] = []
    for segment in table.stored():
        here = wanted[(wanted >= segment.first) & (wanted <= segment.last)] - segment.first
        if len(here):
            texts.extend(key.decode() for key in table.read(segment).column(0).take(pa.array(here)).to_pylist())
    return texts


def content_of(leaves: Leaves, leaf: int, sums: Iterable[int]) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    """The labels and measures of a state; None and nothing for a delete."""
    return (None, ()) if leaf < 0 else (leaves[leaf], tuple(map(int, sums)))


def page_state(
    connection: Connection, row: int, key: str, leaves: Leaves, measures: int
) -> tuple[int, KeyState | None]:
    """The commit of the snapshot page that holds a row, and the row's state there; 0 and None without."""
    number, index = divmod(row, PAGE_ROWS)
    sql = 'SELECT "commit", n, crc32, blob FROM pages WHERE number = ?'
    found = connection.execute(sql, (number,)).fetchone()
    if found is None or index >= found[1]:
        return 0, None
    commit, n, crc32, blob = found
    batch = blobs.decode(blobs.state_schema(measures), n, crc32, blob, f"page {number}")
    version, leaf, *sums = (column[index] for column in blobs.columns(batch))
    return commit, KeyState(key, int(version), *content_of(leaves, int(leaf), sums))


def arrivals(connection: Connection, row: int, leaves: Leaves, measures: int) -> Iterator[Arrival]:
    """Every event of a row that is kept, oldest first; a duplicate without content; the times of commits are 0."""
    table = changes_table(connection, measures)
    for segment in table.stored():
        commit, rows, outcome, version, leaf, *sums = blobs.columns(table.read(segment))
        for i in np.flatnonzero(rows == row).tolist():
            moment, became = Moment(segment.first + int(commit[i]), 0), Outcome(int(outcome[i]))
            if became is Outcome.DUPLICATE:
                yield Arrival(moment, became, None, None, ())
            else:
                content = content_of(leaves, int(leaf[i]), (column[i] for column in sums))
                yield Arrival(moment, became, int(version[i]), *content)


def below(leaf: npt.NDArray[np.int32], counted: npt.NDArray[np.bool_]) -> Int64s:
    """The rows whose leaf counts, in order."""
    live = np.flatnonzero(leaf >= 0)
    return live[counted[leaf[live]]]
