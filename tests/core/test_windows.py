"""Windows of time zones: equal to plain calendar code over zoneinfo, and unlike windows that are cut wrongly."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo, available_timezones

import pytest

from oncefold.core.timestamps import NANOS, format_timestamp, parse_timestamp
from oncefold.core.windows import Window
from oncefold.core.zones import zone_of
from tests.tools.sizes import sized

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu", "Pacific/Apia"]
Label = Callable[[Window, int], str]


def moments(name: str, rng: Random, count: int) -> list[int]:
    """Seconds, most of them around changes of the clock."""
    switches = zone_of(name).switches[1:]
    near = [rng.choice(switches) + rng.randint(-30_000, 90_000) for _ in range(count)]
    first, last = parse_timestamp("1900-01-01") // NANOS, parse_timestamp("2200-01-01") // NANOS
    return [*near, *(rng.randint(first, last) for _ in range(count // 3))]


def local(name: str, second: int) -> datetime:
    return (EPOCH + timedelta(seconds=second)).astimezone(ZoneInfo(name))


def label(window: Window, second: int) -> str:
    return window.label(window.start(second * NANOS))


def expected(window: Window, second: int) -> str:
    """The label by plain code: the calendar's date, or, second by second, when the clock last began a window."""
    assert window.timezone is not None
    now = local(window.timezone, second)
    match window.unit:
        case "y":
            return f"{now.year - now.year % window.length:04d}"
        case "q":
            return f"{now.year:04d}-{(now.month - 1) // 3 * 3 + 1:02d}"
        case "mo":
            return f"{now.year:04d}-{now.month:02d}"
        case "w":
            return (now.date() - timedelta(days=(now.weekday() + 1) % 7)).isoformat()
        case "d":
            return now.date().isoformat()
        case _:
            return _clock_start(window, second).isoformat()


def _clock_start(window: Window, second: int) -> datetime:
    """Back minute by minute to where the clock shows a multiple of the window's length, or jumped over one."""
    assert window.timezone is not None
    step = window.step // NANOS // 60
    at = second - second % 60
    while True:
        now, before = local(window.timezone, at), local(window.timezone, at - 60)
        bins = [(moment.hour * 60 + moment.minute) // step for moment in (before, now)]
        days = [moment.date() for moment in (before, now)]
        if (now.hour * 60 + now.minute) % step == 0 or bins[0] != bins[1] or days[0] != days[1]:
            return now
        at -= 60


WINDOWS = [("1y", "monday"), ("1q", "monday"), ("1mo", "monday"), ("1w", "sunday"), ("1d", "monday"),
           ("6h", "monday"), ("2h", "monday"), ("1h", "monday"), ("40m", "monday"), ("15m", "monday")]  # fmt: skip


def differs(of: Label, text: str, week_starts: str, count: int) -> bool:
    """Whether some window of some zone has another label than plain code gives it."""
    rng = Random(text)
    for name in ZONES:
        window = Window.parse(text, name, week_starts)  # type: ignore[arg-type]
        for second in moments(name, rng, count):
            if any(_seconds_of_offset(name, at) for at in (second, second - 86_400)):
                continue  # a local mean time, of which no minute is whole
            if of(window, second) != expected(window, second):
                return True
    return False


def _seconds_of_offset(name: str, second: int) -> timedelta:
    offset = local(name, second).utcoffset()
    assert offset is not None
    return offset % timedelta(minutes=1)


@pytest.mark.parametrize(("text", "week_starts"), WINDOWS)
def test_labels_equal_plain_calendar_code(text: str, week_starts: str) -> None:
    assert not differs(label, text, week_starts, sized(15, 200))


def utc_days(window: Window, second: int) -> str:
    """Planted: the day is UTC's."""
    return format_timestamp(second * NANOS)[:10] if window.unit == "d" else label(window, second)


def wrong_side(window: Window, second: int) -> str:
    """Planted: the beginning is found with the offset of the time itself, on either side of a change of the clock."""
    zone = window.zone
    assert zone is not None
    offset, step = zone.offset(second), window.step // NANOS
    return window.label(((second + offset) // step * step - offset) * NANOS)


def first_of_two(window: Window, second: int) -> str:
    """Planted: the hour that comes twice is one window."""
    zone = window.zone
    assert zone is not None
    begun = (second + zone.offset(second)) // 3_600 * 3_600
    return window.label((begun - zone.offset_of_local(begun)) * NANOS)


@pytest.mark.parametrize(("planted", "text"), [(utc_days, "1d"), (wrong_side, "6h"), (first_of_two, "1h")])
def test_windows_cut_at_the_wrong_side_of_a_change_are_found(planted: Label, text: str) -> None:
    assert differs(planted, text, "monday", 60)


def test_days_of_23_and_25_hours() -> None:
    window = Window.parse("1d", "Europe/Berlin")
    hours = range(parse_timestamp("2024-01-01") // NANOS, parse_timestamp("2025-01-01") // NANOS, 3_600)
    counted: dict[str, int] = {}
    for second in hours:
        counted[label(window, second)] = counted.get(label(window, second), 0) + 1
    assert (counted["2024-03-31"], counted["2024-10-27"], counted["2024-07-01"]) == (23, 25, 24)


@pytest.mark.parametrize("name", sorted(available_timezones())[:: sized(40, 3)])
def test_tables_of_zones_equal_zoneinfo(name: str) -> None:
    zone, rules = zone_of(name), ZoneInfo(name)
    middles = [(a + b) // 2 for a, b in zip(zone.switches, zone.switches[1:], strict=False)]
    for second in [*middles, *(at + step for at in zone.switches[1:] for step in (-1, 0, 1))]:
        assert zone.offset(second) == local(name, second).utcoffset() // timedelta(seconds=1)  # type: ignore[operator]
        naive = datetime(1970, 1, 1) + timedelta(seconds=second)
        assert zone.offset_of_local(second) == naive.replace(tzinfo=rules).utcoffset() // timedelta(seconds=1)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "zone", "words"),
    [
        ("7h", "Europe/Berlin", "must divide a day"),
        ("3q", None, "must divide a year"),
        ("1d", "Europe/Atlantis", "not a time zone"),
        ("1d", "../etc/passwd", "not a time zone"),
    ],
)
def test_windows_that_are_refused(text: str, zone: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Window.parse(text, zone)
