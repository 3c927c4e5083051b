"""A stack machine for expressions over one record. What it computes equals `core.evaluate`; the rest it calls unknown.

A value is a row of the stack: what it is, and a number with its decimal places (a mantissa of up to 18 digits), a text
as its span of `data`, a time in nanoseconds, a truth value, or a field as it is (its kind, and its span). All branches
of a CASE are computed; what is unknown in one that is not taken does not matter.

Results are written as fields of the record: numbers and times as their text behind the block, NULL as a missing field,
truth values as text, and what is unknown as OTHER, which sends a record that needs it to the scalar decoder.
"""

from typing import Any

import numpy as np

from oncefold.columnar.assemble import (
    EMPTY,
    FALSE,
    MISSING,
    NUMBER,
    OTHER,
    STRING,
    TRUE,
    assemble,
    is_integer,
    write_window,
)
from oncefold.columnar.batch import SCANNED
from oncefold.columnar.expression_plan import (
    BOOLEAN_VALUE,
    CONSTANT,
    FAIL,
    FALSE_AT,
    LOAD,
    NULL,
    NUMBER_VALUE,
    OPS,
    RAW_VALUE,
    TEXT_VALUE,
    TEXTS_END,
    TIME_VALUE,
    TRUE_AT,
    UNKNOWN,
    Programs,
)
from oncefold.columnar.parse_kernels import civil_from_days, days_from_civil, is_digit, parse_time
from oncefold.columnar.plan import AS_TIME, DecodePlan
from oncefold.columnar.primitives import MINUS, ONE, PLUS, POINT, ZERO, copy_bytes, equal_bytes, shift_of
from oncefold.kernels.declare import inlined, kernel

WHAT, VALUE, PLACES, FROM, TO = 0, 1, 2, 3, 4
"""The columns of the stack: what a value is; its number; decimal places; the span of its text."""
STACK_COLUMNS = 5

_PERCENT, _UNDERSCORE = 37, 95
_MOST_DIGITS, _MOST_PLACES = 18, 36
_SAFE = 9.0e18
_NANOS = 1_000_000_000
_DAY_SECONDS = 86_400
_POWERS = np.array([10**n for n in range(19)], np.int64)
_NUMBER_ROOM = 64
"""Bytes that a number or a time takes at most, and more."""
_TRUE, _FALSE = np.frombuffer(b"true", np.uint8), np.frombuffer(b"false", np.uint8)

_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE = OPS["+"], OPS["-"], OPS["*"], OPS["divide"]
_ROUND, _NEGATE, _ABSOLUTE, _TO_DECIMAL = OPS["round"], OPS["neg"], OPS["abs"], OPS["to_decimal"]
_EQUAL, _UNEQUAL, _LESS, _AT_MOST, _MORE, _AT_LEAST = (OPS[op] for op in ("=", "<>", "<", "<=", ">", ">="))
_AND, _OR, _NOT, _IN, _IS_NULL, _IS_TRUE = (OPS[op] for op in ("and", "or", "not", "in", "is null", "is true"))
_CASE, _COALESCE, _NULLIF, _GREATEST, _LEAST = (OPS[op] for op in ("case", "coalesce", "nullif", "greatest", "least"))
_LOWER, _UPPER, _TRIM, _LTRIM, _RTRIM = (OPS[op] for op in ("lower", "upper", "trim", "ltrim", "rtrim"))
_CONCAT, _SUBSTR, _SPLIT_PART, _LIKE = (OPS[op] for op in ("||", "substr", "split_part", "like"))
_TO_TEXT, _TO_TIME = OPS["to_text"], OPS["to_time"]
_YEAR, _QUARTER, _MONTH, _DAY = (OPS[f"extract {part}"] for part in ("year", "quarter", "month", "day"))
_DOW, _DOY, _HOUR, _MINUTE = (OPS[f"extract {part}"] for part in ("dow", "doy", "hour", "minute"))
_SECOND, _EPOCH = OPS["extract second"], OPS["extract epoch"]

_GONE = False
"""No envelope makes a record with expressions a delete: the scalar decoder reads those in envelopes."""


