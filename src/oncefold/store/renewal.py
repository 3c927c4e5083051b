"""A write-ahead log that an earlier process left behind is made durable before anything is built upon it.

A log whose sync failed may be whole in the system's cache and nowhere else, with every page of it taken for written.
SQLite recovers what it reads, the cache; so its bytes are written again and synced first.

They go into a new file that takes the log's name: a loss of power meanwhile leaves the old file or the new one, and no
sector of an acknowledged commit is overwritten. That needs the store alone, for whoever has it open goes on reading
the old file. Where readers do, the bytes are written over themselves: then a torn write is harmless only on a disk
that leaves every byte of a sector old or new, as all are that keep their sectors whole.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from oncefold.core.errors import StoreError
from oncefold.store.connection import BUSY_MS, Connection, wal_of
from oncefold.store.files import File, Files
from oncefold.store.schema import is_fresh, refuse_others

BLOCK_BYTES = 2**20
"""How much of a log is in memory at a time."""


def renew_log(path: Path, connect: Callable[[Path], Connection], files: Files) -> None:
    """Whatever the log holds is on the disk when this returns; nothing is done without one.

    The caller holds the writer's lock. Raises StoreError if the log cannot be read or written, or if the file is
    no store; then nothing has been copied from the log into the file. Failures of SQLite are raised as sqlite3.Error.
    """
    log = wal_of(path)
    copy = log.with_name(log.name + "-new")
    try:
        files.remove(copy)
        if not files.size(log) or not files.size(path):
            return
        with _held(path, connect) as alone:
            if not alone or not _replaced(log, copy, files):
                with closing(files.open(log)) as file:
                    _copy(file, file)
    except OSError as error:
        raise StoreError(
            f"{path}: the log that an earlier run left, {log.name}, cannot be written again "
            f"({error.strerror or error}); nothing was changed; see to the disk, make room if it is full, and run again"
        ) from error


@contextmanager
def _held(path: Path, connect: Callable[[Path], Connection]) -> Iterator[bool]:
    """Whether no one else has the store open; if so, no one can open it inside."""
    connection = connect(path)
    alone = True
    try:
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        try:
            fresh = is_fresh(connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            alone = False
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            connection.execute("PRAGMA locking_mode = NORMAL")
            fresh = is_fresh(connection)
        if not fresh:
            refuse_others(connection, path)
        yield alone
    finally:
        connection.interrupt()  # or closing would copy the log into the file, be it durable or not
        connection.close()


def _replaced(log: Path, copy: Path, files: Files) -> bool:
    """Whether a durable copy has the log's name now; not where a file that is open cannot be replaced."""
    if not files.size(log):
        return True  # SQLite found it to belong to no file
    with closing(files.open(log)) as old, closing(files.create_like(copy, log)) as new:
        _copy(old, new)
    try:
        files.replace(log, copy)
    except PermissionError:
        with suppress(OSError):
            files.remove(copy)
        return False
    return True


def _copy(old: File, new: File) -> None:
    """All bytes, and sync them."""
    offset = 0
    while block := old.read(offset, BLOCK_BYTES):
        new.write(offset, block)
        offset += len(block)
    new.sync()
