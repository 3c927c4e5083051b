"""The blobs: one Arrow IPC stream each, zstd level 1 when large, with a CRC32 beside it.

What a table holds has one schema; a blob holds it in the narrowest types that do, and is widened when it is read.
"""

import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oncefold.arrow import numbers_of
from oncefold.commit import Changes, NodeColumns, States
from oncefold.store.errors import DamagedError

COMPRESS_BYTES = 16_384
"""Smaller batches are kept as they are: setting up the compression would cost more than it saves."""

_PLAIN = pa.ipc.IpcWriteOptions()
_ZSTD = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1))

KEYS = pa.schema([pa.field("key", pa.large_binary(), nullable=False)])

_NARROW: Final = [
    (np.dtype(kind), int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    for kind in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32)
]
"""Types of numbers from the narrowest on, with the least and the greatest that each holds."""
_arrow_type = cache(pa.from_numpy_dtype)


def _schema(fixed: Sequence[tuple[str, Any]], sums: Sequence[str]) -> pa.Schema:
    fields = [*fixed, *((name, pa.int64()) for name in sums)]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])


@cache
def state_schema(values: int) -> pa.Schema:
    """Snapshot pages: the states of consecutive rows, with so many values beside the version."""
    return _schema((("version", pa.int64()), ("place", pa.int32())), [f"m{i}" for i in range(values)])


@cache
def change_schema(values: int) -> pa.Schema:
    """Changes: `commit` counts from the segment's first commit."""
    fixed = (
        ("commit", pa.uint32()),
        ("row", pa.uint32()),
        ("outcome", pa.uint8()),
        ("version", pa.int64()),
        ("place", pa.int32()),
    )
    return _schema(fixed, [f"m{i}" for i in range(values)])


@cache
def delta_schema(measures: int) -> pa.Schema:
    """Deltas of nodes: `commit` counts from the segment's first commit."""
    fixed = (("commit", pa.uint32()), ("node", pa.int32()), ("count", pa.int64()))
    return _schema(fixed, [f"{half}{i}" for i in range(measures) for half in ("high", "low")])


def keys_batch(keys: pa.Array) -> pa.RecordBatch:
    """Key texts as a batch."""
    return pa.record_batch([keys], schema=KEYS)


def states_batch(states: States) -> pa.RecordBatch:
    """Key states as a batch."""
    return _batch(state_schema(len(states.measures)), [states.version, states.leaf, *states.measures])


def changes_batch(changes: Changes) -> pa.RecordBatch:
    """The changes of one commit as a batch."""
    states = changes.states
    commit = np.zeros(len(changes), np.uint32)
    columns = (commit, changes.row, changes.outcome, states.version, states.leaf, *states.measures)
    return _batch(change_schema(len(states.measures)), columns)


def deltas_batch(deltas: NodeColumns) -> pa.RecordBatch:
    """The deltas of one commit as a batch."""
    halves = [half for pair in zip(deltas.high, deltas.low, strict=True) for half in pair]
    commit = np.zeros(len(deltas.node), np.uint32)
    return _batch(delta_schema(len(deltas.high)), (commit, deltas.node, deltas.count, *halves))


def _batch(schema: pa.Schema, columns: Sequence[npt.NDArray[Any]]) -> pa.RecordBatch:
    return pa.record_batch([array(column) for column in columns], schema=schema)


def array(values: npt.NDArray[Any]) -> pa.Array:
    """The same numbers as Arrow has them, without copying.

    `pa.array` would give up the interpreter lock for each column, and in a server it takes up to the switch interval
    to get it back from the thread that answers requests.
    """
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(_arrow_type(values.dtype), len(values), [None, data])


