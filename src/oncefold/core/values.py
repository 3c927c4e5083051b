"""Values of Python programs and typed tables as the decoder reads them, and as the reject list keeps them.

What a field can take becomes what JSON has: text, a number's own text, true, false, null, objects, arrays. Everything
else becomes a marker that names its type, which no field takes. So a rejected record that is written as JSON and read
again means what it meant, and is rejected again under the same definition.
"""

import json
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from numbers import Integral, Real
from typing import Any, Final
from uuid import UUID

from oncefold.core.limits import NESTING
from oncefold.core.timestamps import python_timestamp

UNREADABLE: Final = "unreadable"
"""The one name in the marker of a value that no field takes; its value there is the name of the type."""

_JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_NOT_FINITE: Final = re.compile(r"(-?)(?:s?nan|(inf(?:inity)?))", re.IGNORECASE)
_AS_THEY_ARE: Final = frozenset({str, bool, type(None)})


class Number(str):
    """The text of a number, apart from text in quotes."""

    __slots__ = ()


def marker(type_name: str) -> dict[str, str]:
    """What stands for a value that no field takes."""
    return {UNREADABLE: type_name}


def type_of_marker(value: Mapping[str, Any]) -> str | None:
    """The type that a marker names; None for any other object."""
    name = value.get(UNREADABLE) if len(value) == 1 else None
    return name if isinstance(name, str) else None


def plain(value: Any, depth: int = 0) -> Any:
    """The value as the decoder reads it; what is nested too deep is a marker."""
    kind = type(value)
    if kind in _AS_THEY_ARE or kind is Number:
        return value
    if kind is int or kind is float or kind is Decimal:
        return _number(value)
    if depth > NESTING:
        return marker("object nested too deep")
    if isinstance(value, Mapping):
        return {_name(name): plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return _other(value)


def _other(value: Any) -> Any:
    """A value of a type that is not JSON's."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):
        return python_timestamp(value)
    if type(value).__name__ in {"bool", "bool_"}:  # numpy's, which is no bool of Python's
        return bool(value)
    if isinstance(value, Enum) and not isinstance(value, Integral):
        return marker(type(value).__name__)
    return _number(value) if isinstance(value, Real | Decimal) else marker(type(value).__name__)


def _number(value: Any) -> Any:
    """The number's own text; what is not finite has JavaScript's name, as Python's json writes it."""
    kind = type(value).__name__
    if isinstance(value, Integral):
        try:
            return Number(int.__repr__(int(value)))
        except ValueError:  # Python prints no whole number of more than some thousand digits
            return marker(f"{kind} with thousands of digits")
    if isinstance(value, Fraction):
        return marker(kind)
    text = float.__repr__(value) if isinstance(value, float) else str(value)
    odd = _NOT_FINITE.fullmatch(text)
    if odd is not None:
        return Number(f"{odd[1]}Infinity" if odd[2] else "NaN")
    return Number(text) if _JSON_NUMBER.fullmatch(text) else marker(kind)


def _name(name: object) -> str:
    """A name that is no text names no field; it stays recognisable."""
    return str.__str__(name) if isinstance(name, str) else f"{name!r} ({type(name).__name__})"


def to_json(value: Any) -> bytes:
    """A value that `plain` gave, as JSON, with numbers as they were written; NaN and infinities as Python has them."""
    text = _written(value, ascii_only=False)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can hold
        return _written(value, ascii_only=True).encode()


def _written(value: Any, *, ascii_only: bool) -> str:
    if isinstance(value, Number):
        return str.__str__(value)
    if isinstance(value, dict):
        pairs = (
            f"{json.dumps(name, ensure_ascii=ascii_only)}: {_written(item, ascii_only=ascii_only)}"
            for name, item in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_written(item, ascii_only=ascii_only) for item in value)}]"
    return json.dumps(value, ensure_ascii=ascii_only)


def from_json(raw: bytes) -> Any:
    """The value again. Raises ValueError for bytes that `to_json` did not write."""
    return json.loads(raw, parse_int=Number, parse_float=Number, parse_constant=Number)
