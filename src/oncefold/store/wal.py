"""The write-ahead log: recovery when a writer opens the store, and emptying it after commits.

A log whose sync failed may be complete in the system's cache only, while the system regards every page of it as
written. SQLite recovers what it reads, which is the cache. So a log that an earlier process left is written again and
synced before anything depends on it.

The bytes go into a new file, which is renamed to the log: after a loss of power there is the old file or the new one,
and no sector of an acknowledged commit was overwritten. That is possible only while no other process has the store
open, since it would keep reading the old file. Where readers have it open, the bytes are written over themselves; a
torn write is then harmless only on a disk that leaves every byte of a sector old or new, as every disk with whole
sectors does.
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
        """Create a file with the owner and permissions of `model`."""
        ...

    def replace(self, path: Path, by: Path) -> None:
        """Rename the file `by` to `path`; the renaming is durable when it returns."""

    def remove(self, path: Path) -> None:
        """Remove a file, if there is one."""


def recover_wal(path: Path, connect: Callable[[Path], Connection], files: Files) -> None:
    """Make the contents of the log durable; no effect without a log.

    The caller holds the writer's lock. Raises StoreError if the log cannot be read or written, or if the file is
    no store; then nothing has been copied from the log into the file. Failures of SQLite are raised as sqlite3.Error.
    """
    log = wal_of(path)
    copy = log.with_name(log.name + "-new")
    try:
        files.remove(copy)
        if not files.size(log) or not files.size(path):
            return
        with _exclusive(path, connect) as alone:
            if not alone or not _replaced(log, copy, files):
                with closing(files.open(log)) as file:
                    _copy(file, file)
    except OSError as error:
        raise StoreError(
            f"{path}: the log that an earlier run left, {log.name}, cannot be written again "
            f"({error.strerror or error}); nothing was changed; check the disk, make room if it is full, and run again"
        ) from error


@contextmanager
def _exclusive(path: Path, connect: Callable[[Path], Connection]) -> Iterator[bool]:
    """Whether no other process has the store open; if so, none can open it within the block."""
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
        connection.interrupt()  # otherwise closing would copy the log into the file, durable or not
        connection.close()


def _replaced(log: Path, copy: Path, files: Files) -> bool:
    """Replace the log by a durable copy; False where the system cannot replace an open file."""
    if not files.size(log):
        return True  # SQLite removed it: it belongs to no file
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
    """Copy all bytes and sync them."""
    offset = 0
    while block := old.read(offset, BLOCK_BYTES):
        new.write(offset, block)
        offset += len(block)
    new.sync()


def empty_wal(connection: Connection) -> bool:
    """Copy the write-ahead log into the file and empty it; False if readers prevented that."""
    connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
    busy = scalar(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    return not busy


class WalGuard:
    """Empties the write-ahead log once it exceeds a limit because readers keep SQLite from doing so."""

    def __init__(self, connection: Connection, path: Path, limit: int) -> None:
        self._connection, self._wal, self._limit, self._threshold = connection, wal_of(path), limit, limit

    def step(self) -> None:
        """Wait up to 250 ms for readers, once for every growth by a quarter of the limit."""
        size = self._wal.stat().st_size if self._wal.exists() else 0
        if size <= self._limit:
            self._threshold = self._limit
        elif size > self._threshold and not empty_wal(self._connection):
            self._threshold = size + self._limit // 4


class SystemFiles:
    """The files of the operating system."""

    def size(self, path: Path) -> int:
        """Bytes of a file, 0 if there is none."""
        return path.stat().st_size if path.exists() else 0

    def open(self, path: Path) -> File:
        """A file that is there, to read and write."""
        return _SystemFile(path.open("r+b"))

    def create_like(self, path: Path, model: Path) -> File:
        """Create a file with the owner and permissions of `model`."""
        like = model.stat()
        made = path.open("x+b")
        os.chmod(path, like.st_mode)  # noqa: PTH101 - the same on every system
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            os.chown(path, like.st_uid, like.st_gid)
        return _SystemFile(made)

    def replace(self, path: Path, by: Path) -> None:
        """Rename the file `by` to `path`; the renaming is durable when it returns."""
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
