"""The fold of core.fold over columns. Same rules, same numbers of outcomes; property tests hold the two equal."""

from typing import Any

import numpy as np

from oncefold.columnar.batch import FILTERED
from oncefold.columnar.extremes import add_extremes, remove_extremes
from oncefold.columnar.primitives import compare_bytes, entry, hash_bytes, home_of, row_of, shift_of
from oncefold.core.fold import Outcome
from oncefold.kernels.byte_spans import copy_bytes, equal_bytes
from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import prefetch

KEY, VERSION, META, VALUES = 0, 1, 2, 3
"""Columns of a row: start of the key's text, version, leaf << 16 | key length, then the columns of the key, texts as
their codes, then the low word of a wide version."""

_INSERTED = int(Outcome.INSERTED)
_CORRECTED = int(Outcome.CORRECTED)
_DELETED = int(Outcome.DELETED)
_WON = int(Outcome.CONFLICT_WON)
_DUPLICATE = int(Outcome.DUPLICATE)
_STALE = int(Outcome.STALE)
_LOST = int(Outcome.CONFLICT_LOST)
_FILTERED = int(Outcome.FILTERED)
_SLOT_AHEAD, _ROW_AHEAD, _TEXT_AHEAD = 24, 16, 8
ROUND = 16
"""How many rows the fold remembers between asking for a row and for its key; a power of two."""
_LOW = np.int64(0xFFFFFFFF)
_32 = np.uint64(32)

assert _ROW_AHEAD - _TEXT_AHEAD <= ROUND


@kernel(
    "(const u8[], const i64[], const i32[], const u32[])",
    "(const i64[], const i32[], const i32[], const i64[,])",
    "(u64[], i64[,], u8[]), i64, i64, (const u8[], const i64[])",
    "(u32[], u8[], i64[], i32[], i64[,], i64)",
    "(i64[], i64[,], i64[], i64[,], i64[,], i64[])",
    "(i64, i64, const u8[], const i64[]), (const i64[,], i64[,], const i64[], i64[,], i64[])",
    returns="(i64, i64, i64, i64)",
)
def fold_batch(
    keys: Any,
    contents: Any,
    state: Any,
    count: int,
    used: int,
    leaves: Any,
    log: Any,
    out: Any,
    texts: Any,
    values: Any,
) -> Any:
    """Fold records in order; what each did is written to `log` from `kept` on.

    `log` is (row, outcome, version, leaf, measures by row, kept), `out` (counts by outcome, conflicts, the change per
    leaf as count, high and low, scratch). `contents` has the leaves as indexes into its `codes`. `texts` is (1 if
    versions are wide, the columns of a key that are no texts, the texts of all codes, where each begins), `values` what
    `NodeValues.columns` gives.
    Gives (keys, bytes of key text, records kept, conflicts). The caller has reserved room for all.
    """
    data, starts, lengths, hashes = keys
    version, leaf, codes, measures = contents
    slots, rows, text = state
    log_row, log_outcome, log_version, log_leaf, log_measures, kept = log
    counts, conflicts, sum_count, sum_high, sum_low, ahead = out
    wide = texts[0]
    leaf_data, leaf_offsets = leaves
    spec, held, text_columns, moves, moved = values
    shift = shift_of(slots)
    mask = len(slots) - 1
    n = len(version)
    first = kept
    conflicting = 0
    for i in range(n):
        _fetch_ahead(i, n, hashes, slots, rows, text, shift, mask, ahead)
        if leaf[i] < -1 and leaf[i] != FILTERED:
            continue
        new_version, length = version[i], lengths[i]
        new_leaf = codes[leaf[i]] if leaf[i] >= 0 else np.int32(-1)
        at, row = _find(data, starts[i], length, hashes[i], slots, rows, text, shift, mask)
        if row < 0:
            row = count
            slots[at] = entry(hashes[i], row)
            copy_bytes(data, starts[i], text, used, length)
            rows[row, KEY] = used
            used += length
            count += 1
            outcome = _DELETED if new_leaf < 0 else _INSERTED
        else:
            outcome = _judge(rows, row, new_version, new_leaf, measures, texts, i, wide, leaf_data, leaf_offsets)
            if outcome == _WON or outcome == _LOST:
                conflicts[conflicting, 0] = i
                conflicts[conflicting, 1] = row
                conflicts[conflicting, 2] = kept - first
                conflicts[conflicting, 3] = rows[row, META] >> 16
                for m in range(measures.shape[0]):
                    conflicts[conflicting, 4 + m] = rows[row, VALUES + m]
                conflicting += 1
            if outcome <= _WON:
                _count(rows, row, -1, sum_count, sum_high, sum_low)
                before = rows[row, META] >> 16
                if before >= 0:
                    remove_extremes(rows, row, before, spec, held)
                    _move(rows, row, before, -1, text_columns, moves, moved)
        if outcome <= _WON:
            if outcome == _DELETED and leaf[i] == FILTERED:
                outcome = _FILTERED
            rows[row, VERSION] = new_version
            rows[row, META] = (np.int64(new_leaf) << 16) | np.int64(length)
            for m in range(measures.shape[0]):
                rows[row, VALUES + m] = measures[m, i]
            _count(rows, row, 1, sum_count, sum_high, sum_low)
            if new_leaf >= 0:
                add_extremes(rows, row, new_leaf, text, spec, held)
                _move(rows, row, new_leaf, 1, text_columns, moves, moved)
        log_row[kept] = row
        log_outcome[kept] = outcome
        duplicate = outcome == _DUPLICATE
        log_version[kept] = 0 if duplicate else new_version
        log_leaf[kept] = 0 if duplicate else new_leaf
        for m in range(measures.shape[0]):
            log_measures[kept, m] = 0 if duplicate else measures[m, i]
        counts[outcome] += 1
        kept += 1
    _carry(sum_high, sum_low)
    return count, used, kept, conflicting


