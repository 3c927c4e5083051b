"""Leaves: their encoded form, one column of labels per level, and a table that numbers the distinct ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from oncefold.arrow import binary_of, binary_scalar, spans_of, texts_at
from oncefold.columnar.arrays import Int32s, Int64s, UInt8s, read_only, with_room
from oncefold.columnar.primitives import (
    FIXED_SEED,
    Seed,
    Slots,
    entry,
    grown,
    hash_bytes,
    home_of,
    row_of,
    shift_of,
    slots_for,
)
from oncefold.core.limits import EVENT_LEAVES
from oncefold.deferred import Deferred
from oncefold.kernels.byte_spans import copy_bytes, equal_bytes
from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import prefetch

pc: Any = Deferred("pyarrow.compute")

ENCODED_BYTES = 1 << 14
"""Room for an encoded leaf."""

FEW_LEAVES = 10_000
"""So many leaves are encoded one by one, without the import of Arrow's compute functions."""

Scratch = tuple[UInt8s, npt.NDArray[np.int64]]


def leaf_scratch(levels: int) -> Scratch:
    """An encoded leaf of so many levels, and where the elements of arrays are.

    Of these per level the starts and the lengths, per array the order, and last how many each array has.
    """
    return np.zeros(ENCODED_BYTES, np.uint8), np.zeros((3 * levels + 1, max(EVENT_LEAVES, levels)), np.int64)


@dataclass(frozen=True, slots=True)
class Leaves:
    """Distinct leaves of one batch: entry i is data[offsets[i] : offsets[i + 1]].

    A leaf is written as its labels in the order of the pipeline's levels, each as its length in two bytes,
    little-endian, and its UTF-8 bytes.
    """

    data: UInt8s
    offsets: Int64s

    def __len__(self) -> int:
        return len(self.offsets) - 1


def encode_leaf(labels: tuple[str, ...]) -> bytes:
    """A leaf as `Leaves` holds it."""
    return encode_labels([label.encode() for label in labels])


def encode_labels(labels: Sequence[bytes]) -> bytes:
    """The same of labels in UTF-8."""
    return b"".join(len(label).to_bytes(2, "little") + label for label in labels)


def leaves_of(leaves: list[bytes]) -> Leaves:
    """Encoded leaves as a column."""
    offsets = np.cumsum([0, *map(len, leaves)]).astype(np.int64)
    return Leaves(np.frombuffer(b"".join(leaves) + b"\0", np.uint8), offsets)


def decode_leaf(data: bytes) -> tuple[str, ...]:
    """The labels of an encoded leaf."""
    labels: list[str] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "little")
        labels.append(data[at + 2 : end].decode())
        at = end
    return tuple(labels)


def encode_columns(levels: Sequence[pa.Array], leaves: int) -> pa.Array:
    """The encoded leaves (large_binary) of columns of labels (large_binary), one per level; none gives empty leaves."""
    if not levels:
        return binary_of([b""] * leaves)
    if leaves <= FEW_LEAVES:
        texts = (texts_at(labels, np.arange(leaves)) for labels in levels)
        return binary_of([encode_labels(labels) for labels in zip(*texts, strict=True)])
    parts = [part for labels in levels for part in (_length_prefix(labels), labels)]
    return pc.binary_join_element_wise(*parts, binary_scalar(b""))


def _length_prefix(labels: pa.Array) -> pa.Array:
    lengths = np.diff(spans_of(labels)[1]).astype("<u2")
    offsets = np.arange(0, 2 * len(labels) + 1, 2, dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(lengths.tobytes())]
    return pa.Array.from_buffers(pa.large_binary(), len(labels), buffers)


LENGTH_BITS = 12
"""Of the length of a text, behind where it begins, in the one number that says where it is."""

_LENGTH_MASK = (1 << LENGTH_BITS) - 1
_SPANS_AHEAD = 16


def encode_all(labels: Sequence[tuple[str, ...]]) -> Leaves:
    """The encoded leaves of label tuples."""
    if len(labels) <= FEW_LEAVES:
        return leaves_of([encode_leaf(leaf) for leaf in labels])
    columns = [binary_of([label.encode() for label in column]) for column in zip(*labels, strict=True)]
    return Leaves(*spans_of(encode_columns(columns, len(labels))))


def decode_all(leaves: Leaves, first: int, levels: int) -> list[tuple[str, ...]]:
    """The label tuples of the entries from `first` on."""
    count = len(leaves) - first
    if levels == 0:
        return [()] * count
    size = int(leaves.offsets[-1] - leaves.offsets[first])
    columns = []
    for level in range(levels):
        offsets, data = np.zeros(count + 1, np.int64), np.zeros(size + 1, np.uint8)
        split_leaves(leaves.data, leaves.offsets, first, level, offsets, data)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        columns.append(pa.Array.from_buffers(pa.large_string(), count, buffers).to_pylist())
    return list(zip(*columns, strict=True))


