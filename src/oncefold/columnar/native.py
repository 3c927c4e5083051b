"""The few machine words that numba does not offer, and the one decorator that all kernels share.

Kernels release the GIL, so that decoding and folding run beside each other, and are cached on disk, so that they
compile once per machine.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_Function = TypeVar("_Function", bound=Callable[..., Any])

NEWLINE, QUOTE, BACKSLASH, MINUS, PLUS, POINT, ZERO, ONE, NINE = 10, 34, 92, 45, 43, 46, 48, 49, 57


_FOLDER = Path(__file__).parent
_STAMP = tuple(sorted((file.name, file.stat().st_mtime_ns) for file in _FOLDER.glob("*.py")))


def _compiled(function: _Function, **options: Any) -> _Function:
    """Compile for the cache, which is valid only while no file of this package changes.

    numba itself looks at the function's own file alone, but its machine code also holds what it inlined from others.
    """
    dispatcher = njit(nogil=True, cache=True, error_model="numpy", _nrt=False, **options)(function)
    dispatcher._cache._cache_file._source_stamp = _STAMP  # noqa: SLF001 - there is no public way
    return cast("_Function", dispatcher)


def kernel(function: _Function) -> _Function:
    """Compile with numba: without the GIL, cached on disk, and without reference counts.

    A kernel therefore allocates nothing: its arrays, scratch space too, are the caller's. Counting references to
    arrays that are passed along cost more than half of the scanner's time.
    """
    return _compiled(function)


def inlined(function: _Function) -> _Function:
    """A kernel that LLVM should merge into its callers."""
    return _compiled(function, forceinline=True)


def _address(context: Any, builder: Any, signature: Any, args: Any, type_: Any) -> Any:
    array_type = signature.args[0]
    array = context.make_array(array_type)(context, builder, args[0])
    pointer = cgutils.get_item_pointer(context, builder, array_type, array, [args[1]], wraparound=False)
    return builder.bitcast(pointer, ir.PointerType(type_))


@intrinsic
def load64(typing_context: Any, array: Any, index: Any) -> Any:  # noqa: ARG001
    """The 8 bytes of a uint8 array at `index` as one little-endian uint64; the caller keeps it in bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _address(context, builder, signature, args, ir.IntType(64))
        return builder.load(pointer, align=1)

    return types.uint64(array, types.intp), codegen


@intrinsic
def store64(typing_context: Any, array: Any, index: Any, word: Any) -> Any:  # noqa: ARG001
    """Write a uint64 as the 8 bytes of a uint8 array at `index`, little-endian; the caller keeps it in bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _address(context, builder, signature, args, ir.IntType(64))
        builder.store(args[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint64), codegen


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:  # noqa: ARG001
    """Ask the cache for the line that holds `array[index]` (of the first axis); never faults, returns nothing."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8)
        pointer = _address(context, builder, signature, args, byte)
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def trailing_zeros(typing_context: Any, word: Any) -> Any:  # noqa: ARG001
    """The number of zero bits below the lowest one of a uint64 that is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)
_FINISH = np.uint64(0xD6E8FEB86659FD93)
_LENGTH = np.uint64(0xA0761D6478BD642F)
_32 = np.uint64(32)
_29 = np.uint64(29)
_8 = np.uint64(8)


@kernel
def hash_bytes(data: Any, start: int, length: int) -> np.uint32:
    """A 32-bit hash of data[start : start + length]: multiply and fold eight bytes at a time."""
    h = np.uint64(length) * _LENGTH
    i = start
    end = start + length
    while i + 8 <= end:
        h = (h ^ load64(data, i)) * _MULTIPLY
        h ^= h >> _32
        i += 8
    if i < end:
        if length >= 8:
            w = load64(data, end - 8)
        else:
            w = np.uint64(0)
            while i < end:
                w = (w << _8) | np.uint64(data[i])
                i += 1
        h = (h ^ w) * _MULTIPLY
        h ^= h >> _29
    h *= _FINISH
    return np.uint32(h >> _32)


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


@kernel
def count_newlines(data: Any) -> int:
    """How many newlines a uint8 array holds."""
    count = 0
    for i in range(len(data)):
        count += data[i] == NEWLINE
    return count
