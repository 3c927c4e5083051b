"""The simulated disk does what is said of disks, and SQLite can live on it."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from oncefold_lab.disk.disk import Disk, RefusedError
from oncefold_lab.disk.faults import DiskFault, FaultKind, Operation, Survival, Traits
from oncefold_lab.disk.vfs import Mounted

NAME = "a-wal"
ALWAYS = 10_000


def disk_with(*faults: DiskFault, traits: Traits | None = None) -> Disk:
    disk = Disk(traits or Traits(), Random(7))
    disk.arm(faults)
    return disk


def written(disk: Disk, data: bytes, offset: int = 0, *, sync: bool = False) -> None:
    inode = disk.open(NAME, create=True)
    disk.write(NAME, inode, offset, data)
    if sync:
        disk.sync(NAME, inode)


def test_what_is_synced_is_there_after_a_loss_of_power() -> None:
    for survival in Survival:
        disk = disk_with()
        written(disk, b"abc", sync=True)
        disk.lose(survival)
        assert disk.image() == {NAME: b"abc"}


def test_what_is_not_synced_is_seen_and_may_be_lost() -> None:
    disk = disk_with()
    written(disk, b"abc", sync=True)
    written(disk, b"xy")
    assert disk.image() == {NAME: b"xyc"}
    disk.lose(Survival.NOTHING)
    assert disk.image() == {NAME: b"abc"}
    written(disk, b"xy")
    disk.lose(Survival.ALL)
    assert disk.image() == {NAME: b"xyc"}


def test_later_writes_may_survive_without_earlier_ones() -> None:
    images = set()
    for seed in range(40):
        disk = Disk(Traits(), Random(seed))
        disk.arm(())
        written(disk, b"....", sync=True)
        for offset in range(4):
            written(disk, b"x", offset)
        disk.lose(Survival.SUFFIX)
        images.add(disk.image()[NAME])
    assert images == {b"xxxx", b".xxx", b"..xx", b"...x"}


def test_sectors_survive_one_by_one_and_gaps_are_filled() -> None:
    disk = disk_with(traits=Traits(sector=512, filler=0xAA))
    written(disk, b"", sync=True)
    written(disk, b"x" * 512 * 64)
    disk.lose(Survival.SECTORS)
    image = disk.image()[NAME]
    kinds = {image[start : start + 512] for start in range(0, len(image), 512)}
    assert kinds == {b"x" * 512, b"\xaa" * 512}


def test_a_torn_write_may_take_its_neighbours_along() -> None:
    def torn(*, spares: bool) -> set[bytes]:
        found = set()
        for seed in range(30):
            disk = Disk(Traits(512, spares_neighbours=spares), Random(seed))
            disk.arm(())
            written(disk, b"n" * 512, sync=True)
            written(disk, b"x" * 10, 100)
            disk.lose(Survival.PREFIX)
            found.add(disk.image()[NAME][:100])
        return found

    assert torn(spares=True) == {b"n" * 100}
    assert len(torn(spares=False)) > 1


def test_names_are_as_unsure_as_contents() -> None:
    disk = disk_with()
    written(disk, b"abc", sync=True)
    disk.delete(NAME, sync=False)
    disk.lose(Survival.NOTHING)
    assert disk.image() == {NAME: b"abc"}
    disk.delete(NAME, sync=True)
    disk.lose(Survival.NOTHING)
    assert disk.image() == {}
    written(disk, b"abc")
    disk.lose(Survival.NOTHING)
    assert disk.image() == {}


def test_a_lying_sync_does_nothing() -> None:
    disk = disk_with(DiskFault(FaultKind.LIE, Operation.SYNC, 1))
    written(disk, b"abc", sync=True)
    written(disk, b"xyz", sync=True)
    disk.lose(Survival.NOTHING)
    assert disk.image() == {NAME: b"abc"}


def test_a_sync_that_forgets_is_not_made_good_by_the_next() -> None:
    lost = 0
    for seed in range(20):
        disk = Disk(Traits(), Random(seed))
        disk.arm([DiskFault(FaultKind.FORGOTTEN, Operation.SYNC, 1)])
        written(disk, b"abc", sync=True)
        with pytest.raises(RefusedError, match="SQLITE_IOERR_FSYNC"):
            written(disk, b"xyz", sync=True)
        written(disk, b"w", 3, sync=True)
        assert disk.image() == {NAME: b"xyzw"}
        disk.lose(Survival.ALL)
        lost += disk.image() == {NAME: b"abcw"}
    assert 0 < lost < 20


def test_a_full_disk_keeps_a_part() -> None:
    disk = disk_with(DiskFault(FaultKind.FULL, Operation.WRITE, 1, part=0.5))
    written(disk, b"....")
    with pytest.raises(RefusedError, match="SQLITE_FULL"):
        written(disk, b"xxxx")
    assert disk.image() == {NAME: b"xx.."}
    assert disk.happened == {"write full": 1}


def test_after_its_end_a_process_does_nothing_more() -> None:
    disk = disk_with(DiskFault(FaultKind.KILL, None, 2))
    written(disk, b"abc")
    with pytest.raises(RefusedError):
        written(disk, b"xyz")
    with pytest.raises(RefusedError):
        disk.has(NAME)
    assert disk.ended is FaultKind.KILL
    disk.arm(())
    assert disk.has(NAME)
    assert disk.image() == {NAME: b"abc"}


def _use(mounted: Mounted, *statements: str) -> None:
    connection = mounted.connect(Path("a.db"))
    try:
        for sql in statements:
            connection.execute(sql)
    finally:
        with suppress(sqlite3.OperationalError):
            connection.close()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (DiskFault(FaultKind.ERROR, Operation.READ, 0, ALWAYS), sqlite3.SQLITE_IOERR_READ),
        (DiskFault(FaultKind.ERROR, Operation.WRITE, 5), sqlite3.SQLITE_IOERR_WRITE),
        (DiskFault(FaultKind.FULL, Operation.WRITE, 5), sqlite3.SQLITE_FULL),
        (DiskFault(FaultKind.ERROR, Operation.SYNC, 3), sqlite3.SQLITE_IOERR_FSYNC),
        (DiskFault(FaultKind.BUSY, Operation.LOCK, 0, ALWAYS), sqlite3.SQLITE_BUSY),
        (DiskFault(FaultKind.ERROR, Operation.OPEN, 0, ALWAYS), sqlite3.SQLITE_CANTOPEN),
        (DiskFault(FaultKind.POWER, None, 12), sqlite3.SQLITE_IOERR),
    ],
    ids=str,
)
def test_sqlite_reports_each_fault_under_its_name(fault: DiskFault, code: int) -> None:
    disk = disk_with()
    with Mounted(disk) as mounted:
        _use(mounted, "CREATE TABLE t(x)")
        disk.arm([fault])
        with pytest.raises(sqlite3.OperationalError) as raised:
            _use(mounted, "PRAGMA journal_mode = WAL", *["INSERT INTO t VALUES (1)"] * 20)
    assert raised.value.sqlite_errorcode in {code, code & 0xFF}
    assert len(disk.struck) >= 1


def test_a_database_is_like_one_on_any_disk(tmp_path: Path) -> None:
    disk = disk_with()
    with Mounted(disk) as mounted:
        _use(mounted, "PRAGMA journal_mode = WAL", "CREATE TABLE t(x)", "INSERT INTO t VALUES (1), (2)")
    assert list(disk.image()) == ["a.db"]
    (tmp_path / "a.db").write_bytes(disk.image()["a.db"])
    found = sqlite3.connect(tmp_path / "a.db")
    assert found.execute("SELECT sum(x) FROM t").fetchone() == (3,)
    found.close()