class InternTable:
    """A growing table of distinct byte strings."""

    def __init__(self, seed: Seed = FIXED_SEED) -> None:
        self.seed = seed
        slots = slots_for(1)
        assert slots is not None
        self.slots = slots
        self.data: UInt8s = np.empty(1 << 12, np.uint8)
        self.offsets: Int64s = np.zeros(1 << 8, np.int64)
        self.count = 0

    def intern(self, leaves: Leaves) -> Int32s:
        """The number of each entry, new ones appended."""
        self.reserve(len(leaves), int(leaves.offsets[-1] - leaves.offsets[0]))
        codes = np.empty(len(leaves), np.int32)
        self.count = _intern_all(read_only(leaves.data), read_only(leaves.offsets), self.table, self.count, codes)
        return codes

    @property
    def table(self) -> tuple[Slots, UInt8s, Int64s, Seed]:
        """The table as kernels take it, until it grows."""
        return self.slots, self.data, self.offsets, self.seed

    def text(self, number: int) -> bytes:
        """The bytes of one entry."""
        return self.data[self.offsets[number] : self.offsets[number + 1]].tobytes()

    def reserve(self, entries: int, size: int) -> None:
        """Room for so many more entries, of so many bytes in all."""
        self.slots = grown(self.slots, self.count + entries)
        self.offsets = with_room(self.offsets, self.count + entries + 1)
        self.data = with_room(self.data, int(self.offsets[self.count]) + size)


@inlined
def intern_bytes(source: Any, start: int, length: int, table: Any, count: int, shift: Any) -> int:
    """The number of source[start : start + length] in the table; equal to `count` if it was appended just now.

    `table` is (slots, data, offsets, seed), `shift` that of its slots.
    """
    slots, data, offsets, seed = table
    hash32 = hash_bytes(source, start, length, seed)
    mask = len(slots) - 1
    at = home_of(hash32, shift)
    while slots[at] != 0:
        slot = slots[at]
        if np.uint32(slot >> np.uint64(32)) == hash32:
            row = row_of(slot)
            begin = offsets[row]
            if offsets[row + 1] - begin == length and equal_bytes(data, begin, source, start, length):
                return row
        at = (at + 1) & mask
    slots[at] = entry(hash32, count)
    begin = offsets[count]
    copy_bytes(source, start, data, begin, length)
    offsets[count + 1] = begin + length
    return count


@kernel("const u8[], const i64[], (u64[], u8[], i64[], const u64[]), i64, i32[]", returns="i64")
def _intern_all(source: Any, starts: Any, table: Any, count: int, codes: Any) -> int:
    shift = shift_of(table[0])
    for i in range(len(codes)):
        number = intern_bytes(source, starts[i], starts[i + 1] - starts[i], table, count, shift)
        if number == count:
            count += 1
        codes[i] = number
    return count


@kernel("const u8[], const i64[], i64, i64, i64[], u8[]")
def split_leaves(data: Any, offsets: Any, first: int, level: int, out_offsets: Any, out: Any) -> None:
    """The label at one level of the leaves from `first` on, one after the other in `out`."""
    used = np.int64(0)
    for i in range(len(out_offsets) - 1):
        at = offsets[first + i]
        size = np.int64(data[at]) | np.int64(data[at + 1]) << 8
        for _ in range(level):
            at += 2 + size
            size = np.int64(data[at]) | np.int64(data[at + 1]) << 8
        copy_bytes(data, at + 2, out, used, size)
        used += size
        out_offsets[i + 1] = used


@kernel("const u8[], i64[], (u64[], u8[], i64[], const u64[]), i64", returns="i64")
def intern_spans(data: Any, spans: Any, table: Any, count: int) -> int:
    """Put the number of each text in the place of where it is in `data` (`batch.SPAN_BITS`); negative ones stay.

    Gives how many texts there are after it.
    """
    slots, seed = table[0], table[3]
    shift = shift_of(slots)
    for i in range(len(spans)):
        if i + _SPANS_AHEAD < len(spans) and spans[i + _SPANS_AHEAD] >= 0:
            ahead = spans[i + _SPANS_AHEAD]
            hash32 = hash_bytes(data, ahead >> LENGTH_BITS, ahead & _LENGTH_MASK, seed)
            prefetch(slots, home_of(hash32, shift))
        if spans[i] >= 0:
            number = intern_bytes(data, spans[i] >> LENGTH_BITS, spans[i] & _LENGTH_MASK, table, count, shift)
            count += 1 if number == count else 0
            spans[i] = number
    return count
