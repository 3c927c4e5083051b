"""Timestamps read exactly, as nanoseconds since 1970-01-01T00:00:00Z, and the windows they fall in.

Text follows RFC 3339 (a space may stand for the T, section 5.6); a bare date is its midnight in UTC, and a time
without an offset is read as UTC. Numbers are epoch numbers in a declared unit.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta

from oncefold.core.decimals import parse_decimal, shown
from oncefold.core.limits import VERSION_MAX

NANOS = 10**9
DAY = 86_400 * NANOS
UNIT_PLACES = {"s": 9, "ms": 6, "us": 3, "ns": 0}
"""Decimal places between one unit of an epoch number and the nanosecond."""

_RFC3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:([Zz])|([+-])(\d{2}):(\d{2}))?)?",
    re.ASCII,
)
_EPOCH = date(1970, 1, 1).toordinal()
_STEPS = {"s": NANOS, "m": 60 * NANOS, "h": 3_600 * NANOS, "d": DAY, "w": 7 * DAY}
_WINDOW = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d|w|mo|y)", re.ASCII)
_MONDAY = 4 * DAY
"""1970-01-05 was a Monday: weeks are counted from there."""
_MOST_YEARS = 1_000
"""The longest window of years; every time that can be read lies after its first start, the year 1000."""


def parse_timestamp(text: str, unit: str = "s") -> int:
    """Nanoseconds since the epoch of an RFC 3339 text, a date, or an epoch number in `unit`.

    Raises ValueError with the reason.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        try:
            return parse_decimal(text, UNIT_PLACES[unit], VERSION_MAX)
        except ValueError as error:
            if str(error).endswith("is not a number"):
                raise ValueError(f"{shown(text)} is not an RFC 3339 time, a date or an epoch number") from None
            raise
    year, month, day, hour, minute, second, fraction, _, sign, off_hour, off_minute = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError as error:
        raise ValueError(f"{shown(text)} is not a date: {error}") from None
    nanos = days * DAY
    if hour is not None:
        nanos += _time_of_day(text, int(hour), int(minute), int(second)) + _nanos_of(text, fraction)
        nanos -= _offset(text, sign, off_hour, off_minute)
    if abs(nanos) >= VERSION_MAX:
        raise ValueError(f"{shown(text)} is out of range: times lie between 1677-09-21 and 2262-04-11")
    return nanos


def _time_of_day(text: str, hour: int, minute: int, second: int) -> int:
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{shown(text)} is not a time of day (leap seconds have no epoch number)")
    return (hour * 3_600 + minute * 60 + second) * NANOS


def _nanos_of(text: str, fraction: str | None) -> int:
    if fraction is None:
        return 0
    if fraction[9:].strip("0"):
        raise ValueError(f"{shown(text)} is finer than a nanosecond")
    return int(fraction[:9].ljust(9, "0"))


def _offset(text: str, sign: str | None, hour: str | None, minute: str | None) -> int:
    if sign is None or hour is None or minute is None:
        return 0
    if int(hour) > 23 or int(minute) > 59:
        raise ValueError(f"{shown(text)} has an impossible UTC offset")
    nanos = (int(hour) * 3_600 + int(minute) * 60) * NANOS
    return nanos if sign == "+" else -nanos


def format_timestamp(nanos: int) -> str:
    """RFC 3339 in UTC, with as many places of a second as it needs: `2021-03-22T11:00:58.8997Z`."""
    seconds, fraction = divmod(nanos, NANOS)
    days, of_day = divmod(seconds, 86_400)
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    clock = f"{of_day // 3_600:02d}:{of_day // 60 % 60:02d}:{of_day % 60:02d}"
    return f"{date.fromordinal(days + _EPOCH).isoformat()}T{clock}{tail}Z"


@dataclass(frozen=True, slots=True)
class Window:
    """A tumbling window in UTC: every time falls in exactly one, labelled by its start.

    Seconds, minutes, hours and days count from the epoch, weeks from a Monday, months and years by the calendar.
    """

    length: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Read `15m`, `1h`, `1d`, `1w`, `1mo`, `1y`. Raises ValueError with the reason."""
        match = _WINDOW.fullmatch(text)
        if match is None:
            raise ValueError(f"{shown(text)} is not a window; write a length such as 15m, 1h, 1d, 1w, 1mo or 1y")
        window = cls(int(match[1]), match[2])
        if window.unit in _STEPS and window.step > VERSION_MAX // 8:
            raise ValueError(f"{shown(text)} is too long a window; the longest is some 36 years")
        if window.unit == "y" and window.length > _MOST_YEARS:
            raise ValueError(f"{shown(text)} is too long a window; the longest is {_MOST_YEARS}y")
        if window.unit == "mo" and 12 % window.length:
            raise ValueError(f"{shown(text)}: a window of months must divide a year (1, 2, 3, 4, 6 or 12)")
        return window

    @property
    def step(self) -> int:
        """Nanoseconds from one window to the next; 0 for months and years, which vary."""
        return self.length * _STEPS[self.unit] if self.unit in _STEPS else 0

    @property
    def origin(self) -> int:
        """A start that the other starts are counted from, nanoseconds since the epoch."""
        return _MONDAY if self.unit == "w" else 0

    def start(self, nanos: int) -> int:
        """The start of the window that holds this time, nanoseconds since the epoch."""
        if self.step:
            return nanos - (nanos - self.origin) % self.step
        day = date.fromordinal(nanos // DAY + _EPOCH)
        year = day.year - (day.year % self.length if self.unit == "y" else 0)
        month = 1 if self.unit == "y" else day.month - (day.month - 1) % self.length
        return (date(year, month, 1).toordinal() - _EPOCH) * DAY

    def label(self, start: int) -> str:
        """The label of the window with this start: `2021`, `2021-03`, `2021-03-22` or a full time."""
        text = format_timestamp(start)
        if self.unit == "y":
            return text[:4]
        if self.unit == "mo":
            return text[:7]
        return text[:10] if self.step % DAY == 0 else text

    def __str__(self) -> str:
        return f"{self.length}{self.unit}"


def python_timestamp(value: date) -> str:
    """The text of a Python date or datetime, as `parse_timestamp` reads it."""
    return value.isoformat()


def duration(text: str) -> timedelta:
    """Read a length of time such as `90s`, `12h`, `30d` or `2w`. Raises ValueError with the reason."""
    match = _WINDOW.fullmatch(text)
    if match is None or match[2] not in _STEPS:
        raise ValueError(f"{shown(text)} is not a length of time; write one such as 90s, 12h, 30d or 2w")
    try:
        return timedelta(microseconds=int(match[1]) * _STEPS[match[2]] // 1_000)
    except OverflowError:
        raise ValueError(f"{shown(text)} is too long a time; the longest is {timedelta.max.days}d") from None
