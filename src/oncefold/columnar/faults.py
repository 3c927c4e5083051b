"""Classes of bad records, found by kernels, so that the scalar decoder judges one record of each and not all of them.

A class is a fault and a number. All records of one are refused for the same reason, or for reasons that differ in the
text of one value alone; what that reason is, and whether there is one at all, the scalar decoder says.
"""

from typing import Any

from oncefold.columnar.assemble import assemble, keep_fields, truth
from oncefold.columnar.batch import SCANNED, UNDECODED
from oncefold.columnar.field_kinds import EMPTY, FALSE, MISSING, NUMBER, OTHER, STRING, TRUE
from oncefold.columnar.label_kernels import MOST_LEAF_BYTES, is_integer
from oncefold.columnar.parse_kernels import is_digit, parse_scaled, parse_time
from oncefold.columnar.plan import (
    COLUMN_NUMBER,
    COLUMN_PRESENT,
    COLUMN_TIME,
    DELETE_EQUALS,
    MISSING_REJECTS,
    OF_TIME,
)
from oncefold.columnar.primitives import MINUS, NEWLINE, PLUS, POINT, QUOTE, ZERO
from oncefold.core.limits import KEY_BYTES, LABEL_BYTES, MEASURE_DIGITS, MEASURE_LIMIT, TEXT_BYTES
from oncefold.kernels.byte_spans import equal_bytes
from oncefold.kernels.declare import inlined, kernel

FINE = -1
UNKNOWN = 0
"""The scalar decoder judges this record by itself."""

IS_MISSING, IS_TRUE, IS_FALSE, IS_ARRAY, TOO_LONG = 1, 2, 3, 4, 5
"""Faults of a field; the number is the field's, counted in the order in which the scalar decoder reads fields."""

NO_NUMBER, TOO_FINE, OUT_OF_RANGE, NO_WHOLE_NUMBER, NO_BOOLEAN = 6, 7, 8, 9, 10
"""The same, and the reason begins with the value."""

ODD_TIME = 11
"""The same; the time is not in one of the common forms, or the version is no number.

If the field is refused, the reason depends on its text alone.
"""

CELLS = 12
"""A row of so many cells, which is not the header's number."""

NO_VALUE, NO_COMMA, EXTRA, UNTERMINATED, CONTROL, NO_NAME, NO_COLON = 13, 14, 15, 16, 17, 18, 19
"""Faults of JSON; the number is the byte of the record at which it shows, and all its bytes are ASCII."""

UNREAD = 20
"""The record's form was not understood: it may be no JSON."""

NOT_UTF8 = 21
"""The number is the byte of the record at which the first text that is no UTF-8 begins, times 256, and that byte."""

_VALUED = (NO_NUMBER, NO_BOOLEAN)
_AS_VERSION, _AS_MEASURE = 0, 1
_SYNTAX = (NO_VALUE, NOT_UTF8)
_MOST_DIGITS = 19
"""Of a number whose magnitude is below a limit of 19 digits."""
_OPEN_LIST, _LOWER_E, _UPPER_E = 91, 101, 69


def has_value(fault: int) -> bool:
    """Whether the reasons of a class differ in the text of a value."""
    return _VALUED[0] <= fault <= _VALUED[1]


def is_syntax(fault: int) -> bool:
    """Whether the record is no JSON, or may be none."""
    return _SYNTAX[0] <= fault <= _SYNTAX[1]


@inlined
def fill_row(
    data: Any,
    fields: Any,
    plan: Any,
    gone: bool,
    r: int,
    columns: Any,
    keys: Any,
    table: Any,
    count: int,
    scratch: Any,
    shift: Any,
    found: Any,
    faults: Any,
) -> Any:
    """Fill row r from the fields of a plain record, or keep them in `found` for its expressions.

    Gives the number of distinct leaves after it. The rest is that of `assemble`; what it leaves UNDECODED is diagnosed.
    """
    leaf = columns[1]
    if len(found[0]) > 0:
        keep_fields(fields, found, r)
        leaf[r] = SCANNED
        faults[r, 0] = UNKNOWN
    else:
        count = assemble(data, fields, plan, gone, r, columns, keys, table, count, scratch, shift)
        if leaf[r] == UNDECODED:
            kinds, starts, ends = fields
            diagnose(data, kinds, starts, ends, plan, faults, r)
    return count


