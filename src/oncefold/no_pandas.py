"""Keeps pandas out of a process that takes no data frames.

pyarrow imports pandas, where it is installed, as soon as it makes its first array, to know a frame if it is given one.
That takes half a second, and the program has no use for it.
"""

import sys


class _NoPandas:
    """A finder that finds no pandas (import system, "The meta path")."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        """Say that there is no pandas; leave all else to the other finders."""
        if name == "pandas":
            raise ModuleNotFoundError("no command of oncefold takes data frames", name=name)


def without_pandas() -> None:
    """Let `import pandas` fail in this process from now on, as where it is not installed."""
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas())
