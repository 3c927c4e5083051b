"""Decimals: equal to Python's own Decimal, quick on hostile digits, and the reason of every refusal."""

import decimal
import time
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.core.decimals import format_decimal, parse_decimal, shown
from oncefold.core.limits import MEASURE_LIMIT, VERSION_MAX

SCALES = st.integers(0, 18)
EXACT = decimal.Context(prec=500, rounding=ROUND_HALF_EVEN, Emin=-(10**6), Emax=10**6)

NUMERALS = st.from_regex(r"[+-]?([0-9]{1,25}(\.[0-9]{0,25})?|\.[0-9]{1,25})([eE][+-]?[0-9]{1,2})?", fullmatch=True)
"""Number texts of every form, most of them near the limits."""

NEAR_TIES = st.builds(
    lambda sign, whole, places, tail: f"{sign}{whole}.{places}{tail}",
    st.sampled_from(["", "-"]),
    st.integers(0, 10**17),
    st.text("0123456789", max_size=3),
    st.sampled_from(["5", "50", "500001", "499999", "0", "05", "9", "95"]),
)


def oracle(text: str, scale: int, *, rounding: bool) -> int | None:
    """The mantissa by Python's Decimal, or None where it must be refused."""
    exact = Decimal(text).scaleb(scale, EXACT)
    whole = exact.quantize(Decimal(1), context=EXACT)
    if abs(whole) >= MEASURE_LIMIT or (whole != exact and not rounding):
        return None
    return int(whole)


@given(NUMERALS | NEAR_TIES, SCALES, st.booleans())
def test_equal_to_python_decimal(text: str, scale: int, rounding: bool) -> None:
    expected = oracle(text, scale, rounding=rounding)
    if expected is None:
        with pytest.raises(ValueError, match=r"out of range|decimal places"):
            parse_decimal(text, scale, MEASURE_LIMIT, rounding=rounding)
    else:
        assert parse_decimal(text, scale, MEASURE_LIMIT, rounding=rounding) == expected


@given(st.floats(allow_nan=False, allow_infinity=False), SCALES)
def test_a_float_is_read_as_the_text_it_prints(value: float, scale: int) -> None:
    expected = oracle(repr(value), scale, rounding=True)
    if expected is not None:
        assert parse_decimal(repr(value), scale, MEASURE_LIMIT, rounding=True) == expected


@given(st.integers(-MEASURE_LIMIT + 1, MEASURE_LIMIT - 1), SCALES)
def test_written_and_read_back(mantissa: int, scale: int) -> None:
    text = format_decimal(mantissa, scale)
    assert parse_decimal(text, scale, MEASURE_LIMIT) == mantissa
    assert Decimal(text) == Decimal(mantissa).scaleb(-scale)
    assert len(text.partition(".")[2]) == scale


@given(st.integers(), SCALES)
def test_sums_of_any_width_are_written(mantissa: int, scale: int) -> None:
    assert Decimal(format_decimal(mantissa, scale)) == Decimal(mantissa).scaleb(-scale, EXACT)


@pytest.mark.parametrize(
    ("text", "scale", "mantissa"),
    [
        ("34624.51", 2, 3462451),
        ("1.500", 2, 150),
        ("-0.00", 2, 0),
        ("-0", 0, 0),
        ("+5", 0, 5),
        ("5.", 0, 5),
        (".5", 1, 5),
        ("00012", 0, 12),
        ("1e2", 2, 10000),
        ("1E+2", 0, 100),
        ("1500e-2", 2, 1500),
        ("0e999999999999999999999999", 2, 0),
        ("0.000e-99999999999999999999", 2, 0),
        ("999999999999999999", 0, MEASURE_LIMIT - 1),
        ("0.999999999999999999", 18, MEASURE_LIMIT - 1),
        ("1e-18", 18, 1),
    ],
)
def test_examples(text: str, scale: int, mantissa: int) -> None:
    assert parse_decimal(text, scale, MEASURE_LIMIT) == mantissa


