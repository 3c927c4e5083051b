"""The scalar decoder: one record becomes an event, or a reason why not. It specifies what a record means.

A record is a mapping of names to values. A value is text, a `Number` (a number's own text), a bool, None, or
something nested; `values` makes these of what Python programs and typed tables hold. JSON numbers never become binary
floats; a Python float, which already is one, is read as the text it prints.
"""

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from oncefold.core import leafset, nodepath
from oncefold.core.decimals import Spelling, parse_decimal
from oncefold.core.definition import FirstOf, Level, Pipeline, Time, Version
from oncefold.core.envelope import UNKNOWN_TEXTS, unwrapped
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.expression import Expression, Source
from oncefold.core.labels import label_of, labels_of_set, no_constant, numeral, text_of, timestamp, what
from oncefold.core.limits import (
    KEY_BYTES,
    MEASURE_LIMIT,
    NESTING,
    PATH_BYTES,
    RECORD_BYTES,
    TEXT_BYTES,
)
from oncefold.core.measures import NO_VALUE, KeyColumn
from oncefold.core.records import CellRecord, NestedRecord, ObjectPairs, Record, RecordWithout, TableRecord, refuse
from oncefold.core.values import Number, plain
from oncefold.core.versions import NUMBER_TYPES, join_parts, read_version

_BRACKET_OR_STRING = re.compile(r'[\[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*"')
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}
csv.field_size_limit(max(csv.field_size_limit(), RECORD_BYTES))
"""A cell may be as long as its record. The limit is one for the process; this is its only setting."""

_TRUE, _FALSE = {"true", "1"}, {"false", "0", ""}


