"""Answers as text for programs: rows as JSON Lines and CSV, documents as JSON."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from oncefold.queries.model import Conflicts, Rejects, Verification
from oncefold.queries.render.columns import Column, columns_of
from oncefold.queries.status_model import Status

if TYPE_CHECKING:
    from oncefold.queries.model import Answer

_QUOTED = re.compile(r'[",\r\n]|^\s|\s$')
_VERSION = "version"
"""A whole number that JSON readers might turn into a float; it is written as text, as sums are."""
_UTF8_TAIL = 3
"""Bytes of a character that a cut can leave at an end."""


def pretty_json(document: Mapping[str, Any]) -> bytes:
    """A document for people to read too, ended by a line feed; sums are exact text."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=exact).encode() + b"\n"


def compact_json(document: Mapping[str, Any]) -> bytes:
    """A document in as few bytes as it takes; sums are exact text."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=exact).encode()


def exact(value: object) -> str:
    """A sum as JSON has it: all its digits as text."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is not for JSON")
    return f"{value:f}"


def json_rows(answer: Answer[Any], *without: str) -> Iterator[dict[str, Any]]:
    """The rows as JSON has them: sums, versions and times as exact text, measures as an object of their own."""
    columns = [column for column in columns_of(answer) if column.name not in without]
    plain = [item for column in columns if not column.group for item in _plain(column)]
    measures = {
        group: [(column.measure, _texts_of(column)) for column in columns if column.group == group]
        for group in _groups_of(answer)
    }
    names = [name for name, _ in plain]
    for index in range(len(answer)):
        row = dict(zip(names, (values[index] for _, values in plain), strict=True))
        for group, members in measures.items():
            row[group] = {measure: values[index] for measure, values in members}
        yield row


def _groups_of(answer: Answer[Any]) -> tuple[str, ...]:
    """The objects that hold measures; they are there for a pipeline without measures, too."""
    if isinstance(answer, Conflicts):
        return ("kept_measures", "dropped_measures")
    return () if isinstance(answer, Rejects | Status | Verification) else ("measures",)


def _plain(column: Column) -> Iterator[tuple[str, Sequence[Any]]]:
    if column.kind == "bytes":
        pairs = [_as_text(value, cut=cut) for value, cut in zip(column.values, column.cut, strict=True)]
        yield column.name, [text for text, _ in pairs]
        yield f"{column.name}_base64", [encoded for _, encoded in pairs]
    elif column.kind == "decimal" or column.name == _VERSION:
        yield column.name, _texts_of(column)
    else:
        yield column.name, column.values


def _texts_of(column: Column) -> Sequence[str | None]:
    if column.kind == "decimal":
        return [None if value is None else f"{value:f}" for value in column.values]
    return [None if value is None else str(value) for value in column.values]


def _as_text(raw: bytes, *, cut: bool) -> tuple[str | None, str | None]:
    """Bytes as text where they are text, but for a character that was cut at the end; else in base 64."""
    for end in range(len(raw), len(raw) - _UTF8_TAIL - 1 if cut else len(raw) - 1, -1):
        try:
            return raw[: max(end, 0)].decode(), None
        except UnicodeDecodeError:
            continue
    return None, base64.b64encode(raw).decode()


def json_lines(answer: Answer[Any]) -> Iterator[bytes]:
    """The rows as JSON Lines."""
    for row in json_rows(answer):
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def csv_lines(answer: Answer[Any]) -> Iterator[bytes]:
    """The rows as RFC 4180 has them but for its line ends: null is nothing, an empty text is a pair of quotes."""
    columns = [item for column in columns_of(answer) for item in _plain(column)]
    lines: Iterable[tuple[str, ...]] = zip(
        *([_cell(name), *map(_cell, values)] for name, values in columns), strict=True
    )
    return ((",".join(line) + "\n").encode() for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if not text or _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text
