"""Random numbers as a pure function of (seed, purpose, position): no generator state, the same on every machine.

All of it is the SplitMix64 finaliser over counters. Because only integer arithmetic is used, the numbers
depend on neither the version of numpy nor the size of the pieces they are drawn in.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

_MASK64 = (1 << 64) - 1
_LOW32 = np.uint64((1 << 32) - 1)
_MASK62 = np.uint64((1 << 62) - 1)
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_VERSION_STEP = 0xD1342543DE82EF95

CENTS_LIMIT = 10_000_000
"""The greatest value of an event, in cents: 100000.00."""


class Purpose(IntEnum):
    """What a random number is for; each purpose has a sequence of its own."""

    ORDER = 1
    PAIR = 2
    KEY = 3
    MOVE = 4
    LEAF = 5
    SOURCE = 6
    VALUE = 7
    UUID_HIGH = 8
    UUID_LOW = 9


def _base(seed: int, purpose: Purpose) -> np.uint64:
    """Return where the sequence of `purpose` starts under `seed`."""
    x = (seed + purpose * _GOLDEN) & _MASK64
    x = ((x ^ (x >> 30)) * _FIRST) & _MASK64
    x = ((x ^ (x >> 27)) * _SECOND) & _MASK64
    return np.uint64(x ^ (x >> 31))


def _mix(x: Words) -> Words:
    """Scramble each 64-bit word of `x` in place (a bijection) and return it."""
    x ^= x >> np.uint64(30)
    x *= np.uint64(_FIRST)
    x ^= x >> np.uint64(27)
    x *= np.uint64(_SECOND)
    x ^= x >> np.uint64(31)
    return x


def words(seed: int, purpose: Purpose, first: int, n: int) -> Words:
    """Return the random words number `first` to `first + n - 1` of `purpose`."""
    counters = np.arange(first, first + n, dtype=np.uint64)
    counters *= np.uint64(_GOLDEN)
    counters += _base(seed, purpose)
    return _mix(counters)


def ordering(sort_by: Words | Ints) -> Ints:
    """Return the indices that sort numbers by their 32 high bits, equal ones in the order they are in.

    The index is the low half of what is sorted, so that nothing ties and numpy's fastest sort is stable.
    """
    mixed = sort_by.astype(np.uint64) & ~_LOW32
    mixed |= np.arange(len(mixed), dtype=np.uint64)
    mixed.sort()
    mixed &= _LOW32
    return mixed.view(np.int64)


def below(random: Words, limit: int | Ints) -> Ints:
    """Map each word to a whole number from 0 to `limit` - 1; limits stay under 2**32."""
    bound = np.asarray(limit, dtype=np.uint64)
    scaled: Words = (random >> np.uint64(32)) * bound
    scaled >>= np.uint64(32)
    return scaled.astype(np.int64)


def chance(random: Words, share: float) -> NDArray[np.bool_]:
    """Map each word to True with probability `share`."""
    happens: NDArray[np.bool_] = (random >> np.uint64(11)) < np.uint64(round(share * 2**53))
    return happens


def cents(seed: int, key: Ints, version: Ints) -> Ints:
    """Return the value, in cents, that (key, version) has: one value for each pair, for ever."""
    x = key.astype(np.uint64) * np.uint64(_GOLDEN)
    x += version.astype(np.uint64) * np.uint64(_VERSION_STEP)
    x += _base(seed, Purpose.VALUE)
    return below(_mix(x), CENTS_LIMIT + 1)


def uuids(seed: int, key: Ints) -> NDArray[np.uint16]:
    """Return the UUIDs (version 4 in form) of the keys, as rows of eight 16-bit groups; all are distinct.

    The low 62 bits are a bijection of the key's ordinal, so that two keys can never share a UUID.
    """
    ordinal = key.astype(np.uint64)
    high = _mix(ordinal * np.uint64(_GOLDEN) + _base(seed, Purpose.UUID_HIGH))
    high = (high & np.uint64(~0xF000 & _MASK64)) | np.uint64(0x4000)
    low = _mix62(ordinal + _base(seed, Purpose.UUID_LOW)) | np.uint64(1 << 63)
    both = np.stack((high, low), axis=1).astype(">u8")
    return both.view(">u2").astype(np.uint16)


def _mix62(x: Words) -> Words:
    """Scramble the low 62 bits of each word: a bijection of 62-bit numbers."""
    x &= _MASK62
    x ^= x >> np.uint64(31)
    x *= np.uint64(_FIRST)
    x &= _MASK62
    x ^= x >> np.uint64(29)
    x *= np.uint64(_SECOND)
    x &= _MASK62
    x ^= x >> np.uint64(32)
    return x
