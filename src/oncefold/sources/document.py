"""JSON that is not one object per line, converted to JSON Lines in place, piece by piece.

A document is an object, or an array of objects, or several arrays one after another; a sequence is objects one after
another, each over any number of lines, with blanks, line ends of any kind or record separators between them, which
become newlines.
Every byte stays where it is: an array's brackets become a blank and a newline, the commas between its elements
newlines, and newlines within an element blanks. So an element is a line, of any size, and its position is that in the
stream. Whether an element is an event, or JSON at all, is for the decoder; only what is around the elements is judged
here. A raw newline inside a string, which JSON forbids, becomes another character that it forbids.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from oncefold.kernels.declare import kernel

_START: Final = 0
_OBJECT: Final = 1
_ARRAY: Final = 2
_DONE: Final = 3
_BETWEEN: Final = 4
_ONE_OF_MANY: Final = 5
_AFTER_ARRAY: Final = 6
"""Where: before a document, in its only object, in an array, after the object; between the objects of a sequence, in
one; after an array, where another may follow."""

_FINE: Final = 0
_NO_DOCUMENT: Final = 1
_NO_ELEMENT: Final = 2
_UNBALANCED: Final = 3
_MORE: Final = 4
"""Faults."""

_WHERE: Final = 0
_DEPTH: Final = 1
_IN_STRING: Final = 2
_ESCAPED: Final = 3
_SEEN: Final = 4
"""Whether something of an element was seen since the last comma."""
_COMMAS: Final = 5
_READ: Final = 6
_FIELDS: Final = 7

_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C
_COMMA: Final = 0x2C
_OPEN_OBJECT: Final = 0x7B
_CLOSE_OBJECT: Final = 0x7D
_OPEN_ARRAY: Final = 0x5B
_CLOSE_ARRAY: Final = 0x5D
_LINE_FEED: Final = 0x0A
_RETURN: Final = 0x0D
_TAB: Final = 0x09
_BLANK: Final = 0x20
_SEPARATOR: Final = 0x1E
"""Before each text of a JSON text sequence (RFC 7464)."""
_BOM_BYTES: Final = 3
_BOM_LEAST: Final = 0xBB
"""The bytes of a byte order mark are greater than those of any JSON outside strings."""
_SUBSTITUTE: Final = 0x1A
"""A control character, which no JSON string may hold, as it may not hold a newline."""


_FAULTS: Final = {
    _NO_DOCUMENT: "it begins neither with { nor with [",
    _NO_ELEMENT: "an element is missing between commas or brackets",
    _UNBALANCED: "a bracket closes what was not opened",
    _MORE: "something follows its end; send objects as an array, or one a line as application/x-ndjson",
}


EMPTY: Final = "it is empty"


class Document:
    """One document, or a sequence, as far as it was read."""

    def __init__(self, *, sequence: bool = False, offset: int = 0, before: bytes = b"") -> None:
        """`offset` is that of the first byte to come, which follows a record's end; `before` is the byte before it."""
        self._now = np.zeros(_FIELDS, np.int64)
        self._now[_READ] = offset
        if sequence:
            self._now[_WHERE] = _BETWEEN
        elif before in {b",", b"]"}:
            self._now[_WHERE] = _AFTER_ARRAY if before == b"]" else _ARRAY
            self._now[_DEPTH] = self._now[_COMMAS] = 1

    def convert(self, piece: memoryview) -> tuple[int, str]:
        """Convert the next bytes, which can be written; (how many, ""), or before a fault fewer, and its reason."""
        done, fault = _convert(np.frombuffer(piece, np.uint8), self._now)
        if fault == _FINE:
            return done, ""
        return done, f"at byte {int(self._now[_READ]):,} {_FAULTS[fault]}"

    def missing(self) -> str:
        """What is missing if the stream ends here; empty if nothing is, or for a sequence."""
        where = int(self._now[_WHERE])
        if where == _START:
            return EMPTY
        return {_OBJECT: "its object does not end", _ARRAY: "its array does not end"}.get(where, "")


