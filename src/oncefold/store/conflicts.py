"""The list of conflicts: each is listed once, however often its events come again.

A unique index over the contents would hold all their text once more, in random order. An index over a digest of 64 bits
finds what may be the same; the texts themselves decide.
"""

import json
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from oncefold.commit import Conflict, ConflictColumns
from oncefold.core.versions import from_sortable, sortable
from oncefold.store.connection import Connection, insert, scalar

_DIGEST_BYTES: Final = 8
_PART: Final = 2**16
_INTO = 'conflicts("commit", key, version, kept, dropped, digest)'
_Texts = tuple[str, int | str, str, str]
_CREATE = (
    """CREATE TABLE conflicts(
    id INTEGER PRIMARY KEY, "commit" INTEGER NOT NULL, key TEXT NOT NULL, version {version} NOT NULL,
    kept TEXT NOT NULL, dropped TEXT NOT NULL, digest INTEGER NOT NULL) STRICT""",
    "CREATE INDEX conflict_digest ON conflicts(digest)",
)


def stored_version(version: int, *, wide: bool) -> int | str:
    """A version in the list of conflicts: as it is, or a wide one as text that sorts as it does."""
    return sortable(version) if wide else version


def write_conflicts(connection: Connection, commit: int, conflicts: Sequence[Conflict], *, wide: bool = False) -> None:
    """Add the conflicts that are not listed yet; `wide` versions have 128 bits."""
    columns = ConflictColumns.of(conflicts)
    if not len(columns):
        return
    keys: list[str] = columns.key.to_pylist()
    versions = [stored_version(version, wide=wide) for version in columns.version.tolist()]
    kept, dropped = columns.kept.to_pylist(), columns.dropped.to_pylist()
    digests = list(map(_digest, keys, versions, kept, dropped))
    found = _listed(connection, digests)
    if not found and len(set(digests)) == len(digests):
        insert(connection, _INTO, ([commit] * len(keys), keys, versions, kept, dropped, digests))
        return
    new: dict[_Texts, int] = {}
    for *texts, digest in zip(keys, versions, kept, dropped, digests, strict=True):
        conflict: _Texts = tuple(texts)
        if conflict not in found:
            new[conflict] = digest
    if new:
        columns_of_new = list(zip(*new, strict=True))
        insert(connection, _INTO, ([commit] * len(new), *columns_of_new, list(new.values())))


def _digest(key: str, version: int | str, kept: str, dropped: str) -> int:
    """A number that conflicts share only by chance; no stored fact follows from it but where to look."""
    text = f"{key}\0{version}\0{kept}\0{dropped}".encode()
    return int.from_bytes(blake2b(text, digest_size=_DIGEST_BYTES).digest(), "little", signed=True)


def _listed(connection: Connection, digests: Iterable[int]) -> set[_Texts]:
    """The listed conflicts that have one of these digests."""
    if scalar(connection, "SELECT 1 FROM conflicts LIMIT 1") is None:
        return set()
    sql = """SELECT key, version, kept, dropped FROM conflicts
        WHERE digest IN (SELECT value FROM json_each(?))"""
    return set(connection.execute(sql, (json.dumps(list(digests)),)).fetchall())


def create_conflicts(connection: Connection, *, wide: bool = False) -> None:
    """Create the table, inside the caller's transaction; `wide` versions have 128 bits."""
    for statement in _CREATE:
        connection.execute(statement.format(version="TEXT" if wide else "INTEGER"))


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
        digests = [_digest(*row[2:]) for row in rows]
        into = 'conflicts(id, "commit", key, version, kept, dropped, digest)'
        insert(connection, into, [*zip(*rows, strict=True), digests])
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
        found.append((id_, commit, key, again, kept, dropped, _digest(key, again, kept, dropped)))
    if found:
        into = 'conflicts(id, "commit", key, version, kept, dropped, digest)'
        insert(connection, into, list(zip(*found, strict=True)))