@kernel
def diagnose(data: Any, kinds: Any, starts: Any, ends: Any, plan: Any, faults: Any, r: int) -> None:
    """Write the first fault of a record whose fields are known to faults[r]: (fault, number, the value's span).

    The fields are looked at in the order of the scalar decoder. Where it may find no fault, or one that has no class,
    the fault is UNKNOWN, as it is in envelopes, zones and other spellings than the common ones.
    """
    if plan.has_classes[0] == 0:
        _note(faults, r, UNKNOWN, 0, 0, 0)
        return
    number = 0
    size = 0
    for k in range(len(plan.keys)):
        f = plan.keys[k]
        fault = _of_text(data, kinds[f], starts[f], ends[f], KEY_BYTES if len(plan.keys) == 1 else 1 << 30)
        if fault != FINE:
            _note(faults, r, fault, number, starts[f], ends[f])
            return
        size += 2 * (ends[f] - starts[f]) + 3
        number += 1
    if len(plan.keys) > 1 and size > KEY_BYTES:
        _note(faults, r, UNKNOWN, 0, 0, 0)
        return
    if plan.version.shape[0] > 0:
        f = plan.version[0, 0]
        if plan.version[0, 2] == OF_TIME:
            fault = _of_time(data, kinds[f], starts[f], ends[f], plan.version[0, 1])
        else:
            fault = _of_number(data, kinds[f], starts[f], ends[f], 0, 0, _AS_VERSION)
            if fault == NO_NUMBER:  # the reason guesses the type from the text
                fault = ODD_TIME
        if fault != FINE:
            _note(faults, r, fault, number, starts[f], ends[f])
            return
    f = plan.time[0]
    if f >= 0 and kinds[f] != MISSING and kinds[f] != EMPTY:
        fault = _of_time(data, kinds[f], starts[f], ends[f], plan.time[1])
        if fault != FINE:
            _note(faults, r, fault, number + 1, starts[f], ends[f])
            return
    f = plan.delete[0]
    if f >= 0 and kinds[f] != MISSING:
        fault = _of_delete(data, kinds[f], starts[f], ends[f], plan.delete[1], plan.delete_equals)
        if fault != FINE:
            _note(faults, r, fault, number + 2, starts[f], ends[f])
            return
    number += 3
    size = 0
    for v in range(plan.levels.shape[0]):
        f = plan.levels[v, 0]
        windowed = plan.levels[v, 1] == 1
        if kinds[f] == MISSING or (windowed and kinds[f] == EMPTY):
            fault = FINE if plan.levels[v, 8] == 1 else IS_MISSING
            size += plan.default_ends[v + 1] - plan.default_ends[v]
        elif windowed:
            fault = _of_time(data, kinds[f], starts[f], ends[f], plan.levels[v, 2])
            size += plan.levels[v, 7]
        else:
            fault = _of_text(data, kinds[f], starts[f], ends[f], LABEL_BYTES)
            size += ends[f] - starts[f]
        if fault != FINE:
            _note(faults, r, fault, number, starts[f], ends[f])
            return
        size += 2
        number += 1
    if size > MOST_LEAF_BYTES:
        _note(faults, r, UNKNOWN, 0, 0, 0)
        return
    for m in range(plan.measures.shape[0]):
        fault = _of_column(data, kinds, starts, ends, plan.measures, m)
        f = max(plan.measures[m, 0], 0)
        if fault != FINE:
            _note(faults, r, fault, number, starts[f], ends[f])
            return
        number += 1
    _note(faults, r, UNKNOWN, 0, 0, 0)


@kernel
def _of_column(data: Any, kinds: Any, starts: Any, ends: Any, columns: Any, m: int) -> int:
    """The fault of a field as what a key keeps for a measure."""
    f, form = columns[m, 0], columns[m, 4]
    if form == COLUMN_TIME or form == COLUMN_PRESENT:
        return FINE
    if kinds[f] == MISSING or kinds[f] == EMPTY:
        return IS_MISSING if form == COLUMN_NUMBER and columns[m, 3] == MISSING_REJECTS else FINE
    if form == COLUMN_NUMBER:
        return _of_number(data, kinds[f], starts[f], ends[f], columns[m, 1], columns[m, 2], _AS_MEASURE)
    if kinds[f] == TRUE or kinds[f] == FALSE:
        return FINE
    fault = _of_text(data, kinds[f], starts[f], ends[f], TEXT_BYTES)
    return UNKNOWN if fault == NO_WHOLE_NUMBER else fault


@inlined
def _note(faults: Any, r: int, fault: int, number: int, start: int, end: int) -> None:
    faults[r, 0] = fault
    faults[r, 1] = number
    faults[r, 2] = start
    faults[r, 3] = end


@inlined
def _of_kind(data: Any, kind: int, start: int) -> int:
    """The fault of a field that holds neither text nor a number."""
    if kind == MISSING or kind == EMPTY:
        return IS_MISSING
    if kind == TRUE:
        return IS_TRUE
    if kind == FALSE:
        return IS_FALSE
    return IS_ARRAY if kind == OTHER and data[start] == _OPEN_LIST else UNKNOWN


@kernel
def _of_text(data: Any, kind: int, start: int, end: int, most: int) -> int:
    """The fault of a field as a key or label."""
    if kind == STRING or kind == EMPTY:
        return TOO_LONG if end - start > most else FINE
    if kind != NUMBER:
        return _of_kind(data, kind, start)
    if is_integer(data, start, end):
        return TOO_LONG if end - start > most else FINE
    for i in range(start + (1 if data[start] == MINUS else 0), end):
        if not is_digit(data[i]):
            return NO_WHOLE_NUMBER
    return UNKNOWN


