"""The extreme values of the keys at each leaf: least, greatest, first and last, kept up by the fold.

A leaf holds of each such measure the extreme value and who has it. A value that is added is compared with it. Where
the last key that has it leaves, the leaf is marked: what the keys that stay make of it is found by one pass over all
keys before the commit (`repair`), which all marked leaves share. Until then the old extreme bounds what is there, so
that a value at least as extreme that comes meanwhile is the extreme for certain.
"""

from typing import Any

import numpy as np

from oncefold.columnar.primitives import compare_bytes
from oncefold.core.measures import NO_VALUE
from oncefold.kernels.declare import inlined, kernel

LEAST, GREATEST, FIRST, LAST = 0, 1, 2, 3
"""Kinds of extremes; from FIRST on they are by the time of a key."""

KIND, COLUMN, TIME = 0, 1, 2
"""What is said of each extreme: its kind, the column of a row with its value, and that with the key's time."""

NOBODY, KNOWN, LEFT = 0, 1, 2
"""States: no key has a value, the extreme is known, or it left and the keys were not looked through yet."""

BOUND, VALUE, HOLDER, PRESENT, STATE = 0, 1, 2, 3, 4
"""Of a leaf's extreme: what is compared, what is shown, how many keys have it (LEAST, GREATEST) or which row has it
(FIRST, LAST), how many keys have a value, and its state."""
FIELDS = 5

_NONE = np.int64(NO_VALUE)
_META, _KEY = 2, 0


@inlined
def add_extremes(rows: Any, row: int, leaf: int, text: Any, spec: Any, held: Any) -> None:
    """Let a row count at its leaf; `held` is the extremes by leaf, FIELDS numbers for each."""
    for e in range(spec.shape[0]):
        _add_one(rows, row, leaf, text, spec, e, held)


@inlined
def _add_one(rows: Any, row: int, leaf: int, text: Any, spec: Any, e: int, held: Any) -> None:
    value = rows[row, spec[e, COLUMN]]
    compared = value if spec[e, KIND] < FIRST else rows[row, spec[e, TIME]]
    if value != _NONE and compared != _NONE:
        _add(rows, row, text, spec[e, KIND], value, compared, held, leaf, e * FIELDS)


@kernel
def _add(rows: Any, row: int, text: Any, kind: int, value: int, compared: int, held: Any, leaf: int, at: int) -> None:
    held[leaf, at + PRESENT] += 1
    state, bound = held[leaf, at + STATE], held[leaf, at + BOUND]
    order = 1
    if state != NOBODY:
        order = 0 if compared == bound else 1 if (compared < bound) == (kind == LEAST or kind == FIRST) else -1
        if order == 0 and kind >= FIRST:
            order = _order_of_keys(rows, row, held[leaf, at + HOLDER], text)
            order = -order if kind == FIRST else order
    if kind < FIRST and order == 0 and state == KNOWN:
        held[leaf, at + HOLDER] += 1
    elif order >= 0:
        held[leaf, at + BOUND] = compared
        held[leaf, at + VALUE] = value
        held[leaf, at + HOLDER] = 1 if kind < FIRST else row
        held[leaf, at + STATE] = KNOWN


@inlined
def _order_of_keys(rows: Any, row: int, other: int, text: Any) -> int:
    """1 if the key of a row is the greater by its bytes, -1 if it is the lesser, 0 if it is the same row."""
    if row == other:
        return 0
    length, other_length = rows[row, _META] & 0xFFFF, rows[other, _META] & 0xFFFF
    return compare_bytes(text, rows[row, _KEY], length, text, rows[other, _KEY], other_length)


