"""Paths for stores."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_SHM = Path("/dev/shm")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: many files are written there, and none needs to last."""
    made = Path(tempfile.mkdtemp(dir=_SHM if _SHM.is_dir() else None))
    yield made
    shutil.rmtree(made)
