"""Answers as Arrow tables, Arrow streams and Parquet files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from oncefold.core.timestamps import parse_timestamp
from oncefold.queries.model import AsOfCommit
from oncefold.queries.render.rows import Column, columns_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from oncefold.queries.model import Answer

DIGITS_128, DIGITS_256 = 38, 76
"""Digits that Arrow's two kinds of decimals hold."""

_TYPES = {
    "int": pa.int64(),
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "bytes": pa.binary(),
    "time": pa.timestamp("ns", "UTC"),
}


def to_arrow(answer: Answer[Any]) -> pa.Table:
    """The rows as a table; the metadata of its schema says what they are as of, with names that begin `oncefold.`."""
    columns = columns_of(answer)
    arrays = [_array(column) for column in columns]
    metadata = {f"oncefold.{name}": value for name, value in _metadata(answer).items()}
    fields = [pa.field(column.name, array.type) for column, array in zip(columns, arrays, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata))


def _metadata(answer: Answer[Any]) -> Mapping[str, str]:
    if isinstance(answer.as_of, AsOfCommit):
        commit = answer.as_of.commit
        return {"commit": str(commit.number), "commit_time": commit.time_text or ""}
    return {"stack": answer.as_of.stack, "time": answer.as_of.time_text}


def _array(column: Column) -> pa.Array:
    if column.kind == "decimal":
        return pa.array(column.values, _decimal_type(column.values, column.scale))
    values = column.values
    if column.kind == "time":
        values = [None if text is None else parse_timestamp(text) for text in values]
    return pa.array(values, _TYPES[column.kind])


def _decimal_type(values: Sequence[Decimal | None], scale: int) -> pa.DataType:
    digits = max((len(value.as_tuple().digits) for value in values if value is not None), default=0)
    return pa.decimal128(DIGITS_128, scale) if digits <= DIGITS_128 else pa.decimal256(DIGITS_256, scale)


def parquet(answer: Answer[Any]) -> bytes:
    """The rows as a Parquet file."""
    whole = io.BytesIO()
    pq.write_table(to_arrow(answer), whole)
    return whole.getvalue()


def arrow_stream(answer: Answer[Any]) -> bytes:
    """The rows as an Arrow IPC stream."""
    table, whole = to_arrow(answer), io.BytesIO()
    with pa.ipc.new_stream(whole, table.schema) as writer:
        writer.write_table(table)
    return whole.getvalue()