class Decoder:
    """Reads records for one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._derived: Mapping[Expression, Callable[[Record], Any]] = {}
        self._missing = frozenset(pipeline.missing_texts)
        self._unknown = UNKNOWN_TEXTS if pipeline.envelope == "debezium" else {}
        self._numbers = Spelling(pipeline.decimal, pipeline.group)
        numbers = pipeline.layout.numbers
        self._number_columns, self._text_columns = pipeline.columns[:numbers], pipeline.columns[numbers:]
        self._readers: Mapping[str, Callable[[Any, Any], Any]] = {}
        if pipeline.expressions or self._text_columns:
            from oncefold.core import derived  # noqa: PLC0415 - a function without expressions starts sooner

            self._derived = {source: derived.deriving(source) for source in pipeline.expressions}
            self._readers = derived.readers(self._numbers)

    def json(self, raw: bytes) -> Event:
        """One JSON text (RFC 8259, UTF-8). Raises InvalidEvent; IgnoredRecord for a record that says nothing.

        NUL bytes in front of it, as a crash or the rotation of a log leaves them, are left out. A name that occurs
        twice in one object is refused where it is read, because its meaning is ambiguous.
        """
        value = _parsed(raw.lstrip(b"\0"), _READ, takes_null=self._pipeline.envelope is not None)
        if self._pipeline.envelope is not None:
            return self._enveloped(value)
        return self._event(NestedRecord(value))

    def time_fault(self, item: Version | Time | Level, text: str) -> str | None:
        """Why a text is refused as the time, or the version, that a field holds; None if it is one."""
        try:
            if isinstance(item, Version):
                self._version_of(text, item)
            else:
                timestamp(text, item)
        except InvalidEvent as error:
            return str(error)
        return None

    def csv(self, header: Sequence[str], cells: Sequence[str]) -> Event:
        """One row of a flat table of text; for measures, times and versions an empty cell is missing.

        Raises InvalidEvent.
        """
        if len(cells) != len(header):
            raise InvalidEvent(f"the row has {len(cells)} fields, the header {len(header)}")
        if self._pipeline.envelope is not None:
            raise InvalidEvent(f"a row of CSV has no {self._pipeline.envelope} envelope; read JSON or a table")
        return self._event(CellRecord(ObjectPairs(list(zip(header, cells, strict=True)))))

    def record(self, record: Mapping[str, Any]) -> Event:
        """A mapping of a Python program, nested where the paths are. Raises InvalidEvent, IgnoredRecord."""
        if self._pipeline.envelope is not None:
            return self._enveloped(plain(record))
        return self._event(NestedRecord(plain(record)))

    def flat(self, record: Mapping[str, Any]) -> Event:
        """A row of a typed table: a dotted path is a column of that name, else a nested field.

        Raises InvalidEvent, IgnoredRecord.
        """
        if self._pipeline.envelope is not None:
            return self._enveloped(plain(record))
        return self._event(TableRecord(plain(record)))

    def _enveloped(self, value: Any) -> Event:
        record = unwrapped(self._pipeline.envelope or "", value)
        event = self._event(record, deleted=record.deleted)
        if record.before is None or event.content.deleted:
            return event
        before = self._prepared(record.before)
        if any(_key_value(before, part) is None for part in self._pipeline.key):
            return event
        key = self._key(before)
        return event if key == event.key else replace(event, moved_from=key)

    def _prepared(self, record: Record) -> Record:
        """The record with the texts that mean missing, and with the expressions of the definition."""
        if self._missing or self._unknown:
            record = RecordWithout(record, self._missing, self._unknown)
        record.derived, record.readers = self._derived, self._readers
        return record

    def _event(self, record: Record, *, deleted: bool | None = None) -> Event:
        record = self._prepared(record)
        pipeline = self._pipeline
        key = self._key(record)
        version = self._version(record)
        time = None
        if pipeline.time is not None and (value := record.get(pipeline.time.field, empty=None)) is not None:
            time = timestamp(value, pipeline.time)
        if deleted or (pipeline.delete is not None and self.deletes(record.get(pipeline.delete.field))):
            return Event(key, version, DELETED, time)
        if pipeline.where is not None and record.get(pipeline.where) is not True:
            return Event(key, version, DELETED, time, filtered=True)
        if pipeline.arrays:
            labels = labels_of_set(pipeline, record, self._missing)
        else:
            labels = tuple(label_of(record, level) for level in pipeline.levels)
        self._check_paths(labels)
        numbers = tuple(self._number(record, column, time) for column in self._number_columns)
        texts = tuple(self._text(record, column) for column in self._text_columns)
        return Event(key, version, Content(labels, numbers, texts), time)

    def _key(self, record: Record) -> str:
        fields = self._pipeline.key
        parts = [_key_text(record, part) for part in fields]
        key = parts[0] if len(parts) == 1 else nodepath.join(parts)
        if len(key.encode()) > KEY_BYTES:
            refuse(self._pipeline.key_fields[0], f"the key is longer than {KEY_BYTES} bytes")
        return key

    def _version(self, record: Record) -> int:
        version = self._pipeline.version
        if version is None:
            return 0
        parts = [self._version_part(record, part) for part in version.parts]
        if not version.then:
            return parts[0]
        try:
            return join_parts(version, parts)
        except ValueError as error:
            raise InvalidEvent(str(error)) from None

    def _version_part(self, record: Record, part: Version) -> int:
        value = record.get(part.field, empty=None)
        if value is None:
            refuse(part.field, "missing; every event needs its version")
        return self._version_of(value, part)

    def _version_of(self, value: Any, part: Version) -> int:
        text = numeral(value, part.field) if part.type in NUMBER_TYPES else _version_text(value, part)
        try:
            return read_version(part, self._numbers.plain(value, text) if part.type in {"integer", "decimal"} else text)
        except ValueError as error:
            refuse(part.field, str(error))

    def _number(self, record: Record, column: KeyColumn, time: int | None) -> int:
        if column.field is None:
            return NO_VALUE if time is None else time
        value = record.get(column.field, empty=None)
        if column.form == "present":
            return int(value is not None)
        if column.form == "true":
            return int(value is True)
        if value is None:
            if column.missing == "reject":
                refuse(column.field, 'missing; a measure that may be missing needs missing = "zero"')
            return 0 if column.missing == "zero" else NO_VALUE
        text = numeral(value, column.field)
        try:
            text = self._numbers.plain(value, text)
            return parse_decimal(text, column.scale, MEASURE_LIMIT, rounding=column.round is not None)
        except ValueError as error:
            refuse(column.field, str(error))

    def _text(self, record: Record, column: KeyColumn) -> str | None:
        assert column.field is not None
        value = record.get(column.field, empty=None)
        if value is None:
            return None
        if not isinstance(value, str | bool):
            refuse(column.field, f"{what(value)} is not text")
        text: str = self._readers["text"](value, column.field)
        if len(text) > TEXT_BYTES // 4 and len(text.encode()) > TEXT_BYTES:
            refuse(column.field, f"the text is longer than {TEXT_BYTES} bytes")
        return text

    def deletes(self, value: Any) -> bool:
        """Whether this value of the delete field makes its event a delete. Raises InvalidEvent."""
        delete = self._pipeline.delete
        if delete is None or value is None:
            return False
        if delete.equals is not None:
            return scalar_text(value) == delete.equals
        return read_boolean(value, delete.field)

    def _check_paths(self, labels: tuple[str, ...]) -> None:
        for rollup, indexes in zip(self._pipeline.rollups, self._pipeline.rollup_levels, strict=True):
            for path in map(nodepath.join, leafset.paths(self._pipeline.arrays, labels, indexes)):
                if len(path) > PATH_BYTES // 4 and len(path.encode()) > PATH_BYTES:
                    raise InvalidEvent(f"the path in rollup {rollup.name} is longer than {PATH_BYTES} bytes")


def syntax_fault(raw: bytes, *, takes_null: bool = False) -> str | None:
    """Why `Decoder.json` refuses these bytes whatever they mean; None if they are a JSON object.

    `takes_null` says that null is a record too, as it is in an envelope.
    """
    try:
        _parsed(raw.lstrip(b"\0"), _CHECK, takes_null=takes_null)
    except InvalidEvent as error:
        return str(error)
    return None


def _parsed(raw: bytes, decoder: json.JSONDecoder, *, takes_null: bool) -> dict[str, Any] | None:
    """The object that these bytes are. Raises InvalidEvent."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidEvent(f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}") from None
    if text.startswith("\ufeff"):
        raise InvalidEvent("a byte order mark is inside the stream; only a file may start with one")
    try:
        value = decoder.decode(text)
    except RecursionError:
        raise InvalidEvent(f"nested deeper than {NESTING} levels") from None
    except json.JSONDecodeError as error:
        reason = f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
        raise InvalidEvent(f"not JSON: {reason}") from None
    except ValueError as error:
        raise InvalidEvent(f"not JSON: {error}") from None
    if value is None and takes_null:
        return None
    if not isinstance(value, dict):
        hint = "; a file of one array is not JSON Lines: write one object per line"
        raise InvalidEvent(f"not a JSON object{hint if isinstance(value, list) else ''}")
    if raw.count(b"{") + raw.count(b"[") > NESTING and _depth(text) > NESTING:
        raise InvalidEvent(f"nested deeper than {NESTING} levels")
    return value


