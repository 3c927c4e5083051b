"""The list of conflicts: each is listed once, however often its events come again.

A unique index over the contents would hold all their text once more, in random order, and one over digests still costs
more than the rows. So a writer keeps a digest of 64 bits of each in memory, from the first conflict that it meets on;
they find what may be the same, and the texts themselves decide.
"""

import json
from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from oncefold.arrow import str_list
from oncefold.commit import Conflict, ConflictColumns
from oncefold.core.versions import from_sortable, sortable
from oncefold.store.connection import Connection, insert, scalar

Int64s = npt.NDArray[np.int64]
_DIGEST_BYTES: Final = 8
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
        columns = ConflictColumns.of(conflicts)
        if not len(columns):
            return
        if self._known is None:
            self._known = _Digests.of_listed(self._connection)
        versions = [stored_version(version, wide=self._wide) for version in columns.version.tolist()]
        texts: Sequence[Sequence[Any]] = (
            str_list(columns.key),
            versions,
            str_list(columns.kept),
            str_list(columns.dropped),
        )
        digests = _digests(*texts)
        same = self._known.ids(digests)
        if len(same) or len(np.unique(digests)) < len(digests):
            texts, digests = self._not_listed(texts, digests, same)
        if len(digests):
            first = 1 + scalar(self._connection, "SELECT ifnull(max(id), 0) FROM conflicts")
            insert(self._connection, _INTO, (*texts, digests.tolist()), same=[commit])
            self._known.add(digests, np.arange(first, first + len(digests)))

    def _not_listed(
        self, texts: Sequence[Sequence[Any]], digests: Int64s, same: Int64s
    ) -> tuple[Sequence[Sequence[Any]], Int64s]:
        """Those of these conflicts, each once, that are not among the listed ones with these ids."""
        sql = "SELECT key, version, kept, dropped FROM conflicts WHERE id IN (SELECT value FROM json_each(?))"
        listed = set(self._connection.execute(sql, (json.dumps(same.tolist()),)).fetchall())
        each = zip(zip(*texts, strict=True), digests.tolist(), strict=True)
        new = {conflict: digest for conflict, digest in each if conflict not in listed}
        return list(zip(*new, strict=True)), np.array(list(new.values()), np.int64)


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
        order = np.argsort(digests)
        run = digests[order], ids[order]
        while self._runs and len(self._runs[-1][0]) < 2 * len(run[0]):
            before = self._runs.pop()
            both = np.concatenate([before[0], run[0]])
            order = np.argsort(both, kind="stable")
            run = both[order], np.concatenate([before[1], run[1]])[order]
        self._runs.append(run)

    def ids(self, digests: Int64s) -> Int64s:
        """The ids of all listed conflicts that have one of these digests."""
        found = [np.zeros(0, np.int64)]
        for known, ids in self._runs:
            begin, end = np.searchsorted(known, digests, "left"), np.searchsorted(known, digests, "right")
            hits = np.flatnonzero(begin < end)
            found += [ids[begin[hit] : end[hit]] for hit in hits.tolist()]
        return np.unique(np.concatenate(found))


def stored_version(version: int, *, wide: bool) -> int | str:
    """A version in the list of conflicts: as it is, or a wide one as text that sorts as it does."""
    return sortable(version) if wide else version


def _digests(*texts: Sequence[Any]) -> Int64s:
    return np.frombuffer(b"".join(map(_digest, *texts)), "<i8").astype(np.int64, copy=False)


def _digest(key: str, version: int | str, kept: str, dropped: str) -> bytes:
    """A number that conflicts share only by chance; no stored fact follows from it but where to look."""
    return blake2b(f"{key}\0{version}\0{kept}\0{dropped}".encode(), digest_size=_DIGEST_BYTES).digest()


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
