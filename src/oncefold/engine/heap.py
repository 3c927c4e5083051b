"""The memory of a process that folds: what a batch frees is kept for the next, and cycles are looked for less often."""

import ctypes
import gc
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

_OBJECTS_BETWEEN_LOOKS: Final = 200_000
"""New objects until the next look for cycles; Python's default is 700 to 2,000."""


def look_less_for_cycles() -> None:
    """Let this process make many objects between two looks for cycles among them.

    A commit with many new nodes makes a million small objects, none in a cycle; looking at them again and again
    takes as long as making them.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)


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
