"""CSV (RFC 4180) to fields: a strict reader of the plain majority of rows.

Quotes open only at the start of a cell. The text of a cell with a doubled quote is written into `area`, memory behind
the block in the same array. A row with a quote elsewhere or another number of cells than the header is left to the
scalar decoder.
"""

from typing import Any

import numpy as np

from oncefold.columnar.arrays import Int64s, UInt8s
from oncefold.columnar.batch import NOT_AN_EVENT, UNDECODED
from oncefold.columnar.faults import CELLS, UNKNOWN, count_cells, fill_row, is_utf8, note_encoding
from oncefold.columnar.field_kinds import EMPTY, MISSING, STRING
from oncefold.columnar.leaves import leaf_scratch
from oncefold.columnar.plan import DecodePlan
from oncefold.columnar.primitives import NEWLINE, QUOTE, count_newlines, shift_of
from oncefold.columnar.row_kernels import DELETED, LIVE, NOT_PLAIN, prepare
from oncefold.columnar.row_plan import NO_ENVELOPE
from oncefold.kernels.declare import inlined, kernel

_RETURN = 13


def record_ends(data: UInt8s, delimiter: int) -> Int64s:
    """Where each record ends (past its newline); newlines inside quotes do not end one. `data` ends in a newline."""
    ends = np.empty(count_newlines(data) + 1, np.int64)
    return ends[: _record_ends(data, delimiter, ends)]


@kernel("const u8[], i64, i64[]", returns="i64")
def _record_ends(data: Any, delimiter: int, ends: Any) -> int:
    count = 0
    quoted = False
    opens = True
    n = len(data)
    for i in range(n):
        byte = data[i]
        # A quote opens a cell at its start, and opens it again right after one that closed (a doubled quote).
        if byte == QUOTE:
            quoted, opens = not quoted and opens, quoted
        elif not quoted:
            opens = byte == delimiter or byte == NEWLINE
        if (byte == NEWLINE and not quoted) or i == n - 1:
            ends[count] = i + 1
            count += 1
    return count


def csv_scratch(plan: DecodePlan, width: int, used: int) -> tuple[Any, ...]:
    """Scratch space for `scan_csv`: fields (kinds, starts, ends), encoded leaf, used of `area`."""
    fields = (np.zeros(width, np.int64), np.zeros(width, np.int64), np.zeros(width, np.int64))
    return fields, leaf_scratch(len(plan.levels)), np.array([used], np.int64)


@kernel(
    "const u8[], u8[], bool, (const i64[], i64)",
    DecodePlan,
    "(i64[,], i64[,], i64[,])",
    "(i64[], i32[], i64[,], i64[]), const i64[], (i64[], i32[], u32[], u8[], i64[], const u64[])",
    "(u64[], u8[], i64[], const u64[]), i64[,], ((i64[], i64[], i64[]), (u8[], i64[,]), i64[])",
    returns="i64",
)
def scan_csv(
    data: Any,
    area: Any,
    utf8: bool,
    layout: Any,
    plan: Any,
    found: Any,
    columns: Any,
    ends: Any,
    keys: Any,
    table: Any,
    faults: Any,
    scratch: Any,
) -> int:
    """Read every record; gives the number of distinct leaves. Rows are marked as by `scan_json`.

    `layout` is (field of each column or -1, delimiter). `area` is the end of `data`, behind the block, and can be
    written. Without it, of length 1, rows with doubled quotes are left to the scalar decoder.
    """
    column_fields, delimiter = layout
    fields, encoded, used = scratch
    kinds, starts, stops = fields
    leaf = columns[1]
    shift = shift_of(table[0])
    count = 0
    start = 0
    for r in range(len(ends)):
        end = ends[r] - 1
        while end > start and data[end - 1] == _RETURN:
            end -= 1
        if end == start:
            leaf[r] = NOT_AN_EVENT
        else:
            kinds[:] = MISSING
            row_utf8 = utf8 or is_utf8(data, start, end)
            plain = data[start] != 0 and _row(
                data, area, used, start, end, row_utf8, column_fields, delimiter, kinds, starts, stops
            )
            verdict = LIVE
            if plain and plan.rows.needed[0] != 0:
                verdict = NOT_PLAIN
                if plan.rows.needed[1] == NO_ENVELOPE:
                    verdict = prepare(data, fields, plan.rows, plan.keys)
            if plain and verdict != NOT_PLAIN and plan.scalar_only[0] == 0:
                gone = verdict == DELETED
                count = fill_row(
                    data, fields, plan, gone, r, columns, keys, table, count, encoded, shift, found, faults
                )
            else:
                leaf[r] = UNDECODED
                faults[r, 0] = UNKNOWN
                if not row_utf8 and data[start] != 0:
                    note_encoding(data, start, end, faults, r)
                elif not plain and len(column_fields) > 0 and data[start] != 0:
                    cells = count_cells(data, start, end, row_utf8, delimiter)
                    if cells >= 0 and cells != len(column_fields):
                        faults[r, 0] = CELLS
                        faults[r, 1] = cells
        start = ends[r]
    return count


@inlined
def _row(
    data: Any,
    area: Any,
    used: Any,
    i: int,
    end: int,
    utf8: bool,
    fields: Any,
    delimiter: int,
    kinds: Any,
    starts: Any,
    stops: Any,
) -> bool:
    """Find the cells of data[i:end]; False if the row is not plain."""
    column = 0
    while True:
        quoted = i < end and data[i] == QUOTE
        if quoted:
            i += 1
        start = i
        while i < end and data[i] != QUOTE and (quoted or data[i] != delimiter):
            if (data[i] >= 128 and not utf8) or (not quoted and (data[i] == _RETURN or data[i] == NEWLINE)):
                return False
            i += 1
        stop = i
        if quoted:
            if i == end or data[i] != QUOTE:
                return False
            if i + 1 < end and data[i + 1] == QUOTE:
                i, past = _unquote(data, area, used[0], start, end, utf8)
                if i < 0:
                    return False
                start, stop = len(data) - len(area) + used[0], len(data) - len(area) + past
                used[0] = past
            i += 1
        if i < end and data[i] != delimiter:
            return False
        if column == len(fields):
            return False
        field = fields[column]
        column += 1
        if field >= 0:
            kinds[field] = STRING if stop > start else EMPTY
            starts[field] = start
            stops[field] = stop
        if i == end:
            return column == len(fields)
        i += 1


@kernel
def _unquote(data: Any, area: Any, at: int, i: int, end: int, utf8: bool) -> Any:
    """Write a quoted cell whose text begins at i into area[at:], each pair of quotes as one.

    Gives (its closing quote, where it ends in `area`), or (-1, at) if it is not plain.
    """
    if at + end - i >= len(area):
        return np.int64(-1), at
    out = at
    while i < end and (utf8 or data[i] < 128):
        if data[i] == QUOTE:
            if i + 1 == end or data[i + 1] != QUOTE:
                return i, out
            i += 1
        area[out] = data[i]
        out += 1
        i += 1
    return np.int64(-1), at
