"""The programs that the local stack runs can be run as it does, in a version that it was tried with."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROGRAMS = ("ministack", "awslambdaric")
PROJECT = Path(__file__).parents[3] / "packages" / "oncefold-lab" / "pyproject.toml"


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_within_the_bounds_of_the_distribution(name: str) -> None:
    required = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    (bounds,) = [one for one in map(Requirement, required) if one.name == name]
    assert version(name) in bounds.specifier, (
        f"{name} {version(name)}: try the local stack with it, then move the bound"
    )
    assert any(bound.operator == "<" for bound in bounds.specifier), f"{name} has no upper bound"


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_can_be_run_as_a_module(name: str) -> None:
    assert find_spec(f"{name}.__main__") is not None, f"`python -m {name}` is gone: oncefold_lab.local runs it"


def test_the_emulator_needs_no_argument() -> None:
    ran = subprocess.run([sys.executable, "-m", "ministack", "--help"], capture_output=True, text=True, check=True)
    usage = ran.stdout.splitlines()[0].partition(".py")[2] or ran.stdout.splitlines()[0].partition("ministack")[2]
    assert all(word.startswith("[") for word in usage.split()), f"ministack has required arguments: {usage}"
