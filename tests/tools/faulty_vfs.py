"""A disk that fails on command, under SQLite: every write, sync and truncation is counted, recorded, and may fail.

    disk = FaultyDisk(fail_at=17, failure=Failure.FULL)
    with disk:
        store = Store.open(path, pipeline, connect=disk.connect)

`disk.steps` is what reached the disk, in order. `for at, platter in replay(disk.steps)` goes through them again, and
`platter.image(survival)` are the files as a loss of power just before step `at` could leave them: what was synced is
there, and of the rest what `survival` lets through.

The connection is apsw's, in SQLite's exclusive locking mode, which needs no shared memory; files are real ones, so
that a store can be opened by the standard library's sqlite3 afterwards.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any, Self

import apsw

from oncefold_lab.disk.vfs import ApswConnection

SECTOR = 512
"""What a disk writes whole, bytes."""

_numbers = count()


class Failure(Enum):
    """How a step fails: SQLite's extended result code."""

    IO_ERROR = apsw.SQLITE_IOERR_WRITE
    FULL = apsw.SQLITE_FULL


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done to a file: `create`, `write`, `sync`, `truncate` or `delete`."""

    kind: str
    file: str
    offset: int = 0
    data: bytes = b""
    failed: bool = False


class FaultyDisk:
    """Counts and records the steps of the connections that it makes, and fails some."""

    def __init__(
        self, fail_at: int | None = None, failure: Failure = Failure.IO_ERROR, *, lasting: bool = False
    ) -> None:
        self.steps: list[Step] = []
        self._fail_at, self._failure, self._lasting = fail_at, failure, lasting
        self._name = f"faulty{next(_numbers)}"
        self._vfs: _Vfs | None = None

    def __enter__(self) -> Self:
        self._vfs = _Vfs(self._name, self)
        return self

    def __exit__(self, *error: object) -> None:
        if self._vfs is not None:
            self._vfs.unregister()
            self._vfs = None

    def connect(self, path: Path) -> "ApswConnection":
        """A connection to give to `Store.open`."""
        return ApswConnection(path, self._name)

    def step(self, kind: str, file: str, offset: int = 0, data: bytes = b"") -> None:
        """Take note of a step about to be done, or refuse it."""
        number = len(self.steps)
        fails = self._fail_at is not None and (number == self._fail_at or (self._lasting and number > self._fail_at))
        self.steps.append(Step(kind, file.rpartition("/")[2], offset, data, fails))
        if fails:
            raise _failed(self._failure)


def _failed(failure: Failure) -> apsw.Error:
    error = apsw.exception_for(failure.value)
    error.extendedresult = failure.value
    return error


class _Vfs(apsw.VFS):
    def __init__(self, name: str, disk: FaultyDisk) -> None:
        self.disk = disk
        super().__init__(name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> "_File":  # noqa: N802
        return _File(name, flags, self.disk)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        if Path(filename).exists():
            self.disk.step("delete", filename)
        super().xDelete(filename, syncdir)


class _File(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], disk: FaultyDisk) -> None:
        self.disk = disk
        self.file = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        if flags[0] & apsw.SQLITE_OPEN_CREATE and not Path(self.file).exists():
            disk.step("create", self.file)
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self.disk.step("write", self.file, offset, bytes(data))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self.disk.step("sync", self.file)
        super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self.disk.step("truncate", self.file, newsize)
        super().xTruncate(newsize)


class Survival(Enum):
    """What a loss of power leaves of the steps that were not synced."""

    NOTHING = "nothing"
    ALL = "all"
    LAST_TORN = "all, but half of the last write"
    LAST_ONLY = "the last one only"
    SECTORS = "any sectors"


@dataclass(slots=True)
class _FileModel:
    synced: bytes = b""
    pending: list[Step] = field(default_factory=list)


class Platter:
    """What is on a disk, and what of it is sure to be there after a loss of power.

    A file's making or deletion is sure from the first sync of a file made after it: SQLite then syncs the folder.
    """

    def __init__(self) -> None:
        self._files: dict[str, _FileModel] = {}
        self._names: set[str] = set()
        self._sure_names: set[str] = set()
        self._new: set[str] = set()

    def apply(self, step: Step) -> None:
        """Do one step."""
        if step.failed:
            self._fail(step)
        elif step.kind == "create":
            self._names.add(step.file)
            self._new.add(step.file)
            self._files[step.file] = _FileModel()
        elif step.kind == "delete":
            self._names.discard(step.file)
        elif step.kind == "sync":
            model = self._files[step.file]
            model.synced, model.pending = _applied(model.synced, model.pending), []
            if step.file in self._new and step.file.endswith(("-wal", "-journal")):
                self._sure_names = set(self._names)
                self._new.clear()
        else:
            self._files[step.file].pending.append(step)

    def _fail(self, step: Step) -> None:
        """A sync that fails may leave the system taking for written what is not: it will never be synced again."""
        if step.kind == "sync":
            self._files[step.file].pending.clear()

    def image(self, survival: Survival, seed: int = 0) -> dict[str, bytes]:
        """The files by name that a loss of power leaves."""
        rng = random.Random(seed)
        names = self._names
        if survival in (Survival.NOTHING, Survival.LAST_ONLY):
            names = self._sure_names
        elif survival is Survival.SECTORS:
            unsure = sorted(self._names ^ self._sure_names)
            names = (self._names & self._sure_names) | {name for name in unsure if rng.random() < 0.5}
        return {name: _surviving(self._files[name], survival, rng) for name in sorted(names)}


def replay(steps: Sequence[Step]) -> Iterator[tuple[int, Platter]]:
    """The disk before each step and after the last; always the same object, one step further each time."""
    platter = Platter()
    for at, step in enumerate(steps):
        yield at, platter
        platter.apply(step)
    yield len(steps), platter


def _applied(content: bytes, steps: Iterable[Step]) -> bytes:
    data = bytearray(content)
    for step in steps:
        if step.kind == "truncate":
            del data[step.offset :]
        else:
            data.extend(bytes(max(0, step.offset - len(data))))
            data[step.offset : step.offset + len(step.data)] = step.data
    return bytes(data)


def _surviving(model: _FileModel, survival: Survival, rng: random.Random) -> bytes:
    pending = model.pending
    if survival is Survival.NOTHING or not pending:
        return model.synced
    if survival is Survival.LAST_TORN:
        return _applied(model.synced, [*pending[:-1], *_torn(pending[-1])])
    if survival is Survival.LAST_ONLY:
        return _applied(model.synced, pending[-1:])
    if survival is Survival.SECTORS:
        return _applied(model.synced, [part for step in pending for part in _sectors(step) if rng.random() < 0.5])
    return _applied(model.synced, pending)


def _torn(step: Step) -> list[Step]:
    half = len(step.data) // 2
    return [Step("write", step.file, step.offset, step.data[:half])] if step.kind == "write" else []


def _sectors(step: Step) -> list[Step]:
    if step.kind != "write":
        return [step]
    return [
        Step("write", step.file, step.offset + start, step.data[start : start + SECTOR])
        for start in range(0, len(step.data), SECTOR)
    ]
