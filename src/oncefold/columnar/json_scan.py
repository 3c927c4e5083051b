"""JSON Lines to fields in one pass: a strict reader of the plain majority of records.

It accepts a record only if RFC 8259 does and every field of interest is plain: each name on its path once, UTF-8, no
half of a surrogate pair. Every other record it marks for the scalar decoder, which reads it or says what is wrong.

A field's text without escapes is a span of the block. One with escapes is written unescaped into `area`, memory behind
the block in the same array, so that it is a span of `data` as well.
"""

from typing import Any

import numpy as np

from oncefold.columnar.batch import NOT_AN_EVENT, UNDECODED
from oncefold.columnar.faults import UNKNOWN, UNREAD, fill_row, is_utf8
from oncefold.columnar.field_kinds import MISSING, NUMBER, OTHER, STRING
from oncefold.columnar.json_layout import is_known, layout_scratch, learn, match, note_match, note_miss
from oncefold.columnar.json_tokens import (
    CLOSE,
    CLOSE_LIST,
    COLON,
    COMMA,
    OPEN,
    OPEN_LIST,
    blank,
    line_end,
    literal,
    number_end,
    skip_string,
    string_end,
    unescape,
)
from oncefold.columnar.leaves import leaf_scratch
from oncefold.columnar.parse_kernels import is_digit
from oncefold.columnar.plan import DecodePlan, Trie
from oncefold.columnar.primitives import BACKSLASH, MINUS, NEWLINE, QUOTE, shift_of
from oncefold.columnar.row_kernels import DELETED, LIVE, NOT_PLAIN, prepare
from oncefold.kernels.byte_spans import equal_bytes
from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import load64

DEPTH = 32
"""Levels of nesting that are followed here; deeper records go to the scalar decoder."""

_ARRAY = -2


def json_scratch(trie: Trie, plan: DecodePlan, places: int, used: int) -> tuple[Any, ...]:
    """Scratch space for `scan_json`: fields (kinds, starts, ends), edges seen, stack, leaf, layout, used of `area`.

    `places` is `plan.width_of` the pipeline.
    """
    width = max(1, places, len(trie.field))
    fields = (np.zeros(width, np.int64), np.zeros(width, np.int64), np.zeros(width, np.int64))
    seen, stack = np.zeros(width, np.uint8), np.zeros(DEPTH, np.int64)
    return fields, seen, stack, leaf_scratch(len(plan.levels)), layout_scratch(), np.array([used], np.int64)


@kernel(
    "const u8[], u8[], bool",
    Trie,
    DecodePlan,
    "(i64[,], i64[,], i64[,])",
    "(i64[], i32[], i64[,], i64[]), i64[], (i64[], i32[], u32[], u8[], i64[], const u64[])",
    "(u64[], u8[], i64[], const u64[]), i64[,]",
    "((i64[], i64[], i64[]), u8[], i64[], (u8[], i64[,]), (i64[,], u64[,], i64[]), i64[])",
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
    faults: Any,
    scratch: Any,
) -> int:
    """Read every line of a block, which ends in a newline; gives the number of distinct leaves.

    `area` is the end of `data`, behind the block, and can be written; area[-1] is not used. Without it, of length 1,
    texts with escapes are left to the scalar decoder.

    If `found` (kinds, starts and ends by row) has rows, fields are kept there, for expressions, and leaf[r] is SCANNED.

    Row r is the r-th line: where[r] its start, columns filled, or leaf[r] UNDECODED or NOT_AN_EVENT (blank). Of one
    that is UNDECODED faults[r] has the class of what is wrong, as far as it is known.
    `utf8` says that the whole block is known to be valid UTF-8.
    """
    fields, seen, stack, encoded, (gaps, words, state), used = scratch
    kinds, starts, ends = fields
    leaf = columns[1]
    shift = shift_of(table[0])
    count = 0
    i = 0
    for r in range(len(where)):
        where[r] = i
        i = blank(data, i)
        if data[i] == NEWLINE:
            leaf[r] = NOT_AN_EVENT
        else:
            kinds[:] = MISSING
            line_utf8 = utf8 or is_utf8(data, i, line_end(data, i))
            newline = np.int64(-1)
            if is_known(state):
                newline = match(data, where[r], line_utf8, gaps, words, state, kinds, starts, ends)
                if newline >= 0:
                    note_match(state)
                else:
                    note_miss(state)
                    kinds[:] = MISSING
            if newline >= 0:
                i, plain = newline, True
            else:
                seen[:] = 0
                before = used[0]
                i, plain = _record(data, area, used, i, line_utf8, trie, fields, seen, stack)
                if plain and used[0] == before:
                    learn(data, where[r], i, gaps, words, state, kinds, starts)
            verdict = LIVE
            if plain and plan.rows.needed[0] != 0:
                verdict = prepare(data, fields, plan.rows, plan.keys)
            if plain and verdict != NOT_PLAIN and plan.scalar_only[0] == 0:
                gone = verdict == DELETED
                count = fill_row(
                    data, fields, plan, gone, r, columns, keys, table, count, encoded, shift, found, faults
                )
            else:
                leaf[r] = UNDECODED
                faults[r, 0] = UNKNOWN if plain else UNREAD
                i = line_end(data, i)
        i += 1
    return count


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
    i = string_end(data, start, utf8)
    stop = i
    if data[i] == BACKSLASH:
        i, stop = unescape(data, area, used[0], start, i, utf8)
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
    i = blank(data, i + 1)
    if data[i] != COLON:
        return ~i, edge
    return blank(data, i + 1), edge


@inlined
def _value(data: Any, area: Any, used: Any, i: int, utf8: bool, field: int, fields: Any) -> int:
    """Read a value that is neither object nor array, and note it if it is a field's.

    Gives where it ends; where it went wrong is given as ~i.
    """
    kinds, starts, ends = fields
    start = i
    if data[i] == QUOTE:
        if field < 0:
            i = skip_string(data, i + 1, utf8)
            return i if i >= 0 else ~start
        i = string_end(data, i + 1, utf8)
        kinds[field] = STRING
        if data[i] == BACKSLASH:
            i, stop = unescape(data, area, used[0], start + 1, i, utf8)
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
        i = number_end(data, i)
    else:
        i, kind = literal(data, i)
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
    if data[i] != OPEN:
        return i, False
    depth = 0
    stack[0] = 0
    i = blank(data, i + 1)
    opened = True
    while True:
        closed = opened and data[i] == (CLOSE_LIST if stack[depth] == _ARRAY else CLOSE)
        if closed:
            i += 1
        else:
            edge = np.int64(-1)
            if stack[depth] != _ARRAY:
                i, edge = _name(data, area, used, i, utf8, stack[depth], trie, seen)
                if i < 0:
                    return ~i, False
            field = trie.field[edge] if edge >= 0 else np.int64(-1)
            if data[i] == OPEN or data[i] == OPEN_LIST:
                if field >= 0:
                    fields[0][field] = OTHER
                    fields[1][field] = i
                depth += 1
                if depth == DEPTH:
                    return i, False
                below = trie.child[edge] if edge >= 0 else np.int64(-1)
                stack[depth] = below if data[i] == OPEN else _ARRAY
                i = blank(data, i + 1)
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
                    i = blank(data, i)
                    return i, data[i] == NEWLINE
            i = blank(data, i)
            if data[i] == COMMA:
                i = blank(data, i + 1)
                break
            if data[i] != (CLOSE_LIST if stack[depth] == _ARRAY else CLOSE):
                return i, False
            i += 1
            closed = True
