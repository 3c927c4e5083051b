"""The connection to SQLite: the interface that the store needs, transactions and bulk inserts."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

BUSY_MS = 5_000
"""How long to wait for another connection's short lock, milliseconds."""

CACHED_STATEMENTS = 256
BULK_ROWS = 512
"""Rows of one INSERT statement; a power of two, and with a table's columns within SQLite's 32,766 parameters."""

CACHE_KIB = 16_384
"""Page cache of the writer, KiB."""


class Cursor(Protocol):
    """The rows of one statement."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All further rows."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """What the store needs of a connection. Failures are raised as sqlite3.Error."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def interrupt(self) -> None:
        """Abort the running statement; a connection that is closed next copies nothing from the log into the file."""

    def close(self) -> None:
        """Close it."""


def connect_writer(path: Path) -> Connection:
    """A connection that may write; it may be used from any thread, by one at a time."""
    return sqlite3.connect(
        path,
        timeout=BUSY_MS / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=CACHED_STATEMENTS,
    )


def scalar(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> Any:
    """The first column of the only row of a query, or None without a row."""
    row = connection.execute(sql, parameters).fetchone()
    return None if row is None else row[0]


def has_table(connection: Connection, name: str) -> bool:
    """Whether the file has a table of this name; one of an older format has fewer."""
    sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
    return bool(scalar(connection, sql, (name,)))


def wal_of(path: Path) -> Path:
    """The write-ahead log of a database; it exists while a connection in WAL mode is open."""
    return path.with_name(path.name + "-wal")


@contextmanager
def transaction(connection: Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """The statements of the block become durable together when it ends; an error rolls all of them back."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # some failures have rolled back already; the first error is the one to raise
            connection.execute("ROLLBACK")
        raise


def insert(
    connection: Connection, into: str, columns: Sequence[Sequence[Any]], then: str = "", *, same: Sequence[Any] = ()
) -> None:
    """Insert rows, given as columns of equal length: `INSERT INTO {into} VALUES (...), (...) {then}`.

    The first columns of `into` are the values `same` in every row; it takes a third of the time to pass them once.
    Many rows go in few statements. A statement per row would give up the interpreter lock for each row, and take
    up to the switch interval (5 ms) to get it back from a busy thread.
    """
    width, rows, fixed = len(columns), len(columns[0]), len(same)
    one = "(" + ",".join("?" * width) + ")"
    before, after = (f"SELECT {'?, ' * len(same)}* FROM (", ")") if same else ("", "")  # noqa: S608
    start, size = 0, BULK_ROWS
    while start < rows:
        while size > rows - start:
            size //= 2
        sql = f"INSERT INTO {into} {before}VALUES {','.join([one] * size)}{after} {then}"
        values = [*same, *(None,) * (size * width)]
        for number, column in enumerate(columns):
            values[fixed + number :: width] = column[start : start + size]
        connection.execute(sql, values)
        start += size
