"""JSON Lines to fields in one pass: a strict reader of the plain majority of records.

It accepts a record only if RFC 8259 does and every field of interest is plain: each name on its path once, UTF-8, no
half of a surrogate pair. Every other record it marks for the scalar decoder, which reads it or says what is wrong.

A field's text without escapes is a span of the block. One with escapes is written unescaped into `area`, memory behind
the block in the same array, so that it is a span of `data` as well.
"""

from typing import Any

import numpy as np

from oncefold.columnar.assemble import FALSE, MISSING, NUMBER, OTHER, STRING, TRUE, assemble, keep_fields
from oncefold.columnar.batch import NOT_AN_EVENT, SCANNED, UNDECODED
from oncefold.columnar.parse_kernels import is_digit
from oncefold.columnar.plan import DecodePlan, Trie
from oncefold.columnar.primitives import BACKSLASH, MINUS, NEWLINE, PLUS, POINT, QUOTE, ZERO, equal_bytes, shift_of
from oncefold.columnar.row_kernels import DELETED, LIVE, NOT_PLAIN, prepare
from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import load64, trailing_zeros

DEPTH = 32
"""Levels of nesting that are followed here; deeper records go to the scalar decoder."""

_COMMA, _COLON, _OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST, _SLASH = 44, 58, 123, 125, 91, 93, 47
_ARRAY = -2
_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(0x2222222222222222)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_SPACES = np.uint64(0x2020202020202020)
_8 = np.int64(8)


def json_scratch(trie: Trie, places: int, used: int) -> tuple[Any, ...]:
    """Scratch space for `scan_json`: fields (kinds, starts, ends), edges seen, stack, encoded leaf, used of `area`.

    `places` is `plan.width_of` the pipeline.
    """
    width = max(1, places, len(trie.field))
    fields = (np.zeros(width, np.int64), np.zeros(width, np.int64), np.zeros(width, np.int64))
    seen, stack, encoded = np.zeros(width, np.uint8), np.zeros(DEPTH, np.int64), np.zeros(2_048, np.uint8)
    return fields, seen, stack, encoded, np.array([used], np.int64)


@kernel(
    "const u8[], u8[], bool",
    Trie,
    DecodePlan,
    "(i64[,], i64[,], i64[,])",
    "(i64[], i32[], i64[,], i64[]), i64[], (i64[], i32[], u32[], u8[], i64[])",
    "(u64[], u8[], i64[]), ((i64[], i64[], i64[]), u8[], i64[], u8[], i64[])",
    returns="i64",
)
def scan_json(
    data: Any,
    area: Any,
    utf8: bool,
    trie: Any,
    plan: Any,
    found: Any,
    columns: Any,
    where: Any,
    keys: Any,
    table: Any,
    scratch: Any,
) -> int:
    """Read every line of a block, which ends in a newline; gives the number of distinct leaves.

    `area` is the end of `data`, behind the block, and can be written; area[-1] is not used. Without it, of length 1,
    texts with escapes are left to the scalar decoder.

    If `found` (kinds, starts and ends by row) has rows, fields are kept there, for expressions, and leaf[r] is SCANNED.

    Row r is the r-th line: where[r] its start, columns filled, or leaf[r] UNDECODED or NOT_AN_EVENT (blank).
    `utf8` says that the whole block is known to be valid UTF-8.
    """
    fields, seen, stack, encoded, used = scratch
    kinds = fields[0]
    leaf = columns[1]
    shift = shift_of(table[0])
    count = 0
    i = 0
    for r in range(len(where)):
        where[r] = i
        i = _blank(data, i)
        if data[i] == NEWLINE:
            leaf[r] = NOT_AN_EVENT
        else:
            kinds[:] = MISSING
            seen[:] = 0
            i, plain = _record(data, area, used, i, utf8, trie, fields, seen, stack)
            verdict = LIVE
            if plain and plan.rows.needed[0] != 0:
                verdict = prepare(data, fields, plan.rows, plan.keys)
            if plain and verdict != NOT_PLAIN and plan.scalar_only[0] == 0:
                if len(found[0]) > 0:
                    keep_fields(fields, found, r)
                    leaf[r] = SCANNED
                else:
                    gone = verdict == DELETED
                    count = assemble(data, fields, plan, gone, r, columns, keys, table, count, encoded, shift)
            else:
                leaf[r] = UNDECODED
                i = line_end(data, i)
        i += 1
    return count


@inlined
def _blank(data: Any, i: int) -> int:
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
def _string_end(data: Any, i: int, utf8: bool) -> int:
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
def _skip_string(data: Any, i: int, utf8: bool) -> int:
    """Past the closing quote of a string that is no field, escapes checked; -1 if it is not plain JSON."""
    while True:
        i = _string_end(data, i, utf8)
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
def _unescape(data: Any, area: Any, at: int, start: int, i: int, utf8: bool) -> Any:
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
            end = _string_end(data, i, utf8)
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
def _number_end(data: Any, i: int) -> int:
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
def _literal(data: Any, i: int) -> Any:
    """(past true, false or null, its kind); -1 if it is none. null counts as missing."""
    if data[i] == 116 and data[i + 1] == 114 and data[i + 2] == 117 and data[i + 3] == 101:
        return i + 4, TRUE
    if data[i] == 110 and data[i + 1] == 117 and data[i + 2] == 108 and data[i + 3] == 108:
        return i + 4, MISSING
    if data[i] == 102 and data[i + 1] == 97 and data[i + 2] == 108 and data[i + 3] == 115 and data[i + 4] == 101:
        return i + 5, FALSE
    return np.int64(-1), MISSING


