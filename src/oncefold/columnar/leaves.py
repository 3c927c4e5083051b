"""Leaves between their encoded form and a column of labels per level, many at once."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oncefold.columnar.batch import Int64s, Places, UInt8s
from oncefold.columnar.tree_kernels import split_leaves


def encode_columns(levels: Sequence[pa.Array], leaves: int) -> pa.Array:
    """The encoded leaves (large_binary) of columns of labels (large_binary), one per level; none gives empty leaves."""
    if not levels:
        return pa.array([b""] * leaves, pa.large_binary())
    parts = [part for labels in levels for part in (_length_prefix(labels), labels)]
    return pc.binary_join_element_wise(*parts, pa.scalar(b"", pa.large_binary()))


def _length_prefix(labels: pa.Array) -> pa.Array:
    lengths = np.asarray(pc.binary_length(labels).to_numpy(zero_copy_only=False)).astype("<u2")
    offsets = np.arange(0, 2 * len(labels) + 1, 2, dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(lengths.tobytes())]
    return pa.Array.from_buffers(pa.large_binary(), len(labels), buffers)


def spans_of(texts: pa.Array) -> tuple[UInt8s, Int64s]:
    """The bytes of a large_binary or large_string array without nulls, and its n + 1 offsets into them."""
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    return (data if len(data) else np.zeros(1, np.uint8)), offsets


def encode_all(labels: Sequence[tuple[str, ...]]) -> Places:
    """The encoded leaves of many label tuples."""
    columns = [pa.array(column, pa.large_string()).cast(pa.large_binary()) for column in zip(*labels, strict=True)]
    return Places(*spans_of(encode_columns(columns, len(labels))))


def decode_all(places: Places, first: int, levels: int) -> list[tuple[str, ...]]:
    """The label tuples of the entries from `first` on."""
    count = len(places) - first
    if levels == 0:
        return [()] * count
    size = int(places.offsets[-1] - places.offsets[first])
    columns = []
    for level in range(levels):
        offsets, data = np.zeros(count + 1, np.int64), np.zeros(size + 1, np.uint8)
        split_leaves(places.data, places.offsets, first, level, offsets, data)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        columns.append(pa.Array.from_buffers(pa.large_string(), count, buffers).to_pylist())
    return list(zip(*columns, strict=True))