def copied(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows in memory of their own."""
    return pa.record_batch([_copied(column) for column in batch.columns], schema=batch.schema)


def _copied(column: pa.Array) -> pa.Array:
    if pa.types.is_integer(column.type):
        return array(numbers_of(column).copy())
    offsets = _offsets(column)
    texts = column.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0])).to_pybytes()
    buffers = [None, pa.py_buffer(offsets - offsets[0]), pa.py_buffer(texts)]
    return pa.Array.from_buffers(column.type, len(column), buffers)


def _offsets(column: pa.Array) -> npt.NDArray[np.int64]:
    """Where each text begins in the buffer of all, and the last one ends."""
    return np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]


def encode(batch: pa.RecordBatch) -> tuple[int, pa.Buffer]:
    """The CRC32 and bytes of a batch."""
    sink = pa.BufferOutputStream()
    options = _ZSTD if batch.nbytes > COMPRESS_BYTES else _PLAIN
    narrow = pa.record_batch([_narrowed(column) for column in batch.columns], names=batch.schema.names)
    with pa.ipc.new_stream(sink, narrow.schema, options=options) as writer:
        writer.write_batch(narrow)
    blob = sink.getvalue()
    return zlib.crc32(blob), blob


def decode(schema: pa.Schema, rows: int, crc32: int, blob: bytes, what: str) -> pa.RecordBatch:
    """The batch behind a blob. Raises DamagedError, naming the blob as `what`, if it is not what was written."""
    if zlib.crc32(blob) != crc32:
        raise DamagedError(f"{what} is damaged: its checksum differs")
    try:
        with pa.ipc.open_stream(pa.py_buffer(blob)) as reader:
            batch = reader.read_next_batch()
            fits = batch.schema.names == schema.names and all(map(_holds, batch.schema.types, schema.types))
            if not fits or batch.num_rows != rows:
                raise DamagedError(f"{what} has other columns or another length than it should")
            pairs = zip(batch.columns, schema.types, strict=True)
            return pa.record_batch([_widened(column, wanted) for column, wanted in pairs], schema=schema)
    except (pa.ArrowException, ValueError, OSError, StopIteration) as error:
        raise DamagedError(f"{what} cannot be decoded: {error}") from None


def _holds(stored: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a column of the wanted type may be stored so."""
    if pa.types.is_integer(wanted):
        return bool(pa.types.is_integer(stored) and stored.bit_width <= wanted.bit_width)
    return stored == wanted or bool(pa.types.is_fixed_size_binary(stored))


def _widened(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    """The same values in the wanted type; Arrow's cast would import its compute functions, for a tenth of a second."""
    if column.null_count:
        raise ValueError("it holds nulls")
    if column.type == wanted:
        return column
    if not pa.types.is_integer(wanted):
        width = column.type.byte_width
        offsets = np.arange(column.offset, column.offset + len(column) + 1, dtype=np.int64) * width
        return pa.Array.from_buffers(wanted, len(column), [None, pa.py_buffer(offsets), column.buffers()[1]])
    values = numbers_of(column)
    wide = values.astype(str(wanted))
    if not np.can_cast(values.dtype, wide.dtype) and not np.array_equal(wide, values):
        raise ValueError(f"a number of {column.type} is none of {wanted}")
    return array(wide)


def _narrowed(column: pa.Array) -> pa.Array:
    """The same values in the narrowest type: smaller before compression, and quicker to compress."""
    if pa.types.is_integer(column.type):
        return _narrow_numbers(column)
    offsets = _offsets(column)
    lengths = np.diff(offsets)
    if not len(column) or not lengths[0] or (lengths != lengths[0]).any():
        return column
    texts = column.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    return pa.Array.from_buffers(pa.binary(int(lengths[0])), len(column), [None, texts])


def _narrow_numbers(column: pa.Array) -> pa.Array:
    values = numbers_of(column)
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    for kind, least, greatest in _NARROW:
        if least <= low and high <= greatest:
            return column if kind == values.dtype else array(values.astype(kind))
    return column


def columns(batch: pa.RecordBatch) -> list[npt.NDArray[Any]]:
    """The columns of a batch of numbers, without copying."""
    return [numbers_of(column) for column in batch.columns]
