"""Digests of conflicts, and which of them are the same, by kernels over the columns of their texts."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oncefold.arrow import spans_of, strings_of
from oncefold.kernels.byte_spans import copy_bytes, equal_bytes
from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import load64

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]
UInt8s = npt.NDArray[np.uint8]
StoredVersions = list[str] | Int64s
"""Versions as the list has them: numbers, or wide ones as texts."""

_BLOCK = 128
_NUMBER_BYTES = 20
_MINUS, _ZERO, _TEN, _64 = 45, 48, np.uint64(10), np.uint64(64)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_START = np.array(
    [0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
     0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179], np.uint64
)  # fmt: skip
_PARAMETERS = np.uint64(0x01010008)
"""No key, no tree, 8 bytes of digest."""
_ORDER = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4), (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13), (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11), (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5), (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)  # fmt: skip
"""Which words of a block each round takes; the last two rounds are the first two again."""
_LANES = 4
"""Conflicts side by side: as many as a register of common processors has words."""
_STATE, _SIZE, _LAST, _ENDS, _WORDS = 16, 24, 25, 26, 27
"""Where a lane's words are; those of the block come first."""


class ConflictTexts(NamedTuple):
    """The texts of n conflicts: bytes, and n + 1 offsets into them. Versions are numbers or, without these, texts."""

    key: UInt8s
    key_ends: Int64s
    number: Int64s
    version: UInt8s
    version_ends: Int64s
    kept: UInt8s
    kept_ends: Int64s
    dropped: UInt8s
    dropped_ends: Int64s


def conflict_texts(key: pa.Array, versions: StoredVersions, kept: pa.Array, dropped: pa.Array) -> ConflictTexts:
    """Conflicts by the column; the texts are large_string."""
    number, texts = (np.zeros(0, np.int64), versions) if isinstance(versions, list) else (versions, [])
    keys, version, *contents = map(spans_of, (key, strings_of(texts), kept, dropped))
    return ConflictTexts(*keys, number, *version, *contents[0], *contents[1])


def digests_of(texts: ConflictTexts) -> Int64s:
    """64 bits of BLAKE2b of key, version, kept and dropped content of each, with zeros between.

    Conflicts share it by chance alone; no stored fact follows from it but where to look.
    """
    ends = texts.key_ends, texts.version_ends, texts.kept_ends, texts.dropped_ends
    room = sum(int(np.diff(each).max(initial=0)) for each in ends) + _NUMBER_BYTES + len(ends) + _BLOCK
    out = np.empty(len(texts.key_ends) - 1, np.int64)
    digest_conflicts(texts, room, np.empty(_LANES * room, np.uint8), np.zeros(_WORDS * _LANES, np.uint64), out)
    return out


def first_of_each(texts: ConflictTexts, digests: Int64s, order: Int64s) -> Bools:
    """Which of these conflicts have no equal before them; `order` sorts them by digest."""
    first = np.empty(len(order), np.uint8)
    find_first(texts, digests, order, first)
    return first.view(np.bool_)


@inlined
def _turned(word: Any, bits: int) -> Any:
    return (word >> np.uint64(bits)) | (word << (_64 - np.uint64(bits)))


@inlined
def _mixed(a: Any, b: Any, c: Any, d: Any, x: Any, y: Any) -> Any:
    a = a + b + x
    d = _turned(d ^ a, 32)
    c = c + d
    b = _turned(b ^ c, 24)
    a = a + b + y
    d = _turned(d ^ a, 16)
    c = c + d
    b = _turned(b ^ c, 63)
    return a, b, c, d


@inlined
def _of(words: Any, number: int, lane: int) -> Any:
    return words[number * _LANES + lane]


@inlined
def _round(v: Any, words: Any, i: int, order: Any) -> Any:
    v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15 = v
    v0, v4, v8, v12 = _mixed(v0, v4, v8, v12, _of(words, order[0], i), _of(words, order[1], i))
    v1, v5, v9, v13 = _mixed(v1, v5, v9, v13, _of(words, order[2], i), _of(words, order[3], i))
    v2, v6, v10, v14 = _mixed(v2, v6, v10, v14, _of(words, order[4], i), _of(words, order[5], i))
    v3, v7, v11, v15 = _mixed(v3, v7, v11, v15, _of(words, order[6], i), _of(words, order[7], i))
    v0, v5, v10, v15 = _mixed(v0, v5, v10, v15, _of(words, order[8], i), _of(words, order[9], i))
    v1, v6, v11, v12 = _mixed(v1, v6, v11, v12, _of(words, order[10], i), _of(words, order[11], i))
    v2, v7, v8, v13 = _mixed(v2, v7, v8, v13, _of(words, order[12], i), _of(words, order[13], i))
    v3, v4, v9, v14 = _mixed(v3, v4, v9, v14, _of(words, order[14], i), _of(words, order[15], i))
    return v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15


