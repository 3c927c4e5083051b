"""Compile kernels to object code: `python -m oncefold.kernels.build`.

Without arguments: every kernel of the package that has no code of its present source for this machine. It is compiled
for a processor that most machines have, as a distribution is; `--target` adds another of `targets.baselines`.
"""

import argparse
import importlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from oncefold.kernels import compiler, objects, targets
from oncefold.kernels.declare import Kernel
from oncefold.kernels.errors import KernelError
from oncefold.kernels.targets import Target

_PACKAGE = Path(__file__).parents[1]


def kernel_modules() -> Iterator[str]:
    """The names of the modules of the package that declare kernels with a signature."""
    for path in sorted(_PACKAGE.rglob("*.py")):
        if "\n@kernel(" in path.read_text(encoding="utf-8"):
            yield ".".join(["oncefold", *path.relative_to(_PACKAGE).with_suffix("").parts])


def all_kernels() -> list[Kernel]:
    """Every kernel of the package that has a signature."""
    found: dict[str, Kernel] = {}
    for name in kernel_modules():
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, Kernel) and value.declared is not None:
                found[value.name] = value
    return sorted(found.values(), key=lambda kernel: kernel.name)


def _named(text: str) -> Kernel:
    module, _, name = text.partition(":")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, Kernel)
    return found


def _compile_here(kernels: Sequence[Kernel], target: Target, folder: Path) -> None:
    """Compile in this process, set up for the target by its environment: those whose index stdin says, in turn."""
    from oncefold.kernels._numba import CompileError, object_code  # noqa: PLC0415 - it imports the compiler

    # Before the first takes its time: files that change meanwhile are not what is compiled.
    names = [objects.file_name(kernel) for kernel in kernels]
    for line in sys.stdin:
        began, kernel = time.monotonic(), kernels[int(line)]
        try:
            code = object_code(kernel, target, objects.symbol(kernel))
        except CompileError as error:
            raise KernelError(str(error)) from error
        objects.write(folder / target.name / names[int(line)], kernel, code)
        seconds = time.monotonic() - began
        _print(f"{kernel.name}: {len(code) // 1024 + 1} KiB in {seconds:.1f} s")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the build; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m oncefold.kernels.build", description=__doc__.split("\n\n")[1])
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--distribution", action="store_true", help="for the best processor that most machines have instead"
    )
    which.add_argument("--target", help="for one processor, by its name here")
    parser.add_argument("--into", type=Path, help="the folder; the package's own if it can be written")
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="module:name; without, all of the package")
    options = parser.parse_args(arguments)
    kernels = [_named(text) for text in options.kernels] or all_kernels()
    folder = options.into or objects.writable_folder()
    try:
        if options.target and os.environ.get("NUMBA_CPU_NAME") == targets.named(options.target).cpu:
            _compile_here(kernels, targets.named(options.target), folder)
        elif options.target or options.distribution:
            target = targets.named(options.target) if options.target else targets.baselines()[0]
            _print(target.name)
            compiler.compile_objects(kernels, target, folder, _print)
        else:
            missing = [kernel for kernel in kernels if objects.find(kernel) is None]
            compiler.compile_objects(missing, targets.preferred(), folder, _print)
    except KernelError as error:
        print(f"oncefold: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
