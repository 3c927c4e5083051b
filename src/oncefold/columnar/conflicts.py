"""Conflicts by the column: both contents of each as text, written by kernels."""

from typing import Any

import numpy as np
import pyarrow as pa

from oncefold.columnar.arrays import Int32s, Int64s, UInt8s, read_only
from oncefold.columnar.primitives import BACKSLASH, QUOTE, ZERO, write_decimal
from oncefold.commit import ConflictColumns, Versions
from oncefold.core.measures import NO_VALUE
from oncefold.kernels.byte_spans import copy_bytes
from oncefold.kernels.declare import inlined, kernel

_LABELS, _BETWEEN, _MEASURES, _END, _NONE = (
    np.frombuffer(text, np.uint8) for text in (b'{"labels": [', b", ", b'], "measures": [', b"]}", b"null")
)
_TEXTS = np.frombuffer(b'], "texts": [', np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_SHORT = np.frombuffer(b"00000000btn0fr000000000000000000", np.uint8)
"""The letter of each control character that has an escape of its own, else 0."""

_ESCAPED_BYTES = 6
"""The longest escape of a byte of a label: \\u001f."""
_LABEL_BYTES = 4
"""What a label takes beyond its bytes: quotes and separator, less the two bytes of its length."""
_AMOUNT_BYTES = 24
"""The longest amount of 64 bits with its sign, point, quotes and separator."""
_FRAME_BYTES = 40


def conflict_columns(
    keys: tuple[UInt8s, Int64s, Int64s],
    version: Versions,
    kept: tuple[Int32s, Int64s],
    dropped: tuple[Int32s, Int64s],
    leaves: tuple[UInt8s, Int64s],
    texts: tuple[UInt8s, Int64s],
    scales: Int64s,
) -> ConflictColumns:
    """Conflicts of n events.

    Args:
        keys: The text of keys, and where each of the n begins in it and how long it is.
        version: Of both contents.
        kept: The leaf, or NO_LEAF for a delete, and the columns of the key (n, columns) of the content that counts.
        dropped: The same of the other.
        leaves: Encoded leaves and their offsets.
        texts: The texts of the columns beyond the numbers, which are their codes, and their offsets.
        scales: Of the numbers.

    """
    data, starts, lengths = keys
    return ConflictColumns(
        gathered(data, starts, lengths).view(pa.large_string()),
        version,
        _contents(*kept, leaves, texts, scales),
        _contents(*dropped, leaves, texts, scales),
    )


def gathered(data: UInt8s, starts: Int64s, lengths: Int64s) -> pa.Array:
    """Spans of `data` as large_binary in memory of their own."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    out = np.empty(int(offsets[-1]) + 8, np.uint8)
    gather_spans(read_only(data), read_only(starts), read_only(offsets), out)
    return texts_of(offsets, out)


def texts_of(offsets: Int64s, out: UInt8s) -> pa.Array:
    """The texts that a kernel wrote, as large_binary."""
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]])]
    return pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)


def _contents(
    leaf: Int32s, measures: Int64s, leaves: tuple[UInt8s, Int64s], texts: tuple[UInt8s, Int64s], scales: Int64s
) -> pa.Array:
    data, offsets = leaves
    sizes = offsets[np.maximum(leaf, 0) + 1] - offsets[np.maximum(leaf, 0)]
    fixed = _FRAME_BYTES + len(scales) * _AMOUNT_BYTES
    # A label takes two bytes of its leaf at least, its length.
    room = int(sizes.sum()) * max(_ESCAPED_BYTES, _LABEL_BYTES) + fixed * len(leaf)
    for codes in measures[:, len(scales) :].T:
        known = codes[(leaf >= 0) & (codes >= 0)]
        room += int((texts[1][known + 1] - texts[1][known]).sum()) * _ESCAPED_BYTES + _AMOUNT_BYTES * len(leaf)
    out, ends = np.empty(room + 8, np.uint8), np.zeros(len(leaf) + 1, np.int64)
    write_contents(
        read_only(leaf),
        read_only(np.ascontiguousarray(measures)),
        read_only(scales),
        (read_only(data), read_only(offsets)),
        (read_only(texts[0]), read_only(texts[1])),
        out,
        ends,
    )
    return texts_of(ends, out[: ends[-1]].copy()).view(pa.large_string())


@kernel("const u8[], const i64[], const i64[], u8[]")
def gather_spans(data: Any, starts: Any, offsets: Any, out: Any) -> None:
    """Copy the spans of data that begin at `starts` to out[offsets[i] : offsets[i + 1]]."""
    for i in range(len(starts)):
        copy_bytes(data, starts[i], out, offsets[i], offsets[i + 1] - offsets[i])


@kernel("const i32[], const i64[,], const i64[], (const u8[], const i64[]), (const u8[], const i64[]), u8[], i64[]")
def write_contents(leaf: Any, measures: Any, scales: Any, leaves: Any, texts: Any, out: Any, ends: Any) -> None:
    """JSON of each content as `json.dumps` writes it, beyond ASCII as it is; null for a delete."""
    data, offsets = leaves
    text_data, text_offsets = texts
    at = np.int64(0)
    for i in range(len(leaf)):
        if leaf[i] < 0:
            at = _write(_NONE, out, at)
        else:
            at = _write(_LABELS, out, at)
            begin, end = offsets[leaf[i]], offsets[leaf[i] + 1]
            while begin < end:
                size = np.int64(data[begin]) | np.int64(data[begin + 1]) << 8
                at = _write_text(data, begin + 2, begin + 2 + size, out, at)
                begin += 2 + size
                if begin < end:
                    at = _write(_BETWEEN, out, at)
            at = _write(_MEASURES, out, at)
            for m in range(len(scales)):
                if m > 0:
                    at = _write(_BETWEEN, out, at)
                if measures[i, m] == NO_VALUE:
                    at = _write(_NONE, out, at)
                else:
                    at = _write_amount(measures[i, m], scales[m], out, at)
            for m in range(len(scales), measures.shape[1]):
                at = _write(_TEXTS if m == len(scales) else _BETWEEN, out, at)
                code = measures[i, m]
                if code < 0:
                    at = _write(_NONE, out, at)
                else:
                    at = _write_text(text_data, text_offsets[code], text_offsets[code + 1], out, at)
            at = _write(_END, out, at)
        ends[i + 1] = at


@inlined
def _write(text: Any, out: Any, at: int) -> int:
    for i in range(len(text)):
        out[at + i] = text[i]
    return at + len(text)


@kernel
def _write_text(data: Any, i: int, end: int, out: Any, at: int) -> int:
    """A text as a JSON string."""
    out[at] = QUOTE
    at += 1
    while i < end:
        byte = data[i]
        i += 1
        if byte >= 32 and byte not in (QUOTE, BACKSLASH):
            out[at] = byte
            at += 1
            continue
        out[at] = BACKSLASH
        if byte >= 32:
            out[at + 1] = byte
            at += 2
        elif _SHORT[byte] != ZERO:
            out[at + 1] = _SHORT[byte]
            at += 2
        else:
            out[at + 1] = 117
            out[at + 2] = ZERO
            out[at + 3] = ZERO
            out[at + 4] = _HEX[byte >> 4]
            out[at + 5] = _HEX[byte & 15]
            at += 6
    out[at] = QUOTE
    return at + 1


@kernel
def _write_amount(mantissa: int, scale: int, out: Any, at: int) -> int:
    """A decimal in quotes."""
    out[at] = QUOTE
    end = write_decimal(mantissa, scale, out, at + 1)
    out[end] = QUOTE
    return end + 1
