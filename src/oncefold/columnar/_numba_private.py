"""Everything this project uses of numba that numba does not document, and the machine words built on it.

`pyproject.toml` bounds numba and llvmlite to the versions on which this was tested, and
tests/columnar/test_numba_private.py is the first to fail when one of them changes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba import __version__, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])


_FOLDER = Path(__file__).parent
_STAMP = tuple(sorted((file.name, file.stat().st_mtime_ns) for file in _FOLDER.glob("*.py")))


def compiled(function: Function, **options: Any) -> Function:
    """Compile without the GIL and without reference counts, cached on disk while no file of this package changes.

    numba itself compares the function's own file alone, but its machine code also holds what it inlined from others.

    Raises:
        ImportError: this version of numba has no such options.

    """
    try:
        dispatcher = njit(nogil=True, cache=True, error_model="numpy", _nrt=False, **options)(function)
        cache_file = dispatcher._cache._cache_file  # noqa: SLF001 - there is no public way
        _ = cache_file._source_stamp, cache_file._version  # noqa: SLF001 - the next start compares both
    except (AttributeError, KeyError, TypeError) as error:
        raise ImportError(
            f"numba {__version__} does not work with oncefold ({error}): install a version within the bounds of its "
            "package metadata"
        ) from error
    cache_file._source_stamp = _STAMP  # noqa: SLF001
    # The version is compared before the rest is unpickled, which may name classes that another version had.
    cache_file._version = f"{__version__} {_STAMP}"  # noqa: SLF001
    return cast("Function", dispatcher)


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
