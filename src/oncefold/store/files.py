"""Files below SQLite: the few operations with which a write-ahead log is made durable once more."""

import os
import sys
from pathlib import Path
from typing import BinaryIO, Protocol

if sys.platform == "darwin":
    import fcntl


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
