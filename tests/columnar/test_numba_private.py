"""The parts of numba that it does not document do what the kernels need; the first tests to fail with another numba."""

import importlib.util
import pickle
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from oncefold.columnar import _numba_private
from oncefold.columnar._numba_private import load64, prefetch, store64, trailing_zeros
from oncefold.columnar.primitives import hash_bytes, kernel

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
WORDS = np.arange(40, dtype=np.uint8)


@pytest.mark.parametrize("package", ["numba", "llvmlite"])
def test_the_installed_version_is_within_its_bounds(package):
    (bound,) = [found for found in map(Requirement, PROJECT["dependencies"]) if found.name == package]
    assert "<" in str(bound.specifier), f"{package} needs an upper bound: columnar/_numba_private.py uses its internals"
    assert bound.specifier.contains(version(package)), (
        f"{package} {version(package)} is outside {bound.specifier}: run tests/columnar with it, then move "
        "the bound in pyproject.toml"
    )


def test_the_cache_of_a_kernel_is_valid_for_the_whole_package():
    cache_file = hash_bytes._cache._cache_file
    assert cache_file._source_stamp == _numba_private._STAMP
    assert str(_numba_private._STAMP) in cache_file._version
    assert "fold_kernel.py" in {name for name, _ in _numba_private._STAMP}


def test_a_cache_of_another_version_is_not_unpickled(monkeypatch, tmp_path):
    """An index may name classes that have other names now; numba's own version of it is what comes first."""
    cache_file = hash_bytes._cache._cache_file
    index = tmp_path / "index.nbi"
    index.write_bytes(pickle.dumps(version("numba"), protocol=-1) + b"concefold.columnar.plan\nNoSuchClass\n.")
    monkeypatch.setattr(cache_file, "_index_path", str(index))
    assert cache_file._load_index() == {}


def test_kernels_count_no_references(tmp_path):
    """Numba shows no code of what comes from its cache, so the kernel is a new one, which passes its array on."""
    path = tmp_path / "new_kernel.py"
    path.write_text(_NEW_KERNEL)
    spec = importlib.util.spec_from_file_location("new_kernel", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.hash_all(WORDS) == hash_bytes(WORDS, 0, len(WORDS))
    (code,) = module.hash_all.inspect_llvm().values()
    assert not re.search(r"call .*@NRT_(incref|decref)", code)


_NEW_KERNEL = """
from oncefold.columnar.primitives import hash_bytes, kernel

@kernel
def hash_all(data):
    return hash_bytes(data, 0, len(data))
"""


@kernel
def _shifted(source, target):
    """Copy a word, and say how many zero bits it ends with."""
    prefetch(source, 8)
    word = load64(source, 1)
    store64(target, 3, word)
    return trailing_zeros(word)


def test_words_are_loaded_stored_and_counted_without_alignment():
    source, target = np.zeros(16, np.uint8), np.zeros(16, np.uint8)
    source[1:9] = [0, 0, 8, 1, 2, 3, 4, 5]
    assert _shifted(source, target) == 19
    assert target.tolist() == [0, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0]


def test_another_numba_is_refused_with_its_version(monkeypatch):
    monkeypatch.setattr(_numba_private, "njit", lambda **_options: lambda function: function)
    with pytest.raises(ImportError, match=rf"numba {re.escape(version('numba'))} does not work with oncefold"):
        _numba_private.compiled(lambda: None)
