"""What the kernels understand of numbers, times and windows is what the core says; and they understand the common."""

import string
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oncefold.columnar.arrays import read_only
from oncefold.columnar.label_kernels import window_second, write_window
from oncefold.columnar.parse_kernels import civil_from_days, days_from_civil, parse_scaled, parse_time
from oncefold.columnar.plan import plan_of
from oncefold.core.decimals import format_decimal, parse_decimal
from oncefold.core.definition import Level, Pipeline, Rollup
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import MEASURE_DIGITS, VERSION_MAX, VERSION_MIN
from oncefold.core.timestamps import DAY, NANOS, UNIT_PLACES, format_timestamp, parse_timestamp
from oncefold.core.windows import Window
from oncefold.kernels._numba import compiled
from oncefold.kernels.declare import kernel
from tests.columnar.tools import effort
from tests.core.strategies import UNITS, WINDOWS

AT = FieldPath(("at",))
SCALES = st.integers(0, MEASURE_DIGITS)
DIGITS = st.text(string.digits, max_size=24)
DECIMALS = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "-", "+"]),
    DIGITS,
    st.sampled_from(["", "."]),
    st.builds(str.__add__, DIGITS, st.sampled_from(["", "5", "50", "500000000000000000000000001", "0" * 30])),
    st.one_of(
        st.sampled_from(
            ["", "", "", "", "e1", "E-2", "e+3", "x", " ", ".", "e", "e+", "e1.", "e1e1", "E0007", "e-012"]
        ),
        st.builds("{}{:+d}".format, st.sampled_from("eE"), st.integers(-24, 24)),
    ),
)
NOISE = st.text("0123456789+-.eE:TZz \n/é", max_size=40)
MOMENTS = st.integers(VERSION_MIN, VERSION_MAX)
COMMON_MOMENTS = st.integers(parse_timestamp("1700-01-01"), parse_timestamp("2250-12-31"))
"""Times of the years that the kernels know."""


def array(text: str, before: bytes = b"", after: bytes = b"") -> tuple[np.ndarray[Any, Any], int, int]:
    """The text's bytes somewhere in an array, and where they begin and end."""
    data = text.encode()
    whole = read_only(np.frombuffer(before + data + after + b"\n", np.uint8))
    return whole, len(before), len(before) + len(data)


def scaled(text: str, scale: int, *, rounding: bool = False) -> int | None:
    """What the kernel reads; None if it leaves the text to the core."""
    understood, value = parse_scaled(*array(text, b"7", b"7"), scale, int(rounding))
    return int(value) if understood else None


def timed(text: str, unit: str = "s") -> int | None:
    """What the kernel reads; None if it leaves the text to the core."""
    understood, value = parse_time(*array(text, b"7", b"7"), UNIT_PLACES[unit])
    return int(value) if understood else None


@given(DECIMALS | NOISE, SCALES, st.booleans())
@example("99999999999999999.995", 2, True)
@example("0.00000000000000000050000000000000000000000000001", 18, True)
@example("-0.5", 0, True)
@example("8.9999999999999999995", 18, True)
@effort(1_000)
def test_understood_numbers_equal_the_core(text: str, scale: int, rounding: bool) -> None:
    found = scaled(text, scale, rounding=rounding)
    if found is not None:
        assert found == parse_decimal(text, scale, VERSION_MAX, rounding=rounding)


@given(st.integers(-(10**12), 10**12), st.integers(-9, 3), st.integers(0, 6), st.sampled_from("eE"))
@effort(300)
def test_numbers_with_exponents_are_understood(mantissa: int, exponent: int, point: int, e: str) -> None:
    digits = str(abs(mantissa)).rjust(point + 1, "0")
    plain = f"{digits[: len(digits) - point]}.{digits[len(digits) - point :]}".rstrip(".")
    text = f"{'-' if mantissa < 0 else ''}{plain}{e}{exponent}"
    assert scaled(text, 3, rounding=True) == parse_decimal(text, 3, VERSION_MAX, rounding=True)


@given(st.integers(-(10**18) + 1, 10**18 - 1), SCALES, st.booleans())
@effort(300)
def test_numbers_as_they_are_commonly_written_are_understood(mantissa: int, scale: int, rounding: bool) -> None:
    if abs(mantissa) < 8 * 10**18:
        text = format_decimal(mantissa, scale)
        assert scaled(text, scale, rounding=rounding) == mantissa
        assert scaled(text + ("" if scale else ".") + "000", scale, rounding=rounding) == mantissa


