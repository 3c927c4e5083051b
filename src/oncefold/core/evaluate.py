"""What expressions mean: a tree becomes a function of a record. This specifies them; every other form must equal it.

Values: None for NULL; `Decimal`, exact, or `Fraction` between a division and its rounding; text; bool; a time as
nanoseconds since the epoch, as `Time`. An argument that is not needed is not evaluated: AND, OR, CASE, COALESCE and IN
stop at the first that decides, from left to right.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from fractions import Fraction
from functools import lru_cache
from typing import Any

from oncefold.core.decimals import shown
from oncefold.core.errors import InvalidEvent
from oncefold.core.expression import Call, Constant, Field, Node
from oncefold.core.timestamps import NANOS, format_timestamp, parse_timestamp

_MOST_DIGITS = 400
"""Digits of a field's number on either side of its point; binary floats have no more."""
_EXACT = Context(prec=100_000, Emax=10**6, Emin=-(10**6), traps=[Inexact, InvalidOperation, Overflow])
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?", re.ASCII)
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_SECONDS = 86_400

Reader = Callable[[Field], Any]
"""Reads a field of the record in hand, as its kind; None for NULL. Raises InvalidEvent."""
Evaluate = Callable[[Reader], Any]
"""The value of an expression for the record that the reader reads. Raises InvalidEvent."""


class Time(int):
    """A time as nanoseconds since the epoch, apart from other numbers."""

    __slots__ = ()


def decimal_of(text: str) -> Decimal:
    """The exact number that a text spells. Raises ValueError with the reason."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a number")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{shown(text)} is out of range") from None
    if value and (value.adjusted() >= _MOST_DIGITS or int(value.as_tuple().exponent) < -_MOST_DIGITS):
        raise ValueError(f"{shown(text)} is out of range")
    return value


def text_of(value: Any) -> str:
    """A value as text: a number without needless zeros, a time by RFC 3339 in UTC."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Time):
        return format_timestamp(value)
    if not isinstance(value, Decimal):
        return str(value)
    digits = f"{value:f}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if digits in {"-0", ""} else digits


def evaluator(tree: Node) -> Evaluate:
    """The function that the tree means."""
    if isinstance(tree, Field):
        return lambda read: read(tree)
    if isinstance(tree, Constant):
        value = _constant(tree)
        return lambda _: value
    args = [evaluator(arg) for arg in tree.args]
    if special := _LAZY.get(tree.op):
        return special(args)
    function = _function(tree)
    return lambda read: function(*[arg(read) for arg in args])


def _constant(node: Constant) -> Any:
    if node.value is None or isinstance(node.value, bool):
        return node.value
    if node.kind == "number":
        return decimal_of(node.value)
    return Time(parse_timestamp(node.value)) if node.kind == "time" else node.value


def _junction(*, decisive: bool) -> Callable[[Sequence[Evaluate]], Evaluate]:
    """AND, which a false value decides, or OR, which a true one does."""

    def build(args: Sequence[Evaluate]) -> Evaluate:
        def evaluate(read: Reader) -> bool | None:
            unknown = False
            for arg in args:
                value: bool | None = arg(read)
                if value is decisive:
                    return decisive
                unknown = unknown or value is None
            return None if unknown else not decisive

        return evaluate

    return build


def _in(args: Sequence[Evaluate]) -> Evaluate:
    first, *others = args

    def evaluate(read: Reader) -> bool | None:
        value = first(read)
        if value is None:
            return None
        unknown = False
        for other in others:
            found = other(read)
            if found is None:
                unknown = True
            elif _compare(value, found) == 0:
                return True
        return None if unknown else False

    return evaluate


def _case(args: Sequence[Evaluate]) -> Evaluate:
    pairs = list(zip(args[0:-1:2], args[1:-1:2], strict=True))
    otherwise = args[-1]

    def evaluate(read: Reader) -> Any:
        for when, then in pairs:
            if when(read) is True:
                return then(read)
        return otherwise(read)

    return evaluate


