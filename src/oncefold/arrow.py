"""Arrow arrays to numpy and from bytes by their buffers.

pyarrow's own converters (`pa.array`, `pa.scalar`, `to_numpy`) import pandas, where it is installed, to know a frame if
they are given one. That takes half a second of a process that has no frames. `cast`, `is_null` and whatever else
computes import Arrow's compute functions, a twentieth of a second.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def numbers_of(column: pa.Array) -> npt.NDArray[Any]:
    """The values of an array of integers, without copying; they cannot be written. Raises ArrowInvalid for nulls."""
    if column.null_count:
        raise pa.ArrowInvalid("there are nulls in a column that has none")
    return _values_of(column)


def filled_numbers_of(column: pa.Array) -> npt.NDArray[Any]:
    """The values of an array of integers or doubles, 0 for a null; without nulls they cannot be written."""
    values = _values_of(column)
    return np.where(nulls_of(column), values.dtype.type(0), values) if column.null_count else values


def _values_of(column: pa.Array) -> npt.NDArray[Any]:
    """What the buffer holds, anything for a null."""
    values = np.frombuffer(column.buffers()[1] or b"", _dtype_of(column.type))
    return values[column.offset : column.offset + len(column)]


@cache
def _dtype_of(kind: pa.DataType) -> np.dtype[Any]:
    return np.dtype(str(kind))


def nulls_of(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Which values are null; the array is the caller's."""
    if not column.null_count:
        return np.zeros(len(column), np.bool_)
    valid = column.buffers()[0]
    if valid is None or pa.types.is_dictionary(column.type):  # a type without a bitmap, or nulls behind the codes
        return np.array(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
    end = column.offset + len(column)
    bits = np.unpackbits(np.frombuffer(valid, np.uint8), count=end, bitorder="little")[column.offset :]
    nulls: npt.NDArray[np.bool_] = bits == 0
    return nulls


def long_offsets_of(texts: pa.Array) -> pa.Array:
    """An array of text or bytes without nulls as large_string, the same bytes with offsets of 64 bits."""
    kind = np.int64 if texts.type in {pa.large_string(), pa.large_binary()} else np.int32
    offsets = np.frombuffer(texts.buffers()[1] or bytes(8), kind)[texts.offset : texts.offset + len(texts) + 1]
    buffers = [None, pa.py_buffer(offsets.astype(np.int64)), texts.buffers()[2] or pa.py_buffer(b"")]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers)


def binary_of(texts: Sequence[bytes]) -> pa.Array:
    """Texts as large_binary."""
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(pa.large_binary(), len(texts), buffers)


def strings_of(texts: Sequence[str]) -> pa.Array:
    """Texts as large_string."""
    encoded = binary_of([text.encode() for text in texts])
    return pa.Array.from_buffers(pa.large_string(), len(encoded), encoded.buffers())


def binary_scalar(text: bytes) -> pa.Scalar:
    """A text as a large_binary scalar."""
    return binary_of([text])[0]


def spans_of(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of a large_binary or large_string array without nulls, and its n + 1 offsets into them."""
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    return (data if len(data) else np.zeros(1, np.uint8)), offsets


def strs_at(texts: pa.Array, rows: npt.NDArray[np.int64]) -> list[str]:
    """The texts of these rows, in ascending order, of a large_string array without nulls.

    `to_pylist` makes a scalar of each first.
    """
    if not len(rows):
        return []
    data, offsets = spans_of(texts)
    first = offsets[rows[0]]
    whole = data[first : offsets[rows[-1] + 1]].tobytes()
    spans = zip((offsets[rows] - first).tolist(), (offsets[rows + 1] - first).tolist(), strict=True)
    if whole.isascii():
        text = whole.decode("ascii")
        return [text[begin:end] for begin, end in spans]
    return [whole[begin:end].decode() for begin, end in spans]


def bytearray_list(texts: pa.Array) -> list[bytearray]:
    """The same of a large_binary array, as sqlite3 takes them at once: for `bytes` it looks for an adapter first."""
    data, offsets = spans_of(texts)
    whole, ends = bytearray(data[offsets[0] : offsets[-1]].data), (offsets - offsets[0]).tolist()
    return [whole[begin:end] for begin, end in pairwise(ends)]


def texts_at(column: pa.Array, rows: npt.NDArray[np.int64]) -> list[bytes]:
    """The texts of these rows of a large_binary array without nulls."""
    data, offsets = spans_of(column)
    view: memoryview = data.data
    return [
        bytes(view[begin:end]) for begin, end in zip(offsets[rows].tolist(), offsets[rows + 1].tolist(), strict=True)
    ]


def index_of(column: pa.Array, text: bytes) -> int:
    """The first row of a large_binary array without nulls that is this text, or -1."""
    data, offsets = spans_of(column)
    rows = np.flatnonzero(np.diff(offsets) == len(text))
    for at, byte in enumerate(text):
        if not len(rows):
            return -1
        rows = rows[data[offsets[rows] + at] == byte]
    return int(rows[0]) if len(rows) else -1
