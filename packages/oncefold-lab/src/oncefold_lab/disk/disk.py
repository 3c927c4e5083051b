"""The disk: every request is a step, which is counted, traced, and may fail; and its files below SQLite."""

import errno
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from zlib import crc32

from oncefold_lab.disk.faults import ENDS, DiskFault, FaultKind, Operation, Survival, Traits
from oncefold_lab.disk.volume import Inode, NameChange, PendingWrite, PowerCut, Volume

_ERRORS = {
    Operation.OPEN: "SQLITE_CANTOPEN",
    Operation.READ: "SQLITE_IOERR_READ",
    Operation.WRITE: "SQLITE_IOERR_WRITE",
    Operation.SYNC: "SQLITE_IOERR_FSYNC",
    Operation.TRUNCATE: "SQLITE_IOERR_TRUNCATE",
    Operation.DELETE: "SQLITE_IOERR_DELETE",
    Operation.RENAME: "SQLITE_IOERR",
    Operation.LOCK: "SQLITE_IOERR_LOCK",
    Operation.SIZE: "SQLITE_IOERR_FSTAT",
    Operation.ACCESS: "SQLITE_IOERR_ACCESS",
}
_LOGS = ("-wal", "-journal")
"""Ends of the files that SQLite opens to make them if need be, and with whose first sync it then syncs the folder."""


class RefusedError(Exception):
    """A step that is refused, with the name of SQLite's extended result code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Disk:
    """One disk with the files of one store, by name. Everything random comes from `rng`."""

    def __init__(self, traits: Traits, rng: Random) -> None:
        self.traits = traits
        self.random = rng
        self.happened: Counter[str] = Counter()
        """Faults that struck, by name."""
        self.steps = 0
        """Steps since the disk was made."""
        self.struck: list[str] = []
        """Faults that struck since the last `arm`, as text."""
        self._platter = Volume(traits)
        self._trace = sha256()
        self._armed: list[DiskFault] = []
        self._counts: Counter[Operation | None] = Counter()
        self._ended: FaultKind | None = None
        self._unsure: set[str] = set()

    @property
    def digest(self) -> str:
        """Of every step so far, with all that was written: the same for the same seed."""
        return self._trace.hexdigest()

    @property
    def ended(self) -> FaultKind | None:
        """Whether the process is dead or the power gone, until the disk is armed again."""
        return self._ended

    def arm(self, faults: Sequence[DiskFault]) -> None:
        """The process begins: from now on these faults strike, their steps counted from here."""
        self._armed, self._ended = list(faults), None
        self._counts.clear()
        self._unsure.clear()
        self.struck = []

    def end(self, kind: FaultKind) -> None:
        """The process dies or the power goes, now; every further step is refused."""
        if self._ended is None:
            self._ended = kind
            self._note(str(kind), b"")

    def lose(self, survival: Survival) -> None:
        """What a loss of power does to the files."""
        self.happened[f"power lost, {survival} survived"] += 1
        self._unsure.clear()
        self._platter.lose(survival, self.random)

    def image(self) -> dict[str, bytes]:
        """The files as the system shows them, which after a loss of power is what the disk holds."""
        return self._platter.image()

    def clear(self) -> None:
        """Remove all files: someone begins anew."""
        self._platter.clear()
        self._unsure.clear()

    def has(self, name: str) -> bool:
        """Whether there is such a file and something in it, as Unix systems answer SQLite."""
        self._step(Operation.ACCESS, name)
        inode = self._platter.find(name)
        return inode is not None and len(inode.shown) > 0

    def exists(self, name: str) -> bool:
        """Whether there is such a file, be it empty."""
        self._step(Operation.ACCESS, name)
        return self._platter.find(name) is not None

    def open(self, name: str, *, create: bool) -> Inode:
        """Open a file. Raises RefusedError if there is none and none is to be made."""
        self._step(Operation.OPEN, name)
        inode = self._platter.find(name)
        if inode is None and not create:
            raise RefusedError(_ERRORS[Operation.OPEN])
        if create and name.endswith(_LOGS):
            self._unsure.add(name)
        return self._platter.create(name) if inode is None else inode

    def delete(self, name: str, *, sync: bool) -> None:
        """Delete a file; with `sync` for good."""
        self._step(Operation.DELETE, name)
        if self._platter.find(name) is None:
            raise RefusedError("SQLITE_IOERR_DELETE_NOENT")
        self._platter.delete(name)
        self._unsure.discard(name)
        if sync:
            self._platter.sync_folder()

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, and take it from the file that had it."""
        self._step(Operation.RENAME, name)
        self._platter.rename(name, to)
        self._unsure.discard(name)

    def sync_folder(self) -> None:
        """Make the names durable, unless a fault says that they are or refuses."""
        fault = self._step(Operation.SYNC, "(folder)")
        if fault is None:
            self._platter.sync_folder()
        elif fault.kind is not FaultKind.LIE:
            raise RefusedError(_ERRORS[Operation.SYNC])

    def read(self, name: str, inode: Inode, offset: int, size: int) -> bytes:
        """The bytes that are there, perhaps fewer."""
        self._step(Operation.READ, name, offset, size)
        return bytes(inode.shown[offset : offset + size])

    def write(self, name: str, inode: Inode, offset: int, data: bytes) -> None:
        """Write; a fault may leave a part of it."""
        fault = self._step(Operation.WRITE, name, offset, len(data), data)
        if fault is not None:
            self._change(inode, PendingWrite(offset, data[: int(fault.part * len(data))]))
            raise RefusedError("SQLITE_FULL" if fault.kind is FaultKind.FULL else _ERRORS[Operation.WRITE])
        self._change(inode, PendingWrite(offset, data))

    def truncate(self, name: str, inode: Inode, size: int) -> None:
        """Cut a file."""
        self._step(Operation.TRUNCATE, name, size)
        self._change(inode, PowerCut(size))

    def sync(self, name: str, inode: Inode) -> None:
        """Make a file durable; the first sync of a log makes the names in its folder so, too."""
        fault = self._step(Operation.SYNC, name)
        if fault is not None and fault.kind is FaultKind.LIE:
            return
        if fault is not None:
            self._platter.forget(inode, self.random)
            raise RefusedError(_ERRORS[Operation.SYNC])
        inode.sync(self.traits.filler)
        if name in self._unsure:
            self._unsure.discard(name)
            self._platter.sync_folder()

    def lock(self, name: str) -> None:
        """Take a lock, which is free: there is one process."""
        self._step(Operation.LOCK, name)

    def size(self, name: str, inode: Inode) -> int:
        """Bytes of a file."""
        self._step(Operation.SIZE, name)
        return len(inode.shown)

    def _change(self, inode: Inode, change: NameChange) -> None:
        inode.change(change, self.traits.filler)

    def _step(
        self, operation: Operation, name: str, offset: int = 0, size: int = 0, data: bytes = b""
    ) -> DiskFault | None:
        """Count and trace a step; a fault that leaves something to do is returned, any other raised."""
        if self._ended is not None:
            raise RefusedError("SQLITE_IOERR")
        fault = self._next(operation)
        self.steps += 1
        self._note(f"{operation} {name} {offset} {size} {fault or ''}", data)
        if fault is None:
            return None
        self.happened[fault.name] += 1
        self.struck.append(f"{fault} ({operation} of {name})")
        if fault.kind in ENDS:
            self._ended = fault.kind
            raise RefusedError("SQLITE_IOERR")
        if fault.kind is FaultKind.BUSY:
            raise RefusedError("SQLITE_BUSY")
        if fault.kind is FaultKind.ERROR:
            raise RefusedError(_ERRORS[operation])
        return fault

    def _next(self, operation: Operation) -> DiskFault | None:
        """The fault that strikes this step, if one does."""
        number = {None: self._counts[None], operation: self._counts[operation]}
        self._counts.update((None, operation))
        for fault in self._armed:
            at = number.get(fault.operation)
            if at is not None and fault.at <= at < fault.at + fault.times:
                return fault
        return None

    def _note(self, text: str, data: bytes) -> None:
        self._trace.update(f"{text} {crc32(data)}\n".encode())


