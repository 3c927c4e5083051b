"""A writer's keys come in the order of their rows, whoever takes them, and damaged ones are refused."""

import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest

from oncefold.core.errors import StoreError
from oncefold.store import Store
from oncefold.store.compaction import Levels
from oncefold.store.writer import Tuning
from tests.store.model import PIPELINE, SECOND, Folder, random_batch

SEGMENTS = Tuning(Levels(fan_out=100))


class Taken:
    """What takes keys; it refuses those after the first pieces if it is told to."""

    def __init__(self, *, pieces: int = 1_000) -> None:
        self.keys: list[bytes] = []
        self.rows = 0
        self._pieces = pieces

    def reserve(self, rows: int, size: int) -> None:
        self.rows = rows

    def add_keys(self, keys: pa.Array) -> None:
        assert self._pieces, "no more pieces"
        self._pieces -= 1
        self.keys.extend(keys.to_pylist())


@pytest.fixture
def segments(path: Path) -> int:
    """How many segments of keys the store at the path has."""
    folder = Folder()
    with Store.open(path, PIPELINE, tuning=SEGMENTS) as store:
        store.load()
        for number in range(1, 8):
            store.commit(folder.commit(random_batch(number, number * SECOND, keys=500, most=80)))
        found = len(store._tables.keys.list)
    assert found > 4
    return found


def damage(path: Path, segment: int) -> None:
    with sqlite3.connect(path) as connection:
        (first,) = connection.execute(f"SELECT first_row FROM keys ORDER BY 1 LIMIT 1 OFFSET {segment}").fetchone()
        connection.execute("UPDATE keys SET crc32 = crc32 + 1 WHERE first_row = ?", (first,))
    connection.close()


def test_another_takes_the_keys_in_their_order(path: Path, segments: int) -> None:
    with Store.open(path, PIPELINE) as store:
        pieces = [key for piece in store.load().keys for key in piece.to_pylist()]
    taken = Taken()
    with Store.open(path, PIPELINE) as store:
        loaded = store.load(taken)
        assert list(loaded.keys) == []
    assert taken.keys == pieces
    assert taken.rows == loaded.rows == len(pieces)


@pytest.mark.parametrize("segment", [0, 3])
def test_damaged_keys_are_refused_whoever_takes_them(path: Path, segments: int, segment: int) -> None:
    damage(path, segment)
    for into in (None, Taken()):
        with Store.open(path, PIPELINE) as store:
            loaded = store.load(into)
            with pytest.raises(StoreError, match=r"reading the keys: keys \d+ to \d+ is damaged: its checksum differs"):
                list(loaded.keys)


def test_what_hinders_the_taker_is_raised(path: Path, segments: int) -> None:
    taken = Taken(pieces=2)
    with Store.open(path, PIPELINE) as store, pytest.raises(AssertionError, match="no more pieces"):
        list(store.load(taken).keys)