@inlined
def _fetch_ahead(
    i: int, n: int, hashes: Any, slots: Any, rows: Any, text: Any, shift: Any, mask: int, ahead: Any
) -> None:
    """Ask for the memory of records to come: first the slot, then the row it names, then that row's key.

    `ahead` remembers the rows between the last two, -1 for none.
    """
    if i + _SLOT_AHEAD < n:
        prefetch(slots, home_of(hashes[i + _SLOT_AHEAD], shift))
    if i + _ROW_AHEAD < n:
        hash32 = hashes[i + _ROW_AHEAD]
        at = home_of(hash32, shift)
        while slots[at] != 0 and np.uint32(slots[at] >> _32) != hash32:
            at = (at + 1) & mask
        row = row_of(slots[at])
        ahead[i & (ROUND - 1)] = row
        if row >= 0:
            prefetch(rows, row)
    row = ahead[(i + _TEXT_AHEAD - _ROW_AHEAD) & (ROUND - 1)]
    if row >= 0:
        begin = rows[row, KEY]
        prefetch(text, begin)
        prefetch(text, begin + (rows[row, META] & 0xFFFF))


@inlined
def _find(
    data: Any, start: int, length: int, hash32: Any, slots: Any, rows: Any, text: Any, shift: Any, mask: int
) -> Any:
    """(slot, row) of a key; row -1 and the free slot if it is new."""
    at = home_of(hash32, shift)
    while slots[at] != 0:
        slot = slots[at]
        if np.uint32(slot >> _32) == hash32:
            row = row_of(slot)
            if (rows[row, META] & 0xFFFF) == length and equal_bytes(text, rows[row, KEY], data, start, length):
                return at, row
        at = (at + 1) & mask
    return at, np.int64(-1)


@inlined
def _judge(
    rows: Any,
    row: int,
    version: int,
    leaf: int,
    measures: Any,
    texts: Any,
    i: int,
    wide: int,
    data: Any,
    offsets: Any,
) -> int:
    """The outcome for a key that has a state: rules 2 to 5 of core.fold.

    The last of the values is the low word of the version if `wide` is 1.
    """
    _, numbers, text_data, text_starts = texts
    columns = measures.shape[0] - wide
    stored = rows[row, VERSION]
    if version > stored:
        return _DELETED if leaf < 0 else _CORRECTED
    if version < stored:
        return _STALE
    if wide == 1 and measures[columns, i] != rows[row, VALUES + columns]:
        if measures[columns, i] < rows[row, VALUES + columns]:
            return _STALE
        return _DELETED if leaf < 0 else _CORRECTED
    before = rows[row, META] >> 16
    order = _compare_leaves(data, offsets, leaf, before)
    if order == 0 and leaf >= 0:
        for m in range(columns):
            value, other = measures[m, i], rows[row, VALUES + m]
            if value != other:
                order = 1 if value > other else -1
                if m >= numbers and value >= 0 and other >= 0:
                    order = _compare_texts(text_data, text_starts, value, other)
                break
    if order == 0:
        return _DUPLICATE
    return _WON if order > 0 else _LOST


