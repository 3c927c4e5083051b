"""The compiler as a process of its own, so that one that runs kernels never imports it."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from oncefold.kernels import objects, targets
from oncefold.kernels.declare import Kernel
from oncefold.kernels.errors import KernelError
from oncefold.kernels.targets import Target

EXTRA = "oncefold[compile]"


def say(message: str) -> None:
    """Write a message of the compiler to stderr."""
    print(f"oncefold: {message}", file=sys.stderr, flush=True)  # noqa: T201 - a process that waits says why


def compile_for_this_machine(kernels: Sequence[Kernel], notify: Callable[[str], None]) -> None:
    """Make object code of kernels for this processor and keep it for the next start. Raises KernelError."""
    if importlib.util.find_spec("numba") is None:
        raise KernelError(
            f"this installation has no compiled kernels of its present source for {targets.system()} "
            f"({targets.this_machine().cpu}), and no compiler to make them: pip install '{EXTRA}', and start again"
        )
    notify(f"compiling {len(kernels)} kernels for this processor, once ...")
    compile_objects(kernels, targets.this_machine(), objects.writable_folder(), notify)


def compile_objects(kernels: Sequence[Kernel], target: Target, folder: Path, notify: Callable[[str], None]) -> None:
    """Make object code of kernels for a target; one line for each that is done. Raises KernelError."""
    if not kernels:
        return
    folder.mkdir(parents=True, exist_ok=True)
    # The code of a package that is imported from a path given by hand is compiled from there.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment |= {"NUMBA_CPU_NAME": target.cpu, "NUMBA_CPU_FEATURES": target.features}
    command = [sys.executable, "-m", "oncefold.kernels.build", "--target", target.name, "--into", str(folder)]
    with FileLock(folder / ".lock"), tempfile.TemporaryFile("w+") as wrong:
        waiting = [k for k in kernels if objects.read(folder / target.name / objects.file_name(k)) is None]
        if not waiting:
            return
        names = [f"{kernel.__module__}:{kernel.__name__}" for kernel in waiting]
        with subprocess.Popen(  # noqa: S603 - this interpreter and names of this package
            [*command, *names], env=environment, text=True, stdout=subprocess.PIPE, stderr=wrong
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                notify(line.rstrip())
        if process.returncode:
            wrong.seek(0)
            message = wrong.read().strip().removeprefix("oncefold: ")
            raise KernelError(f"the kernels could not be compiled: {message or process.returncode}")
