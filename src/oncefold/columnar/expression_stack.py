"""The stack of the machine for expressions: what a value is, fields and constants as values, and their order.

A value is a row of the stack: what it is, and a number with its decimal places (a mantissa of up to 18 digits), a text
as its span of `data`, a time in nanoseconds, a truth value, or a field as it is (its kind, and its span).
"""

from typing import Any

import numpy as np

from oncefold.columnar.assemble import truth
from oncefold.columnar.expression_plan import (
    BOOLEAN_VALUE,
    FALSE_AT,
    NULL,
    NUMBER_VALUE,
    RAW_VALUE,
    TEXT_VALUE,
    TEXTS_END,
    TIME_VALUE,
    TRUE_AT,
    UNKNOWN,
)
from oncefold.columnar.field_kinds import EMPTY, FALSE, MISSING, NUMBER, OTHER, STRING, TRUE
from oncefold.columnar.label_kernels import is_integer
from oncefold.columnar.parse_kernels import is_digit, parse_time
from oncefold.columnar.primitives import MINUS, PLUS, POINT, ZERO
from oncefold.kernels.declare import inlined, kernel

STACK_COLUMNS = 5
WHAT, VALUE, PLACES, FROM, TO = 0, 1, 2, 3, 4
"""The columns of the stack: what a value is; its number; decimal places; the span of its text."""
MOST_DIGITS, MOST_PLACES = 18, 36
SAFE = 9.0e18
"""A product estimated below this fits 64 bits."""
POWERS = np.array([10**n for n in range(19)], np.int64)


@inlined
def set_value(stack: Any, at: int, what: int, value: int, places: int) -> None:
    """Put a value that is no text."""
    stack[at, WHAT] = what
    stack[at, VALUE] = value
    stack[at, PLACES] = places


@inlined
def set_text(stack: Any, at: int, start: int, end: int) -> None:
    """Put a text."""
    stack[at, WHAT] = TEXT_VALUE
    stack[at, FROM] = start
    stack[at, TO] = end


@kernel
def push_constant(constants: Any, index: int, base: int, stack: Any, top: int) -> None:
    """Put a constant; texts are in the pool, which begins at `base`."""
    what = constants[index, 0]
    if what == TEXT_VALUE:
        set_text(stack, top, base + constants[index, 1], base + constants[index, 2])
    else:
        set_value(stack, top, what, constants[index, 1], constants[index, 2])


@kernel
def load(data: Any, base: int, kind: int, start: int, end: int, wanted: int, stack: Any, top: int) -> None:
    """A field as the kind of value that is wanted: `core.decode._Record.read`."""
    set_value(stack, top, UNKNOWN, 0, 0)
    if kind == MISSING or (kind == EMPTY and wanted not in (TEXT_VALUE, RAW_VALUE)):
        stack[top, WHAT] = NULL
    elif kind == OTHER:
        return
    elif wanted == RAW_VALUE:
        set_value(stack, top, RAW_VALUE, STRING if kind == EMPTY else kind, 0)
        stack[top, FROM] = start
        stack[top, TO] = end
    elif wanted == TEXT_VALUE:
        if kind in (TRUE, FALSE):
            set_text(
                stack,
                top,
                base + (TRUE_AT if kind == TRUE else FALSE_AT),
                base + (FALSE_AT if kind == TRUE else TEXTS_END),
            )
        elif kind in (STRING, EMPTY) or is_integer(data, start, end):
            set_text(stack, top, start, end)
    elif wanted == BOOLEAN_VALUE:
        known, is_true = truth(data, start, end - start)
        if known:
            set_value(stack, top, BOOLEAN_VALUE, np.int64(is_true), 0)
    elif kind in (STRING, NUMBER):
        if wanted == NUMBER_VALUE:
            load_number(data, start, end, stack, top)
        else:
            understood, nanos = parse_time(data, start, end, 9)
            if understood:
                set_value(stack, top, TIME_VALUE, nanos, 0)


@kernel
def load_number(data: Any, start: int, end: int, stack: Any, top: int) -> None:
    """A decimal without exponent of up to 18 digits, zeros at the end of its places left out."""
    i = start
    negative = i < end and data[i] == MINUS
    if negative or (i < end and data[i] == PLUS):
        i += 1
    mantissa, digits, places, figures = np.int64(0), 0, 0, 0
    point = False
    while i < end:
        byte = data[i]
        if byte == POINT and not point:
            point = True
            last = end
            while last > i + 1 and data[last - 1] == ZERO:
                last -= 1
            figures += end - last
            end = last
        elif is_digit(byte):
            figures += 1
            mantissa = mantissa * 10 + np.int64(byte - ZERO)
            digits += 1 if mantissa != 0 else 0
            places += 1 if point else 0
            if digits > MOST_DIGITS or places > MOST_DIGITS:
                return
        else:
            return
        i += 1
    if figures > 0:
        set_value(stack, top, NUMBER_VALUE, -mantissa if negative else mantissa, places)


@kernel
def aligned(stack: Any, a: int, b: int) -> Any:
    """(whether it fits, both mantissas at the greater of their places, those places)."""
    x, y = stack[a, VALUE], stack[b, VALUE]
    more = stack[a, PLACES] - stack[b, PLACES]
    places = max(stack[a, PLACES], stack[b, PLACES])
    if more > 0:
        if more > MOST_DIGITS or abs(np.float64(y)) * np.float64(POWERS[more]) >= SAFE:
            return False, x, y, places
        y *= POWERS[more]
    elif more < 0:
        if -more > MOST_DIGITS or abs(np.float64(x)) * np.float64(POWERS[-more]) >= SAFE:
            return False, x, y, places
        x *= POWERS[-more]
    return True, x, y, places


@inlined
def without_value(stack: Any, first: int, top: int) -> int:
    """UNKNOWN if one of the values is, else NULL if one is, else -1."""
    found = np.int64(-1)
    for at in range(first, top):
        if stack[at, WHAT] == UNKNOWN:
            return np.int64(UNKNOWN)
        if stack[at, WHAT] == NULL:
            found = np.int64(NULL)
    return found


@kernel
def compare(data: Any, stack: Any, a: int, b: int) -> Any:
    """(whether it is known, -1, 0 or 1)."""
    if stack[a, WHAT] == TEXT_VALUE:
        i, j = stack[a, FROM], stack[b, FROM]
        while i < stack[a, TO] and j < stack[b, TO]:
            if data[i] != data[j]:
                return True, np.int64(1) if data[i] > data[j] else np.int64(-1)
            i += 1
            j += 1
        x, y = stack[a, TO] - i, stack[b, TO] - j
    else:
        fits, x, y, _ = aligned(stack, a, b)
        if not fits:
            return False, np.int64(0)
    return True, np.int64(x > y) - np.int64(x < y)
