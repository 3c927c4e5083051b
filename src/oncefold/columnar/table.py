"""Arrow tables (Parquet, Arrow IPC, data frames) to batches, a column at a time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from oncefold.arrow import binary_of, nulls_of, spans_of, texts_at
from oncefold.columnar import typed
from oncefold.columnar.arrays import Int32s, Int64s, read_only
from oncefold.columnar.batch import DELETE, NO_SPAN, NO_TIME, SPAN_BITS, Batch, BatchBuilder
from oncefold.columnar.label_kernels import MOST_LEAF_BYTES
from oncefold.columnar.leaves import FEW_LEAVES, Leaves, encode_columns
from oncefold.columnar.plan import needs_scalar, plan_of
from oncefold.columnar.primitives import FIXED_SEED, Seed
from oncefold.columnar.table_fields import fields_of_table
from oncefold.columnar.text import TextDecoder
from oncefold.columnar.time_kernels import window_starts
from oncefold.columnar.typed import (
    Mask,
    Texts,
    combine,
    keep_below,
    measure_spans,
    number_by_appearance,
    window_seconds,
)
from oncefold.columnar.whole import TableRecords
from oncefold.commit import Reject
from oncefold.core.decode import Decoder
from oncefold.core.definition import Level, Pipeline
from oncefold.core.errors import InvalidEvent
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import KEY_BYTES, MEASURE_LIMIT, TEXT_BYTES
from oncefold.core.measures import NO_VALUE, KeyColumn
from oncefold.core.timestamps import NANOS, UNIT_PLACES, format_timestamp
from oncefold.core.values import marker, plain, to_json, type_of_marker
from oncefold.deferred import Deferred

pc: Any = Deferred("pyarrow.compute")

_SPECIAL = r"[\\/\n\r\t]"
_MOST_LABEL_BYTES = 200
_MANY_CODES = 2**62
_FEW_CODES = 2**16
"""So many combinations of labels are numbered by a table of all."""


class TableDecoder:
    """Decodes tables for one pipeline; holds no state between them."""

    def __init__(self, pipeline: Pipeline, seed: Seed = FIXED_SEED) -> None:
        self._pipeline = pipeline
        self._seed = seed
        self._plan = plan_of(pipeline)
        self._scalar = Decoder(pipeline)
        by_column = not needs_scalar(pipeline)
        has_spans = by_column and bool(pipeline.expressions or pipeline.arrays) and not pipeline.timezones
        self._text = TextDecoder(pipeline, seed) if has_spans else None
        self._has_columns = by_column and not pipeline.expressions and not pipeline.arrays
        self._numbers: frozenset[object] = _numbers_of(pipeline) if self._has_columns else frozenset()

    def decode(self, table: pa.RecordBatch, source: str, first_row: int) -> Batch:
        """Rows of a table whose first is number `first_row` of its source."""
        rows = table.num_rows
        found = {field: self._column_of(table, field) for field in self._fields_in(table)}
        if self._text is not None:
            columns = self._text.of_fields(*fields_of_table(found, self._pipeline, rows))
        else:
            columns = BatchBuilder(rows, self._pipeline, np.zeros(8, np.uint8), self._seed)
        if self._has_columns:
            self._fill(found, columns)
        columns.where = range(first_row, first_row + rows)

        def record(row: int) -> dict[str, Any]:
            return {field.column: plain_value(column, row) for field, column in found.items() if column is not None}

        def whole_record(row: int) -> dict[str, Any]:
            return {**{name: plain_value(table.column(name), row) for name in named_once}, **record(row)}

        schema, keeps = table.schema, bool(self._pipeline.keep_events)
        named_once = [name for name in schema.names if len(schema.get_all_field_indices(name)) == 1] if keeps else []

        types = {str(field): column.type for field, column in found.items() if column is not None}
        ambiguous = {str(field): name for field in found if (name := typed.ambiguous_name(table, field))}

        def refusal(row: int, reason: str) -> Reject:
            field = reason.removeprefix("field ").partition(":")[0]
            if field in ambiguous:
                reason = f"field {field}: the name {ambiguous[field]!r} is twice in one struct"
            elif "cannot be a key or label" in reason and field in types:
                reason += f"; the column's type is {types[field]}"
            raw = to_json(whole_record(row) if keeps else record(row))
            return Reject(source, first_row + row, reason, raw, "table", size=len(raw))

        batch = columns.finish(lambda row: self._scalar.flat(record(row)), refusal)
        return replace(batch, whole=TableRecords(table, first_row)) if keeps else batch

    def _column_of(self, table: pa.RecordBatch, field: FieldPath) -> pa.Array | None:
        """The column of a field; decimals have 128 bits unless it is read as a number alone."""
        column = typed.column_of(table, field)
        return column if column is None or field in self._numbers else typed.wide(column)

    def _fields_in(self, table: pa.RecordBatch) -> Sequence[FieldPath]:
        """The fields to find; inside an envelope the decoder finds them, in whole columns."""
        if self._pipeline.envelope is None:
            return self._pipeline.fields
        return [FieldPath((name,)) for name in table.schema.names]

    def _fill(self, found: dict[Any, Any], columns: BatchBuilder) -> None:
        """Decode what can be decoded by the column; the other rows stay UNDECODED."""
        rows = len(columns.version)
        keys = self._keys(found, rows)
        data, offsets = spans_of(keys.texts)
        columns.data = read_only(data)
        spans = (columns.key_start, columns.key_length, columns.key_hash)
        measure_spans(columns.data, read_only(offsets), *spans, columns.seed)
        good = keys.good & (columns.key_length <= KEY_BYTES)
        good &= self._version(found, columns)
        good &= self._time(found, columns)
        deleted, understood = self._deleted(found, rows)
        good &= understood
        leaf, live = self._leaves(found, columns)
        live &= self._measures(found, columns)
        columns.measures[:, deleted] = 0
        columns.leaf[:] = np.where(good & (live | deleted), np.where(deleted, DELETE, leaf), columns.leaf)

    def _keys(self, found: dict[Any, Any], rows: int) -> Texts:
        parts = [typed.texts_of(found[field], rows) for field in self._pipeline.key]
        if len(parts) == 1:
            return parts[0]
        good = np.logical_and.reduce([part.good for part in parts])
        for part in parts:
            good &= ~np.asarray(pc.match_substring_regex(part.texts, _SPECIAL).to_numpy(zero_copy_only=False), np.bool_)
        texts = [pc.if_else(pc.equal(part.texts, ""), "\\e", part.texts).cast(pa.large_string()) for part in parts]
        joined = pc.binary_join_element_wise(*texts, pa.scalar("/", pa.large_string()))
        return Texts(joined, good, ~good)

    def _version(self, found: dict[Any, Any], columns: BatchBuilder) -> Mask:
        version, rows = self._pipeline.version, len(columns.version)
        if version is None:
            columns.version[:] = 0
            return np.ones(rows, np.bool_)
        column = found[version.field]
        if version.type == "timestamp":
            numbers = self._nanoseconds(column, rows, UNIT_PLACES[version.unit], int(self._plan.version[0, 3]))
        else:
            numbers = typed.scaled(column, rows, 0, rounds=False)
        columns.version = numbers.values
        return numbers.good

    def _time(self, found: dict[Any, Any], columns: BatchBuilder) -> Mask:
        time, rows = self._pipeline.time, len(columns.version)
        if time is None:
            columns.time.fill(NO_TIME)
            return np.ones(rows, np.bool_)
        nanos = self._nanoseconds(found[time.field], rows, UNIT_PLACES[time.unit], int(self._plan.time[2]))
        columns.time = np.where(nanos.good, nanos.values, NO_TIME)
        return nanos.good | nanos.missing

    def _nanoseconds(self, column: Any, rows: int, places: int, zone: int) -> typed.Integers:
        """Times; those that name no offset are of the zone."""
        return typed.nanoseconds(column, rows, places, zone, self._plan.zones)

    def _deleted(self, found: dict[Any, Any], rows: int) -> tuple[Mask, Mask]:
        """(which rows are deletes, for which that is known)."""
        delete = self._pipeline.delete
        column = None if delete is None else found[delete.field]
        if column is None:
            return np.zeros(rows, np.bool_), np.ones(rows, np.bool_)
        if pa.types.is_nested(column.type) or isinstance(column.type, pa.BaseExtensionType):
            return np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        verdicts = np.zeros((len(encoded.dictionary) + 1, 2), np.bool_)
        verdicts[-1] = (False, True)
        for code in range(len(encoded.dictionary)):
            try:
                verdicts[code] = (self._scalar.deletes(plain_value(encoded.dictionary, code)), True)
            except InvalidEvent:
                verdicts[code] = (False, False)
        codes = pc.fill_null(encoded.indices.cast(pa.int64()), len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        return verdicts[codes, 0], verdicts[codes, 1]

    def _measures(self, found: dict[Any, Any], columns: BatchBuilder) -> Mask:
        good = np.ones(len(columns.version), np.bool_)
        for index, column in enumerate(self._pipeline.columns):
            good &= self._column(found, column, columns, index)
        return good

    def _column(self, found: dict[Any, Any], column: KeyColumn, columns: BatchBuilder, index: int) -> Mask:
        """Fill what keys keep of a field; the rows for which it is known."""
        rows, into = len(columns.version), columns.measures[index]
        if column.form == "time":
            into[:] = columns.time
            return np.ones(rows, np.bool_)
        values = found[column.field]
        if column.form == "present":
            into[:] = 0 if values is None else ~nulls_of(values)
            return np.ones(rows, np.bool_)
        if column.form == "text":
            return self._texts(values, columns, into)
        numbers = typed.scaled(values, rows, column.scale, rounds=column.round is not None)
        keep_below(numbers.values, MEASURE_LIMIT, into, numbers.good)
        if column.missing == "null":
            into[numbers.missing] = NO_VALUE
        return numbers.good if column.missing == "reject" else numbers.good | numbers.missing

    def _texts(self, values: Any, columns: BatchBuilder, into: Int64s) -> Mask:
        texts = typed.texts_of(values, len(into))
        data, offsets = spans_of(texts.texts)
        before = np.zeros(0, np.uint8) if columns.texts is None else columns.texts
        columns.texts = np.concatenate([before, data[offsets[0] : offsets[-1]], np.zeros(8, np.uint8)])
        lengths = offsets[1:] - offsets[:-1]
        spans = (offsets[:-1] - offsets[0] + len(before)) << SPAN_BITS | lengths
        into[:] = np.where(texts.missing, NO_SPAN, spans)
        good: Mask = (texts.good & (lengths <= TEXT_BYTES)) | texts.missing
        return good

    def _leaves(self, found: dict[Any, Any], columns: BatchBuilder) -> tuple[Any, Mask]:
        """(leaf of each row among the batch's leaves, for which it is known)."""
        rows = len(columns.version)
        good = np.ones(rows, np.bool_)
        combined: Int64s = np.zeros(rows, np.int64)
        levels: list[tuple[pa.Array, int]] = []
        combinations = 1
        for number, level in enumerate(self._pipeline.levels):
            codes, labels, known = self._labels(found[level.field], level, number, rows)
            size = max(1, len(labels))
            combinations *= size
            if combinations >= _MANY_CODES:
                return np.zeros(rows, np.int32), np.zeros(rows, np.bool_)
            good &= known
            combine(read_only(codes), size, combined)
            levels.append((labels, size))
        leaf, distinct = _numbered(combined, good, combinations)
        if not len(distinct):
            return leaf, good
        numbers, short = self._add_leaves(columns, distinct, levels)
        return numbers[leaf], good & short[leaf]

    def _add_leaves(
        self, columns: BatchBuilder, distinct: Int64s, levels: list[tuple[pa.Array, int]]
    ) -> tuple[Int32s, Mask]:
        """Enter the distinct leaves; (number of each, which of them are plain)."""
        columns_of_labels: list[pa.Array] = []
        rest = distinct
        for labels, size in reversed(levels):
            rest, codes = np.divmod(rest, size)
            columns_of_labels.insert(0, _taken(labels, codes))
        leaves = encode_columns(columns_of_labels, len(distinct))
        data, offsets = spans_of(leaves)
        return columns.leaves.intern(Leaves(data, offsets)), (offsets[1:] - offsets[:-1]) <= MOST_LEAF_BYTES

    def _labels(self, column: Any, level: Level, number: int, rows: int) -> tuple[Int32s, pa.Array, Mask]:
        """(code of each row, the labels as large_binary, for which rows it is known)."""
        if level.window is None:
            codes, labels, good, missing = typed.categories_of(column, rows)
        else:
            nanos = self._nanoseconds(column, rows, UNIT_PLACES[level.unit], int(self._plan.levels[number, 10]))
            starts = np.where(nanos.good, nanos.values, 0)
            if level.window.timezone is None:
                window_seconds(starts, self._plan.levels, number)
            else:
                window_starts(starts, self._plan.levels, number, self._plan.zones)
            encoded = pa.array(starts).dictionary_encode()
            labels = pa.array(
                [level.window.label(start.as_py() * NANOS) for start in encoded.dictionary], pa.large_string()
            )
            codes, good, missing = encoded.indices.to_numpy(zero_copy_only=False), nanos.good, nanos.missing
        if level.missing is not None and missing.any():
            labels = pa.concat_arrays([labels, pa.array([level.missing], pa.large_string())])
            codes, good = np.where(missing, len(labels) - 1, codes), good | missing
        binary = labels.view(pa.large_binary())
        short = np.diff(spans_of(binary)[1]) <= _MOST_LABEL_BYTES
        return codes.astype(np.int32, copy=False), binary, good if short.all() else good & short[codes]


def _numbers_of(pipeline: Pipeline) -> frozenset[object]:
    """The fields that are read as numbers or times, and as nothing else."""
    numbers = {column.field for column in pipeline.columns if column.form == "number"}
    numbers |= {part.field for part in (pipeline.version, pipeline.time) if part is not None}
    others = {column.field for column in pipeline.columns if column.form != "number"}
    others |= {level.field for level in pipeline.levels} | {*pipeline.key_fields}
    others |= {pipeline.delete.field} if pipeline.delete is not None else set()
    return frozenset(numbers - others)


def _taken(labels: pa.Array, codes: Int64s) -> pa.Array:
    """The labels (large_binary) of these codes; empty ones where there are no labels at all."""
    if not len(labels):
        return binary_of([b""] * len(codes))
    return binary_of(texts_at(labels, codes)) if len(codes) <= FEW_LEAVES else labels.take(pa.array(codes))


def _numbered(values: Int64s, good: Mask, below: int) -> tuple[Int32s, Int64s]:
    """(number of each good row's value, 0 for the others; the values by number)."""
    leaf = np.zeros(len(values), np.int32)
    if below <= _FEW_CODES:
        numbers, distinct = np.full(below, -1, np.int32), np.empty(below, np.int64)
        return leaf, distinct[: number_by_appearance(values, good, numbers, distinct, leaf)]
    encoded = pa.array(values[good]).dictionary_encode()
    leaf[good] = encoded.indices.to_numpy(zero_copy_only=False)
    return leaf, encoded.dictionary.to_numpy(zero_copy_only=False)


def plain_value(column: pa.Array, row: int) -> Any:
    """One value as the scalar decoder reads it; times as their exact text, and of other types the name of the type."""
    if not column[row].is_valid:
        return None
    if not pa.types.is_temporal(column.type):
        return _untimed(column, row)
    try:
        if pa.types.is_timestamp(column.type):
            text = format_timestamp(column[row].value * typed.UNIT_NANOS[column.type.unit])
            return text if column.type.tz is not None else text.removesuffix("Z")
        return str(column[row].as_py())
    except (ValueError, OverflowError):
        # Beyond what a calendar can write; no text that could be taken for a time.
        return f"{column.type} {column[row].value}"


def _untimed(column: pa.Array, row: int) -> Any:
    """A value that is no time; for one that no field takes, or that Python cannot hold, a marker with its type."""
    try:
        value = plain(column[row].as_py())
    except (ValueError, ArithmeticError, LookupError):
        # A decimal of a scale beyond Python's, a struct with two fields of one name, a time within a list.
        return marker(str(column.type))
    return marker(str(column.type)) if isinstance(value, dict) and type_of_marker(value) else value
