"""Earlier definitions of a store, and what was made under each, for queries about commits before it was replaced.

When a definition is replaced, the tables that it made are renamed: `total` becomes `total_1`, and so on. The commits up
to the replacement are answered from them: a connection for one earlier definition has temporary views of the usual
names over its tables, so that every query works as it did then.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oncefold.core.definition import Pipeline
from oncefold.core.definition_text import to_toml
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import DefinitionError, StoreError
from oncefold.store.connection import Connection, has_table, insert, scalar

TABLE: Final = """
CREATE TABLE definitions(
    number INTEGER PRIMARY KEY, last_commit INTEGER NOT NULL, definition TEXT NOT NULL, fingerprint TEXT NOT NULL,
    changes_from INTEGER NOT NULL, deltas_from INTEGER NOT NULL, state_from INTEGER NOT NULL,
    expired INTEGER NOT NULL) STRICT;
"""

LASTING: Final = frozenset(
    [
        "meta",
        "definitions",
        "commits",
        "counters",
        "positions",
        "rejects",
        "conflicts",
        "forms",
        "events",
        "event_rows",
        "sqlite_sequence",
        "sqlite_stat1",
        "sqlite_stat4",
    ]
)
"""The tables that do not belong to one definition."""

EXPIRED_ROWS_PER_STEP: Final = 8
"""Blobs of an expired definition that are removed after one commit, at most."""

_EARLIER: Final = re.compile(r"(.+)_(\d+)")
_FROM: Final = ("changes_from", "deltas_from", "state_from")


@dataclass(frozen=True, slots=True)
class EarlierDefinition:
    """A definition that was replaced."""

    number: int
    last_commit: int
    """The last commit under it."""
    definition: str
    fingerprint: str
    changes_from: int
    deltas_from: int
    state_from: int

    def pipeline(self, path: Path) -> Pipeline:
        """The definition. Raises StoreError if it cannot be read."""
        try:
            return parse_toml(self.definition, f"{path}: definition up to commit {self.last_commit}")
        except DefinitionError as error:
            raise StoreError(f"{error}; this file was altered, or is damaged") from error


_QUERIED, _EXPIRING, _EXPIRED = 0, 1, 2
"""Whether a definition's commits can be queried, its tables are being removed, or are gone."""


def earlier_definitions(connection: Connection, *, also_expired: bool = False) -> list[EarlierDefinition]:
    """Those whose commits can still be queried, or all there ever were; the oldest first."""
    if not has_table(connection, "definitions"):
        return []
    sql = """SELECT number, last_commit, definition, fingerprint, changes_from, deltas_from, state_from
        FROM definitions WHERE expired <= ? ORDER BY number"""
    most = _EXPIRED if also_expired else _QUERIED
    return [EarlierDefinition(*row) for row in connection.execute(sql, (most,))]


def definition_at(connection: Connection, commit: int) -> EarlierDefinition | None:
    """The earlier definition that was in force at a commit; None for the present one."""
    for earlier in earlier_definitions(connection):
        if commit <= earlier.last_commit:
            return earlier
    return None


def set_aside(connection: Connection, pipeline: Pipeline, last_commit: int) -> None:
    """Rename the tables of this definition, up to whose last commit they stand; inside the caller's transaction."""
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    number = int(scalar(connection, "SELECT ifnull(max(number), 0) + 1 FROM definitions"))
    values = [
        number,
        last_commit,
        to_toml(pipeline),
        pipeline.fingerprint,
        *(int(meta[name]) for name in _FROM),
        _QUERIED,
    ]
    insert(connection, "definitions", [[value] for value in values])
    connection.execute("DROP VIEW totals")
    for name in _tables_of_present(connection):
        connection.execute(f"ALTER TABLE {name} RENAME TO {name}_{number}")
    indexes = connection.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL")
    for name, table, sql in indexes.fetchall():
        if table.endswith(f"_{number}") and table.removesuffix(f"_{number}") not in LASTING:
            connection.execute(f"DROP INDEX {name}")
            connection.execute(sql.replace(f" {name} ", f" {name}_{number} ", 1))


def _tables_of_present(connection: Connection) -> list[str]:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [name for name in names if name not in LASTING and not _of_earlier(connection, name)]


def _of_earlier(connection: Connection, name: str) -> bool:
    found = _EARLIER.fullmatch(name)
    sql = "SELECT count(*) FROM definitions WHERE number = ?"
    return found is not None and bool(scalar(connection, sql, (int(found[2]),)))


def tables_of(connection: Connection, number: int) -> list[str]:
    """The usual names of the tables of an earlier definition."""
    sql = "SELECT name FROM main.sqlite_master WHERE type = 'table'"
    names = [name for (name,) in connection.execute(sql)]
    return [name.removesuffix(f"_{number}") for name in names if name.endswith(f"_{number}") and name not in LASTING]


def connected_to(earlier: EarlierDefinition, connect: Callable[[Path], Connection]) -> Callable[[Path], Connection]:
    """A way to connect that shows the store as it was up to the last commit of an earlier definition."""

    def connect_earlier(path: Path) -> Connection:
        connection = connect(path)
        number = earlier.number
        was = " ".join(f"WHEN '{name}' THEN CAST({name} AS TEXT)" for name in ("definition", "fingerprint", *_FROM))
        views = {name: f"* FROM main.{name}_{number}" for name in tables_of(connection, number)}
        views["definitions"] = f"* FROM main.definitions WHERE number < {number}"
        views["commits"] = f"* FROM main.commits WHERE seq <= {earlier.last_commit}"
        views["meta"] = f"""
            key, CASE key {was} ELSE value END AS value
            FROM main.meta CROSS JOIN main.definitions WHERE number = {number}"""
        for name, selected in views.items():
            connection.execute(f"CREATE TEMP VIEW {name} AS SELECT {selected}")
        return connection

    return connect_earlier


def expire(connection: Connection, expired: int) -> bool:
    """Remove a part of the definitions that were replaced at this commit or before it; whether there was any.

    Inside the caller's transaction.
    """
    sql = "SELECT number FROM definitions WHERE last_commit < ? AND expired < ? ORDER BY number LIMIT 1"
    number = scalar(connection, sql, (expired, _EXPIRED))
    if number is None:
        return False
    set_expired = "UPDATE definitions SET expired = ? WHERE number = ?"
    connection.execute(set_expired, (_EXPIRING, number))
    names = tables_of(connection, number)
    for name in names:
        if _has_rows_after_deleting(connection, f"{name}_{number}"):
            return True
    connection.execute(set_expired, (_EXPIRED, number))
    for name in sorted(names, key=lambda name: name == "node"):  # the others refer to it
        connection.execute(f"DROP TABLE {name}_{number}")
    return True


def _has_rows_after_deleting(connection: Connection, table: str) -> bool:
    """Delete some rows of a table of blobs; whether it has more. Of other tables nothing is deleted."""
    if not scalar(connection, "SELECT count(*) FROM pragma_table_info(?) WHERE name = 'blob'", (table,)):
        return False
    some = f"SELECT rowid FROM {table} LIMIT {EXPIRED_ROWS_PER_STEP}"  # noqa: S608 - names only
    connection.execute(f"DELETE FROM {table} WHERE rowid IN ({some})")  # noqa: S608
    return scalar(connection, f"SELECT 1 FROM {table} LIMIT 1") is not None  # noqa: S608
