"""Bytes of one stream, decompressed where need be, handed on as they come.

The end of what is here now is distinguished from damage: `readinto` gives 0 in both cases, `fault` says which. More may
follow after a 0 without a fault, and after one that says the stream is cut short.
"""

import os
import zlib
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol

import pyarrow as pa

Fetch = Callable[[int], bytes]
"""Up to so many stored bytes; b"" if there are none now."""

Compression = Literal["gzip", "zstd"]

_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"
MAGIC_BYTES: Final = 4
"""First bytes of a stream that say how it is compressed."""

_CHUNK: Final = 256 * 2**10
_ZSTD_READ: Final = 128 * 2**10
"""Also what is lost of the end of a zstd frame that is cut short."""


class Damaged(Exception):  # noqa: N818 - a state of the data, reported further up
    """The stored bytes are not what they should be; the message says how."""


class RawStream(Protocol):
    """A stream of bytes, read from the front."""

    @property
    def stored(self) -> int:
        """Stored bytes used so far, counted from the start of the stream."""
        ...

    def readinto(self, view: memoryview) -> int:
        """Fill the front of `view`; the bytes put there, 0 if there are none now. Raises Damaged."""
        ...

    def fault(self) -> str | None:
        """Why this may not be the end of the stream; None if it may."""
        ...


def compression_of(magic: bytes) -> Compression | None:
    """Which compression the first MAGIC_BYTES of a stream announce; no text in UTF-8 begins like either."""
    if magic.startswith(_GZIP_MAGIC):
        return "gzip"
    if magic.startswith(_ZSTD_MAGIC) or (magic[1:4] == _ZSTD_SKIPPABLE and magic[:1].hex().startswith("5")):
        return "zstd"
    return None


def is_undecided(magic: bytes) -> bool:
    """Whether so few first bytes may be the beginning of what announces a compression."""
    if len(magic) >= MAGIC_BYTES:
        return False
    skippable = magic[:1].hex().startswith("5") and _ZSTD_SKIPPABLE.startswith(magic[1:])
    return skippable or _GZIP_MAGIC.startswith(magic) or _ZSTD_MAGIC.startswith(magic)


class PlainFile:
    """A file's bytes as they are."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.stored = 0

    def readinto(self, view: memoryview) -> int:
        """See RawStream."""
        count = os.preadv(self._descriptor, [view], self.stored)
        self.stored += count
        return count

    def fault(self) -> str | None:
        """See RawStream."""
        return None


class PlainFetched:
    """Bytes as they are fetched."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.stored = 0

    def readinto(self, view: memoryview) -> int:
        """See RawStream."""
        data = self._fetch(len(view))
        view[: len(data)] = data
        self.stored += len(data)
        return len(data)

    def fault(self) -> str | None:
        """See RawStream."""
        return None


class _Decompressed:
    """What gzip and zstd share: damage is reported only after all that was read before it was yielded."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._damage: Damaged | None = None
        self.stored = 0

    def readinto(self, view: memoryview) -> int:
        """See RawStream."""
        done = 0
        while done < len(view):
            try:
                if self._damage is not None:
                    raise self._damage
                count = self._some(view[done:])
            except Damaged as damage:
                self._damage = damage
                if done:
                    break
                raise
            if not count:
                break
            done += count
        return done

    def _some(self, view: memoryview) -> int:
        raise NotImplementedError

    def _fetched(self, size: int) -> bytes:
        data = self._fetch(size)
        self.stored += len(data)
        return data


class Gzip(_Decompressed):
    """Any number of gzip members, zero padding between and after them allowed."""

    def __init__(self, fetch: Fetch) -> None:
        super().__init__(fetch)
        self._input = b""
        self._member: Any = None

    def fault(self) -> str | None:
        """See RawStream."""
        return None if self._member is None and not self._input else "it ends in the middle of a gzip member"

    def _some(self, view: memoryview) -> int:
        while True:
            if self._member is not None or self._begin_member():
                data = self._decompress(len(view))
                if data:
                    view[: len(data)] = data
                    return len(data)
            if len(self._input) < len(_GZIP_MAGIC):
                more = self._fetched(_CHUNK)
                if not more:
                    return 0
                self._input += more

    def _begin_member(self) -> bool:
        self._input = self._input.lstrip(b"\0")
        if len(self._input) < len(_GZIP_MAGIC):
            return False
        if not self._input.startswith(_GZIP_MAGIC):
            raise Damaged(f"at byte {self.stored - len(self._input):,} something begins that is not gzip")
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        return True

    def _decompress(self, limit: int) -> bytes:
        member = self._member
        try:
            data: bytes = member.decompress(self._input, limit)
        except zlib.error as error:
            raise Damaged(f"its gzip data is corrupt near byte {self.stored:,} ({error})") from None
        self._input = member.unused_data if member.eof else member.unconsumed_tail
        if member.eof:
            self._member = None
        return data


class Zstd(_Decompressed):
    """Any number of zstd frames."""

    def __init__(self, fetch: Fetch) -> None:
        super().__init__(fetch)
        self.cut_short = False
        """It gives nothing more; read the file from its start to go on."""
        self._stream = pa.CompressedInputStream(pa.PythonFile(_Readable(self._fetched), mode="r"), "zstd")

    def fault(self) -> str | None:
        """See RawStream."""
        return "it ends in the middle of a zstd frame" if self.cut_short else None

    def _some(self, view: memoryview) -> int:
        if self.cut_short:
            return 0
        try:
            return int(self._stream.readinto(view[:_ZSTD_READ]))
        except OSError as error:
            if "Truncated" in str(error):
                self.cut_short = True
                return 0
            raise Damaged(f"its zstd data is corrupt near byte {self.stored:,} ({error})") from None


class _Readable:
    """The little of a file that pyarrow wants."""

    closed = False

    def __init__(self, fetch: Fetch) -> None:
        self.read = fetch

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Whoever opened the descriptor closes it."""


def file_stream(descriptor: int, compression: Compression | None) -> RawStream:
    """A file from its start."""
    if compression is None:
        return PlainFile(descriptor)
    at = 0

    def fetch(size: int) -> bytes:
        nonlocal at
        data = os.pread(descriptor, size, at)
        at += len(data)
        return data

    return Gzip(fetch) if compression == "gzip" else Zstd(fetch)
