"""What a source hands on: blocks of whole records, and findings for a person. Frozen values only."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from oncefold.commit import SourcePosition
from oncefold.core.errors import SourceError

TextKind = Literal["json", "csv"]
TableKind = Literal["parquet", "arrow"]

BLOCK_BYTES: Final = 4 * 2**20
"""Bytes of text in one block while input is plentiful."""


@dataclass(frozen=True, slots=True)
class Oversize:
    """A record that cannot be handed on whole; it is to be rejected, the stream goes on after it."""

    offset: int
    """Byte offset of its first byte in the (decompressed) stream."""
    length: int
    """Bytes without the newline that ends it."""
    head: bytes
    """Its first bytes, at most HEAD_BYTES."""
    reason: str
    """Why, for the reject list."""


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Where the bytes of a block came from that was put together: piece i begins at starts[i]."""

    starts: Sequence[int]
    """From 0 on, rising."""
    names: Sequence[str]

    def locate(self, offset: int) -> tuple[str, int]:
        """The piece that holds a byte, and the byte's offset in it."""
        index = bisect_right(self.starts, offset) - 1
        return self.names[index], offset - self.starts[index]


@dataclass(frozen=True, slots=True, eq=False)
class TextBlock:
    """Whole records of text, contiguous in their stream.

    Each record ends with a newline, except perhaps the last of a finished stream. CSV records may hold newlines
    inside quotes. `data` may be empty: such a block carries a position, or only oversize records.
    """

    source: str
    format: TextKind
    data: memoryview
    """The records' bytes; it owns its memory, which lives as long as the block."""
    offset: int
    """Byte offset of data[0] in the (decompressed) stream; a byte order mark counts, a header too."""
    position: SourcePosition
    """To be committed with this block: a run that resumes from it reads exactly what follows."""
    consumed_bytes: int
    """Bytes of the stored (perhaps compressed) stream that this block took, for progress: they add up to its size."""
    header: tuple[str, ...] | None = None
    """CSV: the names of the columns, none if the file is empty; None for JSON."""
    delimiter: str | None = None
    """CSV: the one character between fields; None for JSON."""
    oversize: tuple[Oversize, ...] = ()
    """Records directly before `data` in the stream, or among its `pieces`."""
    columns: tuple[tuple[str, str], ...] = ()
    """Names and values that belong to each record, from the names of directories."""
    pieces: Pieces | None = None
    """What `data` was put together from, if it is not contiguous; a reject names its piece, and `offset` is 0."""


@dataclass(frozen=True, slots=True, eq=False)
class TableBlock:
    """Rows of a Parquet or Arrow file, contiguous and in order; perhaps none, then it carries a position."""

    source: str
    table: pa.RecordBatch
    """Only the columns that were asked for, and of those the ones that exist."""
    first_row: int
    """Number in the file of the first row, from 0."""
    position: SourcePosition
    consumed_bytes: int


Block = TextBlock | TableBlock


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a source that a person should know; the other sources go on."""

    source: str
    kind: Literal["truncated", "replaced", "trimmed", "rotated", "delayed", "waiting", "padded", "absent", "unreadable"]
    """`truncated` and `replaced`: not what was read before. `trimmed`: a stream no longer holds all that was not read.
    `rotated`, `delayed`, `waiting`, `padded`, and `absent` of columns: reported, reading goes on. `unreadable`: the
    rest of the source could not be read; a run that is not following ends with a SourceError that repeats it."""
    message: str
    """What happened and what to do, one sentence that names the source."""

    @classmethod
    def unreadable(cls, source: str, error: Exception) -> "Finding":
        """A source whose rest cannot be read, because of this error."""
        if isinstance(error, SourceError):
            return cls(source, "unreadable", str(error))
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        return cls(source, "unreadable", f"{source}: it cannot be read: {reason}")
