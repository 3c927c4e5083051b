"""Exact decimals: a number's text becomes an integer count of its scale's smallest unit, and back.

Nothing here passes through a binary float. A value that the scale cannot hold is refused, unless the measure
asks for rounding; then the text itself is rounded half to even (IEEE 754-2019, 4.3.1 roundTiesToEven, applied
to decimal digits), so that every runtime gives the same digit.
"""

import re
from dataclasses import dataclass

_DECIMAL = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?", re.ASCII)
_FAR = 10**18
"""An exponent that no text of digits can make up for."""
_SHOWN_CHARS = 40


def parse_decimal(text: str, scale: int, limit: int, *, rounding: bool = False) -> int:
    """The integer m with m = text x 10**scale, |m| < limit.

    `1.500` is 150 at scale 2; `1.505` is refused unless `rounding` (then 150: half to even).
    Raises ValueError with the reason.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{shown(text)} is not a number")
    sign, whole, fraction, bare_fraction, exponent = match.groups()
    fraction = fraction or bare_fraction or ""
    digits = ((whole or "") + fraction).lstrip("0")
    if not digits:
        return 0
    shift = scale - len(fraction) + _exponent(exponent)
    magnitude = _shifted(text, digits, shift, scale, limit, rounding=rounding)
    return -magnitude if sign == "-" else magnitude


def _exponent(text: str | None) -> int:
    """The exponent as a number; one too long to matter is as good as a far one."""
    if text is None:
        return 0
    digits = text.lstrip("+-0") or "0"
    magnitude = int(digits) if len(digits) < len(str(_FAR)) else _FAR
    return -magnitude if text.startswith("-") else magnitude


def _shifted(text: str, digits: str, shift: int, scale: int, limit: int, *, rounding: bool) -> int:
    """Digits x 10**shift as an integer below limit."""
    if len(digits) + shift > len(str(limit)):
        raise ValueError(
            f"{shown(text)} is out of range: at scale {scale} it must lie below {format_decimal(limit, scale)}"
        )
    if shift >= 0:
        magnitude = int(digits + "0" * shift)
    else:
        kept, excess = digits[:shift], digits[shift:]
        if -shift > len(digits):
            excess = "0" + excess
        magnitude = int(kept or "0")
        if excess.strip("0"):
            if not rounding:
                raise ValueError(f"{shown(text)} has more than {scale} decimal places")
            magnitude += _rounds_up(excess, odd=bool(magnitude & 1))
    if magnitude >= limit:
        raise ValueError(
            f"{shown(text)} is out of range: at scale {scale} it must lie below {format_decimal(limit, scale)}"
        )
    return magnitude


def _rounds_up(excess: str, *, odd: bool) -> bool:
    if excess[0] != "5":
        return excess[0] > "5"
    return odd or excess[1:].strip("0") != ""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How text spells numbers: what stands before the decimal places, and between groups of three digits."""

    decimal: str = "."
    group: str | None = None

    def plain(self, value: str, text: str) -> str:
        """The text with a point and without groups; a JSON number's own text is so already.

        Raises ValueError with the reason.
        """
        if (self.decimal == "." and self.group is None) or type(value) is not str:
            return text
        whole, mark, fraction = text.partition(self.decimal)
        if self.decimal != "." and "." in fraction + (whole if self.group != "." else ""):
            raise ValueError(f"{shown(text)} is not a number; before its decimal places stands {self.decimal!r}")
        if self.group is not None and self.group in whole:
            sign, digits = (whole[:1], whole[1:]) if whole[:1] in {"+", "-"} else ("", whole)
            first, *groups = digits.split(self.group)
            if not 1 <= len(first) <= _GROUP or any(len(group) != _GROUP for group in groups):
                raise ValueError(f"{shown(text)} is not a number; {self.group!r} stands between groups of three digits")
            whole = sign + first + "".join(groups)
        return whole + ("." if mark else "") + fraction


_GROUP = 3


def format_decimal(mantissa: int, scale: int) -> str:
    """The decimal text of mantissa / 10**scale with exactly `scale` places: 150 at scale 2 is `1.50`."""
    if scale == 0:
        return str(mantissa)
    digits = str(abs(mantissa)).rjust(scale + 1, "0")
    return f"{'-' if mantissa < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def shown(text: str) -> str:
    """A piece of input, short enough for a message."""
    return repr(text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…")
