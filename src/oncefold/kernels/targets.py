"""For which processors machine code is made, and whether this one can run it."""

import contextlib
import hashlib
import importlib
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """A system and a processor."""

    name: str
    cpu: str
    features: str = ""
    """As LLVM writes them; empty for those of the processor's name."""
    needs: frozenset[str] = frozenset()
    """Features that a processor must have to run the code."""

    def machine(self, *, jit: bool = False) -> Any:
        """LLVM's machine that makes its code, or with `jit` loads it."""
        llvm = initialized()
        triple = llvm.Target.from_triple(llvm.get_process_triple())
        return triple.create_target_machine(
            cpu=self.cpu,
            features=self.features,
            opt=3,
            reloc="pic",
            codemodel="jitdefault" if jit else "small",
            jit=jit,
        )


_X86_V2 = frozenset({"cx16", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"})
_X86_V3 = _X86_V2 | {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"}


@cache
def system() -> str:
    """The system and kind of processor, in one word each."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    bits = "" if sys.maxsize > 2**32 else "-32"
    return f"{sys.platform}-{machine}{bits}"


def baselines() -> tuple[Target, ...]:
    """The processors that a distribution of this system is compiled for, the best first."""
    if system().endswith("x86_64"):
        return (
            Target(f"{system()}-v3", "x86-64-v3", needs=_X86_V3),
            Target(f"{system()}-v2", "x86-64-v2", needs=_X86_V2),
        )
    return (Target(f"{system()}-generic", "generic"),)


@cache
def this_machine() -> Target:
    """The processor of this machine, with all that it can do."""
    llvm = initialized()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    mark = hashlib.blake2b(f"{cpu} {features}".encode(), digest_size=4).hexdigest()
    return Target(f"{system()}-{cpu}-{mark}", cpu, features)


def usable() -> Iterator[Target]:
    """The targets whose code runs here, the one that is compiled for first.

    Code for the best baseline is as fast as code for the processor's own name (docs/adr/0025), and a wheel holds it.
    """
    yield from (target for target in baselines() if not target.needs or target.needs <= _features())
    yield this_machine()


def preferred() -> Target:
    """What kernels are compiled for here."""
    return next(usable())


@cache
def _features() -> frozenset[str]:
    """What this processor and its system can do, as LLVM names it; Linux says it without LLVM's import."""
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("flags"):
                return frozenset(_LINUX_NAMES.get(name, name) for name in line.partition(":")[2].split())
    return frozenset(name for name, present in initialized().get_host_cpu_features().items() if present)


_LINUX_NAMES = {"abm": "lzcnt", "bmi1": "bmi", "pni": "sse3", "sse4_1": "sse4.1", "sse4_2": "sse4.2"}
"""Features that LLVM names otherwise, of those that a target needs."""


def named(name: str) -> Target:
    """The target of this system that has the name. Raises KeyError."""
    return {target.name: target for target in (*baselines(), this_machine())}[name]


@cache
def initialized() -> Any:
    """LLVM, ready for this machine. It is imported at the first call, as most processes need none."""
    llvm = importlib.import_module("llvmlite.binding")
    with contextlib.suppress(RuntimeError):  # newer versions do it by themselves, and say so
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm
