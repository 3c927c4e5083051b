"""Operations of the machine for expressions on texts, and values as texts, which are written behind the block."""

from typing import Any

import numpy as np

from oncefold.columnar.expression_plan import (
    BOOLEAN_VALUE,
    FALSE_AT,
    NUMBER_VALUE,
    OPS,
    TEXT_VALUE,
    TEXTS_END,
    TIME_VALUE,
    TRUE_AT,
    UNKNOWN,
)
from oncefold.columnar.expression_stack import (
    FROM,
    PLACES,
    POWERS,
    SAFE,
    TO,
    VALUE,
    WHAT,
    set_text,
    set_value,
    without_value,
)
from oncefold.columnar.label_kernels import write_window
from oncefold.columnar.parse_kernels import parse_time
from oncefold.columnar.plan import AS_TIME
from oncefold.columnar.primitives import POINT, ZERO, write_decimal
from oncefold.kernels.byte_spans import copy_bytes, equal_bytes
from oncefold.kernels.declare import inlined, kernel

_PERCENT, _UNDERSCORE = 37, 95
_NANOS = 1_000_000_000
_NUMBER_ROOM = 64
"""Bytes that a number or a time takes at most, and more."""
_LOWER = OPS["lower"]
_UPPER = OPS["upper"]
_LTRIM = OPS["ltrim"]
_RTRIM = OPS["rtrim"]
_CONCAT, _SUBSTR, _SPLIT_PART, _LIKE = (OPS[op] for op in ("||", "substr", "split_part", "like"))
_TO_TEXT, _TO_TIME = OPS["to_text"], OPS["to_time"]


@kernel
def texts(data: Any, area: Any, used: Any, base: int, op: int, size: int, stack: Any, top: int) -> int:
    """Operations on texts, and casts to text and time; gives the new top."""
    at = top - size
    without = without_value(stack, at, top)
    if without >= 0:
        set_value(stack, at, without, 0, 0)
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
            set_text(stack, at, base + begin, base + begin + length + more)
    elif op == _SUBSTR:
        _substr(data, size, stack, at)
    elif op == _SPLIT_PART:
        _split_part(data, stack, at)
    elif op == _LIKE:
        truth = _like(data, stack[at, FROM], stack[at, TO], stack[at + 1, FROM], stack[at + 1, TO])
        set_value(stack, at, BOOLEAN_VALUE, np.int64(truth), 0)
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
        set_text(stack, at, base + (TRUE_AT if truth else FALSE_AT), base + (FALSE_AT if truth else TEXTS_END))
    elif what in (NUMBER_VALUE, TIME_VALUE):
        start, end = written(area, used, what, stack[at, VALUE], stack[at, PLACES])
        set_text(stack, at, base + start, base + end)
        if start < 0:
            stack[at, WHAT] = UNKNOWN


@kernel
def written(area: Any, used: Any, what: int, value: int, places: int) -> Any:
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
    """A decimal without needless zeros."""
    while places > 0 and value % 10 == 0:
        value //= 10
        places -= 1
    return write_decimal(value, places, area, at)


@kernel
def _to_time(data: Any, stack: Any, at: int) -> None:
    what = stack[at, WHAT]
    if what == TEXT_VALUE:
        understood, nanos = parse_time(data, stack[at, FROM], stack[at, TO], 9)
        set_value(stack, at, TIME_VALUE if understood else UNKNOWN, nanos, 0)
    elif what == NUMBER_VALUE:
        more = 9 - stack[at, PLACES]
        fits = more >= 0 and abs(np.float64(stack[at, VALUE])) * np.float64(POWERS[max(more, 0)]) < SAFE
        set_value(stack, at, TIME_VALUE if fits else UNKNOWN, stack[at, VALUE] * POWERS[max(more, 0)] if fits else 0, 0)
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
        set_text(stack, at, base + begin, base + begin + length)


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
    set_text(stack, at, start, end)


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
    set_text(stack, at, begin, max(begin, stop))


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
        set_text(stack, at, start, start)
        return
    i = start
    while size > 0 and i + size <= end and not equal_bytes(data, i, data, by, size):
        i += 1
    set_text(stack, at, start, i if size > 0 and i + size <= end else end)


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
