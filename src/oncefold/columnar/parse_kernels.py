"""Numbers and times out of bytes: the common forms only.

Each gives (understood, value). What is not understood is left to the scalar decoder, which either reads it or
says what is wrong; so these kernels never decide that an event is bad.
"""

from typing import Any

import numpy as np

from oncefold.columnar.primitives import MINUS, NINE, PLUS, POINT, ZERO
from oncefold.kernels.declare import inlined, kernel

_POWERS = np.array([10**n for n in range(19)], np.int64)
_MOST_WHOLE = np.array([9_000_000_000_000_000_000 // 10**n - 1 for n in range(19)], np.int64)
"""Whole parts up to this can take n more digits and stay within 64 bits."""

_MOST_DIGITS = 19
"""Of a whole part, so that nanoseconds of today fit; what exceeds 64 bits among these wraps below zero."""

_NANOS = 1_000_000_000
_DAY = 86_400 * _NANOS
_MOST_SIGNIFICANT = 18
_MOST_EXPONENT_DIGITS = 3
_MOST_MANTISSA = np.int64(9_000_000_000_000_000_000)
_LOWER_E = 101
_FIRST_YEAR, _LAST_YEAR = 1700, 2250


@inlined
def is_digit(byte: Any) -> bool:
    """0 to 9."""
    return ZERO <= byte <= NINE


@kernel("const u8[], i64, i64, i64, i64", returns="(bool, i64)")
def parse_scaled(data: Any, start: int, end: int, scale: int, rounds: int) -> Any:
    """A decimal as its mantissa at `scale`; `rounds` is 1 for half-even rounding of the digits beyond."""
    understood, mantissa = _parse_plain(data, start, end, scale, rounds)
    if not understood:
        for i in range(start + 1, end):
            if data[i] | 32 == _LOWER_E:
                return _parse_exponential(data, start, i, end, scale, rounds)
    return understood, mantissa


@kernel
def _parse_exponential(data: Any, start: int, e: int, end: int, scale: int, rounds: int) -> Any:
    """A decimal with an exponent, whose `e` is at data[e]: its digits, shifted by the exponent and the scale."""
    i = start
    negative = data[i] == MINUS
    if negative or data[i] == PLUS:
        i += 1
    mantissa, digits, fraction, leading = np.int64(0), 0, 0, 0
    point = False
    while i < e:
        if data[i] == POINT and not point and digits + leading > 0:
            point = True
        elif is_digit(data[i]):
            if mantissa == 0 and data[i] == ZERO:
                leading += 1
            else:
                digits += 1
            if digits > _MOST_SIGNIFICANT:
                return False, np.int64(0)
            mantissa = mantissa * 10 + (data[i] - ZERO)
            fraction += 1 if point else 0
        else:
            return False, np.int64(0)
        i += 1
    i = e + 1
    below = i < end and data[i] == MINUS
    if below or (i < end and data[i] == PLUS):
        i += 1
    if digits + leading == 0 or not 1 <= end - i <= _MOST_EXPONENT_DIGITS:
        return False, np.int64(0)
    exponent = 0
    while i < end:
        if not is_digit(data[i]):
            return False, np.int64(0)
        exponent = exponent * 10 + np.int64(data[i] - ZERO)
        i += 1
    return _shifted(mantissa, scale - fraction + (-exponent if below else exponent), negative, rounds)


@inlined
def _shifted(mantissa: int, shift: int, negative: bool, rounds: int) -> Any:
    """(understood, mantissa x 10**shift), half-even where it rounds."""
    if mantissa == 0:
        return True, np.int64(0)
    if shift >= 0:
        if shift > _MOST_SIGNIFICANT or mantissa > _MOST_MANTISSA // _POWERS[shift]:
            return False, np.int64(0)
        mantissa *= _POWERS[shift]
        return True, -mantissa if negative else mantissa
    if shift < -_MOST_SIGNIFICANT:
        return False, np.int64(0)
    power = _POWERS[-shift]
    rest = mantissa % power
    mantissa //= power
    if rest != 0:
        if rounds == 0:
            return False, np.int64(0)
        half = power // 2
        if rest > half or (rest == half and mantissa & 1 == 1):
            mantissa += 1
    return True, -mantissa if negative else mantissa


@inlined
def _parse_plain(data: Any, start: int, end: int, scale: int, rounds: int) -> Any:
    """A decimal without an exponent."""
    i = start
    negative = False
    if i < end and (data[i] == MINUS or data[i] == PLUS):
        negative = data[i] == MINUS
        i += 1
    mantissa = np.int64(0)
    first = i
    while i < end and is_digit(data[i]):
        mantissa = mantissa * 10 + (data[i] - ZERO)
        i += 1
    if i == first or i - first > _MOST_DIGITS or not 0 <= mantissa <= _MOST_WHOLE[scale]:
        return False, np.int64(0)
    if i < end and data[i] == POINT:
        understood, i, mantissa = _read_places(data, i + 1, end, scale, rounds, mantissa)
        if not understood:
            return False, np.int64(0)
    else:
        mantissa *= _POWERS[scale]
    if i != end:
        return False, np.int64(0)
    return True, -mantissa if negative else mantissa


@inlined
def _read_places(data: Any, first: int, end: int, scale: int, rounds: int, mantissa: int) -> Any:
    """The digits behind a point, at least one: (understood, where they end, the mantissa at the scale)."""
    i = first
    missing = scale
    while i < end and missing > 0 and is_digit(data[i]):
        mantissa = mantissa * 10 + (data[i] - ZERO)
        missing -= 1
        i += 1
    if missing == 0:
        understood, i, up = _excess(data, i, end, rounds, mantissa)
        if not understood:
            return False, i, np.int64(0)
        mantissa += up
    return i > first, i, mantissa * _POWERS[missing]


@inlined
def _excess(data: Any, i: int, end: int, rounds: int, mantissa: int) -> Any:
    """Digits past the scale: (understood, where they end, 1 to round up)."""
    leading = -1
    rest = 0
    while i < end and is_digit(data[i]):
        digit = np.int64(data[i] - ZERO)
        if leading < 0:
            leading = digit
        else:
            rest |= digit
        i += 1
    if leading <= 0 and rest == 0:
        return True, i, 0
    if rounds == 0:
        return False, i, 0
    up = 1 if leading > 5 or (leading == 5 and (rest != 0 or mantissa & 1 == 1)) else 0
    return True, i, up


@inlined
def _two(data: Any, i: int) -> int:
    """Two digits as a number; above 99 if they are not digits."""
    if is_digit(data[i]) and is_digit(data[i + 1]):
        return np.int64(data[i] - ZERO) * 10 + np.int64(data[i + 1] - ZERO)
    return np.int64(1000)


@inlined
def days_from_civil(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 of a proleptic Gregorian date.

    H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    """
    y = year - 1 if month <= 2 else year
    era = y // 400
    of_era = y - era * 400
    shifted = month - 3 if month > 2 else month + 9
    of_year = (153 * shifted + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


@inlined
def civil_from_days(days: int) -> Any:
    """(year, month, day) of a count of days from 1970-01-01; the inverse of `days_from_civil`."""
    z = days + 719_468
    era = z // 146_097
    of_era = z - era * 146_097
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (1 if month <= 2 else 0), month, day


@inlined
def _days_of_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 else 28
    return 30 if month in (4, 6, 9, 11) else 31


@kernel("const u8[], i64, i64, i64", returns="(bool, i64)")
def parse_time(data: Any, start: int, end: int, places: int) -> Any:
    """A time, a date, or an epoch number with `places` decimals to the nanosecond; as nanoseconds, in UTC if naive."""
    understood, nanos, _ = parse_moment(data, start, end, places)
    return understood, nanos


@kernel
def parse_moment(data: Any, start: int, end: int, places: int) -> Any:
    """(understood, nanoseconds as if of UTC, whether the text names no offset)."""
    n = end - start
    if n < 10 or data[start + 4] != MINUS or data[start + 7] != MINUS:
        understood, nanos = parse_scaled(data, start, end, places, 0)
        return understood, nanos, False
    high, low = _two(data, start), _two(data, start + 2)
    month, day = _two(data, start + 5), _two(data, start + 8)
    if high > 99 or low > 99:
        return False, np.int64(0), False
    understood, nanos = midnight(high * 100 + low, month, day)
    if not understood or n == 10:
        return understood, nanos, True
    understood, of_day, naive = _parse_clock(data, start + 10, end)
    return understood, nanos + of_day, naive


@inlined
def midnight(year: int, month: int, day: int) -> Any:
    """(understood, the beginning of a day in nanoseconds)."""
    if not _FIRST_YEAR <= year <= _LAST_YEAR or not 1 <= month <= 12 or not 1 <= day <= _days_of_month(year, month):
        return False, np.int64(0)
    return True, days_from_civil(year, month, day) * _DAY


@kernel
def _parse_clock(data: Any, i: int, end: int) -> Any:
    """`T11:00:58.8997Z` as (understood, nanoseconds to add to the date's midnight, whether it names no offset)."""
    if end - i < 6 or (data[i] != 84 and data[i] != 116 and data[i] != 32):
        return False, np.int64(0), False
    hour, minute = _two(data, i + 1), _two(data, i + 4)
    if data[i + 3] != 58 or hour > 23 or minute > 59:
        return False, np.int64(0), False
    nanos = (hour * 3_600 + minute * 60) * _NANOS
    i += 6
    if end - i >= 3 and data[i] == 58:
        second = _two(data, i + 1)
        if second > 59:
            return False, np.int64(0), False
        nanos += second * _NANOS
        i += 3
        if i < end and data[i] == POINT:
            first = i + 1
            i = first
            fraction = np.int64(0)
            while i < end and is_digit(data[i]) and i - first < 9:
                fraction = fraction * 10 + (data[i] - ZERO)
                i += 1
            if i == first or (i < end and is_digit(data[i])):
                return False, np.int64(0), False
            nanos += fraction * _POWERS[9 - (i - first)]
    if i == end:
        return True, nanos, True
    understood, offset = _parse_offset(data, i, end)
    return understood, nanos - offset, False


@inlined
def _parse_offset(data: Any, i: int, end: int) -> Any:
    """`Z`, ` UTC`, `+01`, `+0100` or `+01:00`, maybe after a space, as (understood, nanoseconds east of UTC)."""
    if data[i] == 32:
        i += 1
    size = end - i
    if size == 1 and (data[i] == 90 or data[i] == 122):
        return True, np.int64(0)
    if size == 3 and data[i] == 85 and data[i + 1] == 84 and data[i + 2] == 67:
        return True, np.int64(0)
    if size != 3 and size != 5 and size != 6:
        return False, np.int64(0)
    if (data[i] != PLUS and data[i] != MINUS) or (size == 6 and data[i + 3] != 58):
        return False, np.int64(0)
    hours, minutes = _two(data, i + 1), np.int64(0)
    if size > 3:
        minutes = _two(data, end - 2)
    if hours > 23 or minutes > 59:
        return False, np.int64(0)
    offset = (hours * 3_600 + minutes * 60) * _NANOS
    return True, offset if data[i] == PLUS else -offset


@kernel
def parse_spelled(data: Any, start: int, end: int, scale: int, rounds: int, spelling: Any) -> Any:
    """A decimal without an exponent whose marks are spelling[1], for the point, and spelling[2], between groups.

    Gives (understood, mantissa at `scale`).
    """
    i = start
    negative = i < end and data[i] == MINUS
    if negative or (i < end and data[i] == PLUS):
        i += 1
    mantissa = np.int64(0)
    digits, in_group, grouped = 0, 0, False
    while i < end and data[i] != spelling[1]:
        if is_digit(data[i]):
            mantissa = mantissa * 10 + (data[i] - ZERO)
            digits += 1
            in_group += 1
        elif data[i] == spelling[2] and 1 <= in_group <= 3 and (not grouped or in_group == 3):
            grouped, in_group = True, 0
        else:
            return False, np.int64(0)
        i += 1
    if digits == 0 or digits > _MOST_SIGNIFICANT or (grouped and in_group != 3) or mantissa > _MOST_WHOLE[scale]:
        return False, np.int64(0)
    if i < end:
        understood, i, mantissa = _read_places(data, i + 1, end, scale, rounds, mantissa)
        if not understood or i != end:
            return False, np.int64(0)
    else:
        mantissa *= _POWERS[scale]
    return True, -mantissa if negative else mantissa
