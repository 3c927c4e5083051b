"""Puts the compiled kernels into a wheel, which then is one for this system alone.

An editable installation compiles them in the checkout instead: at their first use, or by `make setup`.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED = "src/oncefold/kernels/compiled"


class CompiledKernels(BuildHookInterface):  # type: ignore[misc]
    """Compiles every kernel for a processor that most machines have."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add the object code to the wheel."""
        if version == "editable":
            return
        root = Path(self.root)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), *filter(None, sys.path)])}
        command = [sys.executable, "-m", "oncefold.kernels.build", "--distribution", "--into", str(root / COMPILED)]
        done = subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        target = done.stdout.splitlines()[0]
        build_data["artifacts"].append(f"/{COMPILED}/{target}/*.o")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_platforms()}"


def _platforms() -> str:
    """Where the object code runs, as the tag of a wheel says it (PEP 425, 600 and 656).

    Of a C library it needs `memset` alone, so on Linux it runs with every one that Python runs with.
    """
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    machine = platform.removeprefix("linux_")
    return platform if machine == platform else f"manylinux_2_17_{machine}.musllinux_1_1_{machine}"
