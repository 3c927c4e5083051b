"""From the spans of a record's fields to one row of the batch; shared by all text formats."""

from typing import Any

import numpy as np

from oncefold.columnar.batch import DELETE, FILTERED, NO_SPAN, SPAN_BITS, UNDECODED
from oncefold.columnar.field_kinds import EMPTY, MISSING, NUMBER, OTHER, STRING
from oncefold.columnar.label_kernels import is_numeral, is_text, moment, write_leaf
from oncefold.columnar.leaves import intern_bytes
from oncefold.columnar.parse_kernels import (
    parse_scaled,
    parse_spelled,
)
from oncefold.columnar.plan import (
    COLUMN_NUMBER,
    COLUMN_PRESENT,
    COLUMN_TEXT,
    COLUMN_TIME,
    COLUMN_TRUE,
    DELETE_EQUALS,
    MISSING_IS_ZERO,
    MISSING_REJECTS,
    OF_DECIMAL,
    OF_LSN,
    OF_TIME,
)
from oncefold.columnar.primitives import ONE, ZERO, hash_bytes
from oncefold.columnar.row_plan import DYNAMODB
from oncefold.columnar.wide_kernels import parse_lsn, parse_wide, shifted, words
from oncefold.core.limits import KEY_BYTES, MEASURE_LIMIT, TEXT_BYTES
from oncefold.core.measures import NO_VALUE
from oncefold.kernels.byte_spans import equal_bytes
from oncefold.kernels.declare import inlined

_SLASH, _BACKSLASH, _LOWER_E = 47, 92, 101
_NO_TIME = np.int64(-(2**63))
_ZERO_LOW = np.int64(-(2**63))
"""The low word of the version 0."""
_SIGN = np.uint64(1 << 63)
NO_NUMBER = np.int64(NO_VALUE)
"""NULL among the numbers of a key."""
_TRUE, _FALSE = np.frombuffer(b"true", np.uint8), np.frombuffer(b"false", np.uint8)


@inlined
def keep_fields(fields: Any, found: Any, r: int) -> None:
    """Copy a record's fields (kinds, starts, ends) into row r of all records'."""
    for part in range(found[0].shape[1]):
        found[0][r, part] = fields[0][part]
        found[1][r, part] = fields[1][part]
        found[2][r, part] = fields[2][part]


@inlined
def assemble(
    data: Any,
    fields: Any,
    plan: Any,
    gone: bool,
    r: int,
    columns: Any,
    keys: Any,
    table: Any,
    count: int,
    scratch: Any,
    shift: Any,
) -> Any:
    """Fill row r from the fields (kinds, starts, ends); gives the number of distinct leaves after it.

    `gone` says that the record's envelope makes it a delete. leaf[r] is UNDECODED if the record needs the scalar
    decoder. `keys` is (start, length, hash, composed bytes, how many of them are used, seed), `table` the intern table
    of leaves.
    """
    kinds, starts, ends = fields
    version, leaf, measures, time = columns
    leaf[r] = UNDECODED
    if not _key(data, kinds, starts, ends, plan.keys, r, keys):
        return count
    if plan.is_wide[0] == 0:
        understood, version[r] = _version(data, kinds, starts, ends, plan)
    else:
        understood, version[r], measures[measures.shape[0] - 1, r] = _wide_version(data, kinds, starts, ends, plan)
    if not understood:
        return count
    understood, time[r] = _time(data, kinds, starts, ends, plan)
    if not understood:
        return count
    understood, deleted = (True, True) if gone else _deleted(data, kinds, starts, ends, plan)
    if not understood:
        return count
    if deleted:
        for m in range(plan.measures.shape[0]):
            measures[m, r] = 0
        leaf[r] = DELETE
        return count
    f = plan.where[0]
    if f >= 0 and kinds[f] == OTHER:
        return count
    if f >= 0 and (kinds[f] == MISSING or ends[f] - starts[f] != len(_TRUE)):
        for m in range(plan.measures.shape[0]):
            measures[m, r] = 0
        leaf[r] = FILTERED
        return count
    if not _measures(data, kinds, starts, ends, plan, measures, r, time[r]):
        return count
    length = write_leaf(data, kinds, starts, ends, plan, scratch)
    if length < 0:
        return count
    number = intern_bytes(scratch[0], 0, length, table, count, shift)
    leaf[r] = number
    return count + 1 if number == count else count


