"""How much a test does: `make test` runs the short form, which a person can wait for, `make test-all` the full form.

    KILLS = sized(short=8, full=50)

    @settings(max_examples=examples(400))

    @full_only("an hour's clock, 40 s")
    def test_...

    @pytest.mark.parametrize("size", [1, 7, *in_full("2 s each", 64, 1_000)])

The full form asserts all that the short form asserts, of more. `pytest --full` selects it.
"""

import ast
import os
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

VARIABLE = "ONCEFOLD_TESTS"
"""The variable of the environment that says `full`; the workers of a run inherit it."""

EFFORT = int(os.environ.get("ONCEFOLD_TEST_EFFORT", "1"))
"""How many times the usual number of Hypothesis examples to run, for a search by hand."""

SHORT_SHARE, FEWEST_EXAMPLES = 0.1, 6
"""The short form runs this share of the examples, and at least so many."""

_Size = TypeVar("_Size")


def is_full() -> bool:
    """Whether the full form runs."""
    return os.environ.get(VARIABLE) == "full"


def sized(short: _Size, full: _Size) -> _Size:
    """The size of the form that runs."""
    return full if is_full() else short


def examples(full: int, short: int | None = None) -> int:
    """How many Hypothesis examples to run where the full form runs so many."""
    if short is None:
        short = min(full, max(FEWEST_EXAMPLES, round(full * SHORT_SHARE)))
    return sized(short, full) * EFFORT


def full_only(reason: str) -> pytest.MarkDecorator:
    """Leave a test, or one set of its parameters, to the full form."""
    return pytest.mark.full(reason)


def in_full(reason: str, *values: object) -> list[object]:
    """Values of a parameter, or tuples of values of several, that only the full form takes."""
    return [pytest.param(*value if isinstance(value, tuple) else (value,), marks=full_only(reason)) for value in values]


ROOT = Path(__file__).parents[2]
_SIZES = "tests.tools.sizes"
_MARKING = frozenset({_SIZES, f"{_SIZES}.full_only", f"{_SIZES}.in_full"})
"""What only says of single tests that they belong to the full form; the others of the file have one form."""


def has_two_forms(path: Path) -> bool:
    """Whether tests of a file have a size of their own in each form, by the file or what it imports of the tests.

    Hypothesis has them everywhere. To leave single tests to the full form is no size of the others.
    """
    found, left = set(), [path]
    while left:
        one = left.pop()
        if one in found:
            continue
        found.add(one)
        names = _imported(one)
        if any(name.startswith((_SIZES, "hypothesis")) for name in names - _MARKING):
            return True
        files = (ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names if name.startswith("tests."))
        left += [file for file in files if file.exists()]
    return False


@cache
def _imported(path: Path) -> frozenset[str]:
    """The modules that a file imports, and what it imports from them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return frozenset(names)
