"""What goes wrong with a store: damage, files that cannot hold one, and the errors of SQLite with their remedy."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oncefold.core.errors import StoreError

LEAST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""


class DamagedError(Exception):
    """Something in a store is not what was written; `translate_errors` makes it a StoreError with the file's name."""


def require_sqlite() -> None:
    """Raises StoreError if this Python's SQLite is too old to know the store's tables."""
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        least = ".".join(map(str, LEAST_SQLITE))
        raise StoreError(
            f"a store needs SQLite {least} or newer, and this Python has {sqlite3.sqlite_version}; "
            "use a Python with a newer one, such as those of python.org, uv or conda"
        )


@contextmanager
def translate_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn errors of SQLite and DamagedError into a StoreError that says what to do."""
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
    sqlite3.SQLITE_IOERR: f"the disk reports an error ({{error}}); {_INTACT}; check the disk and run again",
    sqlite3.SQLITE_BUSY: f"another program holds the file ({{error}}); {_INTACT}; close that program and run again",
    sqlite3.SQLITE_READONLY: "it may not be written ({error}); change its permissions, or those of its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened ({error}); check the permissions of the file and its folder",
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


def check_writable(path: Path) -> None:
    """Raises StoreError for a directory, a missing folder, or a file without permission."""
    _check_exists_or_may(path)
    if path.exists() and not os.access(path, os.W_OK):
        raise StoreError(f"{path}: no permission to write this file; change it, or name another file")


def check_readable(path: Path) -> None:
    """Raises StoreError unless there is a file that may be read."""
    _check_exists_or_may(path)
    if not path.exists():
        raise StoreError(f"{path}: no such store; `oncefold run` creates one")
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path}: no permission to read this file")


def _check_exists_or_may(path: Path) -> None:
    if path.is_dir():
        raise StoreError(f"{path}: this is a directory; name a file in it, such as {path / 'totals.db'}")
    if not path.parent.is_dir():
        raise StoreError(f"{path}: there is no folder {path.parent}; create it first")
