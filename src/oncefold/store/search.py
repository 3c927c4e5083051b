"""Questions by a part of a name: nodes by their labels, keys by the whole key or, among the newest, its beginning.

No index is on labels alone, nor on keys. So nodes are looked through in order of their ids up to a limit, the key is
looked for in all of them, and beginnings in the newest ones only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oncefold.commit import PAGE_ROWS
from oncefold.core.fold import Outcome
from oncefold.store import blobs
from oncefold.store.connection import Connection
from oncefold.store.segments import changes_table, keys_table

_NODES = """
SELECT n.rollup, n.path, t.count FROM node AS n JOIN total AS t ON t.node = n.id
WHERE n.id < ? AND ({like}) AND t.count > 0 AND n.parent IS NOT NULL{rollup}
ORDER BY NOT ({begins}), n.depth, n.path LIMIT ?
"""
_LIKE = r"n.label LIKE ? ESCAPE '\'"


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A live node whose label holds the text."""

    rollup: str
    path: str
    count: int


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key that is or begins with the text, and whether it counts."""

    key: str
    live: bool


def find_nodes(connection: Connection, text: str, rollup: str | None, limit: int, most: int) -> list[FoundNode]:
    """Live nodes among the first `most` whose label holds the text, those first whose label begins with it.

    ASCII letters match in either case; others as they are, and in the case of all of the text.
    """
    forms = list(dict.fromkeys((text, text.lower(), text.upper(), text.title())))
    patterns = [_escaped(form) for form in forms]
    any_of = " OR ".join([_LIKE] * len(patterns))
    sql = _NODES.format(like=any_of, begins=any_of, rollup="" if rollup is None else " AND n.rollup = ?")
    inside, begins = [f"%{pattern}%" for pattern in patterns], [f"{pattern}%" for pattern in patterns]
    parameters = [most, *inside, *([] if rollup is None else [rollup]), *begins, limit]
    return [FoundNode(*row) for row in connection.execute(sql, parameters)]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def find_keys(connection: Connection, measures: int, text: str, limit: int, newest_rows: int) -> list[FoundKey]:
    """The key that is the text, then keys among the newest rows that begin with it, at most `limit`, newest first."""
    rows = _rows_of_keys(connection, text.encode(), limit, newest_rows)
    live = _live(connection, measures, [row for row, _ in rows])
    found = [FoundKey(key.decode(), alive) for (_, key), alive in zip(rows, live, strict=True)]
    return sorted(found, key=lambda item: item.key != text)


def _rows_of_keys(connection: Connection, text: bytes, limit: int, newest_rows: int) -> list[tuple[int, bytes]]:
    table, wanted = keys_table(connection), pa.scalar(text, pa.large_binary())
    exact: list[tuple[int, bytes]] = []
    found: list[tuple[int, bytes]] = []
    seen = 0
    for segment in reversed(table.stored()):
        looking = seen < newest_rows and len(found) < limit
        if exact and not looking:
            break
        seen += segment.rows
        keys = table.read(segment).column(0)
        index = -1 if exact else pc.index(keys, wanted).as_py()
        if index >= 0:
            exact = [(segment.first + index, text)]
        if looking:
            begin = np.flatnonzero(pc.starts_with(keys, text).to_numpy(zero_copy_only=False))[::-1][: limit + 1]
            found += [(segment.first + int(i), keys[int(i)].as_py()) for i in begin]
    return [*exact, *(item for item in found if item[1] != text)][:limit]


def _live(connection: Connection, measures: int, rows: Sequence[int]) -> list[bool]:
    """Whether the keys of these rows count: by their pages, then by every later change of them."""
    commits, leaves = np.zeros(len(rows), np.int64), np.full(len(rows), -1, np.int64)
    for i, row in enumerate(rows):
        commits[i], leaves[i] = _paged(connection, measures, row)
    order = np.argsort(rows)
    sorted_rows = np.array(rows, np.int64)[order]
    table = changes_table(connection, measures)
    for segment in table.stored() if rows else []:
        if segment.last <= commits.min():
            continue
        commit, changed, outcome, _, leaf, *_ = blobs.columns(table.read(segment))
        for i in np.flatnonzero(np.isin(changed, sorted_rows) & (outcome <= Outcome.CONFLICT_WON)).tolist():
            at = order[np.searchsorted(sorted_rows, changed[i])]
            if segment.first + int(commit[i]) > commits[at]:
                leaves[at] = leaf[i]
    return [bool(leaf >= 0) for leaf in leaves]


def _paged(connection: Connection, measures: int, row: int) -> tuple[int, Any]:
    number, index = divmod(row, PAGE_ROWS)
    sql = 'SELECT "commit", n, crc32, blob FROM pages WHERE number = ?'
    found = connection.execute(sql, (number,)).fetchone()
    if found is None or index >= found[1]:
        return 0, -1
    commit, n, crc32, blob = found
    batch = blobs.decode(blobs.state_schema(measures), n, crc32, blob, f"page {number}")
    return commit, blobs.columns(batch)[1][index]
