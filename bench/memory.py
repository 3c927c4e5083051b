"""How much memory this process has, now and at most."""

import gc
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Resident:
    """Resident bytes."""

    now: int
    peak: int
    """Since the last `forget_peak`; since the process began where the system does not offer that."""


def resident() -> Resident:
    """Measure; where there is no /proc, the greatest size is given for both."""
    if not _STATUS.is_file():
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return Resident(peak, peak)
    lines = (line.split() for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines())
    sizes = {words[0]: int(words[1]) * 1024 for words in lines if words[0] in {"VmRSS:", "VmHWM:"}}
    return Resident(sizes["VmRSS:"], sizes["VmHWM:"])


def forget_peak() -> None:
    """Let the peak be counted from here, where the system can."""
    collect_garbage()
    with suppress(OSError):
        _CLEAR.write_text("5", encoding="ascii")


def back(size: int) -> None:
    """Touch so much memory and give it back, so that for the next seconds the machine surely has it.

    A virtual machine may hand its free memory to its host, which takes longer to give it back than folding does.
    """
    np.ones(size, np.uint8)


def collect_garbage() -> None:
    """Free what is not used any more."""
    gc.collect()
    pa.default_memory_pool().release_unused()
