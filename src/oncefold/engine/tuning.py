"""What a process that folds sets once: its allocator, the seed of its hashes."""

import ctypes
import secrets
import sys
from contextlib import suppress
from functools import cache
from typing import Final

from oncefold.columnar.primitives import SEED_BYTES, Seed, seed_of

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Parameters of mallopt(3), from malloc.h."""

_KEPT_BYTES: Final = 2**28
"""Free memory at the end of a heap that is not given back to the system."""

_MAPPED_BYTES: Final = 2**25
"""From this size on, memory is mapped by itself, and given back when it is freed."""


def tune_malloc() -> None:
    """Let this process keep the memory that it frees; without effect where the C library is not glibc.

    By default glibc returns the columns of a batch to the system and requests them again with the next batch; mapping
    their pages again takes more time than decoding does. The call is mallopt(3), which the C library documents.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _MAPPED_BYTES)


@cache
def process_seed() -> Seed:
    """The seed of this process's hashes: random, and never stored or shown."""
    return seed_of(secrets.token_bytes(SEED_BYTES))
