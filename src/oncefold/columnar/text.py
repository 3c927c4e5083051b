"""Text blocks and single records to batches: the scanner for the plain records, the scalar decoder for the rest."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from oncefold.columnar.arrays import Int64s, UInt8s, read_only
from oncefold.columnar.batch import SCANNED, Batch, BatchBuilder
from oncefold.columnar.csv_scan import csv_scratch, record_ends, scan_csv
from oncefold.columnar.expression_kernel import derive_rows, derive_scratch
from oncefold.columnar.expression_plan import Programs, programs_of
from oncefold.columnar.json_scan import json_scratch, scan_json
from oncefold.columnar.plan import DecodePlan, columns_of, fields_of, plan_of, trie_of, width_of
from oncefold.columnar.primitives import BACKSLASH, count_byte, count_newlines
from oncefold.commit import Reject
from oncefold.core.csv_record import csv_cells
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import Event
from oncefold.core.values import from_json, plain, to_json

_LEAF_OVERHEAD = 24
"""Bytes that a label may take beyond those of the record: its length, or a window's text."""


_RESULT_BYTES = 80
"""Room for the result of an expression, and for what it takes on the way, besides as much as the record itself."""


class TextDecoder:
    """Decodes blocks of whole records for one pipeline; holds no state between blocks."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._plan = plan_of(pipeline)
        self._columns_of = columns_of(pipeline)
        self._flat_plan = plan_of(pipeline, self._columns_of)
        self._trie = trie_of(pipeline)
        self._programs = programs_of(pipeline, {field: index for index, field in enumerate(fields_of(pipeline))})
        self._flat_programs = programs_of(pipeline, self._columns_of)
        self._width, self._flat_width = width_of(pipeline), width_of(pipeline, self._columns_of)
        self._scalar = Decoder(pipeline)
        self._defaults = sum(len((level.missing or "").encode()) for level in pipeline.levels)

    def json(self, block: bytes | memoryview, source: str, offset: int) -> Batch:
        """One JSON object per line; `offset` is that of the block in its source, in bytes."""
        data, size = _terminated(block)
        rows = count_newlines(data)
        columns = self._columns(rows, data)
        where = columns.where = np.zeros(rows, np.int64)
        keys, composed = self._keys(columns)
        whole, area = _with_area(data, self._programs, rows)
        scratch = json_scratch(self._trie, self._width, _pool_bytes(self._programs))
        used, found = scratch[-1], _found_fields(self._programs, rows)
        columns.leaves.count = scan_json(
            whole,
            area,
            _is_utf8(data),
            self._trie,
            self._plan,
            found,
            (columns.version, columns.leaf, columns.measures, columns.time),
            where,
            keys,
            (columns.leaves.slots, columns.leaves.data, columns.leaves.offsets),
            scratch,
        )
        self._derive(whole, area, used, self._plan, self._programs, found, columns, keys)
        columns.data = whole[: len(data) + used[0]] if composed is None else composed
        ends = np.append(where[1:], size)

        def raw(row: int) -> bytes:
            return data[where[row] : ends[row]].tobytes().rstrip(b"\r\n")

        def event(row: int) -> Event | None:
            record = _unpadded(raw(row), columns)
            return self._scalar.json(record) if record.strip(b" \t\r") else None

        def refusal(row: int, reason: str) -> Reject:
            text = raw(row)
            return Reject(source, offset + int(where[row]), reason, text, "json", size=len(text))

        batch = columns.finish(event, refusal)
        where += offset
        return batch

    def csv(
        self, block: bytes | memoryview, source: str, offset: int, header: Sequence[str], delimiter: str = ","
    ) -> Batch:
        """RFC 4180 rows; the header says which column is which field."""
        data, size = _terminated(block)
        ends = record_ends(data, ord(delimiter))
        columns = self._columns(len(ends), data)
        where = columns.where = np.zeros(len(ends), np.int64)
        where[1:] = ends[:-1]
        keys, composed = self._keys(columns)
        found = _found_fields(self._flat_programs, len(ends))
        columns.leaves.count = scan_csv(
            data,
            _is_utf8(data),
            (self._fields_in(header), ord(delimiter)),
            self._flat_plan,
            found,
            (columns.version, columns.leaf, columns.measures, columns.time),
            ends,
            keys,
            (columns.leaves.slots, columns.leaves.data, columns.leaves.offsets),
            csv_scratch(self._flat_width),
        )
        whole, area = _with_area(data, self._flat_programs, len(ends), escaped=False)
        used = np.array([_pool_bytes(self._flat_programs)], np.int64)
        self._derive(whole, area, used, self._flat_plan, self._flat_programs, found, columns, keys)
        columns.data = whole[: len(data) + used[0]] if composed is None else composed

        def raw(row: int) -> bytes:
            return data[where[row] : min(int(ends[row]), size)].tobytes().rstrip(b"\r\n")

        def refusal(row: int, reason: str) -> Reject:
            text = raw(row)
            context = json.dumps([delimiter, *header], ensure_ascii=False)
            return Reject(source, offset + int(where[row]), reason, text, "csv", context, len(text))

        def event(row: int) -> Event | None:
            record = _unpadded(raw(row), columns)
            return decode_csv(self._scalar, record, header, delimiter) if record else None

        batch = columns.finish(event, refusal)
        where += offset
        return batch

    def of_fields(self, data: UInt8s, found: tuple[Int64s, Int64s, Int64s]) -> BatchBuilder:
        """Rows whose fields are spans of `data`, of a definition with expressions; the builder is still to finish."""
        rows = len(found[0])
        columns = self._columns(rows, data)
        columns.leaf.fill(SCANNED)
        keys, composed = self._keys(columns)
        whole, area = _with_area(data, self._programs, rows, escaped=False)
        used = np.array([_pool_bytes(self._programs)], np.int64)
        self._derive(whole, area, used, self._plan, self._programs, found, columns, keys)
        columns.data = whole[: len(data) + used[0]] if composed is None else composed
        return columns

    def _derive(
        self,
        whole: UInt8s,
        area: UInt8s,
        used: Int64s,
        plan: DecodePlan,
        programs: Programs,
        found: tuple[Int64s, Int64s, Int64s],
        columns: BatchBuilder,
        keys: tuple[object, ...],
    ) -> None:
        """Compute the expressions of the records whose fields were found, and fill their rows."""
        if len(programs.ends):
            columns.leaves.count = derive_rows(
                whole,
                area,
                used,
                plan,
                programs,
                found,
                (columns.version, columns.leaf, columns.measures, columns.time),
                keys,
                (columns.leaves.slots, columns.leaves.data, columns.leaves.offsets),
                derive_scratch(programs),
            )

    def _fields_in(self, header: Sequence[str]) -> Int64s:
        """The field of each column, or -1. No row fits a layout without columns: the scalar decoder judges them all."""
        numbers = {field.column: number for field, number in self._columns_of.items()}
        wanted = [name for name in header if name in numbers]
        is_named_twice = len(set(wanted)) < len(wanted)
        return np.array([] if is_named_twice else [numbers.get(name, -1) for name in header], np.int64)

    def _columns(self, rows: int, data: UInt8s) -> BatchBuilder:
        columns = BatchBuilder(rows, len(self._pipeline.measures), data, wide=self._pipeline.has_wide_versions)
        levels = len(self._pipeline.levels)
        columns.reserve_leaves(levels * len(data) + rows * (levels * _LEAF_OVERHEAD + self._defaults))
        return columns

    def _keys(self, columns: BatchBuilder) -> tuple[tuple[object, ...], UInt8s | None]:
        """The key columns for the kernels; composed keys get bytes of their own."""
        composed = None
        if len(self._pipeline.key) > 1:
            room = len(columns.data) + len(columns.version) * 3 * len(self._pipeline.key)
            composed = np.empty(len(self._pipeline.key) * room, np.uint8)
        used = np.zeros(1, np.int64)
        target = np.empty(1, np.uint8) if composed is None else composed
        return (columns.key_start, columns.key_length, columns.key_hash, target, used), composed


def _unpadded(raw: bytes, columns: BatchBuilder) -> bytes:
    """A record without the NUL bytes in front of it, which are counted: a crash or a rotation leaves them in a log."""
    record = raw.lstrip(b"\0")
    columns.padding += len(raw) - len(record)
    return record


def decode_csv(decoder: Decoder, raw: bytes, header: Sequence[str], delimiter: str) -> Event:
    """One CSV record by the scalar decoder, NUL bytes in front of it left out. Raises InvalidEvent."""
    return decoder.csv(header, csv_cells(raw, delimiter))


def csv_layout(context: str) -> tuple[str, list[str]]:
    """(delimiter, header) of a rejected CSV record, from the reject's context."""
    delimiter, *header = json.loads(context)
    return delimiter, header


