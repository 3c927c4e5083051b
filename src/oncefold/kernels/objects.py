"""Files of object code: where they are, whose source they were made of, and whether they are whole.

A file's name holds a hash of everything that its code depends on: the kernel's signature, the text of every function
that it calls, the constants that these use, and the compiler's own modules. So code of an older source is not found.
"""

import contextlib
import enum
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from operator import itemgetter
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from oncefold.kernels import abi, targets
from oncefold.kernels.declare import Intrinsic, Kernel

PACKAGE_FOLDER = Path(__file__).parent / "compiled"
"""Objects of a distribution, and of a checkout."""
CACHE_VARIABLE = "ONCEFOLD_KERNEL_CACHE"
"""The variable that names the only folder of objects, as for the tests of one compiler."""

_DIGEST_BYTES = 32
_LINE = itemgetter(2)
"""Of some instructions: the line that they are of."""
_COMPILER = ("_numba.py", "abi.py", "signature.py", "targets.py")


def cache_folder() -> Path:
    """Where objects go that a user's first start compiles, if the package's own folder cannot be written."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "oncefold" / "kernels"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oncefold" / "kernels"


def writable_folder() -> Path:
    """The folder for new objects: the package's own if it can be written, as in a checkout, else the user's."""
    if os.environ.get(CACHE_VARIABLE) or not os.access(PACKAGE_FOLDER.parent, os.W_OK):
        return cache_folder()
    return PACKAGE_FOLDER


def find(kernel: Kernel) -> bytes | None:
    """The kernel's object code for the best target that this processor can run; None if there is no whole one."""
    return next((code for path in files(kernel) if (code := read(path)) is not None), None)


def files(kernel: Kernel) -> Iterator[Path]:
    """The files of the kernel's present source for this processor, whole or not, the best first."""
    name = file_name(kernel)
    folders = [cache_folder()] if os.environ.get(CACHE_VARIABLE) else [PACKAGE_FOLDER, cache_folder()]
    for target in targets.usable():
        for folder in folders:
            path = folder / target.name / name
            if path.exists():
                yield path


def file_name(kernel: Kernel) -> str:
    """The name of the kernel's object for its present source."""
    return f"{kernel.name}-{source_key(kernel)}.o"


def symbol(kernel: Kernel) -> str:
    """The name of the kernel's machine code within its object."""
    return f"oncefold_{kernel.name.replace('.', '_')}"


def read(path: Path) -> bytes | None:
    """The object code of a file; None if there is none, or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    code = content[_DIGEST_BYTES:]
    return code if content[:_DIGEST_BYTES] == _digest(code) and code else None


def write(path: Path, kernel: Kernel, code: bytes) -> None:
    """Save an object, all of it or nothing; it replaces those of older sources, which a user's folder keeps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".new")
    with os.fdopen(handle, "wb") as file:
        file.write(_digest(code) + code)
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)
    if cache_folder() not in path.parents:
        for older in path.parent.glob(f"{kernel.name}-*.o"):
            if older != path:
                older.unlink(missing_ok=True)


def _digest(code: bytes) -> bytes:
    return hashlib.blake2b(code, digest_size=_DIGEST_BYTES).digest()


def source_key(kernel: Kernel) -> str:
    """A hash of everything that the kernel's code depends on."""
    found = _compiler_hash().copy()
    found.update(f"{kernel.declared} {abi.HEAD}".encode())
    texts, constants = _reached(kernel)
    for text in (*sorted(texts), *sorted(constants)):
        found.update(text.encode())
    return found.hexdigest()


@cache
def _compiler_hash() -> "hashlib.blake2b":
    lines = (line for name in _COMPILER for line in _lines(str(Path(__file__).parent / name)))
    return hashlib.blake2b("".join(lines).encode(), digest_size=8)


def source_size(kernel: Kernel) -> int:
    """The characters of all functions that its code is made of, by which compilers take about as long."""
    return sum(map(len, _reached(kernel)[0]))


def _reached(kernel: Kernel) -> tuple[set[str], set[str]]:
    """The texts of all functions that the kernel calls, its own too, and the constants that they use."""
    texts: set[str] = set()
    constants: set[str] = set()
    seen: set[Kernel] = set()
    waiting = [kernel]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            text, used, called = _uses(one)
            texts.add(text)
            constants |= used
            waiting += called
    return texts, constants


@cache
def _uses(kernel: Kernel) -> tuple[str, frozenset[str], tuple[Kernel, ...]]:
    """The text of one kernel's function, the constants that it uses, and the kernels that it calls."""
    function = kernel.function
    assert isinstance(function, FunctionType)
    constants: set[str] = set()
    called: list[Kernel] = []
    for name, value in _globals_of(function):
        if isinstance(value, Kernel):
            called.append(value)
        elif isinstance(value, Intrinsic):
            continue
        elif isinstance(value, np.ndarray):
            constants.add(f"{name}={value.dtype}{value.shape}{value.tobytes().hex()}")
        elif isinstance(value, int | float | str | np.generic):
            constants.add(f"{name}={type(value).__name__} {_plain(value)}")
    return _text_of(function.__code__), frozenset(constants), tuple(called)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _globals_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield name, function.__globals__[name]


@cache
def _text_of(code: CodeType) -> str:
    """The function's lines: to the last that begins an instruction, and those that are part of what it began."""
    lines, first = _lines(code.co_filename), code.co_firstlineno - 1
    last = max(filter(None, map(_LINE, code.co_lines())))
    indented = (_indentation(lines[first]) + " ", "\n")
    while last < len(lines) and lines[last].startswith(indented):
        last += 1
    return "".join(lines[first:last]).rstrip()


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


@cache
def _lines(path: str) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(path).read_bytes().decode().replace("\r\n", "\n").splitlines(keepends=True)
    return []