@given(st.integers(-(10**15), 10**15), st.integers(0, 6), st.integers(1, 10**6))
@effort(300)
def test_rounded_numbers_are_understood(mantissa: int, scale: int, tail: int) -> None:
    text = format_decimal(mantissa, scale) + ("" if scale else ".") + f"{tail}"
    assert scaled(text, scale, rounding=True) == parse_decimal(text, scale, VERSION_MAX, rounding=True)
    assert scaled(text, scale) is None or tail % 10 == 0


@pytest.mark.parametrize(
    ("text", "scale", "even"),
    [
        *[("0.5", 0, 0), ("1.5", 0, 2), ("2.5", 0, 2), ("-1.5", 0, -2), ("-2.5", 0, -2), ("0.49999", 0, 0)],
        *[("1.005", 2, 100), ("1.015", 2, 102), ("1.0050", 2, 100), ("1.00500000000000000000000001", 2, 101)],
        *[("-0.005", 2, 0), ("-0.015", 2, -2), ("0.0049999999999999999999999", 2, 0), ("9.995", 2, 1000)],
    ],
)
def test_half_even(text: str, scale: int, even: int) -> None:
    assert scaled(text, scale, rounding=True) == even == parse_decimal(text, scale, VERSION_MAX, rounding=True)


TIMES = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    st.sampled_from(["1699", "1700", "1900", "2000", "2021", "2024", "2250", "2251", "0001", "9999", "20x1"]),
    st.sampled_from(["01", "02", "06", "12", "13", "00", "1"]),
    st.sampled_from(["01", "28", "29", "30", "31", "32", "00"]),
    st.sampled_from(["T", "t", " ", "_"]),
    st.sampled_from(["00", "11", "23", "24", "1x"]),
    st.sampled_from(["00", "59", "60"]),
    st.sampled_from(["00", "59", "60"]),
    st.sampled_from(["", ".", ".5", ".123456789", ".1234567890", ".1234567891", ".000000001", ".x"]),
    st.sampled_from(["", "Z", "z", "+00:00", "-00:00", "+05:30", "-23:59", "+24:00", "+0530", "+05:60", "ZZ", "x"]),
)


@given(TIMES | TIMES.map(lambda text: text[:10]) | DECIMALS | NOISE, UNITS)
@effort(1_500)
def test_understood_times_equal_the_core(text: str, unit: str) -> None:
    found = timed(text, unit)
    if found is not None:
        assert found == parse_timestamp(text, unit)


@given(COMMON_MOMENTS, UNITS)
@effort(300)
def test_times_as_they_are_commonly_written_are_understood(nanos: int, unit: str) -> None:
    assert timed(format_timestamp(nanos), unit) == nanos
    assert timed(format_timestamp(nanos).replace("T", " ").removesuffix("Z"), unit) == nanos
    assert timed(format_timestamp(nanos).removesuffix("Z") + "+00:00", unit) == nanos
    assert timed(format_timestamp(nanos)[:10], unit) == nanos - nanos % DAY
    assert timed(format_decimal(nanos, UNIT_PLACES[unit]), unit) == nanos


@given(st.integers(date(1, 1, 1).toordinal(), date.max.toordinal()))
def test_the_calendar_is_pythons(ordinal: int) -> None:
    day, days = date.fromordinal(ordinal), ordinal - date(1970, 1, 1).toordinal()
    assert (day.year, day.month, day.day) == compiled(civil_from_days)(days)
    assert compiled(days_from_civil)(day.year, day.month, day.day) == days


@kernel
def _second(nanos: Any, levels: Any, out: Any) -> None:
    """A window's start, out of a kernel, where its integers are those of the machine."""
    out[0] = window_second(nanos, levels, 0)


def windowed(window: Window, nanos: int) -> tuple[int, str]:
    """The window of a time as the kernels see it: its start in seconds, and its label."""
    plan = plan_of(Pipeline("test", (AT,), (Rollup("r", (Level(AT, window),)),)))
    start, label = np.zeros(1, np.int64), np.zeros(40, np.uint8)
    compiled(_second)(np.int64(nanos), plan.levels, start)
    compiled(write_window)(start[0], plan.levels[0, 7], label, 3)
    return int(start[0]), label[3:].tobytes().rstrip(b"\0").decode()


@given(WINDOWS, MOMENTS)
@example(Window(485, "y"), 0)
@example(Window(1000, "y"), -1)
@example(Window(13_000, "d"), VERSION_MIN)
@example(Window(1, "w"), VERSION_MIN)
@example(Window(12, "mo"), VERSION_MIN)
@effort(500)
def test_windows_equal_the_core(window: Window, nanos: int) -> None:
    start = window.start(nanos)
    assert windowed(window, nanos) == (start // NANOS, window.label(start))
    assert start % NANOS == 0