def read_boolean(value: Any, field: Source) -> bool:
    """A truth value: true, false, 1 or 0, in any case. Raises InvalidEvent."""
    text = scalar_text(value)
    lowered = "?" if text is None else text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    refuse(field, f"{what(value)} is neither true nor false")


def _version_text(value: Any, version: Version) -> str:
    if not isinstance(value, str) or isinstance(value, Number):
        refuse(version.field, f"{what(value)} is not text, which a version of the type {version.type} is")
    return value


def _key_value(record: Record, part: Source | FirstOf) -> Any:
    if not isinstance(part, FirstOf):
        return record.get(part)
    values = (record.get(field, empty=None) for field in part.fields)
    return next((value for value in values if value is not None), None)


def _key_text(record: Record, part: Source | FirstOf) -> str:
    if not isinstance(part, FirstOf):
        return text_of(record, part)
    for field in part.fields:
        if record.get(field, empty=None) is not None:
            return text_of(record, field)
    raise InvalidEvent(f"fields {', '.join(map(str, part.fields))}: all are missing")


def scalar_text(value: Any) -> str | None:
    """The text of a text, number or truth value; None of anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else None


_READ = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=no_constant, object_pairs_hook=ObjectPairs
)
_CHECK = json.JSONDecoder(parse_int=float, parse_constant=no_constant)
"""Refuses what `_READ` refuses, in the same words and sooner; `float` takes a number of any length."""


def _depth(text: str) -> int:
    """Levels of nesting of a JSON text, also where a repeated name hides one of its values."""
    deepest = depth = 0
    for match in _BRACKET_OR_STRING.finditer(text):
        depth += _STEP.get(match[0], 0)
        deepest = max(deepest, depth)
    return deepest
