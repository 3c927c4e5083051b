"""Which threads give way. On few cores those that compute would else keep the event loop, and who asks, waiting."""

import os
import threading
from contextlib import suppress
from typing import Final

_NICENESS: Final = 10
"""On the scale of nice(1): about a tenth of a processor beside a thread that wants it and does not give way."""


def processors_to_compute() -> int:
    """How many threads may decode at a time: all processors but one, which is for folding, committing and answering."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, count - 1)


def give_way() -> None:
    """Let other threads go before this one and those it starts, where the system knows of such a thing for threads."""
    if hasattr(os, "setpriority"):
        with suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
