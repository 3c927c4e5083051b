"""Records of one writer differ in their values alone: the layout of the last record foretells where the next one's are.

A layout is what stands between the values of a record that was read, as it stands there: names, blanks, brackets. A
record with the same bytes between its values has the same form, so that only the values have to be looked at. Whatever
differs is read as if there were no layout.
"""

from typing import Any

import numpy as np

from oncefold.columnar.field_kinds import NUMBER, OTHER, STRING
from oncefold.columnar.json_tokens import COLON, blank, literal, number_end, string_end
from oncefold.columnar.parse_kernels import is_digit
from oncefold.columnar.primitives import BACKSLASH, MINUS, QUOTE
from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import load64

_GAPS = 64
"""Values of a record that a layout holds, and one."""
_BEGIN, _LENGTH, _KIND, _FIELD = 0, 1, 2, 3
_COUNT, _WAIT, _PAUSE = 0, 1, 2
_LITERAL, _END = -1, -2
"""Kinds of what follows a gap besides STRING and NUMBER."""
_LONGEST_PAUSE = 64
"""Records that are read without a layout after layouts kept failing."""
_LOWER_F, _LOWER_N, _LOWER_T = 102, 110, 116
_WORD = np.int64(8)


def layout_scratch() -> tuple[Any, ...]:
    """Memory for a layout: gaps (where, length, the kind and field of the value behind), their first words, state."""
    return np.zeros((_GAPS, 4), np.int64), np.zeros((_GAPS, 2), np.uint64), np.zeros(3, np.int64)


@inlined
def match(data: Any, i: int, utf8: bool, gaps: Any, words: Any, state: Any, kinds: Any, starts: Any, ends: Any) -> int:
    """Read a record by the layout: its newline, or -1 if it has another one. The kinds of all fields are MISSING."""
    for g in range(state[_COUNT]):
        length = gaps[g, _LENGTH]
        if i + max(length, _WORD) > len(data) or load64(data, i) & words[g, 1] != words[g, 0]:
            return np.int64(-1)
        if length > _WORD and not _same(data, i, gaps[g, _BEGIN], length):
            return np.int64(-1)
        i += length
        start = i
        kind = gaps[g, _KIND]
        if kind == STRING:
            i = string_end(data, i, utf8)
            if data[i] != QUOTE:
                return np.int64(-1)
        elif kind == NUMBER:
            i = number_end(data, i)
            if i < 0:
                return np.int64(-1)
        elif kind == _END:
            return i - 1
        else:
            i, kind = literal(data, i)
            if i < 0:
                return np.int64(-1)
        field = gaps[g, _FIELD]
        if field >= 0:
            kinds[field] = kind
            starts[field] = start
            ends[field] = i
    return np.int64(-1)


@inlined
def _same(data: Any, a: int, b: int, length: int) -> bool:
    """Whether two spans of more than eight bytes, alike in the first eight, are alike."""
    k = _WORD
    while k + 8 <= length:
        if load64(data, a + k) != load64(data, b + k):
            return False
        k += 8
    return load64(data, a + length - 8) == load64(data, b + length - 8)


@inlined
def is_known(state: Any) -> bool:
    """Whether there is a layout."""
    return state[_COUNT] > 0


@inlined
def note_match(state: Any) -> None:
    """A record had the layout."""
    state[_PAUSE] = 0


@inlined
def note_miss(state: Any) -> None:
    """A record had another layout; after many in a row, the next ones are read without any."""
    state[_COUNT] = 0
    state[_WAIT] = state[_PAUSE]
    state[_PAUSE] = min(2 * state[_PAUSE] + 1, _LONGEST_PAUSE)


@kernel
def learn(data: Any, start: int, newline: int, gaps: Any, words: Any, state: Any, kinds: Any, starts: Any) -> None:
    """Take the layout of a record that was read without an escape in it, unless it is time to wait.

    Its fields are what the scanner noted: where each begins that is in the record, null too. One that holds an object
    or an array has no single value, and a record of too many values has no layout.
    """
    if state[_WAIT] > 0:
        state[_WAIT] -= 1
        return
    state[_WAIT] = _LONGEST_PAUSE
    for field in range(len(kinds)):
        if kinds[field] == OTHER:
            return
    count = 0
    begin = i = start
    while i < newline and count < _GAPS - 1:
        byte = data[i]
        if byte == QUOTE:
            end = _closing(data, i + 1)
            i += 1
            if data[blank(data, end + 1)] == COLON:
                i = end + 1
                continue
            kind = STRING
        elif byte == MINUS or is_digit(byte):
            end, kind = number_end(data, i), NUMBER
        elif byte == _LOWER_T or byte == _LOWER_F or byte == _LOWER_N:
            end, _ = literal(data, i)
            kind = _LITERAL
        else:
            i += 1
            continue
        _note(data, gaps, words, count, begin, i, kind)
        for field in range(len(kinds)):
            if starts[field] == i:
                gaps[count, _FIELD] = field
        count += 1
        begin = end
        i = end + 1 if kind == STRING else end
    if i >= newline:
        _note(data, gaps, words, count, begin, newline + 1, _END)
        state[_COUNT] = count + 1
        state[_WAIT] = 0


@inlined
def _closing(data: Any, i: int) -> int:
    """The closing quote of a text from i on."""
    while data[i] != QUOTE:
        i += 2 if data[i] == BACKSLASH else 1
    return i


@inlined
def _note(data: Any, gaps: Any, words: Any, g: int, begin: int, end: int, kind: int) -> None:
    gaps[g, _BEGIN], gaps[g, _LENGTH], gaps[g, _KIND], gaps[g, _FIELD] = begin, end - begin, kind, -1
    word, mask = np.uint64(0), np.uint64(0)
    for k in range(min(end - begin, 8)):
        word |= np.uint64(data[begin + k]) << np.uint64(8 * k)
        mask |= np.uint64(255) << np.uint64(8 * k)
    words[g, 0], words[g, 1] = word, mask
