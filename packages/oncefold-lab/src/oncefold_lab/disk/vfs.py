"""The disk as SQLite sees it: an apsw VFS whose files are the disk's. Importing it needs apsw."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self

import apsw

from oncefold_lab.disk.connection import ApswConnection
from oncefold_lab.disk.disk import Disk, RefusedError
from oncefold_lab.disk.platter import Inode

_numbers = count()


class Mounted:
    """Lets SQLite use a disk, as a context manager; `connect` is what `Store.open` takes.

    Meanwhile SQLite's own random numbers (the salts of a log) come from the disk's, so that runs can be repeated.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._name = f"oncefold-lab-{next(_numbers)}"
        self._vfs: _Vfs | None = None

    def connect(self, path: Path) -> ApswConnection:
        """A connection to the disk's file of this name, wherever the path leads."""
        return ApswConnection(path, self._name)

    def __enter__(self) -> Self:
        self._vfs = _Vfs(self._name, self._disk)
        apsw.randomness(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._vfs is not None:
            self._vfs.unregister()
            self._vfs = None


@contextmanager
def _told() -> Iterator[None]:
    """A refusal inside becomes SQLite's error of that name."""
    try:
        yield
    except RefusedError as refusal:
        code = getattr(apsw, refusal.code)
        error: Any = apsw.exception_for(code)
        error.extendedresult = code
        raise error from None


class _Vfs(apsw.VFS):
    def __init__(self, name: str, disk: Disk) -> None:
        self._disk = disk
        super().__init__(name, base="", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        flags[1] = flags[0]
        if name is None:
            return _File(self._disk, "(temporary)", Inode())
        file = _file(name.filename() if isinstance(name, apsw.URIFilename) else name)
        with _told():
            return _File(self._disk, file, self._disk.open(file, create=bool(flags[0] & apsw.SQLITE_OPEN_CREATE)))

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        with _told():
            self._disk.delete(_file(filename), sync=syncdir)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: ARG002, N802
        with _told():
            return self._disk.has(_file(pathname))

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        return self._disk.random.randbytes(numbytes)

    def xSleep(self, microseconds: int) -> int:  # noqa: N802
        return microseconds


class _File:
    """One open file."""

    def __init__(self, disk: Disk, name: str, inode: Inode) -> None:
        self._disk, self._name, self._inode = disk, name, inode

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        with _told():
            return self._disk.read(self._name, self._inode, offset, amount)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        with _told():
            self._disk.write(self._name, self._inode, offset, bytes(data))

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        with _told():
            self._disk.sync(self._name, self._inode)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        with _told():
            self._disk.truncate(self._name, self._inode, newsize)

    def xFileSize(self) -> int:  # noqa: N802
        with _told():
            return self._disk.size(self._name, self._inode)

    def xLock(self, level: int) -> None:  # noqa: ARG002, N802
        with _told():
            self._disk.lock(self._name)

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """Nothing to do."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: ARG002, N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return self._disk.traits.sector

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return int(apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE) if self._disk.traits.spares_neighbours else 0

    def xClose(self) -> None:  # noqa: N802
        """Nothing to do."""


def _file(name: str) -> str:
    return PurePath(name).name
