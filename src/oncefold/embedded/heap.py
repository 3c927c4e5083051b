"""The memory allocator of a process that folds: what one batch frees is kept for the next."""

import ctypes
import sys
from contextlib import suppress
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Parameters of mallopt(3), from malloc.h."""

_KEPT_BYTES: Final = 2**28
"""Free memory at the end of a heap that is not given back to the system."""

_MAPPED_BYTES: Final = 2**25
"""From this size on, memory is mapped by itself, and given back when it is freed."""


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees; without effect where the C library is not glibc.

    By default glibc gives columns of a batch back to the system and asks for them again with the next batch; handing
    out their pages anew takes more time than decoding does.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _MAPPED_BYTES)