def _terminated(block: bytes | memoryview) -> tuple[UInt8s, int]:
    """The block as an array whose last record ends in a newline, and its own size."""
    data = np.frombuffer(block, np.uint8)
    if not len(data) or data[-1] == 10:
        return read_only(data), len(data)
    return read_only(np.append(data, np.uint8(10))), len(data)


def _pool_bytes(programs: Programs) -> int:
    """How much of the memory behind a block the texts of constants take."""
    return len(programs.pool) if len(programs.ends) else 0


def _found_fields(programs: Programs, rows: int) -> tuple[Int64s, Int64s, Int64s]:
    """Room for the fields of all records (kinds, starts, ends); none without expressions."""
    shape = (rows, int(programs.first[0])) if len(programs.ends) else (0, 1)
    return np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64)


def _with_area(data: UInt8s, programs: Programs, rows: int, *, escaped: bool = True) -> tuple[UInt8s, UInt8s]:
    """The block with memory behind it, and that memory, of length 1 if nothing is written there.

    It is for texts without their escapes, and for the results of expressions, behind the texts of their constants.
    """
    size = len(data) if escaped and count_byte(data, BACKSLASH) else 0
    if len(programs.ends):
        size += len(programs.pool) + len(data) + rows * len(programs.ends) * _RESULT_BYTES
    if not size:
        return data, np.empty(1, np.uint8)
    whole = np.empty(len(data) + size + 8, np.uint8)
    whole[: len(data)] = data
    if len(programs.ends):
        whole[len(data) : len(data) + len(programs.pool)] = programs.pool
    return read_only(whole), whole[len(data) :]


