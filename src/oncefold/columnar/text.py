"""Text blocks and single records to batches: the scanner for the plain records, the scalar decoder for the rest."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from oncefold.columnar.arrays import Int64s, UInt8s, read_only
from oncefold.columnar.batch import NOT_AN_EVENT, SCANNED, UNDECODED, Batch, BatchBuilder
from oncefold.columnar.conflicts import gathered
from oncefold.columnar.csv_scan import csv_scratch, record_ends, scan_csv
from oncefold.columnar.expression_kernel import derive_rows, derive_scratch
from oncefold.columnar.expression_plan import Programs, programs_of
from oncefold.columnar.faults import is_syntax
from oncefold.columnar.json_faults import classify_lines
from oncefold.columnar.json_scan import json_scratch, scan_json
from oncefold.columnar.plan import DecodePlan, columns_of, numbered_fields, plan_of, trie_of, width_of
from oncefold.columnar.primitives import FIXED_SEED, QUOTE, Seed, count_pairs, survey, trim_line_ends
from oncefold.columnar.verdicts import judged, sources_of, timed_of
from oncefold.columnar.whole import ItemRecords, KeptRecord, TextRecords, WholeRecords
from oncefold.commit import EventForm, Reject, RejectColumns
from oncefold.core.csv_record import csv_cells
from oncefold.core.decode import Decoder, syntax_fault
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

    def __init__(self, pipeline: Pipeline, seed: Seed = FIXED_SEED) -> None:
        self._pipeline = pipeline
        self._seed = seed
        self._plan = plan_of(pipeline)
        self._columns_of = columns_of(pipeline)
        self._flat_plan = plan_of(pipeline, self._columns_of)
        self._trie = trie_of(pipeline)
        self._programs = programs_of(pipeline, numbered_fields(pipeline))
        self._flat_programs = programs_of(pipeline, self._columns_of)
        self._width, self._flat_width = width_of(pipeline), width_of(pipeline, self._columns_of)
        self._scalar = Decoder(pipeline)
        self._sources, self._timed = sources_of(pipeline), timed_of(pipeline)
        self._defaults = sum(len((level.missing or "").encode()) for level in pipeline.levels)

    def json(self, block: bytes | memoryview, source: str, offset: int) -> Batch:
        """One JSON object per line; `offset` is that of the block in its source, in bytes."""
        data, size = _terminated(block)
        rows, backslashes, ascii_only = survey(data)
        columns = self._columns(rows, data)
        where = columns.where = np.zeros(rows, np.int64)
        keys, composed = self._keys(columns)
        whole, area = _with_area(data, self._programs, rows, backslashes)
        scratch = json_scratch(self._trie, self._plan, self._width, _pool_bytes(self._programs))
        faults = np.empty((rows, 4), np.int64)
        used, found = scratch[-1], _found_fields(self._programs, rows)
        columns.leaves.count = scan_json(
            whole,
            area,
            ascii_only or _is_utf8(data),
            self._trie,
            self._plan,
            found,
            (columns.version, columns.leaf, columns.measures, columns.time),
            where,
            keys,
            columns.leaves.table,
            faults,
            scratch,
        )
        if len(self._programs.ends):
            self._derive(whole, area, used, self._plan, self._programs, found, columns, keys)
        self._set_data(columns, whole[: len(data) + used[0]], composed)
        left = _Left(columns, where, np.append(where[1:], size), data, whole, faults)
        if len(left.rows):
            classify_lines(data, left.rows, left.starts, left.ends, faults)

        enveloped = self._pipeline.envelope is not None

        def event(raw: bytes, fault: int) -> Event | None:
            record = _unpadded(raw, columns)
            if not record.strip(b" \t\r"):
                return None
            if is_syntax(fault) and (reason := syntax_fault(record, takes_null=enveloped)) is not None:
                raise InvalidEvent(reason)
            return self._scalar.json(record)

        where += offset
        return self._whole(self._finish(left, event, (source, "json", ""), offset), EventForm("json"), left, offset)

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
        whole, area = _with_area(data, self._flat_programs, len(ends), count_pairs(data, QUOTE))
        scratch = csv_scratch(self._flat_plan, self._flat_width, _pool_bytes(self._flat_programs))
        used, found = scratch[-1], _found_fields(self._flat_programs, len(ends))
        faults = np.empty((len(ends), 4), np.int64)
        columns.leaves.count = scan_csv(
            whole,
            area,
            _is_utf8(data),
            (self._fields_in(header), ord(delimiter)),
            self._flat_plan,
            found,
            (columns.version, columns.leaf, columns.measures, columns.time),
            ends,
            keys,
            columns.leaves.table,
            faults,
            scratch,
        )
        if len(self._flat_programs.ends):
            self._derive(whole, area, used, self._flat_plan, self._flat_programs, found, columns, keys)
        self._set_data(columns, whole[: len(data) + used[0]], composed)
        left = _Left(columns, where, np.minimum(ends, size), data, whole, faults)

        def event(raw: bytes, _: int) -> Event | None:
            record = _unpadded(raw, columns)
            return decode_csv(self._scalar, record, header, delimiter) if record else None

        where += offset
        context = json.dumps([delimiter, *header], ensure_ascii=False)
        batch = self._finish(left, event, (source, "csv", context), offset)
        return self._whole(batch, EventForm("csv", context), left, offset)

    def _whole(self, batch: Batch, form: EventForm, left: "_Left", offset: int) -> Batch:
        """The batch, with its whole records where the definition keeps them."""
        if not self._pipeline.keep_events:
            return batch
        return replace(batch, whole=TextRecords(form, left.data, left.where, left.size, offset))

    def of_fields(self, data: UInt8s, found: tuple[Int64s, Int64s, Int64s]) -> BatchBuilder:
        """Rows whose fields are spans of `data`, for expressions or arrays; the builder is still to finish."""
        rows = len(found[0])
        columns = self._columns(rows, data)
        columns.leaf.fill(SCANNED)
        keys, composed = self._keys(columns)
        whole, area = _with_area(data, self._programs, rows, 0)
        used = np.array([_pool_bytes(self._programs)], np.int64)
        self._derive(whole, area, used, self._plan, self._programs, found, columns, keys)
        self._set_data(columns, whole[: len(data) + used[0]], composed)
        return columns

    def _set_data(self, columns: BatchBuilder, whole: UInt8s, composed: UInt8s | None) -> None:
        """Say what keys and texts are spans of."""
        columns.data = whole if composed is None else composed
        columns.texts = whole if self._pipeline.layout.texts else None

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
        columns.leaves.count = derive_rows(
            whole,
            area,
            used,
            plan,
            programs,
            found,
            (columns.version, columns.leaf, columns.measures, columns.time),
            keys,
            columns.leaves.table,
            derive_scratch(plan, programs),
        )

    def _finish(
        self, left: "_Left", event: Callable[[bytes, int], Event | None], form: tuple[str, str, str], offset: int
    ) -> Batch:
        """Judge the rows that the kernels left, and close the batch. `form` is the source, format and context."""
        columns = left.columns
        if not len(left.rows):
            return columns.filled([], ())
        verdicts = judged(
            left.rows,
            left.faults,
            left.whole,
            lambda row, fault: event(left.raw(row), fault),
            self._sources,
            self._time_fault,
        )
        columns.leaf[verdicts.blank] = NOT_AN_EVENT
        columns.leaf[verdicts.ignored] = NOT_AN_EVENT
        columns.leaf[verdicts.refused] = NOT_AN_EVENT
        refused = np.searchsorted(left.rows, verdicts.refused)
        starts = left.starts[refused]
        raws = gathered(left.data, starts, left.ends[refused] - starts)
        rejects = RejectColumns(*form, starts + offset, verdicts.reason, verdicts.reasons, raws)
        return columns.filled(verdicts.events, rejects, verdicts.ignored)

    def _time_fault(self, number: int, text: str) -> str | None:
        return self._scalar.time_fault(self._timed[number], text)

    def _fields_in(self, header: Sequence[str]) -> Int64s:
        """The field of each column, or -1. No row fits a layout without columns: the scalar decoder judges them all."""
        numbers = {field.column: number for field, number in self._columns_of.items()}
        wanted = [name for name in header if name in numbers]
        is_named_twice = len(set(wanted)) < len(wanted)
        return np.array([] if is_named_twice else [numbers.get(name, -1) for name in header], np.int64)

    def _columns(self, rows: int, data: UInt8s) -> BatchBuilder:
        columns = BatchBuilder(rows, self._pipeline, data, self._seed)
        levels = len(self._pipeline.levels)
        # The labels of an array's elements have marks of two bytes behind them, which one of a digit alone outgrows.
        size = len(data) * (2 if self._pipeline.arrays else 1)
        columns.reserve_leaves(levels * size + rows * (levels * _LEAF_OVERHEAD + self._defaults))
        return columns

    def _keys(self, columns: BatchBuilder) -> tuple[tuple[object, ...], UInt8s | None]:
        """The key columns for the kernels; composed keys get bytes of their own."""
        composed = None
        if len(self._pipeline.key) > 1:
            room = len(columns.data) + len(columns.version) * 3 * len(self._pipeline.key)
            composed = np.empty(len(self._pipeline.key) * room, np.uint8)
        used = np.zeros(1, np.int64)
        target = np.empty(1, np.uint8) if composed is None else composed
        return (columns.key_start, columns.key_length, columns.key_hash, target, used, columns.seed), composed


class _Left:
    """The rows that the kernels left to the scalar decoder."""

    def __init__(
        self, columns: BatchBuilder, where: Int64s, ends: Int64s, data: UInt8s, whole: UInt8s, faults: Int64s
    ) -> None:
        """Record i is data[where[i] : ends[i]]; `whole` is the block with the texts without their escapes behind it."""
        self.columns, self.data, self.whole, self.faults = columns, data, whole, faults
        self.where, self.size = where, int(ends[-1]) if len(ends) else 0
        self.rows = np.flatnonzero(columns.leaf == UNDECODED)
        self.starts, self.ends = where[self.rows], ends[self.rows]
        """Of each of `rows`, without its line end."""
        trim_line_ends(data, self.starts, self.ends)

    def raw(self, row: int) -> bytes:
        """The bytes of a row that is among `rows`."""
        at = int(np.searchsorted(self.rows, row))
        return self.data[self.starts[at] : self.ends[at]].tobytes()


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


def _with_area(data: UInt8s, programs: Programs, rows: int, escapes: int) -> tuple[UInt8s, UInt8s]:
    """The block with so many escapes with memory behind it, and that memory, of length 1 if nothing is written there.

    It is for texts without their escapes, and for the results of expressions, behind the texts of their constants.
    """
    size = len(data) if escapes else 0
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

    def __init__(self, pipeline: Pipeline, seed: Seed = FIXED_SEED) -> None:
        self._seed = seed
        self._scalar = Decoder(pipeline)
        self._pipeline = pipeline
        self._keeps = pipeline.keep_events

    def mappings(self, records: Sequence[Mapping[str, Any]], source: str, first: int = 0) -> Batch:
        """Python mappings, nested as the paths are, the first of them at `first`; anything else is rejected."""

        def event(row: int) -> Event:
            if not isinstance(records[row], Mapping):
                raise InvalidEvent(f"{type(records[row]).__name__} is not a mapping of names to values")
            return self._scalar.record(records[row])

        def refusal(row: int, reason: str) -> Reject:
            raw = to_json(plain(records[row]))
            return Reject(source, first + row, reason, raw, "item", size=len(raw))

        return self._batch(len(records), 0, event, refusal, ItemRecords(records))

    def again(self, reject: Reject) -> Batch:
        """A rejected mapping, or a rejected row of a table, both kept as JSON."""

        def event(_: int) -> Event:
            record = from_json(reject.raw)
            if not isinstance(record, Mapping):
                raise InvalidEvent("it is not a mapping of names to values")
            return self._scalar.flat(record) if reject.format == "table" else self._scalar.record(record)

        whole = KeptRecord(EventForm("table" if reject.format == "table" else "item"), reject.raw)
        return self._batch(1, reject.position, event, lambda _, reason: replace(reject, reason=reason), whole)

    def _batch(
        self,
        rows: int,
        first: int,
        event: Callable[[int], Event],
        refusal: Callable[[int, str], Reject],
        whole: WholeRecords,
    ) -> Batch:
        columns = BatchBuilder(rows, self._pipeline, np.zeros(8, np.uint8), self._seed)
        columns.where = range(first, first + rows)
        batch = columns.finish(event, refusal)
        return replace(batch, whole=whole) if self._keeps else batch
