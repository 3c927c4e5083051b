"""Expressions as fields of a record: how what they read is read, and what their results are to the decoder."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from oncefold.core.decimals import Spelling
from oncefold.core.decode import read_boolean
from oncefold.core.definition import Time
from oncefold.core.errors import InvalidEvent
from oncefold.core.evaluate import Time as Moment
from oncefold.core.evaluate import decimal_of, evaluator, text_of
from oncefold.core.expression import Expression, Source
from oncefold.core.labels import as_text, numeral, timestamp
from oncefold.core.records import Record, refuse
from oncefold.core.values import Number


def readers(numbers: Spelling) -> Mapping[str, Callable[[Any, Any], Any]]:
    """How the fields of expressions are read, by the kind of value that they are read as."""
    return {
        "number": lambda value, field: _read_number(value, field, numbers),
        "text": _read_text,
        "time": lambda value, field: Moment(timestamp(value, Time(field))),
        "boolean": read_boolean,
    }


def deriving(expression: Expression) -> Callable[[Record], Any]:
    """The function that computes an expression for a record, in the form of a field's value."""
    compute, kind = evaluator(expression.tree), expression.tree.kind

    def derive(record: Record) -> Any:
        try:
            value = compute(record.read)
        except InvalidEvent as error:
            if str(error).startswith("field "):
                raise
            raise InvalidEvent(f"field {expression}: {error}") from None
        if value is None or kind not in {"number", "time"}:
            return value
        return Number(text_of(value)) if kind == "number" else text_of(value)

    return derive


def _read_number(value: Any, field: Source, spelling: Spelling) -> Decimal:
    try:
        return decimal_of(spelling.plain(value, numeral(value, field)))
    except ValueError as error:
        refuse(field, str(error))


def _read_text(value: Any, field: Source) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Number):
        return text_of(_read_number(value, field, Spelling()))
    return as_text(value, field)