@contextmanager
def _as_os_error() -> Iterator[None]:
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
        with _as_os_error():
            if not self._disk.has(path.name):
                return 0
            return self._disk.size(path.name, self._disk.open(path.name, create=False))

    def open(self, path: Path) -> "DiskFile":
        """A file that is there, to read and write."""
        with _as_os_error():
            return DiskFile(self._disk, path.name, self._disk.open(path.name, create=False))

    def create_like(self, path: Path, model: Path) -> "DiskFile":  # noqa: ARG002 - a disk without permissions
        """A new file."""
        with _as_os_error():
            return DiskFile(self._disk, path.name, self._disk.open(path.name, create=True))

    def replace(self, path: Path, by: Path) -> None:
        """Give the name `path` to the file `by`; when it returns, that is on the disk."""
        with _as_os_error():
            self._disk.rename(by.name, path.name)
            self._disk.sync_folder()

    def remove(self, path: Path) -> None:
        """Remove a file, if there is one."""
        with _as_os_error():
            if self._disk.exists(path.name):
                self._disk.delete(path.name, sync=False)


class DiskFile:
    """One open file."""

    def __init__(self, disk: Disk, name: str, inode: Inode) -> None:
        self._disk, self._name, self._inode = disk, name, inode

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from an offset on, fewer at the end."""
        with _as_os_error():
            return self._disk.read(self._name, self._inode, offset, size)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of them."""
        with _as_os_error():
            self._disk.write(self._name, self._inode, offset, data)

    def sync(self) -> None:
        """Return when all that was written is on the disk, if that does not lie."""
        with _as_os_error():
            self._disk.sync(self._name, self._inode)

    def close(self) -> None:
        """Nothing to do."""
