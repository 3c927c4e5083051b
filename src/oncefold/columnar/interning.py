"""Leaves to small integers: a table of byte strings, each held once, numbered in order of first appearance."""

from typing import Any

import numpy as np

from oncefold.columnar.batch import Int32s, Int64s, Places, UInt8s, read_only
from oncefold.columnar.index import entry, grown, home_of, row_of, shift_of, slots_for
from oncefold.columnar.native import copy_bytes, equal_bytes, hash_bytes, inlined, kernel


class InternTable:
    """A growing table of distinct byte strings."""

    def __init__(self) -> None:
        slots = slots_for(1)
        assert slots is not None
        self.slots = slots
        self.data: UInt8s = np.empty(1 << 12, np.uint8)
        self.offsets: Int64s = np.zeros(1 << 8, np.int64)
        self.count = 0

    def intern(self, places: Places) -> Int32s:
        """The number of each entry, new ones appended."""
        self.reserve(len(places), int(places.offsets[-1] - places.offsets[0]))
        codes = np.empty(len(places), np.int32)
        table = (self.slots, self.data, self.offsets)
        self.count = _intern_all(read_only(places.data), read_only(places.offsets), table, self.count, codes)
        return codes

    def text(self, number: int) -> bytes:
        """The bytes of one entry."""
        return self.data[self.offsets[number] : self.offsets[number + 1]].tobytes()

    def reserve(self, entries: int, size: int) -> None:
        """Room for so many more entries, of so many bytes in all."""
        self.slots = grown(self.slots, self.count + entries)
        self.offsets = with_room(self.offsets, self.count + entries + 1)
        self.data = with_room(self.data, int(self.offsets[self.count]) + size)


def with_room(array: Any, length: int) -> Any:
    """The array, or one longer in its first axis with the same beginning.

    It is at least a quarter longer, so that growth is rare.
    """
    if length <= len(array):
        return array
    longer = max(length, len(array) + len(array) // 4)
    larger = np.zeros((longer, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


@inlined
def intern_bytes(source: Any, start: int, length: int, table: Any, count: int, shift: Any) -> int:
    """The number of source[start : start + length] in the table; equal to `count` if it was appended just now.

    `table` is (slots, data, offsets), `shift` that of its slots.
    """
    slots, data, offsets = table
    hash32 = hash_bytes(source, start, length)
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


@kernel
def _intern_all(source: Any, starts: Any, table: Any, count: int, codes: Any) -> int:
    shift = shift_of(table[0])
    for i in range(len(codes)):
        number = intern_bytes(source, starts[i], starts[i + 1] - starts[i], table, count, shift)
        if number == count:
            count += 1
        codes[i] = number
    return count