def derive_scratch(programs: Programs) -> tuple[Any, ...]:
    """Scratch space for `derive_rows`: fields (kinds, starts, ends), encoded leaf, stack."""
    width = int(programs.first[0]) + len(programs.ends)
    fields = (np.zeros(width, np.int64), np.zeros(width, np.int64), np.zeros(width, np.int64))
    return fields, np.zeros(2_048, np.uint8), np.zeros((len(programs.code) + 1, STACK_COLUMNS), np.int64)


@kernel(
    "const u8[], u8[], i64[]",
    DecodePlan,
    Programs,
    "(i64[,], i64[,], i64[,]), (i64[], i32[], i64[,], i64[]), (i64[], i32[], u32[], u8[], i64[])",
    "(u64[], u8[], i64[]), ((i64[], i64[], i64[]), u8[], i64[,])",
    returns="i64",
)
def derive_rows(
    data: Any,
    area: Any,
    used: Any,
    plan: Any,
    programs: Any,
    found: Any,
    columns: Any,
    keys: Any,
    table: Any,
    scratch: Any,
) -> int:
    """Compute the expressions of every SCANNED record, and fill its row; gives the number of distinct leaves."""
    fields, encoded, stack = scratch
    kinds, starts, ends = fields
    leaf = columns[1]
    shift = shift_of(table[0])
    count = 0
    for r in range(len(leaf)):
        if leaf[r] == SCANNED:
            for part in range(found[0].shape[1]):
                kinds[part] = found[0][r, part]
                starts[part] = found[1][r, part]
                ends[part] = found[2][r, part]
            _derive(data, area, used, fields, programs, stack)
            count = assemble(data, fields, plan, _GONE, r, columns, keys, table, count, encoded, shift)
    return count


@kernel
def _derive(data: Any, area: Any, used: Any, fields: Any, programs: Any, stack: Any) -> None:
    """Compute every expression of a record from its fields (kinds, starts, ends), and write the results among them.

    `area` is the end of `data`, behind the block, begins with the pool of texts, and is filled up to used[0].
    """
    kinds, starts, ends = fields
    code, stops, constants, first, _ = programs
    base = np.int64(len(data) - len(area))
    step = np.int64(0)
    for number in range(len(stops)):
        top = np.int64(0)
        while step < stops[number]:
            op, a, b = code[step, 0], code[step, 1], code[step, 2]
            step += 1
            if op == LOAD:
                _load(data, base, kinds[a], starts[a], ends[a], b, stack, top)
                top += 1
            elif op == CONSTANT:
                _push_constant(constants, a, base, stack, top)
                top += 1
            elif op == FAIL:
                _set(stack, top, UNKNOWN, 0, 0)
                top += 1
            elif op <= _TO_DECIMAL:
                top = _arithmetic(data, op, a, b, stack, top)
            elif op <= _LEAST:
                top = _logic(data, op, a, stack, top)
            elif op < _YEAR:
                top = _texts(data, area, used, base, op, a, stack, top)
            else:
                _extract(op, stack, top - 1)
        field = first[0] + number
        kinds[field], starts[field], ends[field] = _result(area, used, base, stack)


@inlined
def _set(stack: Any, at: int, what: int, value: int, places: int) -> None:
    stack[at, WHAT] = what
    stack[at, VALUE] = value
    stack[at, PLACES] = places


@inlined
def _set_text(stack: Any, at: int, start: int, end: int) -> None:
    stack[at, WHAT] = TEXT_VALUE
    stack[at, FROM] = start
    stack[at, TO] = end


@kernel
def _push_constant(constants: Any, index: int, base: int, stack: Any, top: int) -> None:
    what = constants[index, 0]
    if what == TEXT_VALUE:
        _set_text(stack, top, base + constants[index, 1], base + constants[index, 2])
    else:
        _set(stack, top, what, constants[index, 1], constants[index, 2])


