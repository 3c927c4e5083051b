"""The start of a process that folds: its allocator, its garbage collector, and code for every kernel."""

from collections.abc import Callable

from oncefold.engine.tuning import tune_malloc
from oncefold.garbage import tune_gc
from oncefold.kernels.loading import compile_missing


def warm_up(notify: Callable[[str], None]) -> None:
    """Tune this process, and compile the kernels that have no code for this processor; `notify` says which.

    Raises:
        KernelError: Kernels have no code for this processor, and there is no compiler.

    """
    tune_malloc()
    tune_gc()
    compile_missing(notify)