@kernel
def _compare_leaves(data: Any, offsets: Any, a: int, b: int) -> int:
    """The order of two leaves: a delete above all, then label by label as UTF-8 bytes."""
    if a == b:
        return 0
    if a < 0:
        return 1
    if b < 0:
        return -1
    i, j = offsets[a], offsets[b]
    end = offsets[a + 1]
    while i < end:
        length_a = np.int64(data[i]) | np.int64(data[i + 1]) << 8
        length_b = np.int64(data[j]) | np.int64(data[j + 1]) << 8
        i += 2
        j += 2
        order = compare_bytes(data, i, length_a, data, j, length_b)
        if order != 0:
            return order
        i += length_a
        j += length_b
    return 0


@kernel
def _compare_texts(data: Any, starts: Any, a: int, b: int) -> int:
    """The order of two texts by their codes: that of their UTF-8 bytes."""
    begin, other = starts[a], starts[b]
    return compare_bytes(data, begin, starts[a + 1] - begin, data, other, starts[b + 1] - other)


@inlined
def _move(rows: Any, row: int, leaf: int, sign: int, columns: Any, moves: Any, moved: Any) -> None:
    """Note which texts of a row come to a leaf, or go from it."""
    if len(columns) > 0:
        at = moved[0]
        moves[at, 0] = leaf
        moves[at, 1] = sign
        for m in range(len(columns)):
            moves[at, 2 + m] = rows[row, columns[m]]
        moved[0] = at + 1


@inlined
def _count(rows: Any, row: int, sign: int, counts: Any, high: Any, low: Any) -> None:
    """Add or take out a row's contribution at its leaf."""
    leaf = rows[row, META] >> 16
    if leaf < 0:
        return
    counts[leaf] += sign
    for m in range(high.shape[1]):
        value = rows[row, VALUES + m]
        high[leaf, m] += sign * (value >> 32)
        low[leaf, m] += sign * (value & _LOW)


@inlined
def _carry(high: Any, low: Any) -> None:
    for leaf in range(high.shape[0]):
        for m in range(high.shape[1]):
            high[leaf, m] += low[leaf, m] >> 32
            low[leaf, m] &= _LOW


@kernel("const i64[], u64[], i64[,], const u8[], i64, i64, u32[], const u64[]")
def index_keys(offsets: Any, slots: Any, rows: Any, text: Any, first: int, begin: int, hashes: Any, seed: Any) -> None:
    """Enter distinct keys whose texts are in `text` already from `begin` on, as rows from `first` on."""
    shift = shift_of(slots)
    mask = len(slots) - 1
    n = len(offsets) - 1
    for i in range(n):
        hashes[i] = hash_bytes(text, begin + offsets[i], offsets[i + 1] - offsets[i], seed)
    for i in range(n):
        if i + _SLOT_AHEAD < n:
            prefetch(slots, home_of(hashes[i + _SLOT_AHEAD], shift))
        at = home_of(hashes[i], shift)
        while slots[at] != 0:
            at = (at + 1) & mask
        slots[at] = entry(hashes[i], first + i)
        rows[first + i, KEY] = begin + offsets[i]
        rows[first + i, META] = (np.int64(-1) << 16) | (offsets[i + 1] - offsets[i])


@kernel("i64[,], i64, const i64[], const i32[], const i64[,]")
def set_states(rows: Any, first: int, version: Any, leaf: Any, measures: Any) -> None:
    """Write the columns into rows from `first` on."""
    for i in range(len(version)):
        row = first + i
        rows[row, VERSION] = version[i]
        rows[row, META] = (np.int64(leaf[i]) << 16) | (rows[row, META] & 0xFFFF)
        for m in range(measures.shape[0]):
            rows[row, VALUES + m] = measures[m, i]
