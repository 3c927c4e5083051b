"""Patterns of times that no common spelling covers, such as `%d.%m.%Y %H:%M`: strptime's, as far as they are exact."""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache

from oncefold.core.decimals import shown
from oncefold.core.timestamps import DAY, MONTHS, NANOS, in_range, of_zone
from oncefold.core.zones import Zone

_PARTS = {
    "Y": r"(?P<Y>\d{4})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "b": rf"(?P<b>{'|'.join(MONTHS)})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<I>\d{1,2})",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,9})",
    "p": r"(?P<p>[AaPp][Mm])",
    "z": r"(?P<z>Z|[+-]\d{2}:?\d{2})",
    "%": "%",
}
_EPOCH = date(1970, 1, 1).toordinal()
FORMAT_CHARS = 64


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """A pattern; equal texts are equal patterns."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "TimeFormat":
        """Check a pattern. Raises ValueError with the reason."""
        letters = []
        for directive, literal in re.findall(r"%(.?)|([^%]+)", text, re.DOTALL):
            if not literal and directive not in _PARTS:
                known = ", ".join(f"%{letter}" for letter in _PARTS)
                raise ValueError(f"{shown(text)} has %{directive}, which is none of {known}")
            letters += [directive] if directive and directive != "%" else []
        if len(set(letters)) < len(letters):
            raise ValueError(f"{shown(text)} names a part of the time twice")
        if not {"Y", "d"} <= set(letters) or len({"m", "b"} & set(letters)) != 1:
            raise ValueError(f"{shown(text)} needs a year, a month and a day: %Y, %m (or %b) and %d")
        if ("I" in letters) != ("p" in letters) or {"I", "H"} <= set(letters):
            raise ValueError(f"{shown(text)}: %I and %p belong together, and stand instead of %H")
        if len(text) > FORMAT_CHARS:
            raise ValueError(f"{shown(text)} is longer than {FORMAT_CHARS} characters")
        return cls(text)

    def __str__(self) -> str:
        return self.text

    def tokens(self) -> list[tuple[str, str]]:
        """Its parts in order: (letter, "") of a directive, ("", text) of what is between."""
        found = re.findall(r"%(.)|([^%]+)", self.text, re.DOTALL)
        return [("", "%") if letter == "%" else (letter, literal) for letter, literal in found]

    def read(self, text: str, zone: Zone | None) -> int:
        """Nanoseconds since the epoch; of the zone, or else of UTC, unless the text has an offset.

        Raises ValueError with the reason.
        """
        match = _regex(self).fullmatch(text)
        if match is None:
            raise ValueError(f"{shown(text)} is not a time as {self.text} says")
        parts = match.groupdict()
        month = MONTHS.index(parts["b"]) + 1 if parts.get("b") else int(parts["m"])
        try:
            days = date(int(parts["Y"]), month, int(parts["d"])).toordinal() - _EPOCH
        except ValueError as error:
            raise ValueError(f"{shown(text)} is not a date: {error}") from None
        nanos = days * DAY + _of_day(text, parts)
        offset = parts.get("z")
        if offset is None:
            return in_range(text, of_zone(nanos, zone))
        return in_range(text, nanos - _offset(text, offset))


@cache
def _regex(pattern: TimeFormat) -> re.Pattern[str]:
    parts = (_PARTS[letter] if letter else re.escape(literal) for letter, literal in pattern.tokens())
    return re.compile("".join(parts), re.ASCII)


def _of_day(text: str, parts: dict[str, str]) -> int:
    hour = int(parts.get("H") or parts.get("I") or 0)
    if parts.get("p"):
        if not 1 <= hour <= 12:
            raise ValueError(f"{shown(text)} is not a time of day")
        hour = hour % 12 + (12 if parts["p"].lower() == "pm" else 0)
    minute, second = int(parts.get("M") or 0), int(parts.get("S") or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{shown(text)} is not a time of day (leap seconds have no epoch number)")
    return (hour * 3_600 + minute * 60 + second) * NANOS + int((parts.get("f") or "0").ljust(9, "0"))


def _offset(text: str, offset: str) -> int:
    if offset == "Z":
        return 0
    digits = offset[1:].replace(":", "")
    if int(digits[:2]) > 23 or int(digits[2:]) > 59:
        raise ValueError(f"{shown(text)} has an impossible UTC offset")
    nanos = (int(digits[:2]) * 3_600 + int(digits[2:]) * 60) * NANOS
    return nanos if offset[0] == "+" else -nanos
