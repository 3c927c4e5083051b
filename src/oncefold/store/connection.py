"""The connection to SQLite: what the store needs of one, how it is set up, and its failures in words."""

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from oncefold.core.errors import StoreError
from oncefold.store.damaged import DamagedError

BUSY_MS = 5_000
"""How long to wait for another connection's short lock, milliseconds."""

LEAST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""

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
        """Break off what runs; closed next, a connection copies nothing from the log into the file."""

    def close(self) -> None:
        """Close it."""


def require_sqlite() -> None:
    """Raises StoreError if this Python's SQLite is too old to know the store's tables."""
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        least = ".".join(map(str, LEAST_SQLITE))
        raise StoreError(
            f"a store needs SQLite {least} or newer, and this Python has {sqlite3.sqlite_version}; "
            "use a Python with a newer one, such as those of python.org, uv or conda"
        )


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
    """The first column of the only row of a question, or None without a row."""
    row = connection.execute(sql, parameters).fetchone()
    return None if row is None else row[0]


def wal_of(path: Path) -> Path:
    """The write-ahead log of a database; it exists while a connection that follows changes is open."""
    return path.with_name(path.name + "-wal")


@contextmanager
def transaction(connection: Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Everything inside becomes durable together when the block ends; on an error, nothing of it."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # some failures have rolled back already, and the first error is the one to tell
            connection.execute("ROLLBACK")
        raise


def insert(connection: Connection, into: str, columns: Sequence[Sequence[Any]], then: str = "") -> None:
    """Insert rows, given as columns of equal length: `INSERT INTO {into} VALUES (...), (...) {then}`.

    Many rows go in few statements. A statement per row would give up the interpreter lock for each row, and take
    up to the switch interval (5 ms) to get it back from a busy thread.
    """
    width, rows = len(columns), len(columns[0])
    values = list(chain.from_iterable(zip(*columns, strict=True)))
    one = "(" + ",".join("?" * width) + ")"
    start, size = 0, BULK_ROWS
    while start < rows:
        while size > rows - start:
            size //= 2
        sql = f"INSERT INTO {into} VALUES {','.join([one] * size)} {then}"  # noqa: S608 - names only
        connection.execute(sql, values[start * width : (start + size) * width])
        start += size


@contextmanager
def explaining(path: Path, doing: str) -> Iterator[None]:
    """Turn failures of SQLite, and damage found, inside the block into a StoreError that says what to do."""
    try:
        yield
    except DamagedError as error:
        raise StoreError(f"{path}: {doing}: {error}; {_DAMAGED}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {doing}: {_meaning(path, error)}") from error


_INTACT = "nothing is half-committed, and the last commit is intact"
_DAMAGED = "see what `oncefold check-store` says, then restore the file, or run the sources into a new one"

_MEANINGS = {
    sqlite3.SQLITE_FULL: f"the disk is full ({{free}} free); {_INTACT}; make room and run again",
    sqlite3.SQLITE_IOERR: f"the disk reports an error ({{error}}); {_INTACT}; see to the disk and run again",
    sqlite3.SQLITE_BUSY: f"another program holds the file ({{error}}); {_INTACT}; close that program and run again",
    sqlite3.SQLITE_READONLY: "it may not be written ({error}); change its permissions, or those of its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened ({error}); see to the permissions of the file and its folder",
    sqlite3.SQLITE_NOTADB: "this is not a store, nor any SQLite database; name another file",
    sqlite3.SQLITE_CORRUPT: f"the file is damaged ({{error}}); {_DAMAGED}",
}


def _meaning(path: Path, error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _MEANINGS.get(code, f"{{error}}; {_INTACT}").format(error=error, free=_free(path))


def _free(path: Path) -> str:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        return "an unknown amount"
    return f"{free / 2**20:,.1f} MiB"


def names(items: Iterable[str]) -> str:
    """A list for a message."""
    return ", ".join(items) or "none"