@kernel
def _load(data: Any, base: int, kind: int, start: int, end: int, wanted: int, stack: Any, top: int) -> None:
    """A field as the kind of value that is wanted: `core.decode._Record.read`."""
    _set(stack, top, UNKNOWN, 0, 0)
    if kind == MISSING or (kind == EMPTY and wanted not in (TEXT_VALUE, RAW_VALUE)):
        stack[top, WHAT] = NULL
    elif kind == OTHER:
        return
    elif wanted == RAW_VALUE:
        _set(stack, top, RAW_VALUE, STRING if kind == EMPTY else kind, 0)
        stack[top, FROM] = start
        stack[top, TO] = end
    elif wanted == TEXT_VALUE:
        if kind in (TRUE, FALSE):
            _set_text(
                stack,
                top,
                base + (TRUE_AT if kind == TRUE else FALSE_AT),
                base + (FALSE_AT if kind == TRUE else TEXTS_END),
            )
        elif kind in (STRING, EMPTY) or is_integer(data, start, end):
            _set_text(stack, top, start, end)
    elif wanted == BOOLEAN_VALUE:
        known, truth = _truth(data, start, end)
        if known:
            _set(stack, top, BOOLEAN_VALUE, truth, 0)
    elif kind in (STRING, NUMBER):
        if wanted == NUMBER_VALUE:
            _load_number(data, start, end, stack, top)
        else:
            understood, nanos = parse_time(data, start, end, 9)
            if understood:
                _set(stack, top, TIME_VALUE, nanos, 0)


@kernel
def _truth(data: Any, start: int, end: int) -> Any:
    """(whether it is one, 1 for true)."""
    size = end - start
    if size == 0:
        return True, np.int64(0)
    if size == 1:
        return data[start] == ZERO or data[start] == ONE, np.int64(data[start] == ONE)
    if size == 4 and _is_word(data, start, _TRUE):
        return True, np.int64(1)
    return size == 5 and _is_word(data, start, _FALSE), np.int64(0)


@kernel
def _is_word(data: Any, start: int, word: Any) -> bool:
    i = 0
    while i < len(word) and data[start + i] | 32 == word[i]:
        i += 1
    return i == len(word)


@kernel
def _load_number(data: Any, start: int, end: int, stack: Any, top: int) -> None:
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
            if digits > _MOST_DIGITS or places > _MOST_DIGITS:
                return
        else:
            return
        i += 1
    if figures > 0:
        _set(stack, top, NUMBER_VALUE, -mantissa if negative else mantissa, places)


@kernel
def _aligned(stack: Any, a: int, b: int) -> Any:
    """(whether it fits, both mantissas at the greater of their places, those places)."""
    x, y = stack[a, VALUE], stack[b, VALUE]
    more = stack[a, PLACES] - stack[b, PLACES]
    places = max(stack[a, PLACES], stack[b, PLACES])
    if more > 0:
        if more > _MOST_DIGITS or abs(np.float64(y)) * np.float64(_POWERS[more]) >= _SAFE:
            return False, x, y, places
        y *= _POWERS[more]
    elif more < 0:
        if -more > _MOST_DIGITS or abs(np.float64(x)) * np.float64(_POWERS[-more]) >= _SAFE:
            return False, x, y, places
        x *= _POWERS[-more]
    return True, x, y, places


@inlined
def _missing(stack: Any, first: int, top: int) -> int:
    """UNKNOWN if one of the values is, else NULL if one is, else -1."""
    found = np.int64(-1)
    for at in range(first, top):
        if stack[at, WHAT] == UNKNOWN:
            return np.int64(UNKNOWN)
        if stack[at, WHAT] == NULL:
            found = np.int64(NULL)
    return found


@kernel
def _arithmetic(data: Any, op: int, a: int, b: int, stack: Any, top: int) -> int:
    """Numbers to a number; gives the new top."""
    size = 2 if op <= _DIVIDE else 1
    at = top - size
    without = _missing(stack, at, top)
    if without >= 0:
        _set(stack, at, without, 0, 0)
    elif op in (_ADD, _SUBTRACT):
        fits, x, y, places = _aligned(stack, at, at + 1)
        total = x + y if op == _ADD else x - y
        fits = fits and abs(np.float64(x)) + abs(np.float64(y)) < _SAFE
        _set(stack, at, NUMBER_VALUE if fits else UNKNOWN, total, places)
    elif op == _MULTIPLY:
        x, y = stack[at, VALUE], stack[at + 1, VALUE]
        places = stack[at, PLACES] + stack[at + 1, PLACES]
        fits = abs(np.float64(x)) * abs(np.float64(y)) < _SAFE and places <= _MOST_PLACES
        _set(stack, at, NUMBER_VALUE if fits else UNKNOWN, x * y if fits else 0, places)
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
    fits = y != 0 and abs(shift) <= _MOST_DIGITS
    if fits:
        power = _POWERS[abs(shift)]
        fits = abs(np.float64(x if shift >= 0 else y)) * np.float64(power) < _SAFE
        if fits and shift >= 0:
            x *= power
        elif fits:
            y *= power
    _set(stack, at, NUMBER_VALUE if fits else UNKNOWN, _half_even(x, y) if fits else np.int64(0), places)


