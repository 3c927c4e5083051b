"""The tokens of JSON: where a text, a number or a literal ends, and a text without its escapes."""

from typing import Any

import numpy as np

from oncefold.columnar.field_kinds import FALSE, MISSING, TRUE
from oncefold.columnar.parse_kernels import is_digit
from oncefold.columnar.primitives import BACKSLASH, MINUS, NEWLINE, PLUS, POINT, QUOTE, ZERO
from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import load64, trailing_zeros

COMMA, COLON, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST = 44, 58, 123, 125, 91, 93

_SLASH = 47
_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(0x2222222222222222)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_SPACES = np.uint64(0x2020202020202020)
_8 = np.int64(8)


@inlined
def blank(data: Any, i: int) -> int:
    """Past spaces, tabs and carriage returns; a newline ends a record and is not passed."""
    while data[i] == 32 or data[i] == 9 or data[i] == 13:
        i += 1
    return i


@kernel
def line_end(data: Any, i: int) -> int:
    """The next newline at or after i; there is one."""
    while data[i] != NEWLINE:
        i += 1
    return i


@kernel
def string_end(data: Any, i: int, utf8: bool) -> int:
    """The first byte from i that is not plain text: the closing quote if all is well."""
    last = len(data) - 8
    while i <= last:
        word = load64(data, i)
        quote = word ^ _QUOTES
        slash = word ^ _BACKSLASHES
        found = ((quote - _ONES) & ~quote) | ((slash - _ONES) & ~slash) | ((word - _SPACES) & ~word)
        if not utf8:
            found |= word
        found &= _HIGH
        if found != 0:
            return i + (trailing_zeros(found) >> 3)
        i += _8
    while data[i] != QUOTE and data[i] != BACKSLASH and data[i] >= 32 and (utf8 or data[i] < 128):
        i += 1
    return i


@kernel
def skip_string(data: Any, i: int, utf8: bool) -> int:
    """Past the closing quote of a string that is no field, escapes checked; -1 if it is not plain JSON."""
    while True:
        i = string_end(data, i, utf8)
        if data[i] == QUOTE:
            return i + 1
        if data[i] != BACKSLASH:
            return -1
        i += 1
        if data[i] == 117:
            for k in range(1, 5):
                byte = data[i + k]
                if not (is_digit(byte) or 65 <= byte <= 70 or 97 <= byte <= 102):
                    return -1
            i += 5
        elif data[i] in (34, 92, 47, 98, 102, 110, 114, 116):
            i += 1
        else:
            return -1


@kernel
def _hex4(data: Any, i: int) -> int:
    """Four hexadecimal digits as a number, -1 if they are none."""
    value = np.int64(0)
    for k in range(4):
        byte = np.int64(data[i + k])
        if is_digit(byte):
            digit = byte - ZERO
        elif 97 <= byte | 32 <= 102:
            digit = (byte | 32) - 87
        else:
            return np.int64(-1)
        value = value << 4 | digit
    return value


@kernel
def unescape(data: Any, area: Any, at: int, start: int, i: int, utf8: bool) -> Any:
    """Write the text that begins at `start`, with its first escape at `i`, into area[at:].

    Gives (its closing quote, where it ends in `area`), or (~where it is not plain, at).
    """
    out = at
    if at + (i - start) >= len(area):
        return ~i, at
    for k in range(start, i):
        area[out] = data[k]
        out += 1
    while data[i] != QUOTE:
        if data[i] != BACKSLASH:
            end = string_end(data, i, utf8)
            if (data[end] != QUOTE and data[end] != BACKSLASH) or out + end - i >= len(area):
                return ~end, at
            for k in range(i, end):
                area[out] = data[k]
                out += 1
            i = end
            continue
        if out + 4 >= len(area):
            return ~i, at
        code = np.int64(data[i + 1])
        i += 2
        if code == 117:
            code = _hex4(data, i)
            i += 4
            if 0xD800 <= code < 0xDC00 and data[i] == BACKSLASH and data[i + 1] == 117:
                low = _hex4(data, i + 2)
                if not 0xDC00 <= low < 0xE000:
                    return ~i, at
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                i += 6
            if code < 0 or 0xD800 <= code < 0xE000:
                return ~(i - 4), at
        elif code == 98:
            code = np.int64(8)
        elif code == 102:
            code = np.int64(12)
        elif code == 110:
            code = np.int64(10)
        elif code == 114:
            code = np.int64(13)
        elif code == 116:
            code = np.int64(9)
        elif code != QUOTE and code != BACKSLASH and code != _SLASH:
            return ~(i - 1), at
        if code < 0x80:
            area[out] = code
            out += 1
            continue
        out = _encode(code, area, out)
    return i, out


@inlined
def _encode(code: int, area: Any, out: int) -> int:
    """Write a character beyond ASCII as UTF-8; gives where it ends."""
    if code < 0x800:
        area[out] = 0xC0 | code >> 6
    else:
        if code < 0x10000:
            area[out] = 0xE0 | code >> 12
        else:
            area[out] = 0xF0 | code >> 18
            out += 1
            area[out] = 0x80 | (code >> 12 & 0x3F)
        out += 1
        area[out] = 0x80 | (code >> 6 & 0x3F)
    area[out + 1] = 0x80 | (code & 0x3F)
    return out + 2


@kernel
def number_end(data: Any, i: int) -> int:
    """Past a number of RFC 8259; -1 if it is none."""
    if data[i] == MINUS:
        i += 1
    if data[i] == ZERO:
        i += 1
    elif is_digit(data[i]):
        while is_digit(data[i]):
            i += 1
    else:
        return -1
    if data[i] == POINT:
        i += 1
        if not is_digit(data[i]):
            return -1
        while is_digit(data[i]):
            i += 1
    if data[i] == 101 or data[i] == 69:
        i += 1
        if data[i] == PLUS or data[i] == MINUS:
            i += 1
        if not is_digit(data[i]):
            return -1
        while is_digit(data[i]):
            i += 1
    return i


@kernel
def literal(data: Any, i: int) -> Any:
    """(past true, false or null, its kind); -1 if it is none. null counts as missing."""
    if data[i] == 116 and data[i + 1] == 114 and data[i + 2] == 117 and data[i + 3] == 101:
        return i + 4, TRUE
    if data[i] == 110 and data[i + 1] == 117 and data[i + 2] == 108 and data[i + 3] == 108:
        return i + 4, MISSING
    if data[i] == 102 and data[i + 1] == 97 and data[i + 2] == 108 and data[i + 3] == 115 and data[i + 4] == 101:
        return i + 5, FALSE
    return np.int64(-1), MISSING
