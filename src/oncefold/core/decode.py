"""The scalar decoder: one record becomes an event, or a reason why not. It specifies what a record means.

A record is a mapping of names to values. A value is text, a `Number` (a number's own text), a bool, None, or
something nested; `values` makes these of what Python programs and typed tables hold. JSON numbers never become binary
floats; a Python float, which already is one, is read as the text it prints.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NoReturn

from oncefold.core import nodepath
from oncefold.core.decimals import parse_decimal, shown
from oncefold.core.definition import Level, Measure, Pipeline
from oncefold.core.errors import InvalidEvent
from oncefold.core.evaluate import Time, decimal_of, evaluator, result_text, text_of
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.expression import Expression, Field, Source
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import (
    KEY_BYTES,
    LABEL_BYTES,
    MEASURE_LIMIT,
    NESTING,
    PATH_BYTES,
    RECORD_BYTES,
    VERSION_MAX,
)
from oncefold.core.timestamps import parse_timestamp
from oncefold.core.values import Number, plain, type_of_marker

_BRACKET_OR_STRING = re.compile(r'[\[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*"')
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}
csv.field_size_limit(max(csv.field_size_limit(), RECORD_BYTES))
"""A cell may be as long as its record. The limit is one for the process; this is its only setting."""

_TRUE, _FALSE = {"true", "1"}, {"false", "0", ""}


class Decoder:
    """Reads records for one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._derived = {source: _deriving(source) for source in pipeline.expressions}

    def json(self, raw: bytes) -> Event:
        """One JSON text (RFC 8259, UTF-8). Raises InvalidEvent.

        NUL bytes in front of it, as a crash or the rotation of a log leaves them, are left out. A name that occurs
        twice in one object is refused where it is read, because its meaning is ambiguous.
        """
        return self._event(_Nested(self._object(raw.lstrip(b"\0"))))

    def csv(self, header: Sequence[str], cells: Sequence[str]) -> Event:
        """One row of a flat table of text; for measures, times and versions an empty cell is missing.

        Raises InvalidEvent.
        """
        if len(cells) != len(header):
            raise InvalidEvent(f"the row has {len(cells)} fields, the header {len(header)}")
        return self._event(_Cells(_Object(list(zip(header, cells, strict=True)))))

    def record(self, record: Mapping[str, Any]) -> Event:
        """A mapping of a Python program, nested where the paths are. Raises InvalidEvent."""
        return self._event(_Nested(plain(record)))

    def flat(self, record: Mapping[str, Any]) -> Event:
        """A row of a typed table: a dotted path is a column of that name, else a nested field. Raises InvalidEvent."""
        return self._event(_NestedOrFlat(plain(record)))

    def _object(self, raw: bytes) -> dict[str, Any]:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidEvent(f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}") from None
        if text.startswith("\ufeff"):
            raise InvalidEvent("a byte order mark is inside the stream; only a file may start with one")
        try:
            value = json.loads(
                text,
                parse_float=Number,
                parse_int=Number,
                parse_constant=_no_constant,
                object_pairs_hook=_Object,
            )
        except RecursionError:
            raise InvalidEvent(f"nested deeper than {NESTING} levels") from None
        except json.JSONDecodeError as error:
            reason = f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
            raise InvalidEvent(f"not JSON: {reason}") from None
        except ValueError as error:
            raise InvalidEvent(f"not JSON: {error}") from None
        if not isinstance(value, dict):
            hint = "; a file of one array is not JSON Lines: write one object per line"
            raise InvalidEvent(f"not a JSON object{hint if isinstance(value, list) else ''}")
        if raw.count(b"{") + raw.count(b"[") > NESTING and _depth(text) > NESTING:
            raise InvalidEvent(f"nested deeper than {NESTING} levels")
        return value

    def _event(self, record: "_Record") -> Event:
        pipeline = self._pipeline
        record.derived = self._derived
        key = self._key(record)
        version = self._version(record)
        time = None
        if pipeline.time is not None and (value := record.get(pipeline.time.field, empty=None)) is not None:
            time = _timestamp(value, pipeline.time.field, pipeline.time.unit)
        if pipeline.delete is not None and self.deletes(record.get(pipeline.delete.field)):
            return Event(key, version, DELETED, time)
        if pipeline.where is not None and record.get(pipeline.where) is not True:
            return Event(key, version, DELETED, time, filtered=True)
        labels = tuple(_label(record, level) for level in pipeline.levels)
        self._check_paths(labels)
        measures = tuple(_measure(record, measure) for measure in pipeline.measures)
        return Event(key, version, Content(labels, measures), time)

    def _key(self, record: "_Record") -> str:
        fields = self._pipeline.key
        parts = [_text(record, field) for field in fields]
        key = parts[0] if len(parts) == 1 else nodepath.join(parts)
        if len(key.encode()) > KEY_BYTES:
            _refuse(fields[0], f"the key is longer than {KEY_BYTES} bytes")
        return key

    def _version(self, record: "_Record") -> int:
        version = self._pipeline.version
        if version is None:
            return 0
        value = record.get(version.field, empty=None)
        if value is None:
            _refuse(version.field, "missing; every event needs its version")
        if version.type == "timestamp":
            return _timestamp(value, version.field, version.unit)
        text = _numeral(value, version.field)
        try:
            return parse_decimal(text, 0, VERSION_MAX)
        except ValueError as error:
            hint = '; for times write type = "timestamp"' if "not a number" in str(error) else ""
            _refuse(version.field, f"{error}; a version is a whole number{hint}")

    def deletes(self, value: Any) -> bool:
        """Whether this value of the delete field makes its event a delete. Raises InvalidEvent."""
        delete = self._pipeline.delete
        if delete is None or value is None:
            return False
        if delete.equals is not None:
            return _scalar_text(value) == delete.equals
        return _read_boolean(value, delete.field)

    def _check_paths(self, labels: tuple[str, ...]) -> None:
        for rollup, indexes in zip(self._pipeline.rollups, self._pipeline.rollup_levels, strict=True):
            path = nodepath.join([labels[index] for index in indexes])
            if len(path) > PATH_BYTES // 4 and len(path.encode()) > PATH_BYTES:
                raise InvalidEvent(f"the path in rollup {rollup.name} is longer than {PATH_BYTES} bytes")