@kernel
def _round(stack: Any, at: int, places: int) -> None:
    more = stack[at, PLACES] - places
    if more > _MOST_DIGITS:
        stack[at, WHAT] = UNKNOWN
    elif more > 0:
        _set(stack, at, NUMBER_VALUE, _half_even(stack[at, VALUE], _POWERS[more]), places)


@kernel
def _to_decimal(data: Any, stack: Any, at: int, precision: int, places: int) -> None:
    """A text or a truth value as a number (precision 0), or the check of a precision after rounding."""
    what = stack[at, WHAT]
    if precision > 0:
        room = precision - places + stack[at, PLACES]
        if room <= _MOST_DIGITS and abs(stack[at, VALUE]) >= _POWERS[room]:
            stack[at, WHAT] = UNKNOWN
    elif what == BOOLEAN_VALUE:
        stack[at, WHAT] = NUMBER_VALUE
        stack[at, PLACES] = 0
    elif what == TEXT_VALUE:
        start, end = stack[at, FROM], stack[at, TO]
        stack[at, WHAT] = UNKNOWN
        _load_number(data, start, end, stack, at)


@kernel
def _compare(data: Any, stack: Any, a: int, b: int) -> Any:
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
        fits, x, y, _ = _aligned(stack, a, b)
        if not fits:
            return False, np.int64(0)
    return True, np.int64(x > y) - np.int64(x < y)


@kernel
def _logic(data: Any, op: int, size: int, stack: Any, top: int) -> int:
    """Comparisons, truth values and choices among values; gives the new top."""
    at = top - size
    if op in (_AND, _OR):
        _junction(op, stack, at, top)
    elif op in (_CASE, _COALESCE):
        _choose(op, stack, at, top)
    elif op == _IN:
        _within(data, stack, at, top)
    elif op in (_IS_NULL, _IS_TRUE):
        if stack[at, WHAT] != UNKNOWN:
            truth = stack[at, WHAT] == NULL
            if op == _IS_TRUE:
                truth = stack[at, WHAT] == BOOLEAN_VALUE and stack[at, VALUE] == 1
            _set(stack, at, BOOLEAN_VALUE, np.int64(truth), 0)
    elif op == _NOT:
        if stack[at, WHAT] == BOOLEAN_VALUE:
            stack[at, VALUE] = 1 - stack[at, VALUE]
    elif op in (_GREATEST, _LEAST):
        _extreme(data, op, stack, at, top)
    elif op == _NULLIF:
        if _missing(stack, at, top) < 0:
            known, order = _compare(data, stack, at, at + 1)
            if not known or order == 0:
                stack[at, WHAT] = NULL if known else UNKNOWN
        elif stack[at + 1, WHAT] == UNKNOWN:
            stack[at, WHAT] = UNKNOWN
    else:
        _comparison(data, op, stack, at, top)
    return at + 1


@kernel
def _comparison(data: Any, op: int, stack: Any, at: int, top: int) -> None:
    without = _missing(stack, at, top)
    if without >= 0:
        _set(stack, at, without, 0, 0)
        return
    known, order = _compare(data, stack, at, at + 1)
    truth = order == 0
    if op == _UNEQUAL:
        truth = order != 0
    elif op == _LESS:
        truth = order < 0
    elif op == _AT_MOST:
        truth = order <= 0
    elif op == _MORE:
        truth = order > 0
    elif op == _AT_LEAST:
        truth = order >= 0
    _set(stack, at, BOOLEAN_VALUE if known else UNKNOWN, np.int64(truth), 0)


@kernel
def _junction(op: int, stack: Any, at: int, top: int) -> None:
    """AND and OR: from left to right, the first that decides."""
    decisive = np.int64(op == _OR)
    what, value = np.int64(BOOLEAN_VALUE), 1 - decisive
    for i in range(at, top):
        if stack[i, WHAT] == UNKNOWN:
            what = np.int64(UNKNOWN)
            break
        if stack[i, WHAT] == NULL:
            what = np.int64(NULL)
        elif stack[i, VALUE] == decisive:
            what, value = np.int64(BOOLEAN_VALUE), decisive
            break
    _set(stack, at, what, value, 0)


