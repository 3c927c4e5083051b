"""Timestamps and windows: equal to Python's datetime and to naive calendar code."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.core.limits import VERSION_MAX
from oncefold.core.timestamps import (
    DAY,
    NANOS,
    duration,
    format_timestamp,
    parse_timestamp,
    python_timestamp,
)
from oncefold.core.windows import Window
from tests.core.strategies import WINDOWS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1677, 9, 23), datetime(2262, 4, 10))
"""Datetimes that fit in any offset."""

OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.integers(-VERSION_MAX + 1, VERSION_MAX - 1)


def nanos_of(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


@given(MOMENTS, OFFSETS, st.sampled_from("Tt "))
def test_rfc_3339_equals_datetime(moment: datetime, offset: timezone, separator: str) -> None:
    text = moment.replace(tzinfo=offset).isoformat(separator)
    assert parse_timestamp(text) == nanos_of(moment.replace(tzinfo=offset))


@given(MOMENTS, st.sampled_from(["", "Z", "z", "+00:00", "-00:00"]))
def test_without_offset_it_is_utc(moment: datetime, utc: str) -> None:
    assert parse_timestamp(moment.isoformat() + utc) == nanos_of(moment.replace(tzinfo=UTC))


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.text("0123456789", min_size=1, max_size=9))
def test_fractions_to_the_nanosecond(moment: datetime, fraction: str) -> None:
    whole = moment.replace(microsecond=0)
    expected = nanos_of(whole.replace(tzinfo=UTC)) + int(Decimal(f"0.{fraction}") * NANOS)
    assert parse_timestamp(f"{whole.isoformat()}.{fraction}Z") == expected
    assert parse_timestamp(f"{whole.isoformat()}.{fraction.ljust(30, '0')}Z") == expected


@given(st.dates(date(1677, 9, 22), date(2262, 4, 11)))
def test_a_date_is_its_midnight(day: date) -> None:
    assert parse_timestamp(day.isoformat()) == (day - EPOCH.date()).days * DAY


@given(st.sampled_from([("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)]), INSTANTS)
def test_epoch_numbers_in_every_unit(unit: tuple[str, int], nanos: int) -> None:
    name, step = unit
    sign, size = ("-", -nanos) if nanos < 0 else ("", nanos)
    assert abs(parse_timestamp(f"{sign}{size // step}", name)) == size // step * step
    text = f"{sign}{size // step}.{size % step:0{len(str(step)) - 1}d}" if step > 1 else str(nanos)
    assert parse_timestamp(text, name) == nanos


@given(INSTANTS)
def test_written_and_read_back(nanos: int) -> None:
    text = format_timestamp(nanos)
    assert parse_timestamp(text) == nanos
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z", text)


@given(MOMENTS, st.none() | OFFSETS)
def test_python_datetimes(moment: datetime, offset: timezone | None) -> None:
    expected = nanos_of(moment.replace(tzinfo=offset or UTC))
    assert parse_timestamp(python_timestamp(moment.replace(tzinfo=offset))) == expected


@pytest.mark.parametrize(
    ("text", "unit", "written"),
    [
        ("1616413258.8997", "s", "2021-03-22T11:40:58.8997Z"),
        ("1616413258899.7", "ms", "2021-03-22T11:40:58.8997Z"),
        ("1.6164132588997e9", "s", "2021-03-22T11:40:58.8997Z"),
        ("2021-03-22", "ms", "2021-03-22T00:00:00Z"),
        ("2021-03-22 11:40:58+05:30", "s", "2021-03-22T06:10:58Z"),
        ("2020-02-29T23:59:59.999999999-00:01", "s", "2020-03-01T00:00:59.999999999Z"),
        ("1969-12-31T23:59:59.5Z", "s", "1969-12-31T23:59:59.5Z"),
        ("-0.5", "s", "1969-12-31T23:59:59.5Z"),
        ("2021-03-22 11:40:58 UTC", "s", "2021-03-22T11:40:58Z"),
        ("2021-03-22 11:40:58.25 UTC", "s", "2021-03-22T11:40:58.25Z"),
        ("2021-03-22 11:40:58 +0000 UTC", "s", "2021-03-22T11:40:58Z"),
        ("2021-03-22 11:40:58.123456+00", "s", "2021-03-22T11:40:58.123456Z"),
        ("2021-03-22 11:40:58.1230000 +01:00", "s", "2021-03-22T10:40:58.123Z"),
        ("2021-03-22T11:40:58+0530", "s", "2021-03-22T06:10:58Z"),
        ("2021-03-22T11:40:58-05", "s", "2021-03-22T16:40:58Z"),
        ("1883-11-18 12:00:00-04:56:02", "s", "1883-11-18T16:56:02Z"),
        ("2021-03-22T11:40Z", "s", "2021-03-22T11:40:00Z"),
        ("2021-03-22T11Z", "s", "2021-03-22T11:00:00Z"),
        ("20210322T114058Z", "s", "2021-03-22T11:40:58Z"),
        ("2021-03-22T11:40:58,5Z", "s", "2021-03-22T11:40:58.5Z"),
        ("2021-03-22T24:00:00Z", "s", "2021-03-23T00:00:00Z"),
        ("2021-03", "s", "2021-03-01T00:00:00Z"),
        ("2021-081", "s", "2021-03-22T00:00:00Z"),
        ("2021-W12-1", "s", "2021-03-22T00:00:00Z"),
        ("Mon, 22 Mar 2021 11:40:58 GMT", "s", "2021-03-22T11:40:58Z"),
        ("2021-03-22T12:40:58+01:00[Europe/Paris]", "s", "2021-03-22T11:40:58Z"),
        ("/Date(1616413258899)/", "s", "2021-03-22T11:40:58.899Z"),
        ("1600-03-01", "s", None),
        ("2262-04-11T23:47:16.854775806Z", "s", "2262-04-11T23:47:16.854775806Z"),
        ("2262-04-11T23:47:16.854775807Z", "s", None),
        ("1677-09-21T00:12:43.145224194Z", "s", "1677-09-21T00:12:43.145224194Z"),
        ("1677-09-21T00:12:43.145224193Z", "s", None),
        ("9223372036.854775807", "s", None),
        ("9223372036854775807", "ns", None),
        ("0001-01-01T00:00:00+23:59", "s", None),
        ("9999-12-31T23:59:59-23:59", "s", None),
    ],
)
def test_examples(text: str, unit: str, written: str | None) -> None:
    if written is None:
        with pytest.raises(ValueError, match="out of range"):
            parse_timestamp(text, unit)
    else:
        assert format_timestamp(parse_timestamp(text, unit)) == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not an RFC 3339 time, a date or an epoch number"),
        ("yesterday", "is not an RFC 3339 time, a date or an epoch number"),
        ("2021-3-22", "is not an RFC 3339 time"),
        ("22.03.2021", "is not an RFC 3339 time"),
        ("2021-03-22T11:00:00.Z", "is not an RFC 3339 time"),
        ("2021-03-22  11:00:00", "is not an RFC 3339 time"),
        ("2021-03-22Z", "is not an RFC 3339 time"),
        ("٢٠٢١-03-22", "is not an RFC 3339 time"),
        ("2021-03-22T11:00:00Z\n", "is not an RFC 3339 time"),
        ("NaN", "is not an RFC 3339 time"),
        ("2021-02-29", "is not a date"),
        ("2021-13-01", "is not a date"),
        ("0000-01-01", "is not a date"),
        ("2021-03-22T24:00:01Z", "is not a time of day"),
        ("2021-03-22T24:00:00.5Z", "24:00 has nothing after it"),
        ("2021-03-22T11:00:00 +0100 UTC", "is not an RFC 3339 time"),
        ("2021-366", "the year has no day 366"),
        ("2021-W53-1", "is not a date"),
        ("Tue, 22 Mar 2021 11:00:58 GMT", "it was no Tue"),
        ("1616413258000", 'it looks like ms: write unit = "ms"'),
        ("1616413258000000.5", 'it looks like us: write unit = "us"'),
        ("2021-03-22T11:60:00Z", "is not a time of day"),
        ("2016-12-31T23:59:60Z", "leap seconds have no epoch number"),
        ("2021-03-22T11:00:00.0000000001Z", "is finer than a nanosecond"),
        ("2021-03-22T11:00:00+24:00", "has an impossible UTC offset"),
        ("2021-03-22T11:00:00+01:60", "has an impossible UTC offset"),
        ("1616413258.12345678901", "has more than 9 decimal places"),
        ("1e99999", "out of range"),
    ],
)
def test_reasons_of_refusals(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_timestamp(text)


def naive_start(window: Window, nanos: int) -> tuple[int, int, int] | int:
    """The start of a window by plain calendar code: (year, month, day), or nanoseconds of a fixed step."""
    day = date(1970, 1, 1) + timedelta(days=nanos // DAY)
    match window.unit:
        case "y":
            return (day.year // window.length * window.length, 1, 1)
        case "mo":
            month = next(first for first in range(12, 0, -1) if first <= day.month and (first - 1) % window.length == 0)
            return (day.year, month, 1)
        case "w":
            monday = date(1970, 1, 5)
            since = (day - timedelta(days=day.weekday()) - monday).days // 7
            start = monday + timedelta(weeks=since // window.length * window.length)
            return (start.year, start.month, start.day)
        case "d":
            days = (day - date(1970, 1, 1)).days // window.length * window.length
            start = date(1970, 1, 1) + timedelta(days=days)
            return (start.year, start.month, start.day)
    step = {"s": 1, "m": 60, "h": 3600}[window.unit] * window.length * NANOS
    return nanos // step * step


@given(WINDOWS, INSTANTS)
def test_windows_equal_naive_calendar_code(window: Window, nanos: int) -> None:
    start, expected = window.start(nanos), naive_start(window, nanos)
    if isinstance(expected, tuple):
        assert start % DAY == 0
        assert format_timestamp(start) == "{:04d}-{:02d}-{:02d}T00:00:00Z".format(*expected)
    else:
        assert start == expected
    assert start <= nanos


@given(WINDOWS, INSTANTS, INSTANTS)
def test_two_times_share_a_label_if_and_only_if_they_share_a_window(window: Window, one: int, other: int) -> None:
    starts = window.start(one), window.start(other)
    assert (starts[0] == starts[1]) == (window.label(starts[0]) == window.label(starts[1]))
    assert window.start(starts[0]) == starts[0]
    assert (one <= other) <= (starts[0] <= starts[1])
    if window.step:
        assert one - starts[0] < window.step


@given(WINDOWS)
def test_windows_are_written_and_read_back(window: Window) -> None:
    assert Window.parse(str(window)) == window


@pytest.mark.parametrize(
    ("text", "time", "label"),
    [
        ("15m", "2021-03-22T11:14:59Z", "2021-03-22T11:00:00Z"),
        ("15m", "2021-03-22T11:15:00Z", "2021-03-22T11:15:00Z"),
        ("1h", "1969-12-31T23:59:59.999999999Z", "1969-12-31T23:00:00Z"),
        ("24h", "2021-03-22T11:15:00Z", "2021-03-22"),
        ("1d", "1969-12-31T23:59:59Z", "1969-12-31"),
        ("1w", "2021-03-28T23:59:59Z", "2021-03-22"),
        ("1w", "1969-12-28T23:59:59Z", "1969-12-22"),
        ("1mo", "2020-02-29", "2020-02"),
        ("3mo", "2020-06-30T23:59:59Z", "2020-04"),
        ("1y", "1700-07-01", "1700"),
        ("10y", "2029-12-31", "2020"),
        ("1000y", "1999-12-31", "1000"),
        ("90s", "1970-01-01T00:01:31Z", "1970-01-01T00:01:30Z"),
    ],
)
def test_window_labels(text: str, time: str, label: str) -> None:
    window = Window.parse(text)
    assert window.label(window.start(parse_timestamp(time))) == label


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a window"),
        ("1", "is not a window"),
        ("h", "is not a window"),
        ("0h", "is not a window"),
        ("-1h", "is not a window"),
        ("1.5h", "is not a window"),
        ("1 h", "is not a window"),
        ("1H", "is not a window"),
        ("01h", "is not a window"),
        ("9999999999s", "is not a window"),
        ("13344d", "too long a window; the longest is some 36 years"),
        ("999999999w", "too long a window; the longest is some 36 years"),
        ("1001y", "too long a window; the longest is 1000y"),
        ("5mo", "must divide a year"),
        ("24mo", "must divide a year"),
    ],
)
def test_windows_that_are_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Window.parse(text)


def test_durations() -> None:
    assert duration("90s") == timedelta(seconds=90)
    assert duration("12h") == timedelta(hours=12)
    assert duration("2w") == timedelta(weeks=2)
    assert duration("999999999d") == timedelta(days=999999999)
    for text in ("1mo", "1y", "", "0s", "soon"):
        with pytest.raises(ValueError, match="is not a length of time; write one such as"):
            duration(text)
    with pytest.raises(ValueError, match="too long a time; the longest is 999999999d"):
        duration("999999999w")