def _coalesce(args: Sequence[Evaluate]) -> Evaluate:
    def evaluate(read: Reader) -> Any:
        return next((value for arg in args if (value := arg(read)) is not None), None)

    return evaluate


_LAZY: dict[str, Callable[[Sequence[Evaluate]], Evaluate]] = {
    "and": _junction(decisive=False),
    "or": _junction(decisive=True),
    "in": _in,
    "case": _case,
    "coalesce": _coalesce,
}


def _function(node: Call) -> Callable[..., Any]:
    """An operation on values; NULL if an argument is, but for those that say otherwise."""
    if node.op in {"is null", "is true"}:
        return (lambda value: value is None) if node.op == "is null" else (lambda value: value is True)
    if node.op in {"greatest", "least"}:
        sign = 1 if node.op == "greatest" else -1
        return lambda *values: _extreme(sign, values)
    if node.op == "nullif":
        return lambda a, b: None if a is not None and b is not None and _compare(a, b) == 0 else a
    if node.op == "extract":
        part = _PARTS[str(getattr(node.args[0], "value", ""))]
        return _strict(lambda _, time: Decimal(part(time)))
    return _strict(_STRICT[node.op])


def _strict(function: Callable[..., Any]) -> Callable[..., Any]:
    def evaluate(*values: Any) -> Any:
        return None if None in values else function(*values)

    return evaluate


def _extreme(sign: int, values: Sequence[Any]) -> Any:
    found = None
    for value in values:
        if value is not None and (found is None or sign * _compare(value, found) > 0):
            found = value
    return found


def _compare(a: Any, b: Any) -> int:
    """-1, 0 or 1; texts by code points, which is the order of their UTF-8 bytes."""
    if isinstance(a, Fraction) or isinstance(b, Fraction):
        a, b = Fraction(a), Fraction(b)
    return int(a > b) - int(a < b)


def _arithmetic(exact: Callable[[Decimal, Decimal], Decimal], broken: Callable[[Any, Any], Any]) -> Any:
    def evaluate(a: Any, b: Any) -> Any:
        if isinstance(a, Fraction) or isinstance(b, Fraction):
            return broken(Fraction(a), Fraction(b))
        try:
            return exact(a, b)
        except DecimalException:
            raise InvalidEvent("a number has too many digits") from None

    return evaluate


def _divide(a: Any, b: Any) -> Fraction:
    if not b:
        raise InvalidEvent("division by zero")
    return Fraction(a) / Fraction(b)


def _negated(value: Any) -> Any:
    return -value if isinstance(value, Fraction) else value.copy_negate()


def _absolute(value: Any) -> Any:
    return abs(value) if isinstance(value, Fraction) else value.copy_abs()


def _rounded(value: Any, places: Any) -> Decimal:
    """Half to even, from the exact value."""
    return Decimal(_half_even(Fraction(value) * 10 ** int(places))).scaleb(-int(places), _EXACT)


def _half_even(value: Fraction) -> int:
    whole, rest = divmod(value.numerator, value.denominator)
    return whole + (2 * rest > value.denominator or (2 * rest == value.denominator and whole & 1))


def _to_decimal(value: Any, *limits: Any) -> Any:
    if isinstance(value, str):
        try:
            value = decimal_of(value)
        except ValueError as error:
            raise InvalidEvent(str(error)) from None
    elif isinstance(value, bool):
        value = Decimal(value)
    if not limits:
        return value
    precision, scale = int(limits[0]), int(limits[1]) if len(limits) > 1 else 0
    rounded = _rounded(value, scale)
    if abs(rounded) >= 10 ** (precision - scale):
        raise InvalidEvent(f"{shown(text_of(rounded))} is out of range for DECIMAL({precision}, {scale})")
    return rounded


def _to_time(value: Any) -> Time:
    if isinstance(value, Time):
        return value
    try:
        return Time(parse_timestamp(value if isinstance(value, str) else text_of(_to_decimal(value))))
    except ValueError as error:
        raise InvalidEvent(str(error)) from None


