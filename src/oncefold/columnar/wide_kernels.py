"""Versions of 128 bits out of bytes, as two words that compare one after the other; the common forms only.

Each gives (understood, high, low) with the low word as `core.versions.split_words` has it. What is not understood is
left to the scalar decoder.
"""

from typing import Any

import numpy as np

from oncefold.columnar.parse_kernels import is_digit, parse_scaled
from oncefold.columnar.plan import OF_DECIMAL, OF_LSN, OF_TEXT, OF_ULID, OF_UUID
from oncefold.columnar.primitives import MINUS, PLUS, POINT, ZERO
from oncefold.kernels.declare import inlined, kernel

_SIGN = np.uint64(1 << 63)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_32, _64 = np.uint64(32), np.uint64(64)
_0, _1, _4, _5, _8, _10 = np.uint64(0), np.uint64(1), np.uint64(4), np.uint64(5), np.uint64(8), np.uint64(10)
_MOST_DIGITS = 38
_ULID_CHARS, _UUID_CHARS, _TEXT_BYTES = 26, 36, 16
_SLASH, _SEVEN = 47, 55
_MOST_LSN = np.int64(2**63 - 1)
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CROCKFORD = np.full(256, -1, np.int64)
for _value, _letter in enumerate(_LETTERS):
    _CROCKFORD[ord(_letter)] = _CROCKFORD[ord(_letter.lower())] = _value


@inlined
def words(high: np.uint64, low: np.uint64) -> Any:
    """The words of an unsigned integer of 128 bits, less 2**127."""
    return np.int64(high ^ _SIGN), np.int64(low ^ _SIGN)


@inlined
def shifted(high: np.uint64, low: np.uint64, bits: int) -> Any:
    """The integer x 2**bits, for 0 < bits <= 128."""
    if bits > 64:
        return (low << np.uint64(bits - 64) if bits < 128 else _0), _0
    if bits == 64:
        return low, _0
    return (high << np.uint64(bits)) | (low >> np.uint64(64 - bits)), low << np.uint64(bits)


@inlined
def _times_ten(high: np.uint64, low: np.uint64, digit: np.uint64) -> Any:
    """The integer x 10 + digit."""
    bottom = (low & _LOW_HALF) * _10 + digit
    top = (low >> _32) * _10 + (bottom >> _32)
    return high * _10 + (top >> _32), (top << _32) | (bottom & _LOW_HALF)


@kernel
def parse_wide_decimal(data: Any, start: int, end: int, scale: int) -> Any:
    """A decimal of up to 38 digits at its scale, without an exponent."""
    i = start
    negative = i < end and data[i] == MINUS
    if negative or (i < end and data[i] == PLUS):
        i += 1
    high, low = _0, _0
    digits, missing, found, point = 0, scale, 0, False
    while i < end:
        if data[i] == POINT and not point and found > 0:
            point = True
        elif not is_digit(data[i]):
            return False, np.int64(0), np.int64(0)
        elif point and missing == 0:
            if data[i] != ZERO:
                return False, np.int64(0), np.int64(0)
        else:
            if digits > 0 or data[i] != ZERO:
                digits += 1
            if digits > _MOST_DIGITS:
                return False, np.int64(0), np.int64(0)
            high, low = _times_ten(high, low, np.uint64(data[i] - ZERO))
            missing -= 1 if point else 0
            found += 1
        i += 1
    if found == 0 or (digits > 0 and digits + missing > _MOST_DIGITS):
        return False, np.int64(0), np.int64(0)
    for _ in range(missing):
        high, low = _times_ten(high, low, _0)
    if negative:
        low = ~low + _1
        high = ~high + (_1 if low == _0 else _0)
    return True, np.int64(high), np.int64(low ^ _SIGN)


@inlined
def _hex_value(byte: int) -> int:
    if is_digit(byte):
        return np.int64(byte) - ZERO
    if 97 <= byte | 32 <= 102:
        return (np.int64(byte) | 32) - 87
    return np.int64(-1)


@kernel
def parse_lsn(data: Any, start: int, end: int) -> Any:
    """PostgreSQL's `0/16B3748` as (understood, both halves together)."""
    halves = np.int64(0)
    half, digits, slashes = np.int64(0), 0, 0
    for i in range(start, end):
        if data[i] == _SLASH and slashes == 0 and digits > 0:
            halves, half, digits, slashes = half, np.int64(0), 0, 1
            continue
        value = _hex_value(data[i])
        digits += 1
        if value < 0 or digits > 8:
            return False, np.int64(0)
        half = half << 4 | value
    if slashes == 0 or digits == 0 or halves > _MOST_LSN >> 32:
        return False, np.int64(0)
    found = halves << 32 | half
    return found < _MOST_LSN, found


@kernel
def _parse_ulid(data: Any, start: int, end: int) -> Any:
    high, low = _0, _0
    if end - start != _ULID_CHARS or not ZERO <= data[start] <= _SEVEN:
        return False, np.int64(0), np.int64(0)
    for i in range(start, end):
        value = _CROCKFORD[data[i]]
        if value < 0:
            return False, np.int64(0), np.int64(0)
        high = (high << _5) | (low >> np.uint64(59))
        low = (low << _5) | np.uint64(value)
    first, second = words(high, low)
    return True, first, second


@kernel
def _parse_uuid(data: Any, start: int, end: int) -> Any:
    """A UUID of version 7."""
    high, low = _0, _0
    if end - start != _UUID_CHARS or data[start + 14] != _SEVEN:
        return False, np.int64(0), np.int64(0)
    for k in range(_UUID_CHARS):
        byte = data[start + k]
        if k in (8, 13, 18, 23):
            if byte != MINUS:
                return False, np.int64(0), np.int64(0)
            continue
        value = _hex_value(byte)
        if value < 0:
            return False, np.int64(0), np.int64(0)
        high = (high << _4) | (low >> np.uint64(60))
        low = (low << _4) | np.uint64(value)
    first, second = words(high, low)
    return True, first, second


@kernel
def _parse_text(data: Any, start: int, end: int) -> Any:
    high, low = _0, _0
    if end - start > _TEXT_BYTES:
        return False, np.int64(0), np.int64(0)
    for k in range(_TEXT_BYTES):
        byte = _0
        if start + k < end:
            byte = np.uint64(data[start + k])
            if byte == _0:
                return False, np.int64(0), np.int64(0)
        high = (high << _8) | (low >> np.uint64(56))
        low = (low << _8) | byte
    first, second = words(high, low)
    return True, first, second


@kernel
def parse_wide(data: Any, start: int, end: int, kind: int, scale: int) -> Any:
    """One version of a wide type."""
    if kind == OF_DECIMAL:
        return parse_wide_decimal(data, start, end, scale)
    if kind == OF_ULID:
        return _parse_ulid(data, start, end)
    if kind == OF_UUID:
        return _parse_uuid(data, start, end)
    if kind == OF_TEXT:
        return _parse_text(data, start, end)
    return False, np.int64(0), np.int64(0)


@inlined
def part_of_list(data: Any, start: int, end: int, kind: int, scale: int) -> Any:
    """A part of a list that is no time, as (understood, its value)."""
    if kind == OF_LSN:
        return parse_lsn(data, start, end)
    return parse_scaled(data, start, end, scale, 0)
