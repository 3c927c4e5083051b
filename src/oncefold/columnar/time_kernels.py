"""Times of zones and of patterns, and windows that follow a zone's clocks: `core.zones` and `core.windows`."""

from typing import Any

import numpy as np

from oncefold.columnar.parse_kernels import civil_from_days, days_from_civil, is_digit, midnight, parse_moment
from oncefold.columnar.plan import BY_CLOCK, BY_STEP, BY_YEAR, NO_ZONE, UNREADABLE_FORMAT, ZoneTables
from oncefold.columnar.primitives import ZERO
from oncefold.kernels.declare import inlined, kernel

_NANOS = 1_000_000_000
_DAY_SECONDS = 86_400
_LETTER = 256
"""Added to the letter of a directive in a pattern's program; a lower number is a byte between directives."""
_Y, _M, _D, _HOUR, _MINUTE, _SECOND, _FRACTION = 89, 109, 100, 72, 77, 83, 102
_MOST_OF = 2


@inlined
def _last_at(values: Any, first: int, stop: int, value: int) -> int:
    """The last of values[first:stop], which ascend, that is not greater; `first` if all are."""
    low, high = first, stop
    while high - low > 1:
        middle = (low + high) >> 1
        if values[middle] <= value:
            low = middle
        else:
            high = middle
    return low


@inlined
def _switch(zone: int, second: int, zones: Any) -> int:
    """Which entry of the zones' tables holds at a second since 1970."""
    return _last_at(zones.switches, zones.first[zone], zones.first[zone + 1], second)


@inlined
def of_zone(nanos: int, zone: int, zones: Any) -> int:
    """The time at which the clocks of a zone show this one, which is as if of UTC."""
    at = _last_at(zones.local_switches, zones.first[zone], zones.first[zone + 1], nanos // _NANOS)
    return nanos - zones.offsets[at] * _NANOS


@kernel
def parse_local(data: Any, start: int, end: int, places: int, zone: int, form: int, zones: Any) -> Any:
    """A time as (understood, nanoseconds): by a pattern if `form` names one, of the zone if it names no offset."""
    if form == UNREADABLE_FORMAT:
        return False, np.int64(0)
    if form >= 0:
        understood, nanos = _formatted(data, start, end, zones, form)
        naive = True
    else:
        understood, nanos, naive = parse_moment(data, start, end, places)
    if understood and naive and zone != NO_ZONE:
        nanos = of_zone(nanos, zone, zones)
    return understood, nanos


@inlined
def _formatted(data: Any, i: int, end: int, zones: Any, form: int) -> Any:
    """A time as a pattern's program says; each number takes as many digits as it can."""
    year, month, day = np.int64(0), np.int64(0), np.int64(0)
    seconds, fraction = np.int64(0), np.int64(0)
    for k in range(zones.format_first[form], zones.format_first[form + 1]):
        code = zones.formats[k]
        if code < _LETTER:
            if i >= end or data[i] != code:
                return False, np.int64(0)
            i += 1
            continue
        letter = code - _LETTER
        most = 4 if letter == _Y else 9 if letter == _FRACTION else _MOST_OF
        first, value = i, np.int64(0)
        while i < end and i - first < most and is_digit(data[i]):
            value = value * 10 + (data[i] - ZERO)
            i += 1
        if i == first or (letter == _Y and i - first != 4):
            return False, np.int64(0)
        if letter == _FRACTION:
            for _ in range(9 - (i - first)):
                value *= 10
        elif (letter == _HOUR and value > 23) or (letter in (_MINUTE, _SECOND) and value > 59):
            return False, np.int64(0)
        year = value if letter == _Y else year
        month = value if letter == _M else month
        day = value if letter == _D else day
        seconds += value * _seconds_of(letter)
        fraction = value if letter == _FRACTION else fraction
    understood, nanos = midnight(year, month, day)
    return understood and i == end, nanos + seconds * _NANOS + fraction


@inlined
def _seconds_of(letter: int) -> int:
    """What one of a directive is in seconds; 0 for a date and a fraction."""
    if letter == _HOUR:
        return np.int64(3_600)
    if letter == _MINUTE:
        return np.int64(60)
    return np.int64(1 if letter == _SECOND else 0)


@inlined
def local_start(nanos: int, levels: Any, v: int, zones: Any) -> Any:
    """core.timestamps.Window.start for level v with a zone, in seconds, and the offset that its label has."""
    second = nanos // _NANOS
    zone = levels[v, 9]
    at = _switch(zone, second, zones)
    local = second + zones.offsets[at]
    if levels[v, 3] == BY_CLOCK:
        return _clock_start(local, levels[v, 5], at, zones.first[zone], zones)
    if levels[v, 3] == BY_STEP:
        since = local - levels[v, 6]
        return local - (since - since // levels[v, 5] * levels[v, 5]), np.int64(0)
    year, month, _ = civil_from_days(local // _DAY_SECONDS)
    if levels[v, 3] == BY_YEAR:
        return days_from_civil(year - year % levels[v, 4], 1, 1) * _DAY_SECONDS, np.int64(0)
    return days_from_civil(year, month - (month - 1) % levels[v, 4], 1) * _DAY_SECONDS, np.int64(0)


@inlined
def _clock_start(local: int, step: int, at: int, first: int, zones: Any) -> Any:
    """core.windows: the start of a window shorter than a day, and the offset there."""
    offset, switch = zones.offsets[at], zones.switches[at]
    begun = local // step * step
    if begun - offset >= switch or at == first:
        return begun - offset, offset
    before = zones.offsets[at - 1]
    if (switch - 1 + before) // step * step != begun:
        return switch, offset
    start = max(begun - before, zones.switches[at - 1])
    return start, before


@kernel("i64[], const i64[,], i64", ZoneTables)
def window_starts(times: Any, levels: Any, v: int, zones: Any) -> None:
    """Replace times in nanoseconds by the starts of their windows at level v, which has a zone, in seconds."""
    for i in range(len(times)):
        times[i], _ = local_start(times[i], levels, v, zones)


@kernel("i64[], i64", ZoneTables)
def shift_to_zone(times: Any, zone: int, zones: Any) -> None:
    """Replace what the clocks of a zone show, as if of UTC, by the times."""
    for i in range(len(times)):
        times[i] = of_zone(times[i], zone, zones)