@kernel
def _choose(op: int, stack: Any, at: int, top: int) -> None:
    """CASE and COALESCE: the value that is taken moves to `at`."""
    chosen = top - 1
    if op == _COALESCE:
        for i in range(at, top):
            if stack[i, WHAT] != NULL:
                chosen = i
                break
    else:
        for i in range(at, top - 1, 2):
            if stack[i, WHAT] == UNKNOWN:
                chosen = i
                break
            if stack[i, WHAT] == BOOLEAN_VALUE and stack[i, VALUE] == 1:
                chosen = i + 1
                break
    for column in range(STACK_COLUMNS):
        stack[at, column] = stack[chosen, column]


@kernel
def _within(data: Any, stack: Any, at: int, top: int) -> None:
    what, value = stack[at, WHAT], np.int64(0)
    if what not in (NULL, UNKNOWN):
        what = np.int64(BOOLEAN_VALUE)
        for i in range(at + 1, top):
            if stack[i, WHAT] == NULL:
                what = np.int64(NULL)
                continue
            known, order = (False, np.int64(0)) if stack[i, WHAT] == UNKNOWN else _compare(data, stack, at, i)
            if not known:
                what = np.int64(UNKNOWN)
                break
            if order == 0:
                what, value = np.int64(BOOLEAN_VALUE), np.int64(1)
                break
    _set(stack, at, what, value, 0)


@kernel
def _extreme(data: Any, op: int, stack: Any, at: int, top: int) -> None:
    chosen = np.int64(-1)
    unknown = False
    for i in range(at, top):
        if stack[i, WHAT] == UNKNOWN:
            unknown = True
        elif stack[i, WHAT] != NULL:
            if chosen < 0:
                chosen = np.int64(i)
            else:
                known, order = _compare(data, stack, i, chosen)
                unknown = unknown or not known
                if (order > 0 and op == _GREATEST) or (order < 0 and op == _LEAST):
                    chosen = np.int64(i)
    if unknown or chosen < 0:
        stack[at, WHAT] = UNKNOWN if unknown else NULL
    else:
        for column in range(STACK_COLUMNS):
            stack[at, column] = stack[chosen, column]


@kernel
def _texts(data: Any, area: Any, used: Any, base: int, op: int, size: int, stack: Any, top: int) -> int:
    """Operations on texts, and casts to text and time; gives the new top."""
    at = top - size
    without = _missing(stack, at, top)
    if without >= 0:
        _set(stack, at, without, 0, 0)
    elif op == _TO_TEXT:
        _to_text(area, used, base, stack, at)
    elif op == _TO_TIME:
        _to_time(data, stack, at)
    elif op in (_LOWER, _UPPER):
        _change_case(data, area, used, base, op, stack, at)
    elif op == _CONCAT:
        length, more = stack[at, TO] - stack[at, FROM], stack[at + 1, TO] - stack[at + 1, FROM]
        begin = _take(area, used, length + more)
        if begin < 0:
            stack[at, WHAT] = UNKNOWN
        else:
            copy_bytes(data, stack[at, FROM], area, begin, length)
            copy_bytes(data, stack[at + 1, FROM], area, begin + length, more)
            _set_text(stack, at, base + begin, base + begin + length + more)
    elif op == _SUBSTR:
        _substr(data, size, stack, at)
    elif op == _SPLIT_PART:
        _split_part(data, stack, at)
    elif op == _LIKE:
        truth = _like(data, stack[at, FROM], stack[at, TO], stack[at + 1, FROM], stack[at + 1, TO])
        _set(stack, at, BOOLEAN_VALUE, np.int64(truth), 0)
    else:
        _trim(data, op, stack, at)
    return at + 1


@inlined
def _take(area: Any, used: Any, size: int) -> int:
    """Room for so many bytes in the area, or -1; the last byte of the area is not used."""
    begin = used[0]
    if begin + size >= len(area):
        return np.int64(-1)
    used[0] = begin + size
    return begin


