"""Operations of the machine for expressions that give numbers; what does not fit 18 digits is unknown."""

from typing import Any

import numpy as np

from oncefold.columnar.expression_plan import BOOLEAN_VALUE, NULL, NUMBER_VALUE, OPS, TEXT_VALUE, UNKNOWN
from oncefold.columnar.expression_stack import (
    FROM,
    MOST_DIGITS,
    MOST_PLACES,
    PLACES,
    POWERS,
    SAFE,
    TO,
    VALUE,
    WHAT,
    aligned,
    load_number,
    set_value,
    without_value,
)
from oncefold.columnar.parse_kernels import civil_from_days, days_from_civil
from oncefold.kernels.declare import inlined, kernel

_NANOS = 1_000_000_000
_DAY_SECONDS = 86_400
_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE = OPS["+"], OPS["-"], OPS["*"], OPS["divide"]
_ROUND = OPS["round"]
_NEGATE = OPS["neg"]
_ABSOLUTE = OPS["abs"]
_YEAR, _QUARTER, _MONTH, _DAY = (OPS[f"extract {part}"] for part in ("year", "quarter", "month", "day"))
_DOW, _DOY, _HOUR, _MINUTE = (OPS[f"extract {part}"] for part in ("dow", "doy", "hour", "minute"))
_SECOND, _EPOCH = OPS["extract second"], OPS["extract epoch"]


@kernel
def arithmetic(data: Any, op: int, a: int, b: int, stack: Any, top: int) -> int:
    """Numbers to a number; gives the new top."""
    size = 2 if op <= _DIVIDE else 1
    at = top - size
    without = without_value(stack, at, top)
    if without >= 0:
        set_value(stack, at, without, 0, 0)
    elif op in (_ADD, _SUBTRACT):
        fits, x, y, places = aligned(stack, at, at + 1)
        total = x + y if op == _ADD else x - y
        fits = fits and abs(np.float64(x)) + abs(np.float64(y)) < SAFE
        set_value(stack, at, NUMBER_VALUE if fits else UNKNOWN, total, places)
    elif op == _MULTIPLY:
        x, y = stack[at, VALUE], stack[at + 1, VALUE]
        places = stack[at, PLACES] + stack[at + 1, PLACES]
        fits = abs(np.float64(x)) * abs(np.float64(y)) < SAFE and places <= MOST_PLACES
        set_value(stack, at, NUMBER_VALUE if fits else UNKNOWN, x * y if fits else 0, places)
    elif op == _DIVIDE:
        _divide(stack, at, a)
    elif op == _ROUND:
        _round(stack, at, a)
    elif op == _NEGATE:
        stack[at, VALUE] = -stack[at, VALUE]
    elif op == _ABSOLUTE:
        stack[at, VALUE] = abs(stack[at, VALUE])
    else:
        _to_decimal(data, stack, at, a, b)
    return at + 1


@inlined
def _half_even(x: int, y: int) -> int:
    """X / y, y above zero, rounded half to even."""
    whole = x // y
    rest = x - whole * y
    if rest > y - rest or (rest == y - rest and whole & 1 == 1):
        whole += 1
    return whole


@kernel
def _divide(stack: Any, at: int, places: int) -> None:
    x, y = stack[at, VALUE], stack[at + 1, VALUE]
    shift = places + stack[at + 1, PLACES] - stack[at, PLACES]
    if y < 0:
        x, y = -x, -y
    fits = y != 0 and abs(shift) <= MOST_DIGITS
    if fits:
        power = POWERS[abs(shift)]
        fits = abs(np.float64(x if shift >= 0 else y)) * np.float64(power) < SAFE
        if fits and shift >= 0:
            x *= power
        elif fits:
            y *= power
    set_value(stack, at, NUMBER_VALUE if fits else UNKNOWN, _half_even(x, y) if fits else np.int64(0), places)


@kernel
def _round(stack: Any, at: int, places: int) -> None:
    more = stack[at, PLACES] - places
    if more > MOST_DIGITS:
        stack[at, WHAT] = UNKNOWN
    elif more > 0:
        set_value(stack, at, NUMBER_VALUE, _half_even(stack[at, VALUE], POWERS[more]), places)


@kernel
def _to_decimal(data: Any, stack: Any, at: int, precision: int, places: int) -> None:
    """A text or a truth value as a number (precision 0), or the check of a precision after rounding."""
    what = stack[at, WHAT]
    if precision > 0:
        room = precision - places + stack[at, PLACES]
        if room <= MOST_DIGITS and abs(stack[at, VALUE]) >= POWERS[room]:
            stack[at, WHAT] = UNKNOWN
    elif what == BOOLEAN_VALUE:
        stack[at, WHAT] = NUMBER_VALUE
        stack[at, PLACES] = 0
    elif what == TEXT_VALUE:
        start, end = stack[at, FROM], stack[at, TO]
        stack[at, WHAT] = UNKNOWN
        load_number(data, start, end, stack, at)


@kernel
def extract(op: int, stack: Any, at: int) -> None:
    """A part of a time, in UTC."""
    if stack[at, WHAT] == NULL or stack[at, WHAT] == UNKNOWN:
        return
    nanos = stack[at, VALUE]
    seconds = nanos // _NANOS
    days = seconds // _DAY_SECONDS
    year, month, day = civil_from_days(days)
    value, places = np.int64(0), 0
    if op == _YEAR:
        value = np.int64(year)
    elif op == _QUARTER:
        value = np.int64((month + 2) // 3)
    elif op == _MONTH:
        value = np.int64(month)
    elif op == _DAY:
        value = np.int64(day)
    elif op == _DOW:
        value = np.int64((days + 4) % 7)
    elif op == _DOY:
        value = np.int64(days - days_from_civil(year, 1, 1) + 1)
    elif op == _HOUR:
        value = seconds % _DAY_SECONDS // 3_600
    elif op == _MINUTE:
        value = seconds // 60 % 60
    elif op == _SECOND:
        value = seconds % 60
    elif op == _EPOCH:
        value, places = nanos, 9
    set_value(stack, at, NUMBER_VALUE, value, places)