@inlined
def remove_extremes(rows: Any, row: int, leaf: int, spec: Any, held: Any) -> None:
    """Let a row no longer count at its leaf."""
    for e in range(spec.shape[0]):
        value, kind, at = rows[row, spec[e, COLUMN]], spec[e, KIND], e * FIELDS
        compared = value if kind < FIRST else rows[row, spec[e, TIME]]
        if value == _NONE or compared == _NONE:
            continue
        held[leaf, at + PRESENT] -= 1
        if held[leaf, at + PRESENT] == 0:
            held[leaf, at + STATE] = NOBODY
        elif held[leaf, at + STATE] == KNOWN:
            if kind >= FIRST:
                if held[leaf, at + HOLDER] == row:
                    held[leaf, at + STATE] = LEFT
            elif compared == held[leaf, at + BOUND]:
                held[leaf, at + HOLDER] -= 1
                if held[leaf, at + HOLDER] == 0:
                    held[leaf, at + STATE] = LEFT


@kernel("const i64[,], i64, const u8[], const i64[,], i64[,], i64[]", returns="i64")
def repair(rows: Any, count: int, text: Any, spec: Any, held: Any, marks: Any) -> int:
    """Find the extremes that left among the keys; gives how many leaves were looked for.

    `marks` has a zero for each leaf, and is zero again at the end.
    """
    leaves = 0
    for leaf in range(held.shape[0]):
        for e in range(spec.shape[0]):
            if held[leaf, e * FIELDS + STATE] == LEFT:
                marks[leaf] |= 1 << e
                held[leaf, e * FIELDS + STATE] = NOBODY
                held[leaf, e * FIELDS + PRESENT] = 0
        leaves += 1 if marks[leaf] != 0 else 0
    if leaves == 0:
        return 0
    for row in range(count):
        leaf = rows[row, _META] >> 16
        if leaf < 0 or marks[leaf] == 0:
            continue
        for e in range(spec.shape[0]):
            if marks[leaf] >> e & 1:
                _add_one(rows, row, leaf, text, spec, e, held)
    for leaf in range(held.shape[0]):
        marks[leaf] = 0
    return leaves


@kernel("const i64[,], i64, const u8[], const i64[,], i64[,]")
def add_all(rows: Any, count: int, text: Any, spec: Any, held: Any) -> None:
    """Let every row count at its leaf."""
    for row in range(count):
        leaf = rows[row, _META] >> 16
        if leaf >= 0:
            add_extremes(rows, row, leaf, text, spec, held)


@kernel("const i64[,], const i64[,], (const i64[,], const u8[]), (const i64[], const i32[]), u8[], i64[,]")
def extremes_of_nodes(spec: Any, held: Any, keys: Any, nodes: Any, wanted: Any, found: Any) -> None:
    """Of every wanted node the extremes of the leaves below it: FIELDS numbers each, as a leaf has them.

    `keys` is (rows, text); `nodes` are the nodes of each leaf: nodes[ends[leaf] : ends[leaf + 1]].
    """
    rows, text = keys
    ends, nodes_of = nodes
    for leaf in range(held.shape[0]):
        for n in range(ends[leaf], ends[leaf + 1]):
            node = nodes_of[n]
            if wanted[node] == 0:
                continue
            for e in range(spec.shape[0]):
                at = e * FIELDS
                if held[leaf, at + STATE] != KNOWN:
                    continue
                if _is_beyond(rows, text, spec[e, KIND], held, leaf, found, node, at):
                    for part in range(FIELDS):
                        found[node, at + part] = held[leaf, at + part]


@inlined
def _is_beyond(rows: Any, text: Any, kind: int, held: Any, leaf: int, found: Any, node: int, at: int) -> bool:
    """Whether a leaf's extreme is beyond the one found for a node so far."""
    if found[node, at + STATE] == NOBODY:
        return True
    compared, bound = held[leaf, at + BOUND], found[node, at + BOUND]
    if compared != bound:
        return (compared < bound) == (kind == LEAST or kind == FIRST)
    if kind < FIRST:
        return False
    order = _order_of_keys(rows, held[leaf, at + HOLDER], found[node, at + HOLDER], text)
    return order < 0 if kind == FIRST else order > 0
