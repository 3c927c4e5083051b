"""A log that was left behind is durable before anything is built upon it, wherever its writing again is cut short."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from copy import deepcopy
from pathlib import Path
from random import Random

import pytest

from oncefold.core.errors import StoreError
from oncefold.store import Store, StoreFile, wal, writer
from oncefold.store.connection import wal_of
from oncefold.store.schema import PAGE_SIZE
from oncefold.store.wal import File, SystemFiles
from oncefold.store.writer import Tuning
from oncefold_lab.disk.disk import Disk, DiskFile, DiskFiles
from oncefold_lab.disk.faults import DiskFault, FaultKind, Operation, Survival, Traits
from oncefold_lab.disk.vfs import ApswConnection, Mounted
from oncefold_lab.embedded.oracle import lay_down
from tests.store.model import PIPELINE, Batch, Facts, Folder, random_batch, stored_facts
from tests.tools.sizes import in_full

ACKNOWLEDGED = 3
GARBLING = Traits(512, spares_neighbours=False)
"""What a write cut short leaves of a sector is neither old nor new."""


def opened_on(disk: Disk, mounted: Mounted, path: Path) -> Store:
    store = Store.open(path, PIPELINE, clock=lambda: 7, connect=mounted.connect, files=DiskFiles(disk))
    try:
        store.load()
    except BaseException:
        store.close()
        raise
    return store


def work(disk: Disk, mounted: Mounted, path: Path) -> list[Facts]:
    """Two commits in the file, a small one in the log, and a fourth whose sync failed for good; the process is dead."""
    folder, facts = Folder(), [Folder().facts()]
    disk.arm(())
    store = opened_on(disk, mounted, path)
    for number in range(1, ACKNOWLEDGED + 2):
        if number == ACKNOWLEDGED:
            store.close()
            store = opened_on(disk, mounted, path)
        batch = Batch([], number) if number == ACKNOWLEDGED else random_batch(number, number)
        commit = folder.commit(batch)
        facts.append(folder.facts())
        if number > ACKNOWLEDGED:
            disk.arm([DiskFault(FaultKind.FORGOTTEN, Operation.SYNC, 0)])
            with pytest.raises(StoreError, match="the disk reports an error"):
                store.commit(commit)
        else:
            store.commit(commit)
    disk.end(FaultKind.KILL)
    store.close()
    return facts


def lost_at_every_step(folder: Path, before: Sequence[DiskFault] = ()) -> set[int]:
    """Open such a store while the power fails at every step in turn; the commits that it then had."""
    made = Disk(GARBLING, Random(7))
    path = folder / "store" / "store.db"
    path.parent.mkdir()
    (folder / "image").mkdir()
    found = set()
    with Mounted(made) as mounted:
        facts = work(made, mounted, path)
    at, over, seen = 0, False, set[int]()
    while not over:
        for survival in (Survival.NOTHING, Survival.PREFIX, Survival.SECTORS):
            disk = Disk(GARBLING, Random(at))
            disk._platter = deepcopy(made._platter)
            with Mounted(disk) as mounted:
                disk.arm([*before, DiskFault(FaultKind.POWER, None, at)])
                with suppress(StoreError):
                    opened_on(disk, mounted, path).close()
            over = disk.ended is None
            disk.end(FaultKind.POWER)
            disk.lose(survival)
            image = disk.image()
            digest = hash(tuple(image.items()))
            if digest in seen:
                continue
            seen.add(digest)
            lay_down(image, folder / "image")
            left = stored_facts(folder / "image" / "store.db")
            assert left == facts[left.seq]
            assert left.seq >= ACKNOWLEDGED
            found.add(left.seq)
        at += 1
    assert at > 10
    return found


def test_power_is_lost_at_every_step_of_opening(memory: Path) -> None:
    assert lost_at_every_step(memory) == {ACKNOWLEDGED, ACKNOWLEDGED + 1}


@pytest.mark.parametrize(
    "fault",
    [
        DiskFault(FaultKind.ERROR, Operation.RENAME, 0),
        DiskFault(FaultKind.FORGOTTEN, Operation.SYNC, 0),
        DiskFault(FaultKind.ERROR, Operation.SYNC, 1),
        DiskFault(FaultKind.FULL, Operation.WRITE, 0),
        DiskFault(FaultKind.ERROR, Operation.READ, 1),
    ],
    ids=str,
)
def test_so_it_is_when_writing_again_fails_first(memory: Path, fault: DiskFault) -> None:
    lost_at_every_step(memory, [fault])


def _not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "recover_wal", lambda *rest: None)


def _over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "_replaced", lambda *rest: False)
    monkeypatch.setattr(wal, "BLOCK_BYTES", 512)


def _not_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiskFile, "sync", lambda self: None)


@pytest.mark.parametrize("plant", [_not_at_all, *in_full("1 s each", _over_itself, _not_synced)])
def test_this_finds_what_would_be_wrong(
    memory: Path, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, StoreError)):
        lost_at_every_step(memory)


def _copied_on_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApswConnection, "interrupt", lambda self: None)


def test_a_log_that_could_not_be_rewritten_is_not_copied_into_the_file(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As closing the connection that held the store would do."""
    _copied_on_closing(monkeypatch)
    with pytest.raises((AssertionError, StoreError)):
        lost_at_every_step(memory, [DiskFault(FaultKind.ERROR, Operation.RENAME, 0)])