class _Object(dict[str, Any]):
    """A JSON object, or a row, that records which names occur in it more than once."""

    __slots__ = ("twice",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice: frozenset[str] = frozenset()
        if len(self) != len(pairs):
            self.twice = frozenset(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)


class _Record:
    """A record with lookup by path; None is missing. `empty` says what an empty cell of a CSV counts as."""

    derived: Mapping[Expression, Callable[["_Record"], Any]] = MappingProxyType({})

    def get(self, source: Source, empty: str | None = "") -> Any:
        """The value of a field, or of an expression in the form of a field's. Raises InvalidEvent."""
        return self.derived[source](self) if isinstance(source, Expression) else self.field(source, empty)

    def field(self, field: FieldPath, empty: str | None = "") -> Any:
        raise NotImplementedError

    def read(self, field: Field) -> Any:
        """A field as an expression reads it; None is NULL. Raises InvalidEvent."""
        value = self.field(field.path, "" if field.kind in {"raw", "text"} else None)
        if value is None or field.kind == "raw":
            return value
        return _READERS[field.kind](value, field.path)


class _Nested(_Record):
    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def field(self, field: FieldPath, empty: str | None = "") -> Any:  # noqa: ARG002
        value: Any = self._values
        for segment in field.segments:
            if not isinstance(value, Mapping):
                return None
            if isinstance(value, _Object) and segment in value.twice:
                _refuse(field, f"the name {shown(segment)} occurs twice in one object")
            value = value.get(segment)
        return value


class _Cells(_Record):
    def __init__(self, cells: _Object) -> None:
        self._cells = cells

    def field(self, field: FieldPath, empty: str | None = "") -> Any:
        if field.column in self._cells.twice:
            _refuse(field, f"the name {shown(field.column)} occurs twice in the header")
        return self._cells.get(field.column) or (empty if field.column in self._cells else None)


class _NestedOrFlat(_Nested):
    def field(self, field: FieldPath, empty: str | None = "") -> Any:  # noqa: ARG002
        return self._values[field.column] if field.column in self._values else super().field(field)


def _deriving(expression: Expression) -> Callable[[_Record], Any]:
    """The function that computes an expression for a record, in the form of a field's value."""
    compute, kind = evaluator(expression.tree), expression.tree.kind

    def derive(record: _Record) -> Any:
        try:
            value = compute(record.read)
        except InvalidEvent as error:
            if str(error).startswith("field "):
                raise
            raise InvalidEvent(f"field {expression}: {error}") from None
        return Number(text_of(value)) if kind == "number" and value is not None else result_text(value, kind)

    return derive


def _read_number(value: Any, field: FieldPath) -> Decimal:
    try:
        return decimal_of(_numeral(value, field))
    except ValueError as error:
        _refuse(field, str(error))


def _read_text(value: Any, field: FieldPath) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Number):
        return text_of(_read_number(value, field))
    return _as_text(value, field)


