"""The disk as the store sees it below SQLite: files whose every operation is a step of the disk's."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oncefold_lab.disk.disk import Disk, RefusedError
from oncefold_lab.disk.platter import Inode


@contextmanager
def _told() -> Iterator[None]:
    """A refusal inside becomes an error of the system."""
    try:
        yield
    except RefusedError as refusal:
        number = errno.ENOSPC if refusal.code == "SQLITE_FULL" else errno.EIO
        raise OSError(number, refusal.code) from None


class DiskFiles:
    """What `Store.open` takes as its files."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def size(self, path: Path) -> int:
        """Bytes of a file, 0 if there is none."""
        with _told():
            if not self._disk.has(path.name):
                return 0
            return self._disk.size(path.name, self._disk.open(path.name, create=False))

    def open(self, path: Path) -> "DiskFile":
        """A file that is there, to read and write."""
        with _told():
            return DiskFile(self._disk, path.name, self._disk.open(path.name, create=False))

    def create_like(self, path: Path, model: Path) -> "DiskFile":  # noqa: ARG002 - a disk without permissions
        """A new file."""
        with _told():
            return DiskFile(self._disk, path.name, self._disk.open(path.name, create=True))

    def replace(self, path: Path, by: Path) -> None:
        """Give the name `path` to the file `by`; when it returns, that is on the disk."""
        with _told():
            self._disk.rename(by.name, path.name)
            self._disk.sync_folder()

    def remove(self, path: Path) -> None:
        """Remove a file, if there is one."""
        with _told():
            if self._disk.exists(path.name):
                self._disk.delete(path.name, sync=False)


class DiskFile:
    """One open file."""

    def __init__(self, disk: Disk, name: str, inode: Inode) -> None:
        self._disk, self._name, self._inode = disk, name, inode

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from an offset on, fewer at the end."""
        with _told():
            return self._disk.read(self._name, self._inode, offset, size)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of them."""
        with _told():
            self._disk.write(self._name, self._inode, offset, data)

    def sync(self) -> None:
        """Return when all that was written is on the disk, if that does not lie."""
        with _told():
            self._disk.sync(self._name, self._inode)

    def close(self) -> None:
        """Nothing to do."""