@inlined
def _key(data: Any, kinds: Any, starts: Any, ends: Any, parts: Any, r: int, keys: Any) -> bool:
    key_start, key_length, key_hash, composed, used, seed = keys
    if len(parts) == 1:
        f = parts[0]
        if not is_text(kinds[f], data, starts[f], ends[f]) or ends[f] - starts[f] > KEY_BYTES:
            return False
        key_start[r] = starts[f]
        key_length[r] = ends[f] - starts[f]
        key_hash[r] = hash_bytes(data, starts[f], ends[f] - starts[f], seed)
        return True
    first = used[0]
    at = first
    for k in range(len(parts)):
        f = parts[k]
        size = ends[f] - starts[f]
        if not is_text(kinds[f], data, starts[f], ends[f]) or at - first + size + 3 > KEY_BYTES:
            return False
        if k > 0:
            composed[at] = _SLASH
            at += 1
        if size == 0:
            composed[at] = _BACKSLASH
            composed[at + 1] = _LOWER_E
            at += 2
        for i in range(starts[f], ends[f]):
            if data[i] < 32 or data[i] == _SLASH or data[i] == _BACKSLASH:
                return False
            composed[at] = data[i]
            at += 1
    key_start[r] = first
    key_length[r] = at - first
    key_hash[r] = hash_bytes(composed, first, at - first, seed)
    used[0] = at
    return True


@inlined
def _version(data: Any, kinds: Any, starts: Any, ends: Any, plan: Any) -> Any:
    if plan.version.shape[0] == 0:
        return True, np.int64(0)
    return _narrow_part(data, kinds, starts, ends, plan, 0)


@inlined
def _narrow_part(data: Any, kinds: Any, starts: Any, ends: Any, plan: Any, p: int) -> Any:
    """(understood, value) of a version, or a part of one, that 64 bits hold."""
    f, places, form = plan.version[p, 0], plan.version[p, 1], plan.version[p, 2]
    if not is_numeral(kinds[f]):
        return False, np.int64(0)
    if form == OF_TIME:
        return moment(data, starts[f], ends[f], places, plan.version[p, 3], plan.version[p, 4], plan)
    if form == OF_LSN:
        return parse_lsn(data, starts[f], ends[f]) if kinds[f] == STRING else (False, np.int64(0))
    return _number(data, kinds[f], starts[f], ends[f], places, 0, plan)


@inlined
def _wide_version(data: Any, kinds: Any, starts: Any, ends: Any, plan: Any) -> Any:
    """(understood, high word, low word) of a version of 128 bits."""
    if plan.version.shape[0] == 1:
        f, form = plan.version[0, 0], plan.version[0, 2]
        if kinds[f] == EMPTY and plan.rows.needed[1] == DYNAMODB:
            return True, np.int64(0), _ZERO_LOW
        if kinds[f] != STRING and (kinds[f] != NUMBER or form != OF_DECIMAL):
            return False, np.int64(0), np.int64(0)
        if form == OF_DECIMAL and plan.spelling[0] != 0 and kinds[f] == STRING:
            return False, np.int64(0), np.int64(0)
        return parse_wide(data, starts[f], ends[f], form, plan.version[0, 1])
    high, low = np.uint64(0), np.uint64(0)
    for p in range(plan.version.shape[0]):
        bits = plan.version[p, 5]
        understood, value = _narrow_part(data, kinds, starts, ends, plan, p)
        if not understood:
            return False, np.int64(0), np.int64(0)
        part = np.uint64(value)
        if plan.version[p, 2] == OF_TIME:
            part ^= _SIGN
        elif value < 0 or (bits < 63 and value >> bits != 0):
            return False, np.int64(0), np.int64(0)
        high, low = shifted(high, low, bits)
        low |= part
    first, second = words(high, low)
    return True, first, second


