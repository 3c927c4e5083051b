"""The disk as SQLite sees it: an apsw VFS, and a connection with the standard library's interface."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self, TypeVar

import apsw

from oncefold_lab.disk.disk import Disk, RefusedError
from oncefold_lab.disk.volume import Inode

_Result = TypeVar("_Result")


class ApswConnection:
    """What a store needs of a connection, over a VFS by name.

    SQLite's exclusive locking mode needs no memory shared with other processes, which a VFS cannot give it.
    """

    def __init__(self, path: Path, vfs: str) -> None:
        self._connection = _translated(lambda: apsw.Connection(str(path), vfs=vfs))
        self.execute("PRAGMA locking_mode = EXCLUSIVE")

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> "ResultRows":
        """Run one statement."""
        return _translated(lambda: ResultRows(self._connection.execute(sql, tuple(parameters)).fetchall()))

    def interrupt(self) -> None:
        """Break off what runs, or else what closing would do."""
        self._connection.interrupt()

    def close(self) -> None:
        """Close it."""
        _translated(self._connection.close)


class ResultRows:
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
def _as_sqlite_error() -> Iterator[None]:
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
        with _as_sqlite_error():
            return _File(self._disk, file, self._disk.open(file, create=bool(flags[0] & apsw.SQLITE_OPEN_CREATE)))

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        with _as_sqlite_error():
            self._disk.delete(_file(filename), sync=syncdir)

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: ARG002, N802
        with _as_sqlite_error():
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
        with _as_sqlite_error():
            return self._disk.read(self._name, self._inode, offset, amount)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        with _as_sqlite_error():
            self._disk.write(self._name, self._inode, offset, bytes(data))

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        with _as_sqlite_error():
            self._disk.sync(self._name, self._inode)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        with _as_sqlite_error():
            self._disk.truncate(self._name, self._inode, newsize)

    def xFileSize(self) -> int:  # noqa: N802
        with _as_sqlite_error():
            return self._disk.size(self._name, self._inode)

    def xLock(self, level: int) -> None:  # noqa: ARG002, N802
        with _as_sqlite_error():
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
