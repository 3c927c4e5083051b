"""Numbers: their one text, their bytes, exact sums, and what is refused."""

from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold_lab.simulator import number
from oncefold_lab.simulator.errors import ServiceError

WIDE = Context(prec=400, Emax=999_999, Emin=-999_999)


def decimals(digits: int = 38) -> st.SearchStrategy[Decimal]:
    """Numbers that DynamoDB holds, of up to so many digits."""
    return st.builds(
        lambda sign, mantissa, leading: Decimal(
            (sign, tuple(map(int, str(mantissa))), leading - len(str(mantissa)) + 1)
        ),
        st.integers(0, 1),
        st.integers(1, 10**digits - 1),
        st.integers(number.SMALLEST_EXPONENT, number.LARGEST_EXPONENT),
    )


def spellings(value: Decimal) -> st.SearchStrategy[str]:
    """Ways to write a number."""
    plain = format(value, "f")
    zeros = "0" if "." in plain else ".0"
    return st.sampled_from(
        [
            plain,
            f"{value:E}",
            plain + zeros,
            plain.replace("-", "-00") if value < 0 else "+00" + plain,
            f"{value:E}".lower(),
        ]
    )


@given(st.data())
def test_every_spelling_has_the_same_shortest_text(data: st.DataObject) -> None:
    value = data.draw(decimals())
    text = number.canonical(data.draw(spellings(value)))
    assert Decimal(text) == value
    assert "E" not in text
    assert text == text.strip("+")
    assert not ("." in text and text.endswith(("0", ".")))
    assert number.canonical(text) == text


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.00E5", "0"),
        ("0e1000", "0"),
        ("007", "7"),
        (".5", "0.5"),
        ("5.", "5"),
        ("-1.50", "-1.5"),
        ("1E3", "1000"),
        ("1e-3", "0.001"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("0." + "0" * 129 + "1", "0." + "0" * 129 + "1"),
    ],
)
def test_known_numbers(text: str, shortest: str) -> None:
    assert number.canonical(text) == shortest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be converted"),
        ("dog", "cannot be converted"),
        (" 1", "cannot be converted"),
        ("1 ", "cannot be converted"),
        ("NaN", "cannot be converted"),
        ("-Infinity", "cannot be converted"),
        ("1_000", "cannot be converted"),
        ("\N{ARABIC-INDIC DIGIT FIVE}", "cannot be converted"),
        ("1" * 39, "38 significant digits"),
        ("3.14159265358979323846264338327950288419", "38 significant digits"),
        ("1E126", "overflow"),
        ("-11E125", "overflow"),
        ("1E100000000000", "overflow"),
        ("1E-131", "underflow"),
        ("0.9E-130", "underflow"),
        ("1E-99999999999", "underflow"),
    ],
)
def test_what_is_no_number(text: str, message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        number.canonical(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 1),
        ("1", 2),
        ("12", 2),
        ("123", 3),
        ("1234", 3),
        ("12345678901234567890123456789012345678", 20),
        ("100", 2),
        ("1010", 3),
        ("0.0000001", 2),
        ("1E125", 2),
        ("1E-100", 2),
        ("1.5", 3),
        ("15", 2),
        ("1.234", 4),
        ("3.14159", 5),
        ("123456", 4),
        ("100.5", 4),
        ("0.15", 2),
        ("-42", 3),
    ],
)
def test_bytes_as_the_service_counts_them(text: str, size: int) -> None:
    """Measured at the 400 KB limit of the service; nubo-db/dynamodb-conformance keeps the record."""
    assert number.size(number.canonical(text)) == size


@given(decimals(), decimals())
def test_sums_are_exact_or_refused(one: Decimal, other: Decimal) -> None:
    exact = WIDE.add(one, other).normalize(WIDE)
    fits = len(exact.as_tuple().digits) <= number.DIGITS and (
        exact == 0 or number.SMALLEST_EXPONENT <= exact.adjusted() <= number.LARGEST_EXPONENT
    )
    texts = number.canonical(format(one, "f")), number.canonical(format(other, "f"))
    if fits:
        assert Decimal(number.add(*texts)) == exact
        assert Decimal(number.subtract(number.add(*texts), texts[1])) == one
    else:
        with pytest.raises(ServiceError, match=r"Number (over|under)flow"):
            number.add(*texts)


@given(st.integers(-(10**18), 10**18), st.integers(-(10**18), 10**18), st.integers(0, 6))
def test_sums_of_amounts(one: int, other: int, scale: int) -> None:
    texts = [number.canonical(f"{amount}E-{scale}") for amount in (one, other)]
    assert number.add(*texts) == number.canonical(f"{one + other}E-{scale}")
    assert number.subtract(*texts) == number.canonical(f"{one - other}E-{scale}")