@inlined
def _edge(data: Any, start: int, length: int, node: int, trie: Any) -> int:
    """The edge of a node with this name, or -1."""
    if node < 0:
        return np.int64(-1)
    # The name is followed by a quote, a colon, a value of a byte at least and a newline, but maybe by no more.
    head = load64(data, start) if start + 8 <= len(data) else _head(data, start, length)
    for edge in range(trie.first[node], trie.first[node + 1]):
        if trie.name_length[edge] == length and head & trie.head_mask[edge] == trie.head[edge]:
            at = np.int64(trie.name_start[edge])
            if length <= 8 or equal_bytes(trie.names, at + 8, data, start + 8, length - 8):
                return np.int64(edge)
    return np.int64(-1)


@kernel
def _head(data: Any, start: int, length: int) -> np.uint64:
    """The first eight bytes of a name where a whole word cannot be read."""
    word = np.uint64(0)
    for k in range(min(length, 8)):
        word |= np.uint64(data[start + k]) << np.uint64(8 * k)
    return word


@inlined
def _name(data: Any, area: Any, used: Any, i: int, utf8: bool, node: int, trie: Any, seen: Any) -> Any:
    """Read a member's name and colon: (where its value begins, its edge or -1); where it went wrong is given as ~i."""
    if data[i] != QUOTE:
        return ~i, np.int64(-1)
    start = i + 1
    i = _string_end(data, start, utf8)
    stop = i
    if data[i] == BACKSLASH:
        i, stop = _unescape(data, area, used[0], start, i, utf8)
        if i < 0:
            return i, np.int64(-1)
        start = len(data) - len(area)
        stop += start
        start += used[0]
    if data[i] != QUOTE:
        return ~i, np.int64(-1)
    edge = _edge(data, start, stop - start, node, trie)
    if edge >= 0:
        if seen[edge] != 0:
            return ~i, edge
        seen[edge] = 1
    i = _blank(data, i + 1)
    if data[i] != _COLON:
        return ~i, edge
    return _blank(data, i + 1), edge


@inlined
def _value(data: Any, area: Any, used: Any, i: int, utf8: bool, field: int, fields: Any) -> int:
    """Read a value that is neither object nor array, and note it if it is a field's.

    Gives where it ends; where it went wrong is given as ~i.
    """
    kinds, starts, ends = fields
    start = i
    if data[i] == QUOTE:
        if field < 0:
            i = _skip_string(data, i + 1, utf8)
            return i if i >= 0 else ~start
        i = _string_end(data, i + 1, utf8)
        kinds[field] = STRING
        if data[i] == BACKSLASH:
            i, stop = _unescape(data, area, used[0], start + 1, i, utf8)
            starts[field] = len(data) - len(area) + used[0]
            ends[field] = len(data) - len(area) + stop
            used[0] = stop
            return i + 1 if i >= 0 else i
        if data[i] != QUOTE:
            return ~i
        starts[field] = start + 1
        ends[field] = i
        return i + 1
    if is_digit(data[i]) or data[i] == MINUS:
        kind = NUMBER
        i = _number_end(data, i)
    else:
        i, kind = _literal(data, i)
    if i < 0:
        return ~start
    if field >= 0:
        kinds[field] = kind
        starts[field] = start
        ends[field] = i
    return i


@inlined
def _record(data: Any, area: Any, used: Any, i: int, utf8: bool, trie: Any, fields: Any, seen: Any, stack: Any) -> Any:
    """Read one record from its first byte: (its newline, True), or (somewhere in its line, False).

    stack[d] says what encloses level d: the trie node of an object whose names matter, -1 for another object, or
    _ARRAY.
    """
    if data[i] != _OPEN:
        return i, False
    depth = 0
    stack[0] = 0
    i = _blank(data, i + 1)
    opened = True
    while True:
        closed = opened and data[i] == (_CLOSE_LIST if stack[depth] == _ARRAY else _CLOSE)
        if closed:
            i += 1
        else:
            edge = np.int64(-1)
            if stack[depth] != _ARRAY:
                i, edge = _name(data, area, used, i, utf8, stack[depth], trie, seen)
                if i < 0:
                    return ~i, False
            field = trie.field[edge] if edge >= 0 else np.int64(-1)
            if data[i] == _OPEN or data[i] == _OPEN_LIST:
                if field >= 0:
                    fields[0][field] = OTHER
                depth += 1
                if depth == DEPTH:
                    return i, False
                below = trie.child[edge] if edge >= 0 else np.int64(-1)
                stack[depth] = below if data[i] == _OPEN else _ARRAY
                i = _blank(data, i + 1)
                opened = True
                continue
            i = _value(data, area, used, i, utf8, field, fields)
            if i < 0:
                return ~i, False
        opened = False
        while True:
            if closed:
                depth -= 1
                if depth < 0:
                    i = _blank(data, i)
                    return i, data[i] == NEWLINE
            i = _blank(data, i)
            if data[i] == _COMMA:
                i = _blank(data, i + 1)
                break
            if data[i] != (_CLOSE_LIST if stack[depth] == _ARRAY else _CLOSE):
                return i, False
            i += 1
            closed = True