def _is_utf8(data: UInt8s) -> bool:
    """Whether the whole block is valid UTF-8, found without copying it."""
    offsets = pa.py_buffer(np.array([0, len(data)], np.int64))
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(data)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


class RecordDecoder:
    """Decodes records one by one."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._scalar = Decoder(pipeline)
        self._measures, self._wide = len(pipeline.measures), pipeline.has_wide_versions

    def mappings(self, records: Sequence[Mapping[str, Any]], source: str) -> Batch:
        """Python mappings, nested as the paths are; anything else among them is rejected."""

        def event(row: int) -> Event:
            if not isinstance(records[row], Mapping):
                raise InvalidEvent(f"{type(records[row]).__name__} is not a mapping of names to values")
            return self._scalar.record(records[row])

        def refusal(row: int, reason: str) -> Reject:
            raw = to_json(plain(records[row]))
            return Reject(source, row, reason, raw, "item", size=len(raw))

        return self._batch(len(records), 0, event, refusal)

    def again(self, reject: Reject) -> Batch:
        """A rejected mapping, or a rejected row of a table, both kept as JSON."""

        def event(_: int) -> Event:
            record = from_json(reject.raw)
            if not isinstance(record, Mapping):
                raise InvalidEvent("it is not a mapping of names to values")
            return self._scalar.flat(record) if reject.format == "table" else self._scalar.record(record)

        return self._batch(1, reject.position, event, lambda _, reason: replace(reject, reason=reason))

    def _batch(
        self, rows: int, first: int, event: Callable[[int], Event], refusal: Callable[[int, str], Reject]
    ) -> Batch:
        columns = BatchBuilder(rows, self._measures, np.zeros(8, np.uint8), wide=self._wide)
        columns.where = range(first, first + rows)
        return columns.finish(event, refusal)
