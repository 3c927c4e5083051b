"""DynamoDB's numbers: decimals of up to 38 digits, exact, as text in the shortest plain form.

Sources: "Supported data types and naming rules in Amazon DynamoDB" (digits, range); "DynamoDB item sizes and formats"
(bytes: approximate there; the halves beside the point are rounded up apart, as the service does at its 400 KB limit).
"""

import re
from decimal import Decimal

from oncefold_lab.simulator.errors import ServiceError

DIGITS = 38
LARGEST_EXPONENT = 125
SMALLEST_EXPONENT = -130

_ANY = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?", re.ASCII)
_SHORTEST = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?", re.ASCII)
_FAR_DIGITS = 6
"""An exponent of more digits is out of any range."""

_OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
_UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
_IMPRECISE = f"Attempting to store more than {DIGITS} significant digits in a Number"


def canonical(text: str) -> str:
    """The one text of a number: `1.50`, `0015E-1` and `1.5` are `1.5`. Raises Refusal for what is none."""
    if len(text) <= DIGITS and _SHORTEST.fullmatch(text) and text != "-0":
        return text
    match = _ANY.fullmatch(text)
    if match is None:
        if not text:
            raise ServiceError.invalid("The parameter cannot be converted to a numeric value")
        raise ServiceError.invalid(f"The parameter cannot be converted to a numeric value: {text}")
    sign, whole, fraction, bare_fraction, exponent = match.groups()
    fraction = fraction or bare_fraction or ""
    digits = ((whole or "") + fraction).lstrip("0")
    if not digits:
        return "0"
    kept = digits.rstrip("0")
    return _plain(sign, kept, _exponent(exponent) - len(fraction) + len(digits) - len(kept))


def _exponent(text: str | None) -> int:
    if text is None:
        return 0
    digits = text.lstrip("+-0")
    magnitude = int(digits or "0") if len(digits) <= _FAR_DIGITS else 10**_FAR_DIGITS
    return -magnitude if text.startswith("-") else magnitude


def _plain(sign: str, digits: str, exponent: int) -> str:
    """The text of digits x 10**exponent, neither end of digits being zero."""
    if len(digits) > DIGITS:
        raise ServiceError.invalid(_IMPRECISE)
    leading = exponent + len(digits) - 1
    if leading > LARGEST_EXPONENT:
        raise ServiceError.invalid(_OVERFLOW)
    if leading < SMALLEST_EXPONENT:
        raise ServiceError.invalid(_UNDERFLOW)
    if exponent >= 0:
        text = digits + "0" * exponent
    elif leading >= 0:
        text = f"{digits[: leading + 1]}.{digits[leading + 1 :]}"
    else:
        text = f"0.{'0' * (-leading - 1)}{digits}"
    return "-" + text if sign == "-" else text


def size(text: str) -> int:
    """Bytes of a number in canonical form."""
    negative = text[0] == "-"
    whole, _, fraction = (text[1:] if negative else text).partition(".")
    if not fraction:
        digits = len(whole.rstrip("0"))
        return 1 + (digits + 1) // 2 + negative
    if whole == "0":
        return 1 + (len(fraction.lstrip("0")) + 1) // 2 + negative
    return 1 + (len(whole) + 1) // 2 + (len(fraction) + 1) // 2 + negative


def add(one: str, other: str) -> str:
    """The exact sum of two canonical numbers. Raises Refusal where it does not fit."""
    if "." not in one and "." not in other:
        text = str(int(one) + int(other))
        return text if len(text) <= DIGITS else _fitting(text)
    one_mantissa, one_scale = _parts(one)
    other_mantissa, other_scale = _parts(other)
    scale = max(one_scale, other_scale)
    total = one_mantissa * 10 ** (scale - one_scale) + other_mantissa * 10 ** (scale - other_scale)
    return _fitting(f"{total}E-{scale}")


def subtract(one: str, other: str) -> str:
    """The exact difference of two canonical numbers. Raises Refusal where it does not fit."""
    if other == "0":
        return one
    return add(one, other[1:] if other[0] == "-" else "-" + other)


def order(text: str) -> Decimal:
    """What numbers are compared by; decimals compare exactly, whatever the context."""
    return Decimal(text)


def _parts(text: str) -> tuple[int, int]:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction), len(fraction)


def _fitting(text: str) -> str:
    """A result in canonical form. DynamoDB calls also a result of too many digits an overflow."""
    try:
        return canonical(text)
    except ServiceError as refusal:
        if refusal.message == _IMPRECISE:
            raise ServiceError.invalid(_OVERFLOW) from None
        raise