def _like(value: str, pattern: str, escape: str = "") -> bool:
    return _pattern(pattern, escape).fullmatch(value) is not None


@lru_cache(maxsize=64)
def _pattern(pattern: str, escape: str) -> re.Pattern[str]:
    parts: list[str] = []
    letters = iter(pattern)
    for letter in letters:
        if letter == escape:
            following = next(letters, None)
            if following is None:
                raise InvalidEvent(f"the pattern {shown(pattern)} ends in its escape character")
            parts.append(re.escape(following))
        else:
            parts.append({"%": ".*", "_": "."}.get(letter) or re.escape(letter))
    return re.compile("".join(parts), re.DOTALL)


def _position(value: Decimal, what: str) -> int:
    if value != value.to_integral_value():
        raise InvalidEvent(f"{what} takes whole numbers, not {text_of(value)}")
    return int(value)


def _substr(value: str, start: Decimal, length: Decimal | None = None) -> str:
    """From this character on, counted from 1; what lies before the first takes of the length."""
    first = _position(start, "SUBSTR") - 1
    if length is None:
        return value[max(first, 0) :]
    count = _position(length, "SUBSTR")
    if count < 0:
        raise InvalidEvent("SUBSTR takes no negative length")
    return value[max(first, 0) : max(first + count, 0)]


def _split_part(value: str, delimiter: str, number: Decimal) -> str:
    """The part with this number, counted from 1, or from the end if negative; empty if there are fewer."""
    at = _position(number, "SPLIT_PART")
    if not at:
        raise InvalidEvent("SPLIT_PART counts from 1")
    parts = value.split(delimiter) if delimiter else [value]
    index = at - 1 if at > 0 else len(parts) + at
    return parts[index] if 0 <= index < len(parts) else ""


_STRICT: dict[str, Callable[..., Any]] = {
    "+": _arithmetic(_EXACT.add, lambda a, b: a + b),
    "-": _arithmetic(_EXACT.subtract, lambda a, b: a - b),
    "*": _arithmetic(_EXACT.multiply, lambda a, b: a * b),
    "/": _divide,
    "neg": _negated,
    "abs": _absolute,
    "round": _rounded,
    "=": lambda a, b: _compare(a, b) == 0,
    "<>": lambda a, b: _compare(a, b) != 0,
    "<": lambda a, b: _compare(a, b) < 0,
    "<=": lambda a, b: _compare(a, b) <= 0,
    ">": lambda a, b: _compare(a, b) > 0,
    ">=": lambda a, b: _compare(a, b) >= 0,
    "not": lambda value: not value,
    "like": _like,
    "lower": str.lower,
    "upper": str.upper,
    "trim": str.strip,
    "ltrim": str.lstrip,
    "rtrim": str.rstrip,
    "||": lambda a, b: a + b,
    "substr": _substr,
    "split_part": _split_part,
    "to_text": text_of,
    "to_time": _to_time,
    "to_decimal": _to_decimal,
}


def _day(time: Time) -> date:
    return date.fromordinal(time // (NANOS * _DAY_SECONDS) + _EPOCH)


_PARTS: dict[str, Callable[[Time], int | str]] = {
    "year": lambda time: _day(time).year,
    "quarter": lambda time: (_day(time).month + 2) // 3,
    "month": lambda time: _day(time).month,
    "week": lambda time: _day(time).isocalendar().week,
    "day": lambda time: _day(time).day,
    "dow": lambda time: _day(time).isoweekday() % 7,
    "doy": lambda time: _day(time).timetuple().tm_yday,
    "hour": lambda time: time // NANOS % _DAY_SECONDS // 3_600,
    "minute": lambda time: time // NANOS // 60 % 60,
    "second": lambda time: time // NANOS % 60,
    "epoch": lambda time: f"{int(time)}e-9",
}
