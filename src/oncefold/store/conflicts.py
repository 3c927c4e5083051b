"""The list of conflicts: each is listed once, however often its events come again.

A unique index over the contents would hold all their text once more, in random order, and one over digests still costs
more than the rows. So a writer keeps a digest of 64 bits of each in memory, from the first conflict that it meets on;
they find what may be the same, and the texts themselves decide.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from oncefold.arrow import strings_of, strs_at
from oncefold.commit import Conflict, ConflictColumns, Versions
from oncefold.core.versions import from_sortable, sortable
from oncefold.store.connection import Connection, insert, scalar

if TYPE_CHECKING:
    from oncefold.store.conflict_digests import StoredVersions

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]
_PART_ROWS: Final = 2**12
_PART: Final = 2**16
_INTO = 'conflicts("commit", key, version, kept, dropped, digest)'
_CREATE = """CREATE TABLE conflicts(
    id INTEGER PRIMARY KEY, "commit" INTEGER NOT NULL, key TEXT NOT NULL, version {version} NOT NULL,
    kept TEXT NOT NULL, dropped TEXT NOT NULL, digest INTEGER NOT NULL) STRICT"""


class ConflictList:
    """The list of an open store, for its writer. `wide` versions have 128 bits."""

    def __init__(self, connection: Connection, *, wide: bool) -> None:
        self._connection, self._wide = connection, wide
        self._known: _Digests | None = None

    def add(self, commit: int, conflicts: Sequence[Conflict]) -> None:
        """Add the conflicts that are not listed yet, inside the caller's transaction."""
        from oncefold.store.conflict_digests import (  # noqa: PLC0415 - queries load no kernels
            conflict_texts,
            digests_of,
            first_of_each,
        )

        columns = ConflictColumns.of(conflicts)
        if not len(columns):
            return
        if self._known is None:
            self._known = _Digests.of_listed(self._connection)
        versions = _stored_versions(columns.version, wide=self._wide)
        texts = conflict_texts(columns.key, versions, columns.kept, columns.dropped)
        digests = digests_of(texts)
        order = np.argsort(digests)
        new = first_of_each(texts, digests, order)
        self._leave_out_listed(columns, versions, digests, order, new)
        if not new.any():
            return
        first = 1 + scalar(self._connection, "SELECT ifnull(max(id), 0) FROM conflicts")
        for part in _parts(np.flatnonzero(new)):
            insert(self._connection, _INTO, [*_values(columns, versions, part), digests[part].tolist()], same=[commit])
        order = order[new[order]]
        self._known.add(digests[order], first + (np.cumsum(new) - 1)[order])

    def _leave_out_listed(
        self, columns: ConflictColumns, versions: "StoredVersions", digests: Int64s, order: Int64s, new: Bools
    ) -> None:
        """Mark those of these conflicts as not new that are listed."""
        assert self._known is not None
        same, ids = self._known.find(digests[order])
        if not len(ids):
            return
        rows = np.sort(order[same])
        sql = "SELECT key, version, kept, dropped FROM conflicts WHERE id IN (SELECT value FROM json_each(?))"
        listed = set(self._connection.execute(sql, (json.dumps(ids.tolist()),)).fetchall())
        conflicts = zip(*_values(columns, versions, rows), strict=True)
        new[rows] &= np.fromiter((conflict not in listed for conflict in conflicts), np.bool_, len(rows))


def _parts(rows: Int64s) -> Iterator[Int64s]:
    """So few rows at once that their texts stay in the processor's cache."""
    return (rows[at : at + _PART_ROWS] for at in range(0, len(rows), _PART_ROWS))


def _values(columns: ConflictColumns, versions: "StoredVersions", rows: Int64s) -> list[list[Any]]:
    """Keys, versions, kept and dropped contents of these rows."""
    some = versions[rows].tolist() if isinstance(versions, np.ndarray) else [versions[row] for row in rows.tolist()]
    return [strs_at(columns.key, rows), some, strs_at(columns.kept, rows), strs_at(columns.dropped, rows)]