@inlined
def _number(data: Any, kind: int, start: int, end: int, scale: int, rounds: int, plan: Any) -> Any:
    """(understood, mantissa) of a number, as the definition says how text spells it."""
    if plan.spelling[0] != 0 and kind == STRING:
        return parse_spelled(data, start, end, scale, rounds, plan.spelling)
    return parse_scaled(data, start, end, scale, rounds)


@inlined
def _time(data: Any, kinds: Any, starts: Any, ends: Any, plan: Any) -> Any:
    time = plan.time
    f = time[0]
    if f < 0 or kinds[f] == MISSING or kinds[f] == EMPTY:
        return True, _NO_TIME
    if not is_numeral(kinds[f]):
        return False, _NO_TIME
    return moment(data, starts[f], ends[f], time[1], time[2], time[3], plan)


@inlined
def _deleted(data: Any, kinds: Any, starts: Any, ends: Any, plan: Any) -> Any:
    """(understood, whether the event is a delete)."""
    f = plan.delete[0]
    if f < 0 or kinds[f] == MISSING:
        return True, False
    if kinds[f] == OTHER:
        return False, False
    size = ends[f] - starts[f]
    if plan.delete[1] == DELETE_EQUALS:
        wanted = len(plan.delete_equals) - 8
        return True, size == wanted and equal_bytes(data, starts[f], plan.delete_equals, 0, size)
    return truth(data, starts[f], size)


@inlined
def truth(data: Any, start: int, size: int) -> Any:
    """(whether a text is a truth value, whether it is true): true, false, 1, 0, in any case, or nothing for false."""
    if size == 0:
        return True, False
    if size == 1:
        return data[start] == ZERO or data[start] == ONE, data[start] == ONE
    if _spells(data, start, size, _TRUE):
        return True, True
    return _spells(data, start, size, _FALSE), False


@inlined
def _spells(data: Any, start: int, size: int, word: Any) -> bool:
    """Whether a text is this word, in letters of any case."""
    i = 0
    while i < size and i < len(word) and data[start + i] | 32 == word[i]:
        i += 1
    return i == size and i == len(word)


@inlined
def _measures(data: Any, kinds: Any, starts: Any, ends: Any, plan: Any, measures: Any, r: int, time: int) -> bool:
    """Fill what a key keeps for its measures; of a text where it is in `data`."""
    rows = plan.measures
    for m in range(rows.shape[0]):
        f, form = rows[m, 0], rows[m, 4]
        if form == COLUMN_TIME:
            measures[m, r] = time
            continue
        kind, size = kinds[f], ends[f] - starts[f]
        is_there = kind != MISSING and kind != EMPTY
        if form == COLUMN_NUMBER and is_numeral(kind):
            understood, value = _number(data, kind, starts[f], ends[f], rows[m, 1], rows[m, 2], plan)
            if not understood or not -MEASURE_LIMIT < value < MEASURE_LIMIT:
                return False
            measures[m, r] = value
        elif kind == OTHER:
            return False
        elif form == COLUMN_PRESENT:
            measures[m, r] = 1 if is_there else 0
        elif form == COLUMN_TRUE:
            measures[m, r] = 1 if is_there and size == len(_TRUE) else 0
        elif form == COLUMN_TEXT and is_there:
            if size > TEXT_BYTES or not is_text(kind, data, starts[f], ends[f]):
                return False
            measures[m, r] = starts[f] << SPAN_BITS | size
        elif is_there or rows[m, 3] == MISSING_REJECTS:
            return False
        else:
            measures[m, r] = 0 if rows[m, 3] == MISSING_IS_ZERO else NO_NUMBER if form == COLUMN_NUMBER else NO_SPAN
    return True
