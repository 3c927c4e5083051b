"""The loops over bytes and slots that all kernels share.

A hash index is one array of 64-bit slots with open addressing. A slot is 0 when free, else hash << 32 | row + 1. Its
home is given by the top bits of the hash, so that growing the index moves entries in order, and 32 bits of hash are
compared before any key's text is touched. The hash is keyed: who does not know the seed cannot send keys that share a
home, whose probes would become as long as the index is full. A seed is never stored; nothing durable follows from it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from oncefold.columnar.arrays import read_only
from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import load64, multiply_fold

NEWLINE, QUOTE, BACKSLASH, MINUS, PLUS, POINT, ZERO, ONE, NINE = 10, 34, 92, 45, 43, 46, 48, 49, 57


Seed = npt.NDArray[np.uint64]
"""The secret words of the hash."""

SEED_BYTES = 32
_8, _32 = np.uint64(8), np.uint64(32)


def seed_of(secret: bytes) -> Seed:
    """SEED_BYTES of a secret as the seed of hashes; whoever knows them can make keys of one hash."""
    if len(secret) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(secret)}")
    return read_only(np.frombuffer(secret, np.uint64))


FIXED_SEED = seed_of(bytes(range(1, SEED_BYTES + 1)))
"""The seed where nobody chooses the input, as in tests."""


@kernel("const u8[], i64, i64, const u64[]", returns="u32")
def hash_bytes(data: Any, start: int, length: int, seed: Any) -> np.uint32:
    """A 32-bit hash of data[start : start + length] that cannot be foretold without the seed.

    As in wyhash, sixteen bytes at a time are mixed with secret words by a multiplication to 128 bits.
    """
    h = seed[0]
    i = start
    end = start + length
    while i + 16 < end:
        h = multiply_fold(load64(data, i) ^ seed[1], load64(data, i + 8) ^ h)
        i += 16
    u, v = np.uint64(0), np.uint64(0)
    if length >= 16:
        u, v = load64(data, end - 16), load64(data, end - 8)
    elif length >= 8:
        u, v = load64(data, start), load64(data, end - 8)
    else:
        while i < end:
            u = (u << _8) | np.uint64(data[i])
            i += 1
    h = multiply_fold(u ^ seed[2], v ^ h)
    h = multiply_fold(h ^ seed[3], np.uint64(length) ^ seed[1])
    return np.uint32(h >> _32)


@kernel
def compare_bytes(a: Any, a_start: int, a_length: int, b: Any, b_start: int, b_length: int) -> int:
    """1 if the first of two spans of uint8 arrays is the greater, -1 if it is the lesser, 0 if they are equal."""
    for i in range(min(a_length, b_length)):
        if a[a_start + i] != b[b_start + i]:
            return 1 if a[a_start + i] > b[b_start + i] else -1
    return 0 if a_length == b_length else 1 if a_length > b_length else -1


@kernel
def write_decimal(value: int, places: int, out: Any, at: int) -> int:
    """`core.decimals.format_decimal` into out[at:]; gives where it ends."""
    if value < 0:
        out[at] = MINUS
        at += 1
        value = -value
    rest = value
    digits = 1
    while rest >= 10:
        rest //= 10
        digits += 1
    digits = max(digits, places + 1)
    end = at + digits + (1 if places > 0 else 0)
    i = end
    for k in range(digits):
        if k == places and places > 0:
            i -= 1
            out[i] = POINT
        i -= 1
        out[i] = ZERO + value % 10
        value //= 10
    return end


@kernel("const u8[]", returns="(i64, i64, bool)")
def survey(data: Any) -> Any:
    """How many newlines and how many backslashes a uint8 array holds, and whether it is ASCII; in one pass."""
    newlines, backslashes, high = np.int64(0), np.int64(0), np.uint64(0)
    words = len(data) // 8
    first = 0
    while first < words:
        # Each byte of a word counts up to 255 of its own kind.
        stop = min(words, first + 255)
        ends = slashes = np.uint64(0)
        for k in range(first, stop):
            word = load64(data, 8 * k)
            high |= word
            ends += _zeros(word ^ _NEWLINES)
            slashes += _zeros(word ^ _BACKSLASHES)
        newlines += _sum_of_bytes(ends)
        backslashes += _sum_of_bytes(slashes)
        first = stop
    for k in range(8 * words, len(data)):
        high |= np.uint64(data[k])
        newlines += data[k] == NEWLINE
        backslashes += data[k] == BACKSLASH
    return newlines, backslashes, high & _HIGH == 0


_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_HIGH = np.uint64(0x8080808080808080)
_ONES = np.uint64(0x0101010101010101)
_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_PAIRS = np.uint64(0x0001000100010001)
_7, _8, _48 = np.uint64(7), np.uint64(8), np.uint64(48)


@inlined
def _zeros(word: Any) -> Any:
    """1 in each byte that is 0."""
    return ~(((word & _LOW) + _LOW) | word) >> _7 & _ONES


@inlined
def _sum_of_bytes(word: Any) -> int:
    """The sum of eight bytes."""
    return np.int64(((word & _EVEN_BYTES) + (word >> _8 & _EVEN_BYTES)) * _PAIRS >> _48)


@kernel("const u8[], i64", returns="i64")
def count_pairs(data: Any, byte: int) -> int:
    """How often a uint8 array holds a byte twice in a row."""
    count = 0
    for i in range(len(data) - 1):
        count += data[i] == byte and data[i + 1] == byte
    return count


@kernel("const u8[]", returns="i64")
def count_newlines(data: Any) -> int:
    """How many newlines a uint8 array holds."""
    count = 0
    for i in range(len(data)):
        count += data[i] == NEWLINE
    return count


@kernel("const u8[], const i64[], i64[]")
def trim_line_ends(data: Any, starts: Any, ends: Any) -> None:
    """Move the end of each span before the returns and newlines that it ends in."""
    for i in range(len(ends)):
        while ends[i] > starts[i] and (data[ends[i] - 1] == NEWLINE or data[ends[i] - 1] == 13):
            ends[i] -= 1


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
