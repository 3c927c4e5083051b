"""Operations on machine words that kernels call and the compiler writes: `_numba.py` has their code."""

from typing import Any

from oncefold.kernels.declare import intrinsic


@intrinsic
def load64(array: Any, index: Any) -> Any:
    """The 8 bytes of a uint8 array at `index` as one little-endian uint64; the caller keeps it in bounds."""


@intrinsic
def store64(array: Any, index: Any, word: Any) -> Any:
    """Write a uint64 as the 8 bytes of a uint8 array at `index`, little-endian; the caller keeps it in bounds."""


@intrinsic
def prefetch(array: Any, index: Any) -> Any:
    """Ask the cache for the line that holds `array[index]` (of the first axis); never faults, returns nothing."""


@intrinsic
def multiply_fold(a: Any, b: Any) -> Any:
    """The two halves of the 128-bit product of two uint64, joined by exclusive or."""


@intrinsic
def trailing_zeros(word: Any) -> Any:
    """The number of zero bits below the lowest one of a uint64 that is not 0."""
