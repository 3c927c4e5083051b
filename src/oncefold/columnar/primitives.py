"""The loops over bytes and slots that all kernels share.

A hash index is one array of 64-bit slots with open addressing. A slot is 0 when free, else hash << 32 | row + 1. Its
home is given by the top bits of the hash, so that growing the index moves entries in order, and 32 bits of hash are
compared before any key's text is touched.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import load64, store64

NEWLINE, QUOTE, BACKSLASH, MINUS, PLUS, POINT, ZERO, ONE, NINE = 10, 34, 92, 45, 43, 46, 48, 49, 57


_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)
_FINISH = np.uint64(0xD6E8FEB86659FD93)
_LENGTH = np.uint64(0xA0761D6478BD642F)
_32 = np.uint64(32)
_29 = np.uint64(29)
_8 = np.uint64(8)


@kernel("const u8[], i64, i64", returns="u32")
def hash_bytes(data: Any, start: int, length: int) -> np.uint32:
    """A 32-bit hash of data[start : start + length]: multiply and fold eight bytes at a time."""
    h = np.uint64(length) * _LENGTH
    i = start
    end = start + length
    while i + 8 <= end:
        h = (h ^ load64(data, i)) * _MULTIPLY
        h ^= h >> _32
        i += 8
    if i < end:
        if length >= 8:
            w = load64(data, end - 8)
        else:
            w = np.uint64(0)
            while i < end:
                w = (w << _8) | np.uint64(data[i])
                i += 1
        h = (h ^ w) * _MULTIPLY
        h ^= h >> _29
    h *= _FINISH
    return np.uint32(h >> _32)


@kernel
def equal_bytes(a: Any, a_start: int, b: Any, b_start: int, length: int) -> bool:
    """Whether two spans of uint8 arrays hold the same bytes."""
    i = 0
    while i + 8 <= length:
        if load64(a, a_start + i) != load64(b, b_start + i):
            return False
        i += 8
    if length >= 8:
        return load64(a, a_start + length - 8) == load64(b, b_start + length - 8)
    while i < length:
        if a[a_start + i] != b[b_start + i]:
            return False
        i += 1
    return True


@inlined
def copy_bytes(source: Any, start: int, target: Any, at: int, length: int) -> None:
    """Copy source[start : start + length] to target[at:]; the two do not overlap."""
    i = 0
    while i + 8 <= length:
        store64(target, at + i, load64(source, start + i))
        i += 8
    if length >= 8:
        store64(target, at + length - 8, load64(source, start + length - 8))
        return
    while i < length:
        target[at + i] = source[start + i]
        i += 1


@kernel("const u8[], i64", returns="i64")
def count_byte(data: Any, byte: int) -> int:
    """How many times a uint8 array holds a byte."""
    count = 0
    for i in range(len(data)):
        count += data[i] == byte
    return count


@kernel("const u8[]", returns="i64")
def count_newlines(data: Any) -> int:
    """How many newlines a uint8 array holds."""
    count = 0
    for i in range(len(data)):
        count += data[i] == NEWLINE
    return count


Slots = npt.NDArray[np.uint64]
_LOAD_NUMERATOR, _LOAD_DENOMINATOR = 7, 10
_LEAST_BITS = 10
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


@kernel("const u64[], u64[]")
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