@kernel
def _to_text(area: Any, used: Any, base: int, stack: Any, at: int) -> None:
    what = stack[at, WHAT]
    if what == BOOLEAN_VALUE:
        truth = stack[at, VALUE] == 1
        _set_text(stack, at, base + (TRUE_AT if truth else FALSE_AT), base + (FALSE_AT if truth else TEXTS_END))
    elif what in (NUMBER_VALUE, TIME_VALUE):
        start, end = _written(area, used, what, stack[at, VALUE], stack[at, PLACES])
        _set_text(stack, at, base + start, base + end)
        if start < 0:
            stack[at, WHAT] = UNKNOWN


@kernel
def _written(area: Any, used: Any, what: int, value: int, places: int) -> Any:
    """A number or a time as text in the area: (start, end), or a start of -1 without room. `core.evaluate.text_of`."""
    if used[0] + _NUMBER_ROOM >= len(area):
        return np.int64(-1), np.int64(-1)
    start = used[0]
    end = _write_time(area, start, value) if what == TIME_VALUE else _write_number(area, start, value, places)
    used[0] = end
    return start, end


@kernel
def _write_time(area: Any, at: int, nanos: int) -> int:
    second = nanos // _NANOS
    fraction = nanos - second * _NANOS
    write_window(second, AS_TIME, area, at)
    at += AS_TIME - 1
    if fraction != 0:
        area[at] = POINT
        for i in range(9):
            area[at + 9 - i] = ZERO + fraction % 10
            fraction //= 10
        at += 10
        while area[at - 1] == ZERO:
            at -= 1
    area[at] = 90
    return at + 1


@kernel
def _write_number(area: Any, at: int, value: int, places: int) -> int:
    if value < 0:
        area[at] = MINUS
        at += 1
        value = -value
    while places > 0 and value % 10 == 0:
        value //= 10
        places -= 1
    digits = places + 1
    rest = value
    for _ in range(places):
        rest //= 10
    while rest > 9:
        rest //= 10
        digits += 1
    end = at + digits + (1 if places > 0 else 0)
    i = end
    for k in range(digits):
        if k == places and places > 0:
            i -= 1
            area[i] = POINT
        i -= 1
        area[i] = ZERO + value % 10
        value //= 10
    return end


@kernel
def _to_time(data: Any, stack: Any, at: int) -> None:
    what = stack[at, WHAT]
    if what == TEXT_VALUE:
        understood, nanos = parse_time(data, stack[at, FROM], stack[at, TO], 9)
        _set(stack, at, TIME_VALUE if understood else UNKNOWN, nanos, 0)
    elif what == NUMBER_VALUE:
        more = 9 - stack[at, PLACES]
        fits = more >= 0 and abs(np.float64(stack[at, VALUE])) * np.float64(_POWERS[max(more, 0)]) < _SAFE
        _set(stack, at, TIME_VALUE if fits else UNKNOWN, stack[at, VALUE] * _POWERS[max(more, 0)] if fits else 0, 0)
    elif what != TIME_VALUE:
        stack[at, WHAT] = UNKNOWN


@kernel
def _change_case(data: Any, area: Any, used: Any, base: int, op: int, stack: Any, at: int) -> None:
    """Letters of ASCII; a text with others is left to the scalar decoder."""
    start, length = stack[at, FROM], stack[at, TO] - stack[at, FROM]
    begin = _take(area, used, length)
    first = 97 if op == _UPPER else 65
    for i in range(length if begin >= 0 else 0):
        byte = data[start + i]
        if byte >= 128:
            begin = np.int64(-1)
            break
        area[begin + i] = byte ^ 32 if first <= byte <= first + 25 else byte
    if begin < 0:
        stack[at, WHAT] = UNKNOWN
    else:
        _set_text(stack, at, base + begin, base + begin + length)


@kernel
def _trim(data: Any, op: int, stack: Any, at: int) -> None:
    start, end = stack[at, FROM], stack[at, TO]
    low, high = stack[at + 1, FROM], stack[at + 1, TO]
    for i in range(low, high):
        if data[i] >= 128:
            stack[at, WHAT] = UNKNOWN
            return
    while op != _RTRIM and start < end and _holds(data, low, high, data[start]):
        start += 1
    while op != _LTRIM and start < end and _holds(data, low, high, data[end - 1]):
        end -= 1
    _set_text(stack, at, start, end)


@inlined
def _holds(data: Any, start: int, end: int, byte: int) -> bool:
    i = start
    while i < end and data[i] != byte:
        i += 1
    return i < end


