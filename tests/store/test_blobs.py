"""Blobs: what is read is what was written, whatever narrow types it was stored in; older blobs are read too."""

import sqlite3
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.store import Store, StoreFile, blobs
from oncefold.store.changes import events_after
from oncefold.store.check import check_store
from oncefold.store.errors import DamagedError
from oncefold.store.schema import FORMAT
from tests.store.model import PIPELINE, Folder, random_batch

EDGES = [edge + step for bits in (7, 8, 15, 16, 31, 32, 62) for edge in (-(2**bits), 2**bits) for step in (-1, 0, 1)]
NUMBERS = st.sampled_from([0, *EDGES, -(2**63), 2**63 - 1]) | st.integers(-(2**63), 2**63 - 1)
TEXTS = st.lists(st.binary(max_size=3)) | st.lists(st.binary(min_size=36, max_size=36))


def read(schema: pa.Schema, batch: pa.RecordBatch) -> pa.RecordBatch:
    crc32, blob = blobs.encode(batch)
    return blobs.decode(schema, len(batch), crc32, blob.to_pybytes(), "it")


@given(st.lists(st.tuples(NUMBERS, st.integers(-1, 2**31 - 1), NUMBERS)))
def test_numbers_are_read_as_they_were_written(rows: list[tuple[int, int, int]]) -> None:
    schema = blobs.state_schema(1)
    batch = pa.record_batch([list(column) for column in zip(*rows, strict=True)] or [[], [], []], schema=schema)
    assert read(schema, batch).equals(batch)


@given(TEXTS, st.integers(0, 3))
def test_texts_are_read_as_they_were_written(texts: list[bytes], start: int) -> None:
    batch = blobs.keys_batch(pa.array(texts, pa.large_binary())).slice(start)
    assert read(blobs.KEYS, batch).equals(batch)


def test_numbers_and_texts_take_little_room() -> None:
    n = 100_000
    states = pa.record_batch([np.arange(n) % 100, np.zeros(n, np.int32), np.arange(n)], schema=blobs.state_schema(1))
    stored = pa.ipc.open_stream(blobs.encode(states)[1]).read_all().schema
    assert stored.types == [pa.uint8(), pa.uint8(), pa.uint32()]
    keys = blobs.keys_batch(pa.array([b"%09d" % i for i in range(n)], pa.large_binary()))
    assert pa.ipc.open_stream(blobs.encode(keys)[1]).read_all().schema.types == [pa.binary(9)]


@pytest.mark.parametrize(
    "batch",
    [
        pa.record_batch({"version": ["1"], "place": ["2"], "m0": ["3"]}),
        pa.record_batch({"version": [1], "m0": [3], "place": [2]}),
        pa.record_batch({"version": [1], "place": [2**40], "m0": [3]}),
        pa.record_batch({"version": [1], "place": [2], "m0": [None]}, schema=pa.schema(
            [("version", pa.int64()), ("place", pa.int32()), ("m0", pa.int64())])),
    ],
    ids=["text", "order", "too wide", "null"],
)  # fmt: skip
def test_what_is_not_of_the_table_is_damage(batch: pa.RecordBatch) -> None:
    blob = as_written_by_format_1(batch)
    with pytest.raises(DamagedError, match="it "):
        blobs.decode(blobs.state_schema(1), 1, zlib.crc32(blob), blob, "it")


def as_written_by_format_1(batch: pa.RecordBatch) -> bytes:
    """In the table's own types."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def test_a_store_of_format_1_is_read_and_written_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder()

    def encode(batch: pa.RecordBatch) -> tuple[int, pa.Buffer]:
        blob = as_written_by_format_1(batch)
        return zlib.crc32(blob), pa.py_buffer(blob)

    with monkeypatch.context() as older, Store.open(path, PIPELINE) as store:
        older.setattr(blobs, "encode", encode)
        store.load()
        store.commit(folder.commit(random_batch(1, 1, pages=1)))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    with StoreFile.open(path) as reader:
        assert reader.verify().differences == []
        assert reader.status().format == 1
    with Store.open(path, PIPELINE) as store:
        store.load()
        store.commit(folder.commit(random_batch(2, 2)))
    with StoreFile.open(path) as reader:
        assert reader.verify().differences == []
        assert reader.status().format == FORMAT


def test_a_store_of_format_2_gets_the_outcomes_that_it_did_not_count(path: Path) -> None:
    folder = Folder()
    with Store.open(path, PIPELINE) as store:
        store.load()
        store.commit(folder.commit(random_batch(1, 1)))
    with sqlite3.connect(path) as connection:
        for outcome in ("filtered", "ignored"):
            connection.execute(f"ALTER TABLE commits DROP COLUMN {outcome}")
            connection.execute("DELETE FROM counters WHERE outcome = ?", (outcome,))
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with StoreFile.open(path) as reader:
        assert reader.status().format == 2
        with reader.at_one_commit() as connection:
            assert events_after(connection, ["inserted", "filtered"], 1) == [0, 0]
    assert check_store(path) == []
    with Store.open(path, PIPELINE) as store:
        store.load()
        store.commit(folder.commit(random_batch(2, 2)))
    with StoreFile.open(path) as reader:
        assert reader.status().format == FORMAT
        assert reader.verify().differences == []
    assert check_store(path) == []
