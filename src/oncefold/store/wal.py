"""A write-ahead log that an earlier process left behind is made durable before anything is built upon it.

A log whose sync failed may be whole in the system's cache and nowhere else, with every page of it taken for written.
SQLite recovers what it reads, the cache; so its bytes are written again and synced first.

They go into a new file that takes the log's name: a loss of power meanwhile leaves the old file or the new one, and no
sector of an acknowledged commit is overwritten. That needs the store alone, for whoever has it open goes on reading
the old file. Where readers do, the bytes are written over themselves: then a torn write is harmless only on a disk
that leaves every byte of a sector old or new, as all are that keep their sectors whole.
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from oncefold.core.errors import StoreError
from oncefold.store.connection import BUSY_MS, Connection, scalar, wal_of
from oncefold.store.schema import is_fresh, refuse_others

if sys.platform == "darwin":
    import fcntl

_CHECKPOINT_WAIT_MS = 250
"""How long emptying the write-ahead log may wait for readers, milliseconds."""

BLOCK_BYTES = 2**20
"""How much of a log is in memory at a time."""


class File(Protocol):
    """An open file. Failures are raised as OSError."""

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from an offset on, fewer at the end."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Write all of them."""

    def sync(self) -> None:
        """Return when all that was written is on the disk."""

    def close(self) -> None:
        """Close it."""


class Files(Protocol):
    """The files beside a store. Failures are raised as OSError."""

    def size(self, path: Path) -> int:
        """Bytes of a file, 0 if there is none."""
        ...

    def open(self, path: Path) -> File:
        """A file that is there, to read and write."""
        ...

    def create_like(self, path: Path, model: Path) -> File:
        """A new file that those may read and write who may the model."""
        ...

    def replace(self, path: Path, by: Path) -> None:
        """Give the name `path` to the file `by`; when it returns, that is on the disk."""

    def remove(self, path: Path) -> None:
        """Remove a file, if there is one."""


def recover_wal(path: Path, connect: Callable[[Path], Connection], files: Files) -> None:
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


def empty_wal(connection: Connection) -> bool:
    """Copy the write-ahead log into the file and empty it; False if readers stood in the way."""
    connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
    busy = scalar(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return not busy


class WalGuard:
    """Empties the write-ahead log when readers kept SQLite from doing so for long."""

    def __init__(self, connection: Connection, path: Path, limit: int) -> None:
        self._connection, self._wal, self._limit, self._alarm = connection, wal_of(path), limit, limit

    def step(self) -> None:
        """Wait, shortly, for readers to finish, once for every growth by a quarter of the limit."""
        size = self._wal.stat().st_size if self._wal.exists() else 0
        if size <= self._limit:
            self._alarm = self._limit
        elif size > self._alarm and not empty_wal(self._connection):
            self._alarm = size + self._limit // 4


class SystemFiles:
    """The files of the operating system."""

    def size(self, path: Path) -> int:
        """Bytes of a file, 0 if there is none."""
        return path.stat().st_size if path.exists() else 0

    def open(self, path: Path) -> File:
        """A file that is there, to read and write."""
        return _SystemFile(path.open("r+b"))

    def create_like(self, path: Path, model: Path) -> File:
        """A new file that those may read and write who may the model."""
        like = model.stat()
        made = path.open("x+b")
        os.chmod(path, like.st_mode)  # noqa: PTH101 - the same on every system
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            os.chown(path, like.st_uid, like.st_gid)
        return _SystemFile(made)

    def replace(self, path: Path, by: Path) -> None:
        """Give the name `path` to the file `by`; when it returns, that is on the disk."""
        by.replace(path)
        if hasattr(os, "O_DIRECTORY"):
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def remove(self, path: Path) -> None:
        """Remove a file, if there is one."""
        path.unlink(missing_ok=True)


class _SystemFile:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def write(self, offset: int, data: bytes) -> None:
        self._file.seek(offset)
        self._file.write(data)

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        if sys.platform == "darwin":
            fcntl.fcntl(self._file.fileno(), fcntl.F_FULLFSYNC)  # its fsync does not wait for the disk

    def close(self) -> None:
        self._file.close()
