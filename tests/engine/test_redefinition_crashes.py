"""Every write and sync of a redefinition fails in turn, and power is lost before each: all is old, or all is new."""

import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest

from oncefold.core.errors import StoreError
from oncefold.engine.redefinition import Redefinition
from oncefold.engine.session import Session
from oncefold.queries.store_reader import StoreReader
from oncefold.store import events
from oncefold.store.check import check_store
from oncefold.store.writer import Store
from tests.engine.redefining import Model, definition, event, stored
from tests.engine.small import TUNING, small_limits
from tests.store.model import SECOND, ManualClock
from tests.tools import reference
from tests.tools.faulty_vfs import Failure, FaultyDisk, Survival, replay
from tests.tools.sizes import sized

RNG = random.Random(11)
OLD, NEW = definition(RNG), definition(RNG)
RECORDS = [event(RNG, number, clean=False) for number in range(60)]


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with small_limits(), patch.object(events, "SEGMENT_ROWS", 8), patch.object(events, "FAN_OUT", 2):
        yield


def fill(path: Path, disk: FaultyDisk) -> None:
    """A store under the old definition."""
    clock = ManualClock(1_000 * SECOND)
    with disk, Session(Store.open(path, OLD, clock=clock, connect=disk.connect), clock) as session:
        for start in range(0, len(RECORDS), 12):
            session.ingest(RECORDS[start : start + 12])


@pytest.fixture
def filled(memory: Path) -> Path:
    fill(memory / "filled.db", FaultyDisk())
    return memory / "filled.db"


def redefine(path: Path, disk: FaultyDisk) -> bool:
    """Whether it was acknowledged."""
    clock = ManualClock(2_000 * SECOND)
    with disk, suppress(StoreError):
        store = Store.open(path, OLD, clock=clock, tuning=TUNING, connect=disk.connect)
        try:
            with Redefinition(path, NEW, clock=clock) as work:
                work.redefine(store)
                return True
        finally:
            store.close()
    return False


def assert_old_or_new(path: Path, *, is_new: bool) -> bool:
    """The store is wholly the one or the other; whether it is the new one."""
    models = {}
    for pipeline in (OLD, NEW):
        models[pipeline.fingerprint] = Model(OLD)
        models[pipeline.fingerprint].ingest(RECORDS)
    models[NEW.fingerprint].redefine(NEW)
    with StoreReader.open(path) as reader:
        fingerprint = reader.pipeline.fingerprint
        model = models[fingerprint]
        reference.assert_equal(model.totals(), stored(reader), model.pipeline)
        assert reader.rejects().total == len(model.rejects)
        assert not reader.verify().rows
    assert fingerprint == NEW.fingerprint or not is_new
    return fingerprint == NEW.fingerprint


def test_every_step_fails_in_turn(memory: Path, filled: Path) -> None:
    assert OLD.fingerprint != NEW.fingerprint
    path, clean = memory / "store.db", FaultyDisk()
    shutil.copy(filled, path)
    assert redefine(path, clean)
    assert assert_old_or_new(path, is_new=True)
    assert check_store(path) == []
    kept = tried = 0
    for failure, lasting, every in (
        (Failure.IO_ERROR, False, sized(17, 2)),
        (Failure.FULL, True, sized(37, 4)),
    ):
        for at in range(0, len(clean.steps), every):
            _remove(memory, path)
            shutil.copy(filled, path)
            tried += 1
            done = redefine(path, FaultyDisk(at, failure, lasting=lasting))
            if assert_old_or_new(path, is_new=done):
                continue
            kept += 1
            assert redefine(path, FaultyDisk())  # run again it works
            assert assert_old_or_new(path, is_new=True)
    assert kept > tried // 7


def test_power_is_lost_before_every_step(memory: Path) -> None:
    path, filling, disk = memory / "store.db", FaultyDisk(), FaultyDisk()
    fill(path, filling)
    assert redefine(path, disk)
    seen: set[int] = set()
    folder = memory / "image"
    for at, platter in replay([*filling.steps, *disk.steps]):
        if at < len(filling.steps) or at % sized(12, 1):
            continue
        for survival in (Survival.NOTHING, Survival.ALL, Survival.LAST_TORN):
            image = platter.image(survival, seed=at)
            digest = hash(tuple(image.items()))
            if digest not in seen:
                seen.add(digest)
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                for name, content in image.items():
                    (folder / name).write_bytes(content)
                assert_old_or_new(folder / "store.db", is_new=at == len(filling.steps) + len(disk.steps))
    assert len(seen) > 5


def _remove(folder: Path, path: Path) -> None:
    for file in folder.glob(f"{path.name}*"):
        file.unlink()
