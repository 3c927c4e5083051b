"""Labels of a record from the spans of its fields, and the leaf that they are."""

from typing import Any

from oncefold.columnar.array_kernels import MOST_LABEL_BYTES, find_elements, write_set
from oncefold.columnar.field_kinds import EMPTY, MISSING, NUMBER, STRING
from oncefold.columnar.parse_kernels import civil_from_days, days_from_civil, is_digit, parse_time
from oncefold.columnar.plan import (
    AS_DAY,
    AS_LOCAL,
    AS_MONTH,
    AS_TIME,
    AS_YEAR,
    BY_STEP,
    BY_YEAR,
    COMMON_FORMAT,
    NO_ARRAY,
    NO_ZONE,
    UNREAD_ARRAY,
)
from oncefold.columnar.primitives import MINUS, PLUS, ZERO
from oncefold.columnar.time_kernels import local_start, parse_local
from oncefold.kernels.declare import inlined, kernel

MOST_LEAF_BYTES = 900
"""Labels that together stay below this pass every limit of the meaning, however they are escaped."""

_NANOS = 1_000_000_000
_DAY_SECONDS = 86_400


@inlined
def is_integer(data: Any, start: int, end: int) -> bool:
    """Whether a JSON number is digits alone, in the form that is its own text; `-0` is not."""
    i = start
    if data[i] == MINUS:
        i += 1
        if data[i] == ZERO:
            return False
    while i < end:
        if not is_digit(data[i]):
            return False
        i += 1
    return True


@inlined
def is_text(kind: int, data: Any, start: int, end: int) -> bool:
    """Whether a field can be a key or label as its bytes are."""
    return kind == STRING or kind == EMPTY or (kind == NUMBER and is_integer(data, start, end))


@inlined
def is_numeral(kind: int) -> bool:
    """Whether a field may hold a number or a time."""
    return kind == STRING or kind == NUMBER


@inlined
def moment(data: Any, start: int, end: int, places: int, zone: int, form: int, plan: Any) -> Any:
    """(understood, nanoseconds) of a time as the definition says it is written."""
    if zone == NO_ZONE and form == COMMON_FORMAT:
        return parse_time(data, start, end, places)
    return parse_local(data, start, end, places, zone, form, plan.zones)


@inlined
def write_leaf(data: Any, kinds: Any, starts: Any, ends: Any, plan: Any, scratch: Any) -> int:
    """Write the encoded leaf; its length, or -1 if a label is not plain."""
    if plan.arrays[0] > 0:
        return _write_set_of_leaves(data, kinds, starts, ends, plan, scratch)
    encoded = scratch[0]
    at = 0
    for v in range(plan.levels.shape[0]):
        size = _write_label(data, kinds, starts, ends, plan, v, encoded, at, MOST_LEAF_BYTES - at)
        if size < 0:
            return -1
        at += size
    return at


