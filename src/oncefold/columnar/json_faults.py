"""Where lines stop being JSON: the place and the kind of it, as Python's own parser finds them.

The scanner takes what is good; this kernel reads the other lines once more, and only these.
"""

from typing import Any

import numpy as np

from oncefold.columnar.arrays import Int64s, UInt8s
from oncefold.columnar.faults import (
    CONTROL,
    EXTRA,
    NO_COLON,
    NO_COMMA,
    NO_NAME,
    NO_VALUE,
    UNKNOWN,
    UNREAD,
    UNTERMINATED,
    is_utf8,
    note_encoding,
)
from oncefold.columnar.json_scan import DEPTH
from oncefold.columnar.json_tokens import (
    CLOSE,
    CLOSE_LIST,
    COLON,
    COMMA,
    OPEN,
    OPEN_LIST,
    blank,
    literal,
    number_end,
    string_end,
)
from oncefold.columnar.parse_kernels import is_digit
from oncefold.columnar.primitives import BACKSLASH, MINUS, NEWLINE, QUOTE
from oncefold.kernels.declare import inlined, kernel

_UTF8 = True
_LOWER_F, _LOWER_N, _LOWER_T, _UPPER_I, _UPPER_N, _LOWER_U = 102, 110, 116, 73, 78, 117


def classify_lines(data: UInt8s, rows: Int64s, starts: Int64s, ends: Int64s, faults: Int64s) -> None:
    """Give UNREAD lines the class of their fault, where it has one.

    Line i of `rows` is data[starts[i] : ends[i]], its end apart; faults[rows[i]] is its fault.
    """
    find_json_faults(data, rows, starts, ends, faults, np.zeros(DEPTH, np.int64))


@kernel("const u8[], const i64[], const i64[], const i64[], i64[,], i64[]")
def find_json_faults(data: Any, rows: Any, starts: Any, ends: Any, faults: Any, stack: Any) -> None:
    """The loop of `classify_lines`. Lines that begin with NUL bytes, which are skipped, have no class."""
    for k in range(len(rows)):
        r = rows[k]
        if faults[r, 0] != UNREAD or data[starts[k]] == 0:
            continue
        if not is_utf8(data, starts[k], ends[k]):
            note_encoding(data, starts[k], ends[k], faults, r)
        elif _is_ascii(data, starts[k], ends[k]):
            fault, at = _fault(data, starts[k], ends[k], stack)
            if fault != UNKNOWN:
                faults[r, 0] = fault
                faults[r, 1] = min(at, ends[k]) - starts[k]


@kernel
def _is_ascii(data: Any, start: int, end: int) -> bool:
    """Whether a line has bytes of ASCII alone."""
    while start < end and data[start] < 128:
        start += 1
    return start == end


@kernel
def _fault(data: Any, start: int, end: int, stack: Any) -> Any:
    """(fault, where it is) of the line, which ends in a newline behind `end`; UNKNOWN if it has no class.

    stack[d] is 1 if an array encloses level d.
    """
    i = blank(data, start)
    if data[i] != OPEN:
        return (UNKNOWN if _begins_value(data[i]) or data[i] == OPEN_LIST else NO_VALUE), i
    depth = 0
    stack[0] = 0
    i = blank(data, i + 1)
    opened = True
    while True:
        closed = opened and data[i] == (CLOSE_LIST if stack[depth] == 1 else CLOSE)
        if closed:
            i += 1
        else:
            if stack[depth] == 0:
                if data[i] != QUOTE:
                    return (UNKNOWN if data[i] == CLOSE else NO_NAME), i
                fault, i = _string(data, i, end)
                if fault != UNKNOWN or i < 0:
                    return fault, i
                i = blank(data, i)
                if data[i] != COLON:
                    return NO_COLON, i
                i = blank(data, i + 1)
            if data[i] == OPEN or data[i] == OPEN_LIST:
                depth += 1
                if depth == DEPTH:
                    return UNKNOWN, i
                stack[depth] = 1 if data[i] == OPEN_LIST else 0
                i = blank(data, i + 1)
                opened = True
                continue
            fault, i = _value(data, i, end)
            if fault != UNKNOWN or i < 0:
                return fault, i
        opened = False
        while True:
            if closed:
                depth -= 1
                if depth < 0:
                    i = blank(data, i)
                    return (UNKNOWN if data[i] == NEWLINE else EXTRA), i
            i = blank(data, i)
            if data[i] == COMMA:
                i = blank(data, i + 1)
                break
            if data[i] != (CLOSE_LIST if stack[depth] == 1 else CLOSE):
                return NO_COMMA, i
            i += 1
            closed = True


@inlined
def _begins_value(byte: Any) -> bool:
    """Whether a text, a number, a literal or one that Python alone takes for a number may begin so."""
    return (
        byte == QUOTE
        or byte == MINUS
        or is_digit(byte)
        or byte == _LOWER_T
        or byte == _LOWER_F
        or byte == _LOWER_N
        or byte == _UPPER_N
        or byte == _UPPER_I
    )


@kernel
def _value(data: Any, i: int, end: int) -> Any:
    """(UNKNOWN, past a text, number or literal), or (fault, where); (UNKNOWN, -1) for a fault without a class."""
    if data[i] == QUOTE:
        return _string(data, i, end)
    if data[i] == MINUS or is_digit(data[i]):
        return UNKNOWN, number_end(data, i)
    if data[i] == _LOWER_T or data[i] == _LOWER_F or data[i] == _LOWER_N:
        past, _ = literal(data, i)
        return (UNKNOWN, past) if past >= 0 else (NO_VALUE, i)
    if data[i] == _UPPER_N or data[i] == _UPPER_I or data[i] == CLOSE or data[i] == CLOSE_LIST:
        return UNKNOWN, np.int64(-1)
    return NO_VALUE, i


@kernel
def _string(data: Any, start: int, end: int) -> Any:
    """The same for a text."""
    i = start + 1
    while True:
        i = string_end(data, i, _UTF8)
        if data[i] == QUOTE:
            return UNKNOWN, i + 1
        if data[i] != BACKSLASH:
            return (UNTERMINATED, start) if i >= end else (CONTROL, i)
        i += 1
        if data[i] == _LOWER_U:
            for k in range(1, 5):
                byte = data[i + k]
                if not (is_digit(byte) or 65 <= byte <= 70 or 97 <= byte <= 102):
                    return UNKNOWN, np.int64(-1)
            i += 5
        elif data[i] in (34, 92, 47, 98, 102, 110, 114, 116):
            i += 1
        else:
            return UNKNOWN, np.int64(-1)
