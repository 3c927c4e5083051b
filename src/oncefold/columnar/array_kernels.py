"""The labels that the elements of an array give, found in the text of a JSON record whose form was checked.

Texts without escapes, whole numbers and objects with such a value under one name are read here; everything else is
left to the scalar decoder, and so is what it refuses.
"""

from typing import Any

from oncefold.columnar.field_kinds import EMPTY, MISSING, OTHER
from oncefold.columnar.json_tokens import (
    CLOSE,
    CLOSE_LIST,
    COMMA,
    OPEN,
    OPEN_LIST,
    blank,
    number_end,
    skip_string,
    string_end,
)
from oncefold.columnar.parse_kernels import is_digit
from oncefold.columnar.primitives import MINUS, QUOTE, ZERO
from oncefold.core.limits import EVENT_LEAVES
from oncefold.kernels.byte_spans import equal_bytes
from oncefold.kernels.declare import inlined, kernel

_UTF8 = True
"""The record was read before, so that its texts are valid."""

END_BYTES = 2
"""Behind each label of a packed text: `leafset.END`."""


MOST_LABEL_BYTES = 200
"""Of an element's label; longer ones are left to the scalar decoder."""


@kernel
def find_elements(data: Any, kinds: Any, starts: Any, plan: Any, spans: Any) -> bool:
    """Find the labels of every array, sorted and each once; False if a record needs the scalar decoder.

    An array that is empty or missing has no elements.
    """
    levels = plan.levels.shape[0]
    for a in range(plan.arrays[0]):
        count = 0
        for v in range(levels):
            if plan.levels[v, 12] == a:
                f = plan.levels[v, 0]
                if kinds[f] == MISSING or kinds[f] == EMPTY:
                    count = 0
                elif kinds[f] == OTHER and starts[f] > 0 and data[starts[f]] == OPEN_LIST:
                    count = _elements(data, starts[f], plan, v, spans)
                else:
                    return False
                if count < 0 or (count == 0 and plan.levels[v, 8] == 0):
                    return False
        count = _in_order(data, plan.levels, a, count, spans)
        spans[3 * levels, a] = count
    for r in range(1, len(plan.arrays)):
        leaves = 1
        for a in range(plan.arrays[0]):
            if plan.arrays[r] >> a & 1:
                leaves = min(leaves * max(spans[3 * levels, a], 1), EVENT_LEAVES + 1)
        if leaves > EVENT_LEAVES:
            return False
    return True


@inlined
def _elements(data: Any, i: int, plan: Any, v: int, spans: Any) -> int:
    """The labels of an array that begins at i; how many, or -1 for one that is not plain."""
    count = 0
    i = blank(data, i + 1)
    if data[i] == CLOSE_LIST:
        return count
    has_name = plan.inside_ends[v + 1] > plan.inside_ends[v]
    while True:
        if count == EVENT_LEAVES:
            return -1
        if not has_name:
            i = _label(data, i, v, count, spans)
        elif data[i] == OPEN:
            i = _member(data, i, plan, v, count, spans)
        else:
            return -1
        if i < 0:
            return -1
        count += 1
        i = blank(data, i)
        if data[i] != COMMA:
            return count
        i = blank(data, i + 1)


@kernel
def _label(data: Any, i: int, v: int, count: int, spans: Any) -> int:
    """Note a text or a whole number as a label; where it ends, or -1."""
    if data[i] == QUOTE:
        end = string_end(data, i + 1, _UTF8)
        if data[end] != QUOTE:
            return -1
        spans[2 * v, count] = i + 1
        spans[2 * v + 1, count] = end - i - 1
        return end + 1
    if data[i] != MINUS and not is_digit(data[i]):
        return -1
    end = number_end(data, i)
    for k in range(i + (data[i] == MINUS), end):
        if not is_digit(data[k]):
            return -1
    if data[i] == MINUS and data[i + 1] == ZERO:
        return -1
    spans[2 * v, count] = i
    spans[2 * v + 1, count] = end - i
    return end


@kernel
def _member(data: Any, i: int, plan: Any, v: int, count: int, spans: Any) -> int:
    """Note the label in an object; where the object ends, or -1."""
    begin, size = plan.inside_ends[v], plan.inside_ends[v + 1] - plan.inside_ends[v]
    found = False
    i = blank(data, i + 1)
    while data[i] != CLOSE:
        start = i + 1
        end = string_end(data, start, _UTF8)
        if data[end] != QUOTE:
            return -1
        i = blank(data, blank(data, end + 1) + 1)
        if end - start == size and equal_bytes(plan.inside, begin, data, start, size):
            if found:
                return -1
            found = True
            i = _label(data, i, v, count, spans)
        else:
            i = _skip(data, i)
        if i < 0:
            return -1
        i = blank(data, i)
        if data[i] == COMMA:
            i = blank(data, i + 1)
    return i + 1 if found else -1


@kernel
def _skip(data: Any, i: int) -> int:
    """Where a value ends."""
    depth = 0
    while True:
        if data[i] == QUOTE:
            i = skip_string(data, i + 1, _UTF8)
            if i < 0:
                return i
        elif data[i] == OPEN or data[i] == OPEN_LIST:
            depth += 1
            i += 1
        elif data[i] == CLOSE or data[i] == CLOSE_LIST:
            depth -= 1
            i += 1
        elif depth > 0:
            i += 1
        else:
            while data[i] != COMMA and data[i] != CLOSE and data[i] != CLOSE_LIST and blank(data, i) == i:
                i += 1
        if depth == 0:
            return i


@inlined
def _in_order(data: Any, levels: Any, a: int, count: int, spans: Any) -> int:
    """Sort the elements of an array by their labels, level by level; how many different ones there are."""
    row = 2 * levels.shape[0] + a
    kept = 0
    for element in range(count):
        at = kept
        order = 1
        while at > 0:
            order = _compare(data, levels, a, element, spans[row, at - 1], spans)
            if order >= 0:
                break
            at -= 1
        if order == 0:
            continue
        for k in range(kept, at, -1):
            spans[row, k] = spans[row, k - 1]
        spans[row, at] = element
        kept += 1
    return kept


@kernel
def _compare(data: Any, levels: Any, a: int, one: int, other: int, spans: Any) -> int:
    """The order of two elements: label by label as UTF-8 bytes."""
    for v in range(levels.shape[0]):
        if levels[v, 12] == a:
            i, j = spans[2 * v, one], spans[2 * v, other]
            length_i, length_j = spans[2 * v + 1, one], spans[2 * v + 1, other]
            for k in range(min(length_i, length_j)):
                if data[i + k] != data[j + k]:
                    return 1 if data[i + k] > data[j + k] else -1
            if length_i != length_j:
                return 1 if length_i > length_j else -1
    return 0


@inlined
def write_set(data: Any, v: int, plan: Any, spans: Any, encoded: Any, at: int, most: int) -> int:
    """Write the packed labels of a level with their length before them; the bytes of both, or -1 beyond `most`."""
    levels = plan.levels.shape[0]
    array = plan.levels[v, 12]
    size = 0
    for n in range(spans[3 * levels, array]):
        element = spans[2 * levels + array, n]
        start, length = spans[2 * v, element], spans[2 * v + 1, element]
        if length > MOST_LABEL_BYTES or at + 2 + size + length + END_BYTES > most:
            return -1
        for k in range(length):
            encoded[at + 2 + size + k] = data[start + k]
        size += length + END_BYTES
        encoded[at + size] = 0
        encoded[at + 1 + size] = 1
    encoded[at] = size & 255
    encoded[at + 1] = size >> 8
    return 2 + size
