"""Text of another encoding than UTF-8, read as UTF-8: UTF-16 and UTF-32 by their first bytes, any other by its name."""

import codecs
from typing import Final

from oncefold.core.errors import SourceError
from oncefold.sources.compression import Damaged, RawStream

ENCODING_BYTES: Final = 4
"""First bytes of a text that tell UTF-16 and UTF-32."""

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BETWEEN_NULS: Final[dict[tuple[bool, ...], str]] = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}
"""By which of the first bytes are NUL, if the others are ASCII."""

_CHUNK: Final = 64 * 2**10
_ASCII: Final = range(1, 128)


def encoding_named(name: str) -> str:
    """The encoding's name as Python has it; `utf-8` for all names of UTF-8. Raises SourceError if there is none."""
    try:
        found = codecs.lookup(name)
        "a".encode(found.name)
    except (LookupError, ValueError):
        raise SourceError(f"there is no text encoding {name!r}; name one such as cp1252, latin-1 or utf-16") from None
    return "utf-8" if found.name in {"utf-8", "ascii", "utf-8-sig"} else found.name


def encoding_of(magic: bytes) -> str | None:
    """The encoding that the first ENCODING_BYTES of a text announce: by a mark, or by NULs between ASCII characters."""
    for mark, name in _MARKS:
        if magic.startswith(mark):
            return name
    if len(magic) < ENCODING_BYTES:
        return None
    zeros = tuple(byte == 0 for byte in magic)
    others = all(byte in _ASCII for byte in magic if byte)
    return _BETWEEN_NULS.get(zeros) if others else None


def is_encoding_undecided(magic: bytes) -> bool:
    """Whether more first bytes may announce another encoding than UTF-8."""
    return len(magic) < 2 or (len(magic) < ENCODING_BYTES and (0 in magic or magic[:1] in {b"\xff", b"\xfe"}))


class _Around:
    """What a stream around another one has of it."""

    _raw: RawStream

    @property
    def stored(self) -> int:
        """See RawStream."""
        return self._raw.stored

    @property
    def cut_short(self) -> bool:
        """Whether it gives nothing more; see Zstd."""
        return getattr(self._raw, "cut_short", False)


class Transcoded(_Around):
    """A stream in another encoding as UTF-8. Positions in it count bytes of the UTF-8."""

    def __init__(self, raw: RawStream, encoding: str) -> None:
        self._raw, self._encoding = raw, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = memoryview(b"")
        self._damage: Damaged | None = None

    def readinto(self, view: memoryview) -> int:
        """See RawStream."""
        while not self._ready:
            if self._damage is not None:
                raise self._damage
            space = bytearray(_CHUNK)
            count = self._raw.readinto(memoryview(space))
            if not count:
                return 0
            self._ready = memoryview(self._decoded(bytes(space[:count])))
        count = min(len(view), len(self._ready))
        view[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def fault(self) -> str | None:
        """See RawStream."""
        return self._raw.fault() or ("it ends in the middle of a character" if self._decoder.getstate()[0] else None)

    def _decoded(self, data: bytes) -> bytes:
        try:
            return self._decoder.decode(data).encode()
        except UnicodeDecodeError as error:
            at = self._raw.stored - len(error.object) + error.start
            self._damage = Damaged(f"it is not {self._encoding}: {error.reason} near byte {at:,}")
            return error.object[: error.start].decode(self._encoding, "ignore").encode()


class Detected(_Around):
    """A stream whose first bytes are not known before it is read: as UTF-8, whatever encoding they announce."""

    def __init__(self, raw: RawStream) -> None:
        self._raw = raw
        self._chosen: RawStream | None = None

    def readinto(self, view: memoryview) -> int:
        """See RawStream."""
        if self._chosen is not None:
            return self._chosen.readinto(view)
        first = bytearray(len(view))
        count = self._raw.readinto(memoryview(first))
        if not count:
            return 0
        encoding = encoding_of(bytes(first[:ENCODING_BYTES]))
        if encoding is None:
            self._chosen = self._raw
            view[:count] = first[:count]
            return count
        self._chosen = Transcoded(_Ahead(bytes(first[:count]), self._raw), encoding)
        return self._chosen.readinto(view)

    def fault(self) -> str | None:
        """See RawStream."""
        return (self._chosen or self._raw).fault()


class _Ahead:
    """A stream of which some was read already."""

    def __init__(self, ahead: bytes, raw: RawStream) -> None:
        self._left, self._raw = memoryview(ahead), raw
        self.fault = raw.fault

    @property
    def stored(self) -> int:
        return self._raw.stored

    def readinto(self, view: memoryview) -> int:
        if not self._left:
            return self._raw.readinto(view)
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count


def as_utf8(raw: RawStream, encoding: str | None, magic: bytes | None) -> RawStream:
    """The stream as UTF-8: of this encoding or, if None, of the one that its first bytes announce.

    `magic` are these; None if they are not known yet, as those of compressed text.
    """
    if encoding is None and magic is None:
        return Detected(raw)
    found = encoding if encoding is not None else encoding_of(magic or b"")
    return raw if found in {None, "utf-8"} else Transcoded(raw, found or "")