@pytest.mark.parametrize(
    ("text", "scale", "mantissa"),
    [
        ("1.505", 2, 150),
        ("1.515", 2, 152),
        ("-1.505", 2, -150),
        ("-1.515", 2, -152),
        ("1.5050000000000000000000000000001", 2, 151),
        ("0.005", 2, 0),
        ("0.015", 2, 2),
        ("0.5", 0, 0),
        ("1.5", 0, 2),
        ("0.05", 0, 0),
        ("5e-1", 0, 0),
        ("51e-2", 0, 1),
        ("9e-99999999999999999999999", 2, 0),
        ("1e-1000000", 2, 0),
        ("34624.510000000002", 2, 3462451),
    ],
)
def test_rounding_is_half_to_even_of_the_text(text: str, scale: int, mantissa: int) -> None:
    assert parse_decimal(text, scale, MEASURE_LIMIT, rounding=True) == mantissa


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "-", "+", ".", "e5", "1e", "1e+", "1,5", "1_000", " 1", "1 ", "1\n", "0x10", "NaN", "nan"],
        *["Infinity", "-inf", "--1", "+-1", "1.2.3", "1e2.5", "true", "None", "1e5e5", "\x001", "1\x00"],
        *["\u0663", "\uff11", "\xbd", "\u22121"],
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        parse_decimal(text, 2, MEASURE_LIMIT, rounding=True)


@pytest.mark.parametrize("text", ["1.505", "0.001", "1e-3", "1e-99999999999999999999", "-7.0000000001"])
def test_places_beyond_the_scale_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has more than 2 decimal places"):
        parse_decimal(text, 2, MEASURE_LIMIT)


@pytest.mark.parametrize(
    "text",
    ["10000000000000000.00", "1e16", "-1e16", "9999999999999999.999", "1e999999999999999999999", "1e1000000"],
)
def test_out_of_range_is_refused_and_names_the_limit(text: str) -> None:
    with pytest.raises(ValueError, match=r"at scale 2 it must lie below 10000000000000000\.00"):
        parse_decimal(text, 2, MEASURE_LIMIT, rounding=True)


def test_the_limit_itself_is_out_of_range() -> None:
    assert parse_decimal(str(VERSION_MAX - 1), 0, VERSION_MAX) == VERSION_MAX - 1
    assert parse_decimal(str(1 - VERSION_MAX), 0, VERSION_MAX) == 1 - VERSION_MAX
    for text in (str(VERSION_MAX), str(-VERSION_MAX), f"{VERSION_MAX - 1}.51"):
        with pytest.raises(ValueError, match="out of range"):
            parse_decimal(text, 0, VERSION_MAX, rounding=True)


MILLION = 10**6


@pytest.mark.parametrize(
    ("text", "mantissa"),
    [
        ("1" + "0" * 10 * MILLION + f"e-{10 * MILLION}", 100),
        ("0." + "0" * 10 * MILLION + f"1e{10 * MILLION + 1}", 100),
        ("0" * MILLION + "7", 700),
        ("7." + "0" * MILLION, 700),
        ("7e" + "0" * MILLION + "1", 7000),
        ("7000e-" + "0" * MILLION + "2", 7000),
        ("7" * MILLION, None),
        ("7." + "7" * MILLION, None),
        ("7e" + "9" * MILLION, None),
        ("7e-" + "9" * MILLION, None),
        ("7" * MILLION + "x", None),
        ("7." + "7" * MILLION + "x", None),
        ("e" * MILLION, None),
    ],
    ids=range(13),
)
def test_hostile_digits_are_exact_and_quick(text: str, mantissa: int | None) -> None:
    started = time.process_time()
    if mantissa is None:
        with pytest.raises(ValueError, match="…") as refusal:
            parse_decimal(text, 2, MEASURE_LIMIT)
        assert len(str(refusal.value)) < 200
    else:
        assert parse_decimal(text, 2, MEASURE_LIMIT) == mantissa
    assert time.process_time() - started < 10, "in quadratic time it is minutes"


def test_words() -> None:
    assert format_decimal(MEASURE_LIMIT, 3) == "1000000000000000.000"
    assert shown("a" * 40) == repr("a" * 40)
    assert shown("a" * 41) == repr("a" * 39 + "…")
    assert shown("\ud800\n") == r"'\ud800\n'"