def lines_of(body: bytes) -> bytes | None:
    """A whole document as JSON Lines; None if it is malformed."""
    document, lines = Document(), bytearray(body)
    _, fault = document.convert(memoryview(lines))
    return None if fault or document.missing() else bytes(lines)


@kernel("u8[], i64[]", returns="(i64, i64)")
def _convert(data: npt.NDArray[np.uint8], now: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Convert bytes in place, on from the state `now`; (how many, _FINE), fewer than all before a fault."""
    at, fault = 0, _FINE
    where, depth, seen = now[_WHERE], now[_DEPTH], now[_SEEN]
    if now[_IN_STRING]:
        at = _string(data, at, now)
    while at < len(data):
        byte = data[at]
        if byte == _LINE_FEED or byte == _BLANK or byte == _RETURN or byte == _TAB:
            data[at] = _LINE_FEED if where == _BETWEEN else _BLANK
        elif where == _BETWEEN:
            if byte == _OPEN_OBJECT:
                where, depth = _ONE_OF_MANY, 1
            elif byte == _SEPARATOR:
                data[at] = _LINE_FEED
        elif where == _START:
            if byte == _OPEN_OBJECT or byte == _OPEN_ARRAY:
                where, depth = (_OBJECT if byte == _OPEN_OBJECT else _ARRAY), 1
                if where == _ARRAY:
                    data[at] = _BLANK
            elif byte == 0:  # a crash or a rotation of a log leaves them in front
                pass
            elif now[_READ] + at >= _BOM_BYTES or byte < _BOM_LEAST:
                fault = _NO_DOCUMENT
                break
        elif where == _AFTER_ARRAY and byte == _OPEN_ARRAY:
            data[at] = _BLANK
            where, depth, seen = _ARRAY, 1, 0
            now[_COMMAS] = 0
        elif where == _DONE or where == _AFTER_ARRAY:
            fault = _MORE
            break
        elif depth > 1 or not (byte == _COMMA or byte == _CLOSE_OBJECT or byte == _CLOSE_ARRAY):
            seen = 1
            if byte == _QUOTE:
                at = _string(data, at + 1, now)
                continue
            if byte == _OPEN_OBJECT or byte == _OPEN_ARRAY:
                depth += 1
            elif byte == _CLOSE_OBJECT or byte == _CLOSE_ARRAY:
                depth -= 1
        elif byte == _COMMA:
            if where == _ARRAY:
                if not seen:
                    fault = _NO_ELEMENT
                    break
                data[at] = _LINE_FEED
                seen = 0
                now[_COMMAS] = 1
        elif where == _ONE_OF_MANY:
            where = _BETWEEN
        else:
            fault = _end(byte, where, seen, now)
            if fault != _FINE:
                break
            if where == _ARRAY:
                data[at] = _LINE_FEED
                where = _AFTER_ARRAY
            else:
                where = _DONE
        at += 1
    now[_WHERE], now[_DEPTH], now[_SEEN] = where, depth, seen
    now[_READ] += at
    return at, fault


@kernel
def _string(data: npt.NDArray[np.uint8], at: int, now: npt.NDArray[np.int64]) -> int:
    """Go on within a string; the index after its end, or after all bytes."""
    escaped = now[_ESCAPED]
    now[_IN_STRING] = 1
    while at < len(data):
        byte = data[at]
        at += 1
        if byte == _LINE_FEED:
            data[at - 1] = _SUBSTITUTE
        if escaped:
            escaped = 0
        elif byte == _BACKSLASH:
            escaped = 1
        elif byte == _QUOTE:
            now[_IN_STRING] = 0
            break
    now[_ESCAPED] = escaped
    return at


@kernel
def _end(byte: int, where: int, seen: int, now: npt.NDArray[np.int64]) -> int:
    """The fault, if the outermost bracket may not close here, or not with this byte."""
    if (byte == _CLOSE_OBJECT) != (where == _OBJECT):
        return _UNBALANCED
    if where == _ARRAY and now[_COMMAS] and not seen:
        return _NO_ELEMENT
    return _FINE
