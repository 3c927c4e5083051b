"""An apsw connection with the face of the standard library's, down to its errors."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

_Result = TypeVar("_Result")


class ApswConnection:
    """What a store needs of a connection, over a VFS by name.

    SQLite's exclusive locking mode needs no memory shared with other processes, which a VFS cannot give it.
    """

    def __init__(self, path: Path, vfs: str) -> None:
        self._connection = _translated(lambda: apsw.Connection(str(path), vfs=vfs))
        self.execute("PRAGMA locking_mode = EXCLUSIVE")

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> "Rows":
        """Run one statement."""
        return _translated(lambda: Rows(self._connection.execute(sql, tuple(parameters)).fetchall()))

    def interrupt(self) -> None:
        """Break off what runs, or else what closing would do."""
        self._connection.interrupt()

    def close(self) -> None:
        """Close it."""
        _translated(self._connection.close)


class Rows:
    """The rows of a statement, all read."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = iter(rows)

    def fetchone(self) -> Any:
        """The next row, or None."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """All further rows."""
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


def _translated(action: Callable[[], _Result]) -> _Result:
    try:
        return action()
    except apsw.Error as error:
        raised = sqlite3.OperationalError(str(error))
        raised.sqlite_errorcode = getattr(error, "extendedresult", None) or 0
        raise raised from error
