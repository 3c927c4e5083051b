"""Machine code is loaded without LLVM where its object is one that `elf` knows, and is then the same function."""

import platform
import subprocess
import sys

import numpy as np
import pytest

from oncefold.columnar.csv_scan import scan_csv
from oncefold.columnar.primitives import FIXED_SEED, count_newlines, hash_bytes
from oncefold.kernels import build, elf, loading, objects
from oncefold.kernels.abi import function_at
from oncefold.kernels.declare import Kernel

ON_ITS_SYSTEM = sys.platform == "linux" and platform.machine() == "x86_64"
pytestmark = pytest.mark.skipif(not ON_ITS_SYSTEM, reason="all objects of this system are LLVM's to load")


def code_of(kernel: Kernel) -> bytes:
    loading.load(kernel)
    code = objects.find(kernel)
    assert code is not None
    return code


def test_every_kernel_of_the_package_is_loaded_without_llvm() -> None:
    compiled = [(kernel, code) for kernel in build.all_kernels() if (code := objects.find(kernel)) is not None]
    assert len(compiled) > 20
    assert not [kernel.name for kernel, code in compiled if not elf.address_of(code, objects.symbol(kernel))]


def test_it_is_the_function_that_llvm_loads() -> None:
    code, symbol = code_of(hash_bytes), objects.symbol(hash_bytes)
    text = np.frombuffer(bytes(range(256)) * 3, np.uint8)
    addresses = [elf.address_of(code, symbol), loading._address_by_llvm(code, symbol)]
    assert all(addresses)
    ours, of_llvm = (function_at(address or 0, symbol, hash_bytes.declared) for address in addresses)
    for length in (0, 1, 7, 8, 36, 700):
        assert ours(text, 3, length, FIXED_SEED) == of_llvm(text, 3, length, FIXED_SEED)


def test_a_call_of_the_c_library_jumps_there() -> None:
    """The scanner of CSV, whose tables are constants, clears memory by memset."""
    code = code_of(scan_csv)
    assert b"memset" in code
    assert elf.address_of(code, objects.symbol(scan_csv))


@pytest.mark.parametrize(
    "changed",
    [
        lambda code: code.replace(b"memset", b"qsort\0"),
        lambda code: b"MZ" + code[2:],
        lambda code: code[:18] + b"\xb7" + code[19:],  # of another processor
        lambda code: code[: len(code) // 2],
        lambda code: b"",
    ],
)
def test_what_it_does_not_know_is_left_to_llvm(changed) -> None:
    assert elf.address_of(changed(code_of(scan_csv)), objects.symbol(scan_csv)) is None


def test_a_reference_of_another_kind_is_left_to_llvm() -> None:
    code = bytearray(code_of(scan_csv))
    sections = list(elf._sections(bytes(code)))
    relocations = next(s.content for s in sections if s.kind == 4 and sections[s.info].flags & 4)
    at = code.index(relocations) + 8
    assert int.from_bytes(code[at : at + 4], "little") in {2, 4}
    code[at : at + 4] = (1).to_bytes(4, "little")  # an address of 64 bits
    assert elf.address_of(bytes(code), objects.symbol(scan_csv)) is None


def test_an_object_without_the_function_is_left_to_llvm() -> None:
    assert elf.address_of(code_of(count_newlines), "another") is None


RUN = """
import sys, threading
import numpy as np
from oncefold.columnar.primitives import count_newlines
text = np.full(2**28, 10, np.uint8)
count_newlines(text[:1])
threading.Thread(target=lambda: [count_newlines(text) for _ in range(1000)], daemon=True).start()
"""


def test_a_thread_may_be_in_a_kernel_when_the_interpreter_ends() -> None:
    assert subprocess.run([sys.executable, "-c", RUN], check=False).returncode == 0
