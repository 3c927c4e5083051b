"""Machine code of kernels into this process; compiled first where there is none.

`elf` loads what it knows, and llvmlite all else, as on other systems than Linux on x86-64.
"""

import importlib.util
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from oncefold.kernels import elf, objects, targets
from oncefold.kernels.abi import function_at
from oncefold.kernels.declare import Kernel
from oncefold.kernels.errors import KernelError, UndeclaredWarning

_lock = threading.RLock()
_engines: list[Any] = []
"""They hold the machine code, and must live as long as the functions."""


def load(kernel: Kernel, notify: Callable[[str], None] | None = None) -> Callable[..., Any]:
    """The kernel's machine code as a function. What must be compiled for it is announced by `notify`, or on stderr.

    Raises:
        KernelError: There is no object code for this processor, and no compiler to make it.

    """
    if kernel.declared is None:
        return _undeclared(kernel)
    with _lock:
        code = objects.find(kernel)
        if code is None:
            _compile([kernel], notify)
            code = objects.find(kernel)
        if code is None:
            raise KernelError(f"{kernel.name} was compiled and its object code cannot be read: free some disk space")
        return function_at(_address(code, objects.symbol(kernel)), kernel.name, kernel.declared)


def _undeclared(kernel: Kernel) -> Callable[..., Any]:
    """A kernel in the making: compiled in this process for whatever it is called with, and not kept."""
    message = (
        f"{kernel.name} is called from Python and its decorator declares no signature: write what it takes and "
        'returns, as in @kernel("const u8[], i64", returns="i64"); src/oncefold/kernels/signature.py has the forms'
    )
    if importlib.util.find_spec("numba") is None:
        raise KernelError(message)
    warnings.warn(message, UndeclaredWarning, stacklevel=3)
    from oncefold.kernels._numba import compiled  # noqa: PLC0415 - it imports the compiler

    return compiled(kernel)


def compile_missing(notify: Callable[[str], None]) -> None:
    """Compile the kernels of all modules that were imported so far, where they have no code for this processor.

    Raises:
        KernelError: There are such, and no compiler.

    """
    without = [kernel for kernel in _imported() if next(objects.files(kernel), None) is None]
    if without:
        _compile(without, notify)


def _compile(kernels: Sequence[Kernel], notify: Callable[[str], None] | None) -> None:
    from oncefold.kernels import compiler  # noqa: PLC0415 - it imports much that a process with code does not need

    compiler.compile_for_this_machine(kernels, notify or compiler.say)


def _imported() -> list[Kernel]:
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("oncefold.")]
    found = {value for module in modules for value in vars(module).values() if isinstance(value, Kernel)}
    return sorted((kernel for kernel in found if kernel.declared is not None), key=lambda kernel: kernel.name)


def _address(code: bytes, symbol: str) -> int:
    address = elf.address_of(code, symbol) or _address_by_llvm(code, symbol)
    if not address:
        raise KernelError(
            f"the object code has no function {symbol}: compile it anew by python -m oncefold.kernels.build"
        )
    return address


def _address_by_llvm(code: bytes, symbol: str) -> int:
    llvm = targets.initialized()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), targets.this_machine().machine(jit=True))
    _engines.append(engine)
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address: int = engine.get_function_address(symbol)
    return address
