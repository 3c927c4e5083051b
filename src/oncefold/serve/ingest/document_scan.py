"""The kernel that turns a JSON document into JSON Lines; see document.py."""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

START: Final = 0
OBJECT: Final = 1
ARRAY: Final = 2
DONE: Final = 3
"""Where in the document: before it, in an only object, in the array, after it."""

FINE: Final = 0
NO_DOCUMENT: Final = 1
NO_ELEMENT: Final = 2
UNBALANCED: Final = 3
MORE: Final = 4
"""Faults."""

WHERE: Final = 0
DEPTH: Final = 1
IN_STRING: Final = 2
ESCAPED: Final = 3
SEEN: Final = 4
"""Whether something of an element was seen since the last comma."""
COMMAS: Final = 5
READ: Final = 6
FIELDS: Final = 7

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
_BOM_BYTES: Final = 3
_BOM_LEAST: Final = 0xBB
"""The bytes of a byte order mark are greater than those of any JSON outside strings."""
_SUBSTITUTE: Final = 0x1A
"""A control character, which no JSON string may hold, as it may not hold a newline."""


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def turn(data: npt.NDArray[np.uint8], now: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Turn bytes in place, on from the state `now`; (how many, FINE), fewer than all before a fault."""
    at, fault = 0, FINE
    where, depth, seen = now[WHERE], now[DEPTH], now[SEEN]
    if now[IN_STRING]:
        at = _string(data, at, now)
    while at < len(data):
        byte = data[at]
        if byte == _LINE_FEED or byte == _BLANK or byte == _RETURN or byte == _TAB:
            data[at] = _BLANK
        elif where == START:
            if byte == _OPEN_OBJECT or byte == _OPEN_ARRAY:
                where, depth = (OBJECT if byte == _OPEN_OBJECT else ARRAY), 1
                if where == ARRAY:
                    data[at] = _BLANK
            elif now[READ] + at >= _BOM_BYTES or byte < _BOM_LEAST:
                fault = NO_DOCUMENT
                break
        elif where == DONE:
            fault = MORE
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
            if where == ARRAY:
                if not seen:
                    fault = NO_ELEMENT
                    break
                data[at] = _LINE_FEED
                seen = 0
                now[COMMAS] = 1
        else:
            fault = _end(byte, where, seen, now)
            if fault != FINE:
                break
            if where == ARRAY:
                data[at] = _LINE_FEED
            where = DONE
        at += 1
    now[WHERE], now[DEPTH], now[SEEN] = where, depth, seen
    now[READ] += at
    return at, fault


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _string(data: npt.NDArray[np.uint8], at: int, now: npt.NDArray[np.int64]) -> int:
    """Go on within a string; the index after its end, or after all bytes."""
    escaped = now[ESCAPED]
    now[IN_STRING] = 1
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
            now[IN_STRING] = 0
            break
    now[ESCAPED] = escaped
    return at


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _end(byte: int, where: int, seen: int, now: npt.NDArray[np.int64]) -> int:
    """Whether the outermost bracket may close here, and with this byte."""
    if (byte == _CLOSE_OBJECT) != (where == OBJECT):
        return UNBALANCED
    if where == ARRAY and now[COMMAS] and not seen:
        return NO_ELEMENT
    return FINE