class WatchedFiles(SystemFiles):
    """Those of the system, and what was done with them."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def open(self, path: Path) -> File:
        self.done.append(f"open {path.name}")
        return super().open(path)

    def replace(self, path: Path, by: Path) -> None:
        self.done.append(f"replace {path.name}")
        super().replace(path, by)


def left_open(path: Path) -> tuple[list[Facts], dict[str, bytes]]:
    """A store whose log has three commits, as a process that was killed leaves it; its files."""
    folder, facts = Folder(), [Folder().facts()]
    with Store.open(path, PIPELINE, clock=lambda: 7) as store:
        store.load()
        for number in range(1, ACKNOWLEDGED + 1):
            store.commit(folder.commit(random_batch(number, number)))
            facts.append(folder.facts())
        files = {file.name: file.read_bytes() for file in path.parent.glob("store.db*") if "lock" not in file.name}
    for name, content in files.items():
        (path.parent / name).write_bytes(content)
    return facts, files


def opened(path: Path, files: SystemFiles) -> None:
    Store.open(path, PIPELINE, files=files).close()


def test_nothing_is_done_without_a_log(path: Path) -> None:
    files = WatchedFiles()
    opened(path, files)
    opened(path, files)
    assert files.done == []


def test_a_log_is_replaced_when_no_one_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "BLOCK_BYTES", 1_000)
    facts, _ = left_open(path)
    path.with_name("store.db-wal-new").write_bytes(b"what an earlier attempt left")
    files = WatchedFiles()
    opened(path, files)
    assert files.done == ["open store.db-wal", "replace store.db-wal"]
    assert stored_facts(path) == facts[-1]
    assert not path.with_name("store.db-wal-new").exists()


def test_a_log_is_written_over_itself_while_someone_reads(path: Path) -> None:
    facts, _ = left_open(path)
    before = wal_of(path).stat().st_ino
    with StoreFile.open(path) as reader:
        assert reader.status().last.seq == ACKNOWLEDGED
        files = WatchedFiles()
        with Store.open(path, PIPELINE, files=files) as store:
            assert files.done == ["open store.db-wal"]
            assert wal_of(path).stat().st_ino == before
            assert reader.status().last.seq == ACKNOWLEDGED
            store.load()
            folder = Folder()
            for number in range(1, ACKNOWLEDGED + 1):
                folder.commit(random_batch(number, number))
            store.commit(folder.commit(random_batch(9, 9)))
            assert reader.status().last.seq == ACKNOWLEDGED + 1
            assert reader.verify().differences == []
    assert stored_facts(path) == folder.facts() != facts[-1]


def test_a_log_that_cannot_be_written_again_is_reported(path: Path) -> None:
    class Full(SystemFiles):
        def create_like(self, path: Path, model: Path) -> File:
            raise OSError(28, "No space left on device")

    facts, files = left_open(path)
    with pytest.raises(StoreError, match=r"store.db-wal, cannot be written again \(No space .* make room if it is"):
        opened(path, Full())
    assert path.read_bytes() == files["store.db"]
    assert wal_of(path).read_bytes() == files["store.db-wal"]
    opened(path, SystemFiles())
    assert stored_facts(path) == facts[-1]


def test_the_log_of_another_application_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as theirs:
        theirs.execute("PRAGMA journal_mode = WAL")
        theirs.execute("CREATE TABLE a(b)")
        before = wal_of(path).read_bytes()
        files = WatchedFiles()
        with pytest.raises(StoreError, match="another application"):
            opened(path, files)
        assert files.done == []
        assert wal_of(path).read_bytes() == before
        theirs.execute("INSERT INTO a VALUES (1)")


def test_a_large_log_keeps_its_bytes(path: Path) -> None:
    with Store.open(path, PIPELINE, tuning=Tuning(wal_bytes=10_000 * PAGE_SIZE)) as store:
        store.load()
        folder = Folder()
        for number in range(1, 60):
            store.commit(folder.commit(random_batch(number, number)))
        log = wal_of(path).read_bytes()
        assert len(log) > 2 * wal.BLOCK_BYTES
        copy = path.with_name("copy")
        with closing(SystemFiles().open(wal_of(path))) as old, closing(SystemFiles().create_like(copy, path)) as new:
            wal._copy(old, new)
        assert copy.read_bytes() == log
