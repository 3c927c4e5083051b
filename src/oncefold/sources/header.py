"""The header of a CSV file, and the columns of any table: which are there, and what is said of those that are not."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from oncefold.core.errors import SourceError, similar_names
from oncefold.core.fieldpath import FieldPath

HEADER_BYTES: Final = 2**20
"""Bytes of a CSV header; a longer first record is no header."""

DELIMITERS: Final = (",", ";", "\t", "|")
"""Tried where none is said, after the format's own."""

_SEPARATOR: Final = re.compile(rb'"?sep=(?P<delimiter>[\x01-\x7f])"?\r*\n?', re.IGNORECASE)
"""The line that spreadsheets write before the header, and read."""

_NAMED: Final = 5
"""Columns named in a message."""


def separator(record: bytes) -> str | None:
    """The delimiter that a first line of the form `sep=;` says; None for any other line."""
    match = _SEPARATOR.fullmatch(record)
    return None if match is None else match["delimiter"].decode()


def fitting(record: bytes, delimiter: str, fields: Sequence[FieldPath] | None) -> int:
    """How many of the wanted fields a header has if this delimits it; of all fields, how many it has."""
    try:
        (names,) = csv.reader(
            io.StringIO(record.decode("utf-8", "replace").rstrip("\r\n"), newline=""), delimiter=delimiter
        )
    except (csv.Error, ValueError):
        return -1
    return len(names) if fields is None else len({field.column for field in fields}.intersection(names))


def _line(record: bytes) -> str:
    return record.decode("utf-8", "replace").rstrip("\r\n")


def parse_header(
    source: str,
    record: bytes,
    delimiter: str,
    fields: Sequence[FieldPath] | None = None,
    needed: Sequence[FieldPath] = (),
    others: Sequence[str] = (),
) -> tuple[str, ...]:
    """The names in a CSV file's first record, besides which there are others. Raises SourceError if it is no header."""
    where = f"{source}: its first line is not a CSV header:"
    if len(record) > HEADER_BYTES:
        raise SourceError(f"{where} it is longer than {HEADER_BYTES:,} bytes")
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{where} it is not UTF-8 (byte {error.start}); convert the file to UTF-8, or say its --encoding, "
            "for example --encoding cp1252"
        ) from None
    if "\0" in text:
        raise SourceError(f"{where} it holds NUL bytes; if it is text, say its --encoding, for example utf-16")
    try:
        rows = list(csv.reader(io.StringIO(text.rstrip("\r\n"), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise SourceError(f"{where} {error}") from None
    if len(rows) > 1:
        raise SourceError(
            f"{where} a carriage return alone ends no line here; end lines with a line feed, for example by: "
            "tr '\\r' '\\n' < FILE"
        )
    names = tuple(rows[0]) if rows else ()
    if not any(names):
        raise SourceError(f"{where} it is empty; write the columns' names there")
    _refuse_named_twice(where, names, fields)
    if fields and not {field.column for field in fields}.intersection(names):
        wanted = ", ".join(field.column for field in fields[:_NAMED])
        raise SourceError(
            f"{where} it names none of the fields the pipeline reads ({wanted}), but {', '.join(names[:_NAMED])}; "
            "add a header, or say another --delimiter"
        )
    refuse_without_needed(source, needed, (*names, *others))
    return names


def _refuse_named_twice(where: str, names: Sequence[str], fields: Sequence[FieldPath] | None) -> None:
    read = None if fields is None else {field.column for field in fields}
    seen: set[str] = set()
    for name in names:
        if name in seen and (read is None or name in read):
            raise SourceError(f"{where} it names {name!r} twice; every column that is read needs a name of its own")
        seen.add(name)


def refuse_without_needed(source: str, needed: Iterable[FieldPath], names: Sequence[str]) -> None:
    """Refuse a table without a column that every event needs: all its rows would be rejected. Raises SourceError."""
    absent = [field for field in needed if not is_there(field, names)]
    if absent:
        raise SourceError(f"{source}: {_absent_columns(absent, names)} Every event needs it; nothing was read.")


def absent_columns(source: str, fields: Iterable[FieldPath], names: Sequence[str]) -> str:
    """What is to be said of the wanted columns that are not there; "" if all are."""
    absent = [field for field in fields if not is_there(field, names)]
    return f"{source}: {_absent_columns(absent, names)}" if absent else ""


def is_there(field: FieldPath, names: Sequence[str]) -> bool:
    """Whether a table of these columns, dotted where they are nested, has the field."""
    column = field.column
    return any(name == column or name.startswith(f"{column}.") for name in names)


def _absent_columns(absent: Sequence[FieldPath], names: Sequence[str]) -> str:
    """A sentence like `no column amnt; did you mean amount?` for each."""
    by_lower = {name.lower(): name for name in names}
    parts = []
    for field in absent[:_NAMED]:
        close = similar_names(field.column.lower(), by_lower)
        parts.append(f"no column {field.column}" + (f"; did you mean {by_lower[close[0]]}?" if close else "."))
    more = f" And {len(absent) - _NAMED} more columns are not there." if len(absent) > _NAMED else ""
    return " ".join(f"{part[:1].upper()}{part[1:]}" if index else part for index, part in enumerate(parts)) + more
