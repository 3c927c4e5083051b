"""Arrays that grow in place: memory of their own, moved by remapping its pages and never copied or cleared."""

import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

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
