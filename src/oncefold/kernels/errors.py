"""What goes wrong with kernels."""

from oncefold.core.errors import OncefoldError


class KernelError(OncefoldError):
    """There is no machine code for a kernel on this machine, and none can be made."""


class UndeclaredWarning(RuntimeWarning):
    """A kernel without a signature is called from Python; it has to be compiled in every process that does."""