def _read_boolean(value: Any, field: Source) -> bool:
    text = _scalar_text(value)
    lowered = "?" if text is None else text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    _refuse(field, f"{_what(value)} is neither true nor false")


_READERS: dict[str, Callable[[Any, FieldPath], Any]] = {
    "number": _read_number,
    "text": _read_text,
    "time": lambda value, field: Time(_timestamp(value, field, "s")),
    "boolean": _read_boolean,
}


def _label(record: _Record, level: Level) -> str:
    if level.window is None:
        value = record.get(level.field)
        if value is None and level.missing is not None:
            return level.missing
        label = _text(record, level.field)
        if len(label) > LABEL_BYTES // 4 and len(label.encode()) > LABEL_BYTES:
            _refuse(level.field, f"the label is longer than {LABEL_BYTES} bytes")
        return label
    value = record.get(level.field, empty=None)
    if value is None:
        if level.missing is not None:
            return level.missing
        _refuse(level.field, "missing; the level is a time window and names no default")
    return level.window.label(level.window.start(_timestamp(value, level.field, level.unit)))


def _measure(record: _Record, measure: Measure) -> int:
    value = record.get(measure.field, empty=None)
    if value is None:
        if measure.missing == "zero":
            return 0
        _refuse(measure.field, 'missing; a measure that may be missing needs missing = "zero"')
    text = _numeral(value, measure.field)
    try:
        return parse_decimal(text, measure.scale, MEASURE_LIMIT, rounding=measure.round is not None)
    except ValueError as error:
        _refuse(measure.field, str(error))


def _text(record: _Record, field: Source) -> str:
    """A key's or label's text: text as it is, an integer as its digits, an expression's truth value as its name."""
    value = record.get(field)
    if value is None:
        _refuse(field, "missing")
    if isinstance(value, bool) and isinstance(field, Expression):
        return str(value).lower()
    return _as_text(value, field)


def _as_text(value: Any, field: Source) -> str:
    if not isinstance(value, str):
        _refuse(field, f"{_what(value)} cannot be a key or label; text or a whole number can")
    if isinstance(value, Number):
        if value.lstrip("-").isdigit():
            return "0" if value == "-0" else str(value)
        _refuse(
            field,
            f"{shown(value)} cannot be a key or label; of numbers only whole ones without point or exponent",
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(field, "the text holds half of a surrogate pair, which no UTF-8 text can")
    return value


def _numeral(value: Any, field: Source) -> str:
    """The text of a number, from a number or from text that holds one."""
    if isinstance(value, str):
        return value
    _refuse(field, f"{_what(value)} is not a number")


def _timestamp(value: Any, field: Source, unit: str) -> int:
    try:
        return parse_timestamp(_numeral(value, field), unit)
    except ValueError as error:
        _refuse(field, str(error))


def _scalar_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else None


def _what(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        name = type_of_marker(value)
        return "an object" if name is None else f"a value of type {name}"
    if isinstance(value, list):
        return "an array"
    return shown(str(value))


def _refuse(field: Source, reason: str) -> NoReturn:
    raise InvalidEvent(f"field {field}: {reason}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _depth(text: str) -> int:
    """Levels of nesting of a JSON text, also where a repeated name hides one of its values."""
    deepest = depth = 0
    for match in _BRACKET_OR_STRING.finditer(text):
        depth += _STEP.get(match[0], 0)
        deepest = max(deepest, depth)
    return deepest