@kernel
def _of_time(data: Any, kind: int, start: int, end: int, places: int) -> int:
    """The fault of a field as a time."""
    if kind != STRING and kind != NUMBER:
        return _of_kind(data, kind, start)
    understood, _ = parse_time(data, start, end, places)
    return FINE if understood else ODD_TIME


@kernel
def _of_delete(data: Any, kind: int, start: int, end: int, form: int, equals: Any) -> int:
    """The fault of a field as the one that says what is deleted; UNKNOWN if it says so."""
    size = end - start
    if form == DELETE_EQUALS:
        is_delete = size == len(equals) - 8 and equal_bytes(data, start, equals, 0, size)
        return UNKNOWN if kind == OTHER or is_delete else FINE
    if kind == OTHER:
        return _of_kind(data, kind, start)
    known, is_delete = truth(data, start, size)
    if known:
        return UNKNOWN if is_delete else FINE
    return NO_BOOLEAN if kind == STRING or kind == NUMBER else UNKNOWN


@kernel
def _of_number(data: Any, kind: int, start: int, end: int, scale: int, rounds: int, role: int) -> int:
    """The fault of a field as a number at a scale, below the limit of measures or within 64 bits."""
    if kind != STRING and kind != NUMBER:
        return _of_kind(data, kind, start)
    understood, value = parse_scaled(data, start, end, scale, rounds)
    if understood and not (role == _AS_MEASURE and not -MEASURE_LIMIT < value < MEASURE_LIMIT):
        return FINE
    i = start
    if i < end and (data[i] == MINUS or data[i] == PLUS):
        i += 1
    digits, whole, fraction, excess = 0, 0, 0, False
    while i < end and is_digit(data[i]):
        whole += 1
        digits += 1 if digits > 0 or data[i] != ZERO else 0
        i += 1
    if i < end and data[i] == POINT:
        i += 1
        while i < end and is_digit(data[i]):
            fraction += 1
            digits += 1 if digits > 0 or data[i] != ZERO else 0
            excess = excess or (fraction > scale and data[i] != ZERO)
            i += 1
    if whole + fraction == 0:
        return NO_NUMBER
    if i < end:
        return UNKNOWN if _is_exponent(data, i, end) else NO_NUMBER
    magnitude = digits + scale - fraction
    if digits > 0 and magnitude > (_MOST_DIGITS if fraction > scale or role == _AS_VERSION else MEASURE_DIGITS):
        return OUT_OF_RANGE
    return TOO_FINE if excess and rounds == 0 and magnitude <= MEASURE_DIGITS else UNKNOWN


@inlined
def _is_exponent(data: Any, i: int, end: int) -> bool:
    """Whether the rest of a number is an exponent."""
    if data[i] != _LOWER_E and data[i] != _UPPER_E:
        return False
    i += 1
    if i < end and (data[i] == MINUS or data[i] == PLUS):
        i += 1
    if i == end:
        return False
    while i < end and is_digit(data[i]):
        i += 1
    return i == end


@inlined
def is_utf8(data: Any, i: int, end: int) -> bool:
    """Whether data[i:end], behind which there is a byte of ASCII, is valid UTF-8 (RFC 3629)."""
    return ill_formed(data, i, end) < 0


@kernel
def ill_formed(data: Any, i: int, end: int) -> int:
    """Where the first character of data[i:end] begins that is no UTF-8 (RFC 3629); -1 if all are."""
    while i < end:
        byte = data[i]
        i += 1
        if byte < 0x80:
            continue
        first = i - 1
        if byte < 0xC2 or byte > 0xF4:
            return first
        low = 0xA0 if byte == 0xE0 else 0x90 if byte == 0xF0 else 0x80
        high = 0x9F if byte == 0xED else 0x8F if byte == 0xF4 else 0xBF
        for _ in range(1 if byte < 0xE0 else 2 if byte < 0xF0 else 3):
            if not low <= data[i] <= high:
                return first
            low, high = 0x80, 0xBF
            i += 1
    return -1


@inlined
def note_encoding(data: Any, start: int, end: int, faults: Any, r: int) -> None:
    """Give record r, data[start:end], which is no UTF-8, its class."""
    at = ill_formed(data, start, end)
    faults[r, 0] = NOT_UTF8
    faults[r, 1] = 256 * (at - start) + data[at]


@kernel
def count_cells(data: Any, i: int, end: int, utf8: bool, delimiter: int) -> int:
    """How many cells a plain row has; -1 if it is not plain."""
    count = 1
    while True:
        quoted = i < end and data[i] == QUOTE
        if quoted:
            i += 1
        while i < end and data[i] != QUOTE and (quoted or data[i] != delimiter):
            if (data[i] >= 128 and not utf8) or (not quoted and (data[i] == 13 or data[i] == NEWLINE)):
                return -1
            i += 1
        if quoted:
            if i == end or data[i] != QUOTE:
                return -1
            i += 1
        if i == end:
            return count
        if data[i] != delimiter:
            return -1
        count += 1
        i += 1
