"""The hash index: open addressing over one array of 64-bit slots.

A slot is 0 when free, else hash << 32 | row + 1. Its home is given by the top bits of the hash, so that growing
the index moves entries in order, and 32 bits of hash are compared before any key's text is touched.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from oncefold.columnar.native import inlined, kernel

Slots = npt.NDArray[np.uint64]

_LOAD_NUMERATOR, _LOAD_DENOMINATOR = 7, 10
_LEAST_BITS = 10
_32 = np.uint64(32)
_ROW_MASK = np.uint64(0xFFFFFFFF)


def slots_for(rows: int, least: int = 0) -> Slots | None:
    """Empty slots for so many rows; None if `least` slots already are enough."""
    bits = _LEAST_BITS
    while (1 << bits) * _LOAD_NUMERATOR < rows * _LOAD_DENOMINATOR:
        bits += 1
    return np.zeros(1 << bits, np.uint64) if 1 << bits > least else None


def grown(slots: Slots, rows: int) -> Slots:
    """The same entries with room for so many rows; the same array if it has it."""
    larger = slots_for(rows, len(slots))
    if larger is None:
        return slots
    _move(slots, larger)
    return larger


@inlined
def shift_of(slots: Any) -> np.uint64:
    """How far a 32-bit hash is shifted to give its home slot."""
    bits = 0
    while (1 << bits) < len(slots):
        bits += 1
    return np.uint64(32 - bits)


@inlined
def entry(hash32: np.uint32, row: int) -> np.uint64:
    """The slot that says: this hash, this row."""
    return (np.uint64(hash32) << _32) | np.uint64(row + 1)


@inlined
def row_of(slot: np.uint64) -> int:
    """The row of a slot that is not free."""
    return np.int64(slot & _ROW_MASK) - 1


@inlined
def home_of(hash32: np.uint32, shift: np.uint64) -> int:
    """Where the probe for a hash begins."""
    return np.int64(np.uint64(hash32) >> shift)


@kernel
def _move(old: Any, new: Any) -> None:
    shift = shift_of(new)
    mask = len(new) - 1
    for i in range(len(old)):
        slot = old[i]
        if slot != 0:
            at = np.int64((slot >> _32) >> shift)
            while new[at] != 0:
                at = (at + 1) & mask
            new[at] = slot