@inlined
def _write_label(
    data: Any, kinds: Any, starts: Any, ends: Any, plan: Any, v: int, encoded: Any, at: int, most: int
) -> int:
    """Write the label of a level with its length before it; the bytes of both, or -1 if it is not plain or too long."""
    f = plan.levels[v, 0]
    windowed = plan.levels[v, 1] == 1
    missing = kinds[f] == MISSING or (windowed and kinds[f] == EMPTY)
    if missing:
        return _write_default(plan, v, encoded, at, most)
    if windowed:
        if not is_numeral(kinds[f]):
            return -1
        understood, nanos = moment(
            data, starts[f], ends[f], plan.levels[v, 2], plan.levels[v, 10], plan.levels[v, 11], plan
        )
        size = plan.levels[v, 7]
        if not understood or size + 2 > most:
            return -1
        if plan.levels[v, 9] == NO_ZONE:
            write_window(window_second(nanos, plan.levels, v), size, encoded, at + 2)
        else:
            second, offset = local_start(nanos, plan.levels, v, plan.zones)
            if offset % 60 != 0:
                return -1
            write_window(second + offset, min(size, AS_TIME), encoded, at + 2)
            if size == AS_LOCAL:
                write_offset(offset // 60, encoded, at + 2 + AS_TIME - 1)
    else:
        size = ends[f] - starts[f]
        if size + 2 > most or not is_text(kinds[f], data, starts[f], ends[f]):
            return -1
        for i in range(size):
            encoded[at + 2 + i] = data[starts[f] + i]
    encoded[at] = size & 255
    encoded[at + 1] = size >> 8
    return 2 + size


@inlined
def _write_default(plan: Any, v: int, encoded: Any, at: int, most: int) -> int:
    """Write the label of what is missing, as `_write_label`."""
    begin, size = plan.default_ends[v], plan.default_ends[v + 1] - plan.default_ends[v]
    if plan.levels[v, 8] == 0 or size + 2 > most:
        return -1
    for i in range(size):
        encoded[at + 2 + i] = plan.defaults[begin + i]
    encoded[at] = size & 255
    encoded[at + 1] = size >> 8
    return 2 + size


@kernel
def _write_set_of_leaves(data: Any, kinds: Any, starts: Any, ends: Any, plan: Any, scratch: Any) -> int:
    """The same where levels are filled for each element of an array."""
    encoded, spans = scratch
    if not find_elements(data, kinds, starts, plan, spans):
        return -1
    levels = plan.levels.shape[0]
    at = 0
    longest = 0
    for v in range(levels):
        f, array = plan.levels[v, 0], plan.levels[v, 12]
        left = MOST_LEAF_BYTES - longest
        size = -1
        if array == NO_ARRAY:
            size = _write_label(data, kinds, starts, ends, plan, v, encoded, at, left)
        elif array == UNREAD_ARRAY:
            if kinds[f] == MISSING or kinds[f] == EMPTY:
                size = _write_default(plan, v, encoded, at, left)
        elif spans[3 * levels, array] == 0:
            size = _write_default(plan, v, encoded, at, left)
        elif left >= 2 + MOST_LABEL_BYTES:
            # What stays free behind it is enough for all labels that are no set's.
            size = write_set(data, v, plan, spans, encoded, at, len(encoded) - MOST_LEAF_BYTES)
        if size < 0:
            return -1
        longest += 2 + MOST_LABEL_BYTES if array >= 0 else size
        at += size
    return at


@inlined
def window_second(nanos: int, levels: Any, v: int) -> int:
    """core.timestamps.Window.start for level v, in seconds: all starts are whole ones, and some are centuries back."""
    seconds = nanos // _NANOS
    if levels[v, 3] == BY_STEP:
        since = seconds - levels[v, 6]
        return seconds - (since - since // levels[v, 5] * levels[v, 5])
    year, month, _ = civil_from_days(seconds // _DAY_SECONDS)
    if levels[v, 3] == BY_YEAR:
        return days_from_civil(year - year % levels[v, 4], 1, 1) * _DAY_SECONDS
    return days_from_civil(year, month - (month - 1) % levels[v, 4], 1) * _DAY_SECONDS


@inlined
def _digits(out: Any, at: int, value: int, width: int) -> None:
    for i in range(width):
        out[at + width - 1 - i] = ZERO + value % 10
        value //= 10


@kernel
def write_window(second: int, form: int, out: Any, at: int) -> None:
    """core.timestamps.Window.label: the first `form` characters of the RFC 3339 text of a second since the epoch."""
    days = second // _DAY_SECONDS
    year, month, day = civil_from_days(days)
    _digits(out, at, year, 4)
    if form >= AS_MONTH:
        out[at + 4] = MINUS
        _digits(out, at + 5, month, 2)
    if form >= AS_DAY:
        out[at + 7] = MINUS
        _digits(out, at + 8, day, 2)
    if form >= AS_TIME:
        seconds = second - days * _DAY_SECONDS
        out[at + 10] = 84
        _digits(out, at + 11, seconds // 3_600, 2)
        out[at + 13] = 58
        _digits(out, at + 14, seconds // 60 % 60, 2)
        out[at + 16] = 58
        _digits(out, at + 17, seconds % 60, 2)
        out[at + 19] = 90


@inlined
def write_offset(minutes: int, out: Any, at: int) -> None:
    """Write minutes east of UTC, such as `+02:00`."""
    out[at] = MINUS if minutes < 0 else PLUS
    minutes = abs(minutes)
    _digits(out, at + 1, minutes // 60, 2)
    out[at + 3] = 58
    _digits(out, at + 4, minutes % 60, 2)


assert AS_YEAR < AS_MONTH < AS_DAY < AS_TIME
