"""Record batches cut into what is decoded at once, by rows and by what their rows take once they are written out.

A dictionary holds a text once for all rows, and so do runs and the data behind views; decoded, each row has its own.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from oncefold.columnar.arrays import Int64s
from oncefold.deferred import Deferred
from oncefold.engine.decoding import TABLE_ROWS
from oncefold.serve.writer.arrow_messages import Malformed

pc: Any = Deferred("pyarrow.compute")

SLICE_BYTES: Final = 8 * 2**20
"""Shared texts of the rows that are decoded at once, written out; one row may have more."""

BATCH_BYTES: Final = 256 * 2**20
"""The same of a whole record batch."""

_VIEW_BYTES: Final = 16


def sliced(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The rows in order, part by part. Raises Malformed for a batch that would be far larger written out."""
    widths = _widths(batch)
    if widths is None:
        for start in range(0, batch.num_rows, TABLE_ROWS):
            yield batch.slice(start, TABLE_ROWS)
        return
    ends = np.cumsum(widths)
    if len(ends) and ends[-1] > BATCH_BYTES:
        raise Malformed(
            f"a record batch of the body has {int(ends[-1]):,} bytes of text written out, and {BATCH_BYTES:,} are "
            "taken at a time; write the table in smaller batches"
        )
    start = 0
    while start < batch.num_rows:
        before = int(ends[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + SLICE_BYTES, side="right")))
        end = min(end, start + TABLE_ROWS)
        yield batch.slice(start, end - start)
        start = end


def _widths(batch: pa.RecordBatch) -> Int64s | None:
    """Bytes of shared text in each row; None if there is none."""
    found = [widths for column in batch.columns for widths in _of_column(column)]
    return np.sum(found, axis=0, dtype=np.int64) if found else None


def _of_column(column: Any) -> Iterator[Int64s]:
    kind = column.type
    if pa.types.is_struct(kind):
        for index in range(kind.num_fields):
            yield from _of_column(column.field(index))
    elif pa.types.is_dictionary(kind):
        yield _of_dictionary(column)
    elif pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        yield _view_lengths(column)
    elif pa.types.is_run_end_encoded(kind):
        yield _of_runs(column)
    elif kind.num_fields and _may_share(kind):
        yield np.full(len(column), column.get_total_buffer_size(), np.int64)


def _may_share(kind: pa.DataType) -> bool:
    """Whether many values of this type may be the same bytes: then each is taken to be all of them."""
    if pa.types.is_union(kind) or pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return True
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return True
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return True
    return any(_may_share(kind.field(index).type) for index in range(kind.num_fields))


def _of_dictionary(column: Any) -> Int64s:
    values = column.dictionary
    if not len(values):
        return np.zeros(len(column), np.int64)
    lengths = _lengths(values)
    codes = pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)
    widths: Int64s = lengths[codes]
    return widths


def _of_runs(column: Any) -> Int64s:
    rows = np.arange(column.offset, column.offset + len(column))
    runs = np.searchsorted(column.run_ends.to_numpy(), rows, side="right")
    widths: Int64s = _lengths(column.values)[runs]
    return widths


def _lengths(values: Any) -> Int64s:
    kind = values.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return _view_lengths(values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_binary(kind):
        return np.asarray(pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False), np.int64)
    all_of_it = pa.types.is_nested(kind) or _may_share(kind)
    return np.full(len(values), values.get_total_buffer_size() if all_of_it else 0, np.int64)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _view_lengths(values: Any) -> Int64s:
    views = values.buffers()[1]
    if views is None:
        return np.zeros(len(values), np.int64)
    lengths = np.frombuffer(views, np.int32)[:: _VIEW_BYTES // 4]
    return lengths[values.offset : values.offset + len(values)].astype(np.int64)
