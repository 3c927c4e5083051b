"""Whether a path can hold a store at all, told before SQLite would fail with fewer words."""

import os
from pathlib import Path

from oncefold.core.errors import StoreError


def check_writable(path: Path) -> None:
    """Raises StoreError for a directory, a missing folder, or a file without permission."""
    _check_exists_or_may(path)
    if path.exists() and not os.access(path, os.W_OK):
        raise StoreError(f"{path}: no permission to write this file; change it, or name another file")


def check_readable(path: Path) -> None:
    """Raises StoreError unless there is a file that may be read."""
    _check_exists_or_may(path)
    if not path.exists():
        raise StoreError(f"{path}: no such store; `oncefold run` makes one")
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path}: no permission to read this file")


def _check_exists_or_may(path: Path) -> None:
    if path.is_dir():
        raise StoreError(f"{path}: this is a directory; name a file in it, such as {path / 'totals.db'}")
    if not path.parent.is_dir():
        raise StoreError(f"{path}: there is no folder {path.parent}; make it first")
