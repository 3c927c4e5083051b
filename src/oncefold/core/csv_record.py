"""One CSV record to its cells, and where it ends in text that holds more."""

import csv
import io

from oncefold.core.errors import InvalidEvent

_QUOTE, _NEWLINE = b'"', b"\n"


def csv_cells(raw: bytes, delimiter: str) -> list[str]:
    """The cells of one record, NUL bytes in front of it left out. Raises InvalidEvent."""
    raw = raw.lstrip(b"\0")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidEvent(f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}") from None
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InvalidEvent(f"not CSV: {error}") from None
    if len(rows) != 1:
        raise InvalidEvent("not CSV: a line end is outside quotes")
    return rows[0]


def csv_record_end(data: bytes, start: int, delimiter: str) -> int:
    """The index after the line feed that ends the record at `start`; the end of the data if there is none."""
    at, opens = start, (delimiter.encode(), _NEWLINE)
    while True:
        newline = data.find(_NEWLINE, at)
        end = len(data) if newline < 0 else newline + 1
        quote = data.find(_QUOTE, at, end)
        if quote < 0:
            return end
        if quote == start or data[quote - 1 : quote] in opens:
            quote = _closing(data, quote + 1)
            if quote < 0:
                return len(data)
        at = quote + 1


def _closing(data: bytes, at: int) -> int:
    """The index of the quote that closes the field whose text begins here, or -1."""
    while (quote := data.find(_QUOTE, at)) >= 0 and data[quote + 1 : quote + 2] == _QUOTE:
        at = quote + 2
    return quote
