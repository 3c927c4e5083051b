"""The part of numba that it does not document does what kernels need; the first tests to fail with another numba."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from oncefold.columnar.primitives import FIXED_SEED, hash_bytes
from oncefold.kernels import _numba, objects, targets
from oncefold.kernels._numba import CompileError, compiled, object_code
from oncefold.kernels.declare import kernel

PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
BUILD = PYPROJECT["build-system"]["requires"]
TEXT = np.arange(40, dtype=np.uint8)


@pytest.mark.parametrize(
    ("package", "places"),
    [
        ("numba", (PROJECT["optional-dependencies"]["compile"], BUILD)),
        ("llvmlite", (PROJECT["dependencies"], BUILD)),
    ],
)
def test_the_installed_version_is_within_the_bounds_of_all_places(package, places):
    bounds = {str(found.specifier) for place in places for found in map(Requirement, place) if found.name == package}
    (bound,) = bounds
    assert "<" in bound, f"{package} needs an upper bound: kernels/_numba.py uses a part that it does not document"
    assert Requirement(f"{package}{bound}").specifier.contains(version(package)), (
        f"{package} {version(package)} is outside {bound}: run tests/kernels and tests/columnar with it, then move "
        "the bound in pyproject.toml"
    )


@kernel("const u8[], const u64[]", returns="i64")
def _hash_all(data, seed):
    return hash_bytes(data, 0, len(data), seed)


@kernel("i64", returns="i64")
def _allocates(size):
    return len(np.zeros(size, np.int64))


@kernel("i64", returns="i64")
def _raises(size):
    if size > 3:
        raise ValueError("too large")
    return size


@kernel("const u8[]")
def _writes(data):
    data[0] = 1


@kernel("i64[,]")
def _writes_a_row(rows):
    rows[0] = 1


@kernel("const i64[,], const u8[], i64[,], i64[]")
def _copies(rows, data, out, sums):
    sums[:] = 0
    for r in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            out[r, k] = rows[r][k]
            sums[np.int32(r)] += rows[r, k] + data[np.uint64(k)]


@kernel("const i64[], const i64[]", returns="i64")
def _looks_up(values, places):
    return values[places[0]]


def test_an_access_does_not_ask_for_the_sign_of_its_index():
    function = compiled(_looks_up)
    assert function(np.arange(5), np.array([3])) == 3
    (code,) = function.inspect_llvm().values()
    assert not re.search(r"ashr|select", code)


def test_elements_are_those_of_numpy():
    rows, out, sums = np.arange(12).reshape(3, 4) - 5, np.zeros((3, 4), np.int64), np.ones(3, np.int64)
    function = compiled(_copies)
    function(rows, TEXT[30:], out, sums)
    assert np.array_equal(out, rows)
    assert np.array_equal(sums, (rows + TEXT[30:34]).sum(axis=1))


def test_kernels_count_no_references():
    function = compiled(_hash_all)
    assert function(TEXT, FIXED_SEED) == hash_bytes(TEXT, 0, len(TEXT), FIXED_SEED)
    (code,) = function.inspect_llvm().values()
    assert not re.search(r"call .*@NRT_(incref|decref)", code)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (_allocates, "_allocates (cannot be compiled|allocates, raises or calls Python)"),
        (_raises, "_raises allocates, raises or calls Python, and a kernel must not: its machine code calls "),
        (_writes_a_row, "a kernel writes single elements, or slices of an array of one axis"),
        (_writes, "(?s)_writes cannot be compiled for .*Cannot modify readonly array"),
    ],
)
def test_what_a_kernel_must_not_do_ends_its_compilation_with_the_reason(wrong, reason):
    with pytest.raises(CompileError, match=reason):
        object_code(wrong, targets.this_machine(), objects.symbol(wrong))


def test_another_numba_is_refused_with_its_version(monkeypatch):
    monkeypatch.setattr(_numba, "njit", lambda **_options: {}["_nrt"])
    with pytest.raises(ImportError, match=rf"numba {re.escape(version('numba'))} does not work with oncefold"):
        compiled(kernel(lambda: None))
