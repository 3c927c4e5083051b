"""A kernel's machine code gets the memory of the arrays it was given, or the call is refused."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from oncefold.columnar.arrays import read_only
from oncefold.columnar.primitives import FIXED_SEED, count_newlines, count_pairs, hash_bytes, shift_of
from oncefold.columnar.typed import multiply
from oncefold.kernels._numba import compiled
from oncefold.kernels.declare import kernel
from oncefold.kernels.errors import KernelError, UndeclaredWarning
from oncefold.kernels.intrinsics import load64, prefetch, store64, trailing_zeros
from oncefold.kernels.signature import SignatureError

TEXT = np.frombuffer(b"one\ntwo\n\nfour", np.uint8)


def test_loaded_code_equals_the_function_and_numba() -> None:
    assert count_newlines(TEXT) == count_newlines.function(TEXT) == compiled(count_newlines)(TEXT) == 3
    assert count_pairs(TEXT, 10) == 1
    for length in range(len(TEXT)):
        assert hash_bytes(TEXT, 0, length, FIXED_SEED) == compiled(hash_bytes)(TEXT, 0, length, FIXED_SEED)


def test_numbers_of_numpy_are_numbers() -> None:
    assert count_pairs(TEXT, np.uint8(10)) == count_pairs(TEXT, np.int32(10)) == 1


class Subclass(np.ndarray):
    """Another class of arrays, as memory maps are."""


def test_arrays_of_another_class_or_an_equal_dtype_are_taken() -> None:
    values = np.arange(4, dtype=np.longlong)
    products, good = np.empty(4, np.int64), np.empty(4, np.bool_)
    multiply(values.view(Subclass), 10, 2, products, good)
    assert (products.tolist(), good.tolist()) == ([0, 10, 20, 0], [True, True, True, False])


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (TEXT[::2], "uint8 of 1 axes, not contiguous"),
        (TEXT.astype(np.int64), "int64 of 1 axes"),
        (TEXT.reshape(1, -1), "uint8 of 2 axes"),
        (b"bytes", "was given bytes"),
        (np.frombuffer(b"x" * 9, np.uint8)[1:].view(np.int64), "int64 of 1 axes"),
    ],
)
def test_other_arrays_are_refused(array: object, reason: str) -> None:
    with pytest.raises(SignatureError, match=f"{reason}.*pass such an array, or change the signature"):
        count_newlines(array)


def test_an_array_that_cannot_be_written_is_refused_where_it_would_be() -> None:
    values, good = np.zeros(2, np.int64), np.zeros(2, np.bool_)
    with pytest.raises(SignatureError, match=r"takes i64\[\] as number or array 4 .* read-only"):
        multiply(values, 1, 1, read_only(values), good)


def test_an_unaligned_array_is_refused() -> None:
    values, good = np.frombuffer(bytes(17), np.uint8)[1:].view(np.int64), np.zeros(2, np.bool_)
    with pytest.raises(SignatureError, match="not aligned"):
        multiply(values, 1, 1, np.zeros(2, np.int64), good)


HOW = r"shift_of is called from Python .* write what it takes .* as in @kernel\("


def test_a_kernel_without_a_signature_says_how_to_write_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a test the warning is an error, so that none stays without."""
    slots = np.zeros(4, np.uint64)
    with pytest.raises(UndeclaredWarning, match=HOW):
        shift_of(slots)
    with pytest.warns(UndeclaredWarning, match=HOW):
        assert shift_of(slots) == 30
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.delitem(vars(shift_of), "native")
    with pytest.raises(KernelError, match=HOW):
        shift_of(slots)


def test_an_operation_of_the_processor_is_for_kernels_alone() -> None:
    with pytest.raises(TypeError, match="load64 is an operation of the processor"):
        load64(TEXT, 0)


@kernel
def _shifted(source, target):
    """Copy a word, and say how many zero bits it ends with."""
    prefetch(source, 8)
    word = load64(source, 1)
    store64(target, 3, word)
    return trailing_zeros(word)


def test_words_are_loaded_stored_and_counted_without_alignment() -> None:
    source, target = np.zeros(16, np.uint8), np.zeros(16, np.uint8)
    source[1:9] = [0, 0, 8, 1, 2, 3, 4, 5]
    assert compiled(_shifted)(source, target) == 19
    assert target.tolist() == [0, 0, 0, 0, 0, 8, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0]


GIL = """
import threading, time, numpy as np
from oncefold.columnar.primitives import count_newlines
data = np.zeros(1 << 28, np.uint8)
count_newlines(data[:1])
began = time.perf_counter()
count_newlines(data)
alone = time.perf_counter() - began
ticks, stop = [], threading.Event()
def tick():
    while not stop.is_set():
        ticks.append(time.perf_counter())
        time.sleep(alone / 50)
thread = threading.Thread(target=tick)
thread.start()
for _ in range(4):
    began = time.perf_counter()
    count_newlines(data)
    print(sum(began < at < time.perf_counter() for at in ticks))
stop.set()
thread.join()
"""


def test_the_gil_is_released() -> None:
    done = subprocess.run([sys.executable, "-c", GIL], capture_output=True, text=True, check=True)
    assert max(map(int, done.stdout.split())) > 5, done.stdout
