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


def binary_scalar(text: bytes) -> pa.Scalar:
    """A text as a large_binary scalar."""
    return binary_of([text])[0]