class _Digests:
    """The digests of listed conflicts with their ids, in sorted runs of which each is twice the next one at least."""

    def __init__(self) -> None:
        self._runs: list[tuple[Int64s, Int64s]] = []

    @classmethod
    def of_listed(cls, connection: Connection) -> "_Digests":
        """Those of all that is listed; the index that earlier versions kept of them is removed."""
        connection.execute("DROP INDEX IF EXISTS conflict_digest")
        known = cls()
        found = np.fromiter(chain.from_iterable(connection.execute("SELECT digest, id FROM conflicts")), np.int64)
        if len(found):
            known.add(found[0::2], found[1::2])
        return known

    def add(self, digests: Int64s, ids: Int64s) -> None:
        """Add these."""
        order = np.argsort(digests, kind="stable")
        run = digests[order], ids[order]
        while self._runs and len(self._runs[-1][0]) < 2 * len(run[0]):
            before = self._runs.pop()
            both = np.concatenate([before[0], run[0]])
            order = np.argsort(both, kind="stable")
            run = both[order], np.concatenate([before[1], run[1]])[order]
        self._runs.append(run)

    def find(self, digests: Int64s) -> tuple[Int64s, Int64s]:
        """Which of these digests, in ascending order, listed conflicts have, and the ids of all those conflicts."""
        same, found = np.zeros(len(digests), np.bool_), [np.zeros(0, np.int64)]
        for known, ids in self._runs:
            begin, end = np.searchsorted(known, digests, "left"), np.searchsorted(known, digests, "right")
            hits = np.flatnonzero(begin < end)
            same[hits] = True
            counts = (end - begin)[hits]
            found.append(ids[np.repeat(end[hits] - np.cumsum(counts), counts) + np.arange(counts.sum())])
        return np.flatnonzero(same), np.unique(np.concatenate(found))


def stored_version(version: int, *, wide: bool) -> int | str:
    """A version in the list of conflicts: as it is, or a wide one as text that sorts as it does."""
    return sortable(version) if wide else version


def _stored_versions(versions: Versions, *, wide: bool) -> "StoredVersions":
    return [sortable(version) for version in versions.tolist()] if wide else np.asarray(versions, np.int64)


def _digests(
    keys: Sequence[str], versions: Sequence[int] | Sequence[str], kept: Sequence[str], dropped: Sequence[str]
) -> Int64s:
    from oncefold.store.conflict_digests import conflict_texts, digests_of  # noqa: PLC0415 - queries load no kernels

    as_stored = list(map(str, versions)) if isinstance(versions[0], str) else np.array(versions, np.int64)
    return digests_of(conflict_texts(strings_of(keys), as_stored, strings_of(kept), strings_of(dropped)))


def create_conflicts(connection: Connection, *, wide: bool = False) -> None:
    """Create the table, inside the caller's transaction; `wide` versions have 128 bits."""
    connection.execute(_CREATE.format(version="TEXT" if wide else "INTEGER"))


def has_digests(connection: Connection) -> bool:
    """Whether the table has digests; before format 3 it had a unique index over all texts."""
    return bool(scalar(connection, "SELECT count(*) FROM pragma_table_info('conflicts') WHERE name = 'digest'"))


def add_digests(connection: Connection) -> None:
    """Make the table of an older format into one of this, inside the caller's transaction."""
    sql = "SELECT type FROM pragma_table_info('conflicts') WHERE name = 'version'"
    wide = scalar(connection, sql) == "TEXT"
    connection.execute("ALTER TABLE conflicts RENAME TO former_conflicts")
    create_conflicts(connection, wide=wide)
    last = 0
    while True:
        sql = """SELECT id, "commit", key, version, kept, dropped
            FROM former_conflicts WHERE id > ? ORDER BY id LIMIT ?"""
        rows = connection.execute(sql, (last, _PART)).fetchall()
        if not rows:
            break
        columns = list(zip(*rows, strict=True))
        into = 'conflicts(id, "commit", key, version, kept, dropped, digest)'
        insert(connection, into, [*columns, _digests(*columns[2:]).tolist()])
        last = rows[-1][0]
    connection.execute("DROP TABLE former_conflicts")


def rewrite_versions(connection: Connection, *, wide: bool) -> None:
    """Write the versions in the list of conflicts as wide ones, or as others, inside the caller's transaction."""
    was = connection.execute('SELECT id, "commit", key, version, kept, dropped FROM conflicts ORDER BY id').fetchall()
    connection.execute("DROP TABLE conflicts")
    create_conflicts(connection, wide=wide)
    found = []
    for id_, commit, key, version, kept, dropped in was:
        number = from_sortable(version) if isinstance(version, str) else version
        if not wide and not -(2**63) <= number < 2**63:
            continue
        again = stored_version(number, wide=wide)
        found.append((id_, commit, key, again, kept, dropped))
    if found:
        columns = list(zip(*found, strict=True))
        into = 'conflicts(id, "commit", key, version, kept, dropped, digest)'
        insert(connection, into, [*columns, _digests(*columns[2:]).tolist()])
