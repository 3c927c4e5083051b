"""The whole events behind the rows of a batch, as a store with `keep_events` keeps them.

A record of a text is kept as its bytes, an item of a Python program as JSON, a row of a table as a row of Arrow with
all its columns: each so that the decoder that read it reads it again, under another definition.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from oncefold.arrow import binary_of
from oncefold.columnar.arrays import Int64s, UInt8s
from oncefold.columnar.conflicts import gathered
from oncefold.columnar.primitives import trim_line_ends
from oncefold.commit import EventForm, whole_texts
from oncefold.core.values import plain, to_json
from oncefold.deferred import Deferred

pc: Any = Deferred("pyarrow.compute")

_DIGEST_BYTES = 16


class WholeRecords(Protocol):
    """The records of a batch; each is named by where it is in its source, as `Batch.where` has it."""

    def taken(self, where: Int64s) -> tuple[EventForm, pa.RecordBatch]:
        """These records, in their order, in memory of their own."""
        ...


class TextRecords:
    """Records of a text block: record i is data[starts[i] : starts[i + 1]], the last one ends at `size`."""

    def __init__(self, form: EventForm, data: UInt8s, starts: Int64s, size: int, offset: int) -> None:
        """`starts` are offsets in the source, as `offset` is that of the block."""
        self._form, self._data, self._starts, self._size, self._offset = form, data, starts, size, offset

    def taken(self, where: Int64s) -> tuple[EventForm, pa.RecordBatch]:
        """These records without their line ends."""
        index = np.searchsorted(self._starts, where)
        starts = self._starts[index] - self._offset
        ends = np.append(self._starts[1:] - self._offset, self._size)[index]
        trim_line_ends(self._data, starts, ends)
        return self._form, whole_texts(gathered(self._data, starts, ends - starts))


class TableRecords:
    """Rows of a table."""

    def __init__(self, table: pa.RecordBatch, first_row: int) -> None:
        self._table, self._first = table, first_row

    def taken(self, where: Int64s) -> tuple[EventForm, pa.RecordBatch]:
        """These rows with all their columns, none of them in a form that holds more than the rows."""
        rows = pa.array(where - self._first)
        columns = [_written_out(_without_views(column).take(rows)) for column in self._table.columns]
        fields = [
            pa.field(field.name, column.type, field.nullable, field.metadata)
            for field, column in zip(self._table.schema, columns, strict=True)
        ]
        schema = pa.schema(fields)
        digest = blake2b(schema.serialize().to_pybytes(), digest_size=_DIGEST_BYTES).hexdigest()
        return EventForm("arrow", digest), pa.RecordBatch.from_arrays(columns, schema=schema)


def _written_out(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.dictionary_decode()
    return pc.run_end_decode(column) if pa.types.is_run_end_encoded(kind) else column


def _without_views(column: pa.Array) -> pa.Array:
    """The column with texts and bytes in a form of which rows can be taken, inside lists and objects too."""
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(column.indices, _without_views(column.dictionary))
    kind = _type_without_views(column.type)
    return column if kind == column.type else column.cast(kind)


def _type_without_views(kind: pa.DataType) -> pa.DataType:
    is_ = pa.types
    if is_.is_string_view(kind):
        return pa.large_string()
    if is_.is_binary_view(kind):
        return pa.large_binary()
    if is_.is_struct(kind):
        return pa.struct([field.with_type(_type_without_views(field.type)) for field in kind])
    if is_.is_list(kind) or is_.is_large_list(kind):
        field = kind.value_field.with_type(_type_without_views(kind.value_type))
        return pa.list_(field) if is_.is_list(kind) else pa.large_list(field)
    return kind


class ItemRecords:
    """Items of a Python program."""

    def __init__(self, items: Sequence[Mapping[str, Any]]) -> None:
        self._items = items

    def taken(self, where: Int64s) -> tuple[EventForm, pa.RecordBatch]:
        """These items as JSON."""
        texts = [to_json(plain(self._items[at])) for at in where.tolist()]
        return EventForm("item"), whole_texts(binary_of(texts))


class KeptRecord:
    """One record that is kept as a text already, such as a reject that is read again."""

    def __init__(self, form: EventForm, raw: bytes) -> None:
        self._form, self._raw = form, raw

    def taken(self, where: Int64s) -> tuple[EventForm, pa.RecordBatch]:
        """The record, as often as it is asked for."""
        return self._form, whole_texts(binary_of([self._raw] * len(where)))
