"""The array types of columns, and arrays that grow."""

import mmap
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt

_Array = TypeVar("_Array", bound=npt.NDArray[Any])
UInt8s = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Int32s = npt.NDArray[np.int32]
UInt32s = npt.NDArray[np.uint32]
Int64s = npt.NDArray[np.int64]
Int64Rows = Annotated[npt.NDArray[np.int64], 2]
"""Two axes: the number says so to the compiler of kernels."""


def read_only(array: _Array) -> _Array:
    """A view that cannot be written; numba compiles once for such arrays, whatever they were made of."""
    view: _Array = array.view()
    view.flags.writeable = False
    return view


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


_LEAST_BYTES = 1 << 16
_HUGE_PAGE = 1 << 21
_HUGE_BYTES = 2 * _HUGE_PAGE
"""From this size on, pages of 2 MB are asked for: with tens of millions of keys nearly every access to a small page
would miss the processor's table of pages, and handing out small pages is a third of all work in a young process.
Whole multiples of them are mapped, so that the system can move them whole."""


def _mapped(size: int) -> mmap.mmap:
    """Memory of this process alone; a mapping that could be shared cannot grow."""
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


class GrowingArray:
    """Rows of one dtype and width; `rows` is valid until the next `reserve`, and new rows are zero."""

    def __init__(self, dtype: npt.DTypeLike, *width: int) -> None:
        self._dtype, self._width = np.dtype(dtype), width
        self._row_bytes = self._dtype.itemsize * int(np.prod(width, dtype=np.int64))
        self._memory = _mapped(_LEAST_BYTES)
        self.rows: Any = self._view()

    def reserve(self, rows: int) -> None:
        """Room for so many rows at least; twice as many as before, since rows that are not used take no memory.

        Rows that somebody else still holds on to stay as they are: then the new ones are a copy.
        """
        if rows <= len(self.rows):
            return
        size = max(rows * self._row_bytes, 2 * len(self._memory))
        size += -size % (_HUGE_PAGE if size >= _HUGE_BYTES else mmap.PAGESIZE)
        self.rows = None
        try:
            self._memory.resize(size)
        except (SystemError, BufferError):  # a system that cannot remap, or rows that are held on to
            larger = _mapped(size)
            larger[: len(self._memory)] = self._memory[:]
            self._memory = larger
        if size >= _HUGE_BYTES and hasattr(mmap, "MADV_HUGEPAGE"):
            self._memory.madvise(mmap.MADV_HUGEPAGE)
        self.rows = self._view()

    def _view(self) -> Any:
        count = len(self._memory) // self._row_bytes
        flat = np.frombuffer(self._memory, self._dtype, count * self._row_bytes // self._dtype.itemsize)
        return flat.reshape(count, *self._width)
