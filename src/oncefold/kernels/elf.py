"""Object code of Linux on x86-64 into this process without LLVM, whose import takes as long as a run of few events.

A kernel's object is a few sections of code and constants. They refer to each other by distances, and to nothing else
but the C library's moves of memory. So a copy of them in memory is complete once the distances are written in. An
object that has anything else in it, and one of another system, is left to LLVM.
"""

import ctypes
import mmap
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from oncefold.kernels import targets

_SYSTEM: Final = "linux-x86_64"
_MAGIC: Final = b"\x7fELF\x02\x01\x01"
"""64 bits, little endian, the first version."""
_RELOCATABLE, _X86_64 = 1, 62
_CONTENT, _SYMBOLS, _RELOCATIONS = 1, 2, 4
"""Kinds of sections."""
_WRITABLE, _LOADED = 1, 2
"""Flags of sections."""
_DISTANCES: Final = frozenset([2, 4])
"""Kinds of relocations: R_X86_64_PC32 and R_X86_64_PLT32, both a distance of 32 bits."""
_MOVES: Final = frozenset([b"memcpy", b"memmove", b"memset"])
_JUMP: Final = b"\xff\x25\0\0\0\0"
"""`jmp [rip]`: to the address that follows."""
_JUMP_BYTES: Final = 16


class _UnknownError(Exception):
    """The object has something that this module does not know."""


@dataclass(frozen=True, slots=True)
class _Section:
    kind: int
    flags: int
    content: bytes
    link: int
    info: int
    align: int


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: bytes
    section: int
    """0 for one of another object."""
    value: int


def address_of(code: bytes, symbol: str) -> int | None:
    """The address of a function of the object, loaded for as long as the process lives; None if it is for LLVM."""
    if targets.system() != _SYSTEM:
        return None
    with suppress(_UnknownError, struct.error, IndexError, OSError):
        sections = list(_sections(code))
        symbols = list(_symbols(sections))
        image, places, jumps = _laid_out(sections, symbols)
        start = _mapping(len(image))
        _relocate(image, sections, symbols, places, jumps)
        for name, at in jumps.items():
            image[at : at + _JUMP_BYTES] = (_JUMP + struct.pack("<Q", _c_address(name))).ljust(_JUMP_BYTES, b"\0")
        entry = next((each for each in symbols if each.name == symbol.encode() and each.section in places), None)
        if entry is not None and _made_executable(start, image):
            return start + places[entry.section] + entry.value
    return None


def _sections(code: bytes) -> Iterator[_Section]:
    kind, machine = struct.unpack_from("<HH", code, 16)
    if not code.startswith(_MAGIC) or (kind, machine) != (_RELOCATABLE, _X86_64):
        raise _UnknownError
    (table,) = struct.unpack_from("<Q", code, 40)
    entry, count = struct.unpack_from("<HH", code, 58)
    for number in range(count):
        header = struct.unpack_from("<IIQQQQIIQQ", code, table + number * entry)
        _, kind, flags, _, offset, size, link, info, align, _ = header
        yield _Section(kind, flags, code[offset : offset + size], link, info, max(1, align))


def _symbols(sections: list[_Section]) -> Iterator[_Symbol]:
    (table,) = (section for section in sections if section.kind == _SYMBOLS)
    names = sections[table.link].content
    for name, _, _, section, value, _ in struct.iter_unpack("<IBBHQQ", table.content):
        yield _Symbol(names[name : names.index(b"\0", name)], section, value)


def _laid_out(sections: list[_Section], symbols: list[_Symbol]) -> tuple[bytearray, dict[int, int], dict[bytes, int]]:
    """All that is to be in memory, where each section is in it, and where the jump to each function of C is."""
    image = bytearray()
    places: dict[int, int] = {}
    for number, section in enumerate(sections):
        if section.kind == _CONTENT and section.flags & _LOADED:
            if section.flags & _WRITABLE or section.align > mmap.PAGESIZE:
                raise _UnknownError
            image.extend(bytes(-len(image) % section.align))
            places[number] = len(image)
            image.extend(section.content)
    image.extend(bytes(-len(image) % _JUMP_BYTES))
    outside = sorted({symbol.name for symbol in symbols if symbol.section == 0 and symbol.name})
    if not _MOVES.issuperset(outside):
        raise _UnknownError
    jumps = {name: len(image) + number * _JUMP_BYTES for number, name in enumerate(outside)}
    image.extend(bytes(len(jumps) * _JUMP_BYTES))
    return image, places, jumps


def _relocate(
    image: bytearray,
    sections: list[_Section],
    symbols: list[_Symbol],
    places: dict[int, int],
    jumps: dict[bytes, int],
) -> None:
    """Write every distance into the image. Raises _UnknownError for a reference of another kind."""
    at = [places[each.section] + each.value if each.section in places else jumps.get(each.name) for each in symbols]
    distance = struct.Struct("<i")
    for section in sections:
        if section.kind == _RELOCATIONS and section.info in places:
            base = places[section.info]
            for offset, what, addend in struct.iter_unpack("<QQq", section.content):
                target = at[what >> 32]
                if what & 0xFFFFFFFF not in _DISTANCES or target is None:
                    raise _UnknownError
                distance.pack_into(image, base + offset, target + addend - base - offset)


@cache
def _c_library() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return library


def _c_address(name: bytes) -> int:
    function = getattr(_c_library(), name.decode())
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _mapping(size: int) -> int:
    """Fresh memory that is never given back, as a thread may run code in it when the interpreter ends."""
    access, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    start = _c_library().mmap(None, size, access, kind, -1, 0)
    if start in {None, ctypes.c_void_p(-1).value}:
        raise OSError(ctypes.get_errno(), "no memory for machine code")
    return int(start)


def _made_executable(start: int, image: bytearray) -> bool:
    """Copy the image there, from then on to be run and not to be written; whether the system lets it."""
    ctypes.memmove(start, bytes(image), len(image))
    return not _c_library().mprotect(start, len(image), mmap.PROT_READ | mmap.PROT_EXEC)
