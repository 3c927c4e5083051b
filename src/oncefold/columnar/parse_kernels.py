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
    missing = scale
    if i < end and data[i] == POINT:
        i += 1
        first = i
        while i < end and missing > 0 and is_digit(data[i]):
            mantissa = mantissa * 10 + (data[i] - ZERO)
            missing -= 1
            i += 1
        if missing == 0:
            understood, i, up = _excess(data, i, end, rounds, mantissa)
            if not understood:
                return False, np.int64(0)
            mantissa += up
        if i == first:
            return False, np.int64(0)
    if i != end:
        return False, np.int64(0)
    mantissa *= _POWERS[missing]
    return True, -mantissa if negative else mantissa


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
    """RFC 3339, a date, or an epoch number with `places` decimals to the nanosecond; as nanoseconds."""
    n = end - start
    if n < 10 or data[start + 4] != MINUS or data[start + 7] != MINUS:
        return parse_scaled(data, start, end, places, 0)
    high, low = _two(data, start), _two(data, start + 2)
    month, day = _two(data, start + 5), _two(data, start + 8)
    year = high * 100 + low
    if high > 99 or low > 99 or not _FIRST_YEAR <= year <= _LAST_YEAR or not 1 <= month <= 12:
        return False, np.int64(0)
    if not 1 <= day <= _days_of_month(year, month):
        return False, np.int64(0)
    nanos = days_from_civil(year, month, day) * _DAY
    if n == 10:
        return True, nanos
    understood, of_day = _parse_clock(data, start + 10, end)
    return understood, nanos + of_day


@kernel
def _parse_clock(data: Any, i: int, end: int) -> Any:
    """`T11:00:58.8997Z` or with an offset, as nanoseconds to add to the date's midnight."""
    if end - i < 9 or (data[i] != 84 and data[i] != 116 and data[i] != 32):
        return False, np.int64(0)
    hour, minute, second = _two(data, i + 1), _two(data, i + 4), _two(data, i + 7)
    if data[i + 3] != 58 or data[i + 6] != 58 or hour > 23 or minute > 59 or second > 59:
        return False, np.int64(0)
    nanos = (hour * 3_600 + minute * 60 + second) * _NANOS
    i += 9
    if i < end and data[i] == POINT:
        first = i + 1
        i = first
        fraction = np.int64(0)
        while i < end and is_digit(data[i]) and i - first < 9:
            fraction = fraction * 10 + (data[i] - ZERO)
            i += 1
        if i == first or (i < end and is_digit(data[i])):
            return False, np.int64(0)
        nanos += fraction * _POWERS[9 - (i - first)]
    if i == end or (i + 1 == end and (data[i] == 90 or data[i] == 122)):
        return True, nanos
    if end - i != 6 or (data[i] != PLUS and data[i] != MINUS) or data[i + 3] != 58:
        return False, np.int64(0)
    hours, minutes = _two(data, i + 1), _two(data, i + 4)
    if hours > 23 or minutes > 59:
        return False, np.int64(0)
    offset = (hours * 3_600 + minutes * 60) * _NANOS
    return True, nanos - offset if data[i] == PLUS else nanos + offset
