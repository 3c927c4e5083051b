"""Arrow arrays to numpy and from bytes by their buffers.

pyarrow's own converters (`pa.array`, `pa.scalar`, `to_numpy`) import pandas, where it is installed, to know a frame if
they are given one. That takes half a second of a process that has no frames.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def numbers_of(column: pa.Array) -> npt.NDArray[Any]:
    """The values of an array of integers, without copying; they cannot be written. Raises ArrowInvalid for nulls."""
    if column.null_count:
        raise pa.ArrowInvalid("there are nulls in a column that has none")
    return np.frombuffer(column.buffers()[1] or b"", np.dtype(str(column.type)))[
        column.offset : column.offset + len(column)
    ]


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
