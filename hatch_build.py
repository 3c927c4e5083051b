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
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
