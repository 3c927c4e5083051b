"""The same seed gives the same bytes: twice here, and in another process with other hashes."""

import os
import subprocess
import sys

import pytest

from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import draw
from oncefold_lab.search.trial import run
from tests.tools.sizes import full_only, sized

SEEDS = range(sized(3, 8))
PRINT = """
import hashlib
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import draw
from oncefold_lab.search.trial import run
lines = [line for seed in range(8) for line in run(draw(seed), Oncefold).trace()]
print(hashlib.sha256("\\n".join(lines).encode()).hexdigest())
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_twice_the_same(seed: int) -> None:
    one, other = (run(draw(seed), Oncefold) for _ in range(2))
    assert one.trace() == other.trace()
    assert one == other


def test_seeds_differ() -> None:
    assert len({tuple(run(draw(seed), Oncefold).lines) for seed in SEEDS}) == len(SEEDS)


@full_only("3 s")
def test_the_same_in_another_process() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", PRINT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
