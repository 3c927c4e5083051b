"""The compiler as processes of their own, so that one that runs kernels never imports it."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
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
    compile_objects(kernels, targets.preferred(), objects.writable_folder(), notify)


def compile_objects(kernels: Sequence[Kernel], target: Target, folder: Path, notify: Callable[[str], None]) -> None:
    """Make object code of kernels for a target; one line for each that is done. Raises KernelError.

    As many processes as there are processors compile, the kernels with the most source first.
    """
    if not kernels:
        return
    folder.mkdir(parents=True, exist_ok=True)
    # The code of a package that is imported from a path given by hand is compiled from there.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment |= {"NUMBA_CPU_NAME": target.cpu, "NUMBA_CPU_FEATURES": target.features}
    command = [sys.executable, "-m", "oncefold.kernels.build", "--target", target.name, "--into", str(folder)]
    with FileLock(folder / ".lock"):
        waiting = [k for k in kernels if objects.read(folder / target.name / objects.file_name(k)) is None]
        waiting.sort(key=objects.source_size, reverse=True)
        names = [f"{kernel.__module__}:{kernel.__name__}" for kernel in waiting]
        work = _Work([*command, *names], environment, deque(range(len(names))), notify, len(names))
        processes = min(len(names), os.cpu_count() or 1)
        with ThreadPoolExecutor(max(1, processes)) as pool:
            for done in [pool.submit(work.process) for _ in range(processes)]:
                done.result()


@dataclass(frozen=True)
class _Work:
    """What several processes compile together: each takes the next that nobody has taken."""

    command: list[str]
    environment: dict[str, str]
    waiting: deque[int]
    notify: Callable[[str], None]
    total: int
    done: list[str] = field(default_factory=list)
    notifying: threading.Lock = field(default_factory=threading.Lock)

    def process(self) -> None:
        """Have one process compile until nothing waits. Raises KernelError."""
        with (
            tempfile.TemporaryFile("w+") as wrong,
            subprocess.Popen(  # noqa: S603 - this interpreter and names of this package
                self.command,
                env=self.environment,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=wrong,
            ) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            while (index := self._next()) is not None:
                with suppress(BrokenPipeError):
                    process.stdin.write(f"{index}\n")
                    process.stdin.flush()
                if not (line := process.stdout.readline()):
                    break
                with self.notifying:
                    self.done.append(line)
                    self.notify(f"{len(self.done)}/{self.total} {line.rstrip()}")
            with suppress(BrokenPipeError):
                process.stdin.close()
            if process.wait():
                self.waiting.clear()
                wrong.seek(0)
                message = wrong.read().strip().removeprefix("oncefold: ")
                raise KernelError(f"the kernels could not be compiled: {message or process.returncode}")

    def _next(self) -> int | None:
        with suppress(IndexError):
            return self.waiting.popleft()
        return None