@inlined
def _compress(work: Any) -> None:
    """One block of BLAKE2b in each lane; the loop becomes operations on all lanes at once."""
    for i in range(_LANES):
        v = (
            _of(work, 16, i), _of(work, 17, i), _of(work, 18, i), _of(work, 19, i),
            _of(work, 20, i), _of(work, 21, i), _of(work, 22, i), _of(work, 23, i),
            _START[0], _START[1], _START[2], _START[3],
            _START[4] ^ _of(work, _SIZE, i), _START[5], _START[6] ^ _of(work, _LAST, i), _START[7],
        )  # fmt: skip
        v = _round(v, work, i, _ORDER[0])
        v = _round(v, work, i, _ORDER[1])
        v = _round(v, work, i, _ORDER[2])
        v = _round(v, work, i, _ORDER[3])
        v = _round(v, work, i, _ORDER[4])
        v = _round(v, work, i, _ORDER[5])
        v = _round(v, work, i, _ORDER[6])
        v = _round(v, work, i, _ORDER[7])
        v = _round(v, work, i, _ORDER[8])
        v = _round(v, work, i, _ORDER[9])
        v = _round(v, work, i, _ORDER[0])
        v = _round(v, work, i, _ORDER[1])
        for k in range(8):
            work[(_STATE + k) * _LANES + i] ^= v[k] ^ v[k + 8]


@kernel(ConflictTexts, "i64, u8[], u64[], i64[]")
def digest_conflicts(texts: Any, room: int, messages: Any, work: Any, out: Any) -> None:
    """The digest of each.

    `messages` has `room` for each lane, the longest message and a block; `work` of each lane a block, the state, where
    the block ends, whether it is the last, and the size of the message.
    """
    for first in range(0, len(out), _LANES):
        lanes = min(_LANES, len(out) - first)
        longest = 0
        for lane in range(lanes):
            size = _put_message(texts, first + lane, messages, lane * room) - lane * room
            for at in range(lane * room + size, lane * room + size + _BLOCK):
                messages[at] = 0
            longest = max(longest, size)
            work[_ENDS * _LANES + lane] = np.uint64(size)
            for k in range(8):
                work[(_STATE + k) * _LANES + lane] = _START[k]
            work[_STATE * _LANES + lane] ^= _PARAMETERS
        for at in range(0, longest, _BLOCK):
            for lane in range(lanes):
                end = np.int64(work[_ENDS * _LANES + lane])
                if at < end:
                    for k in range(16):
                        work[k * _LANES + lane] = load64(messages, lane * room + at + 8 * k)
                is_last = at + _BLOCK >= end
                work[_SIZE * _LANES + lane] = np.uint64(end if is_last else at + _BLOCK)
                work[_LAST * _LANES + lane] = _ALL if is_last else np.uint64(0)
            _compress(work)
            for lane in range(lanes):
                if at < np.int64(work[_ENDS * _LANES + lane]):
                    out[first + lane] = np.int64(work[_STATE * _LANES + lane])


@inlined
def _put_message(texts: Any, i: int, message: Any, at: int) -> int:
    at = _put(texts.key, texts.key_ends, i, message, at)
    message[at] = 0
    if len(texts.number) > 0:
        at = _put_number(texts.number[i], message, at + 1)
    else:
        at = _put(texts.version, texts.version_ends, i, message, at + 1)
    message[at] = 0
    at = _put(texts.kept, texts.kept_ends, i, message, at + 1)
    message[at] = 0
    return _put(texts.dropped, texts.dropped_ends, i, message, at + 1)


@inlined
def _put(data: Any, ends: Any, i: int, message: Any, at: int) -> int:
    size: int = ends[i + 1] - ends[i]
    copy_bytes(data, ends[i], message, at, size)
    return at + size


@inlined
def _put_number(number: int, message: Any, at: int) -> int:
    """A number in decimal digits."""
    rest = np.uint64(number)
    if number < 0:
        message[at] = _MINUS
        at += 1
        rest = np.uint64(0) - rest
    digits, above = 1, rest // _TEN
    while above != 0:
        digits += 1
        above //= _TEN
    for k in range(digits):
        message[at + digits - 1 - k] = np.uint8(_ZERO + np.int64(rest % _TEN))
        rest //= _TEN
    return at + digits


@kernel(ConflictTexts, "const i64[], const i64[], u8[]")
def find_first(texts: Any, digests: Any, order: Any, first: Any) -> None:
    """1 for each conflict without an equal before it, else 0."""
    begin = 0
    for at in range(len(order)):
        i = order[at]
        if digests[i] != digests[order[begin]]:
            begin = at
        first[i] = 1
        for other in range(begin, at):
            j = order[other]
            if first[j] == 1 and _equal(texts, i, j):
                first[max(i, j)] = 0
                break


@kernel
def _equal(texts: Any, i: int, j: int) -> bool:
    if len(texts.number) > 0:
        if texts.number[i] != texts.number[j]:
            return False
    elif not _same(texts.version, texts.version_ends, i, j):
        return False
    return (
        _same(texts.key, texts.key_ends, i, j)
        and _same(texts.kept, texts.kept_ends, i, j)
        and _same(texts.dropped, texts.dropped_ends, i, j)
    )


@kernel
def _same(data: Any, ends: Any, i: int, j: int) -> bool:
    size = ends[i + 1] - ends[i]
    return size == ends[j + 1] - ends[j] and equal_bytes(data, ends[i], data, ends[j], size)
