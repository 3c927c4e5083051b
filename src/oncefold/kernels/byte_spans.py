"""Spans of bytes, compared and copied eight at a time; kernels of every room call these."""

from typing import Any

from oncefold.kernels.declare import inlined, kernel
from oncefold.kernels.intrinsics import load64, store64


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
