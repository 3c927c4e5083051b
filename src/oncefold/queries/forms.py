"""The forms of an answer for programs: JSON documents, and rows as JSON Lines, CSV, Parquet and Arrow streams."""

import base64
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from oncefold.queries.answers import Answer
from oncefold.queries.columns import Column

_QUOTED = re.compile(r'[",\r\n]|^\s|\s$')
_VERSION = "version"
"""A whole number that JSON readers might turn into a float; it is written as text, as sums are."""


def pretty_json(document: Mapping[str, Any]) -> bytes:
    """A document for people to read too, ended by a line feed; sums are exact text."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=_exact).encode() + b"\n"


def compact_json(document: Mapping[str, Any]) -> bytes:
    """A document in as few bytes as it takes; sums are exact text."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=_exact).encode()


def _exact(value: object) -> str:
    """A sum in a document."""
    assert isinstance(value, Decimal)
    return f"{value:f}"


def plain_rows(answer: Answer, *without: str) -> Iterator[dict[str, Any]]:
    """The rows as JSON has them: sums, versions and times as exact text, bytes as text or in base 64."""
    columns = [item for column in answer.columns() if column.name not in without for item in _plain(column)]
    names = [name for name, _ in columns]
    for row in zip(*(values for _, values in columns), strict=True):
        yield dict(zip(names, row, strict=True))


def _plain(column: Column) -> Iterator[tuple[str, Sequence[Any]]]:
    if column.kind == "bytes":
        pairs = [_texts(value) for value in column.values]
        yield column.name, [text for text, _ in pairs]
        yield f"{column.name}_base64", [encoded for _, encoded in pairs]
    elif column.kind == "decimal":
        yield column.name, [None if value is None else f"{value:f}" for value in column.values]
    elif column.name == _VERSION:
        yield column.name, [None if value is None else str(value) for value in column.values]
    else:
        yield column.name, column.values


def _texts(raw: bytes) -> tuple[str | None, str | None]:
    """Bytes as text where they are text, else in base 64."""
    try:
        return raw.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(raw).decode()


def json_lines(answer: Answer) -> Iterator[bytes]:
    """The rows as JSON Lines."""
    for row in plain_rows(answer):
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def csv_lines(answer: Answer) -> Iterator[bytes]:
    """The rows as RFC 4180 has them but for its line ends: null is nothing, an empty text is a pair of quotes."""
    columns = [item for column in answer.columns() for item in _plain(column)]
    lines: Iterable[tuple[str, ...]] = zip(*([name, *map(_cell, values)] for name, values in columns), strict=True)
    return ((",".join(line) + "\n").encode() for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if not text or _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def parquet(answer: Answer) -> bytes:
    """The rows as a Parquet file."""
    whole = io.BytesIO()
    pq.write_table(answer.to_arrow(), whole)
    return whole.getvalue()


def arrow_stream(answer: Answer) -> bytes:
    """The rows as an Arrow IPC stream."""
    table, whole = answer.to_arrow(), io.BytesIO()
    with pa.ipc.new_stream(whole, table.schema) as writer:
        writer.write_table(table)
    return whole.getvalue()
