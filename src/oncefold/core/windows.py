"""Tumbling windows: every time falls in exactly one, whose label is its beginning on the clocks of the window's zone.

With a zone, days and longer windows follow its calendar, so that a day may have 23 or 25 hours. A window of hours,
minutes or seconds begins whenever the local clock shows a multiple of its length, counted from midnight, or jumps over
one: where clocks go back an hour, the hour that comes twice is two windows.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from oncefold.core.decimals import shown
from oncefold.core.limits import VERSION_MAX
from oncefold.core.timestamps import DAY, NANOS, STEPS, format_timestamp
from oncefold.core.zones import Zone, zone_of

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)

_WINDOW = re.compile(r"([1-9][0-9]{0,8})(s|m|h|d|w|mo|q|y)", re.ASCII)
_MONDAY = 4
"""1970-01-05 was a Monday: weeks are counted from the first one that begins then or in the six days after."""
_DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1).toordinal()
_MOST_YEARS = 1_000
"""The longest window of years; every time that can be read lies after its first start, the year 1000."""
_CLOCK_UNITS = ("s", "m", "h")


@dataclass(frozen=True, slots=True)
class Window:
    """A length of time, the zone whose clocks and calendar it follows, and the day on which weeks begin.

    In UTC, seconds, minutes, hours and days count from the epoch; weeks count from 1970, months, quarters and years are
    the calendar's.
    """

    length: int
    unit: str
    timezone: str | None = None
    """The zone's IANA name; None for UTC."""
    week_starts: Weekday = "monday"

    @classmethod
    def parse(cls, text: str, timezone: str | None = None, week_starts: Weekday = "monday") -> "Window":
        """Read `15m`, `1h`, `1d`, `1w`, `1mo`, `1q`, `1y`. Raises ValueError with the reason."""
        match = _WINDOW.fullmatch(text)
        if match is None:
            raise ValueError(f"{shown(text)} is not a window; write a length such as 15m, 1h, 1d, 1w, 1mo or 1y")
        window = cls(int(match[1]), match[2], timezone, week_starts)
        if window.unit in STEPS and window.step > VERSION_MAX // 8:
            raise ValueError(f"{shown(text)} is too long a window; the longest is some 36 years")
        if window.unit == "y" and window.length > _MOST_YEARS:
            raise ValueError(f"{shown(text)} is too long a window; the longest is {_MOST_YEARS}y")
        if window.unit == "mo" and 12 % window.length:
            raise ValueError(f"{shown(text)}: a window of months must divide a year (1, 2, 3, 4, 6 or 12)")
        if window.unit == "q" and 4 % window.length:
            raise ValueError(f"{shown(text)}: a window of quarters must divide a year (1, 2 or 4)")
        if timezone is not None and window.follows_clock and DAY % window.step:
            raise ValueError(f"{shown(text)}: with a time zone a window shorter than days must divide a day")
        if timezone is not None:
            zone_of(timezone)
        return window

    @property
    def follows_clock(self) -> bool:
        """Whether it is counted in hours, minutes or seconds."""
        return self.unit in _CLOCK_UNITS

    @property
    def months(self) -> int:
        """Months of a window of months or quarters, else 0."""
        return {"mo": 1, "q": 3}.get(self.unit, 0) * self.length

    @property
    def step(self) -> int:
        """Nanoseconds from one window to the next; 0 for months, quarters and years, which vary."""
        return self.length * STEPS[self.unit] if self.unit in STEPS else 0

    @property
    def origin(self) -> int:
        """A start that the other starts are counted from, nanoseconds since the epoch."""
        return (_MONDAY + WEEKDAYS.index(self.week_starts)) * DAY if self.unit == "w" else 0

    @property
    def zone(self) -> Zone | None:
        """The zone's table; None for UTC."""
        return None if self.timezone is None else zone_of(self.timezone)

    @property
    def label_chars(self) -> int:
        """Characters of a label before its offset: 4 of a year, 7 of a month, 10 of a date, 19 of a time."""
        if self.unit == "y":
            return 4
        if self.months:
            return 7
        return 10 if self.step % DAY == 0 else 19

    def start(self, nanos: int) -> int:
        """The start of the window that holds this time, nanoseconds since the epoch.

        In a zone, that of a window of days or longer is as the local clock shows it, as if it were of UTC.
        """
        zone, second = self.zone, nanos // NANOS
        if zone is not None:
            if self.follows_clock:
                return _clock_start(zone, second, self.step // NANOS) * NANOS
            second += zone.offset(second)
        if self.step:
            since = second * NANOS - self.origin
            return (since - since % self.step) + self.origin
        return _month_start(second // _DAY_SECONDS, self.months, self.length) * DAY

    def label(self, start: int) -> str:
        """The label of the window with this start: `2021`, `2021-03`, `2021-03-22` or a full time."""
        zone, shift = self.zone, 0
        if zone is not None and self.follows_clock:
            shift = zone.offset(start // NANOS)
        text = format_timestamp(start + shift * NANOS)[: self.label_chars]
        if self.label_chars < len("2021-03-22T11:00:00"):
            return text
        return text + ("Z" if zone is None else _offset_text(shift))

    def __str__(self) -> str:
        return f"{self.length}{self.unit}"


def _clock_start(zone: Zone, second: int, step: int) -> int:
    """The start of a window shorter than a day, seconds since the epoch."""
    index = zone.index(second)
    offset, switch = zone.offsets[index], zone.switches[index]
    begun = (second + offset) // step * step
    if begun - offset >= switch or index == 0:
        return begun - offset
    before = zone.offsets[index - 1]
    if (switch - 1 + before) // step * step != begun:
        return switch
    return max(begun - before, zone.switches[index - 1])


def _month_start(day: int, months: int, years: int) -> int:
    """The first day of a window of so many months, or years without any, in days since the epoch."""
    found = date.fromordinal(day + _EPOCH)
    if months:
        return date(found.year, found.month - (found.month - 1) % months, 1).toordinal() - _EPOCH
    return date(found.year - found.year % years, 1, 1).toordinal() - _EPOCH


def _offset_text(offset: int) -> str:
    minutes, seconds = divmod(abs(offset), 60)
    text = f"{'-' if offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text
