"""Timestamps read exactly, as nanoseconds since 1970-01-01T00:00:00Z.

Text follows RFC 3339 (a space may stand for the T, section 5.6) and the other spellings of ISO 8601, SQL, BigQuery,
Go, Java and HTTP that mean one thing. A time without an offset is of the zone that the caller names, or else of UTC; a
bare date is its midnight, a month the midnight of its first day. Numbers are epoch numbers in a declared unit.
"""

import re
from collections.abc import Sequence
from datetime import date, timedelta

from oncefold.core.decimals import parse_decimal, shown
from oncefold.core.limits import VERSION_MAX
from oncefold.core.zones import Zone

NANOS = 10**9
DAY = 86_400 * NANOS
STEPS = {"s": NANOS, "m": 60 * NANOS, "h": 3_600 * NANOS, "d": DAY, "w": 7 * DAY}
"""Nanoseconds of the units whose length is always the same."""
UNIT_PLACES = {"s": 9, "ms": 6, "us": 3, "ns": 0}
"""Decimal places between one unit of an epoch number and the nanosecond."""

_CLOCK = r"(\d{2})(?::(\d{2})(?::(\d{2})(?:[.,](\d+))?)?)?"
_OFFSET = r" ?(?:(Z|z|UTC|GMT|[+-]00:?00 UTC)|([+-]\d{2}(?::?\d{2}(?::?\d{2})?)?))(?:\[!?[A-Za-z0-9_/+-]+\])?"
_ISO = re.compile(rf"(\d{{4}})-(\d{{2}})-(\d{{2}})(?:[Tt ]{_CLOCK}(?:{_OFFSET})?)?", re.ASCII)
_BASIC = re.compile(
    rf"(\d{{4}})(\d{{2}})(\d{{2}})T(\d{{2}})(\d{{2}})(?:(\d{{2}})(?:[.,](\d+))?)?(?:{_OFFSET})?", re.ASCII
)
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_ORDINAL = re.compile(r"(\d{4})-(\d{3})", re.ASCII)
_WEEK = re.compile(r"(\d{4})-?W(\d{2})(?:-?([1-7]))?", re.ASCII)
_HTTP = re.compile(
    r"([A-Z][a-z]{2}), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) (?:GMT|UTC|[+-]0000)", re.ASCII
)
_DOT_NET = re.compile(r"/Date\((-?\d+)\)/", re.ASCII)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""English names, as HTTP has them (RFC 9110, section 5.6.7)."""
_EPOCH = date(1970, 1, 1).toordinal()
_PLAIN_NUMBER = re.compile(r"([0-9]{1,30})(?:\.[0-9]*)?", re.ASCII)
_LIKELY_SECONDS = 631_152_000, 4_102_444_800
"""1990 and 2100: between them lie the times of most events."""
_SHORTEST_TIME = 6
_MIDNIGHT = ("00", "00", "00", None)


def parse_timestamp(text: str, unit: str = "s", zone: Zone | None = None) -> int:
    """Nanoseconds since the epoch of a time as text, a date, or an epoch number in `unit`.

    A text without an offset is of the zone, of UTC without one. Raises ValueError with the reason.
    """
    if len(text) > _SHORTEST_TIME:
        if (match := _ISO.fullmatch(text)) is not None:
            year, month, day, *clock, utc, offset = match.groups()
            return _moment(text, _day(text, year, month, day), clock, utc, offset, zone)
        found = _uncommon(text, zone)
        if found is not None:
            return found
    try:
        return parse_decimal(text, UNIT_PLACES[unit], VERSION_MAX)
    except ValueError as error:
        if str(error).endswith("is not a number"):
            raise ValueError(f"{shown(text)} is not an RFC 3339 time, a date or an epoch number") from None
        likely = likely_unit(text)
        if likely is not None and likely != unit:
            raise ValueError(f'{error}; it looks like {likely}: write unit = "{likely}"') from None
        raise


def likely_unit(text: str) -> str | None:
    """The unit in which an epoch number is a time from 1990 to 2100; None if it is so in none, or is no number."""
    match = _PLAIN_NUMBER.fullmatch(text)
    if match is None:
        return None
    first, last = _LIKELY_SECONDS
    for unit, places in UNIT_PLACES.items():
        if first * 10 ** (9 - places) <= int(match[1]) < last * 10 ** (9 - places):
            return unit
    return None


def _uncommon(text: str, zone: Zone | None) -> int | None:
    """A time in one of the spellings that are seldom seen; None if it is none of them."""
    if (match := _BASIC.fullmatch(text)) is not None:
        year, month, day, *clock, utc, offset = match.groups()
        return _moment(text, _day(text, year, month, day), clock, utc, offset, zone)
    days = _uncommon_day(text)
    if days is not None:
        return _moment(text, days, _MIDNIGHT, None, None, zone)
    if (match := _HTTP.fullmatch(text)) is not None and match[3] in MONTHS:
        days = _day(text, match[4], str(MONTHS.index(match[3]) + 1), match[2])
        if _DAYS[(days + 3) % 7] != match[1]:
            raise ValueError(f"{shown(text)} is not a date: it was no {match[1]}")
        return _moment(text, days, (match[5], match[6], match[7], None), "GMT", None, None)
    match = _DOT_NET.fullmatch(text)
    return None if match is None else parse_decimal(match[1], UNIT_PLACES["ms"], VERSION_MAX)


def _uncommon_day(text: str) -> int | None:
    """The day of a month, of a day of the year, or of a week; None if it is none of them."""
    if (match := _MONTH.fullmatch(text)) is not None:
        return _day(text, match[1], match[2], "1")
    if (match := _ORDINAL.fullmatch(text)) is not None:
        return _ordinal_day(text, int(match[1]), int(match[2]))
    match = _WEEK.fullmatch(text)
    return None if match is None else _week_day(text, int(match[1]), int(match[2]), int(match[3] or 1))


def _day(text: str, year: str, month: str, day: str) -> int:
    try:
        return date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError as error:
        raise ValueError(f"{shown(text)} is not a date: {error}") from None


def _ordinal_day(text: str, year: int, day: int) -> int:
    first = _day(text, str(year), "1", "1")
    if not 1 <= day <= _day(text, str(year), "12", "31") - first + 1:
        raise ValueError(f"{shown(text)} is not a date: the year has no day {day}")
    return first + day - 1


def _week_day(text: str, year: int, week: int, day: int) -> int:
    try:
        return date.fromisocalendar(year, week, day).toordinal() - _EPOCH
    except ValueError as error:
        raise ValueError(f"{shown(text)} is not a date: {error}") from None


def _moment(
    text: str, days: int, clock: Sequence[str | None], utc: str | None, offset: str | None, zone: Zone | None
) -> int:
    hour, minute, second, fraction = clock
    of_day = _time_of_day(text, int(hour or 0), int(minute or 0), int(second or 0))
    nanos = days * DAY + of_day + _nanos_of(text, fraction)
    if of_day == DAY and nanos != (days + 1) * DAY:
        raise ValueError(f"{shown(text)} is not a time of day: 24:00 has nothing after it")
    if offset is not None:
        nanos -= _offset(text, offset)
    elif utc is None:
        nanos = of_zone(nanos, zone)
    return in_range(text, nanos)


def of_zone(nanos: int, zone: Zone | None) -> int:
    """The time at which the clocks of a zone show this one, which is as if of UTC."""
    return nanos if zone is None else nanos - zone.offset_of_local(nanos // NANOS) * NANOS


def in_range(text: str, nanos: int) -> int:
    """The same time. Raises ValueError if it is beyond 64 bits."""
    if abs(nanos) >= VERSION_MAX:
        raise ValueError(f"{shown(text)} is out of range: times lie between 1677-09-21 and 2262-04-11")
    return nanos


def _time_of_day(text: str, hour: int, minute: int, second: int) -> int:
    if (hour > 23 and (hour, minute, second) != (24, 0, 0)) or minute > 59 or second > 59:
        raise ValueError(f"{shown(text)} is not a time of day (leap seconds have no epoch number)")
    return (hour * 3_600 + minute * 60 + second) * NANOS


def _nanos_of(text: str, fraction: str | None) -> int:
    if fraction is None:
        return 0
    if fraction[9:].strip("0"):
        raise ValueError(f"{shown(text)} is finer than a nanosecond")
    return int(fraction[:9].ljust(9, "0"))


def _offset(text: str, offset: str) -> int:
    digits = offset[1:].replace(":", "").ljust(6, "0")
    hour, minute, second = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{shown(text)} has an impossible UTC offset")
    nanos = (hour * 3_600 + minute * 60 + second) * NANOS
    return nanos if offset[0] == "+" else -nanos


def format_timestamp(nanos: int) -> str:
    """RFC 3339 in UTC, with as many places of a second as it needs: `2021-03-22T11:00:58.8997Z`."""
    seconds, fraction = divmod(nanos, NANOS)
    days, of_day = divmod(seconds, 86_400)
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    clock = f"{of_day // 3_600:02d}:{of_day // 60 % 60:02d}:{of_day % 60:02d}"
    return f"{date.fromordinal(days + _EPOCH).isoformat()}T{clock}{tail}Z"


def python_timestamp(value: date) -> str:
    """The text of a Python date or datetime, as `parse_timestamp` reads it."""
    return value.isoformat()


_DURATION = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d|w)", re.ASCII)


def duration(text: str) -> timedelta:
    """Read a length of time such as `90s`, `12h`, `30d` or `2w`. Raises ValueError with the reason."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a length of time; write one such as 90s, 12h, 30d or 2w")
    try:
        return timedelta(microseconds=int(match[1]) * STEPS[match[2]] // 1_000)
    except OverflowError:
        raise ValueError(f"{shown(text)} is too long a time; the longest is {timedelta.max.days}d") from None