@kernel
def _whole(stack: Any, at: int) -> Any:
    """(whether it is a whole number of usual size, the number)."""
    value, places = stack[at, VALUE], stack[at, PLACES]
    while places > 0 and value % 10 == 0:
        value //= 10
        places -= 1
    return places == 0 and -1_000_000_000 < value < 1_000_000_000, value


@kernel
def _substr(data: Any, size: int, stack: Any, at: int) -> None:
    """From a character on, counted from 1; characters are those of UTF-8."""
    known, first = _whole(stack, at + 1)
    count = np.int64(1_000_000_000)
    if size > 2:
        also, count = _whole(stack, at + 2)
        known = known and also and count >= 0
    if not known:
        stack[at, WHAT] = UNKNOWN
        return
    last = first + count
    i, end = stack[at, FROM], stack[at, TO]
    number, begin, stop = np.int64(0), end, end
    while i < end:
        if data[i] & 0xC0 != 0x80:
            number += 1
            if number == max(first, 1):
                begin = i
            if number == last:
                stop = i
                break
        i += 1
    if last <= 1:
        stop = begin = stack[at, FROM]
    _set_text(stack, at, begin, max(begin, stop))


@kernel
def _split_part(data: Any, stack: Any, at: int) -> None:
    known, wanted = _whole(stack, at + 2)
    if not known or wanted == 0:
        stack[at, WHAT] = UNKNOWN
        return
    start, end = stack[at, FROM], stack[at, TO]
    by, size = stack[at + 1, FROM], stack[at + 1, TO] - stack[at + 1, FROM]
    if wanted < 0:
        wanted += 1 + _parts(data, start, end, by, size)
    number = np.int64(1)
    i = start
    while number < wanted and size > 0 and i + size <= end:
        if equal_bytes(data, i, data, by, size):
            number += 1
            i += size
            start = i
        else:
            i += 1
    if number != wanted:
        _set_text(stack, at, start, start)
        return
    i = start
    while size > 0 and i + size <= end and not equal_bytes(data, i, data, by, size):
        i += 1
    _set_text(stack, at, start, i if size > 0 and i + size <= end else end)


@kernel
def _parts(data: Any, start: int, end: int, by: int, size: int) -> int:
    count = np.int64(1)
    i = start
    while size > 0 and i + size <= end:
        if equal_bytes(data, i, data, by, size):
            count += 1
            i += size
        else:
            i += 1
    return count


@kernel
def _like(data: Any, i: int, end: int, p: int, last: int) -> bool:
    """Whether a text is like a pattern of % and _; after a mismatch the last % takes one byte more."""
    star, after = np.int64(-1), np.int64(0)
    while i < end:
        if p < last and data[p] == _PERCENT:
            star, after = p, i
            p += 1
        elif p < last and data[p] == _UNDERSCORE:
            p += 1
            i += 1
            while i < end and data[i] & 0xC0 == 0x80:
                i += 1
        elif p < last and data[p] == data[i]:
            p += 1
            i += 1
        elif star >= 0:
            after += 1
            i = after
            p = star + 1
        else:
            return False
    while p < last and data[p] == _PERCENT:
        p += 1
    return p == last


@kernel
def _extract(op: int, stack: Any, at: int) -> None:
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
    _set(stack, at, NUMBER_VALUE, value, places)


@kernel
def _result(area: Any, used: Any, base: int, stack: Any) -> Any:
    """(kind, start, end) of the value at the bottom of the stack, as a field."""
    what = stack[0, WHAT]
    if what == NULL:
        return np.int64(MISSING), np.int64(0), np.int64(0)
    if what == TEXT_VALUE:
        return np.int64(STRING), stack[0, FROM], stack[0, TO]
    if what == RAW_VALUE:
        return stack[0, VALUE], stack[0, FROM], stack[0, TO]
    if what == BOOLEAN_VALUE:
        truth = stack[0, VALUE] == 1
        start, end = (TRUE_AT, FALSE_AT) if truth else (FALSE_AT, TEXTS_END)
        return np.int64(STRING), base + start, base + end
    if what == UNKNOWN:
        return np.int64(OTHER), np.int64(0), np.int64(0)
    start, end = _written(area, used, what, stack[0, VALUE], stack[0, PLACES])
    if start < 0:
        return np.int64(OTHER), np.int64(0), np.int64(0)
    return np.int64(NUMBER if what == NUMBER_VALUE else STRING), base + start, base + end
