"""From the bytes of one stream, however they come, to text blocks: the header, the records, the positions."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from oncefold.commit import SourcePosition
from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.sources.blocks import TextBlock, TextKind
from oncefold.sources.cut import Piece, RecordCutter
from oncefold.sources.formats import Format, ReadOptions

HEADER_BYTES: Final = 2**20
"""Bytes of a CSV header; a longer first record is no header."""


class Progress(Protocol):
    """Where a stream stands, in the terms of its source."""

    def position(self, resume: int, *, done: bool) -> SourcePosition:
        """The position from which reading goes on at byte `resume`; `done` if all that is here was handed on."""
        ...

    def consumed(self, resume: int, *, done: bool) -> int:
        """Stored bytes taken since the last call, for records up to `resume`."""
        ...


class TextStream:
    """Cuts one stream into blocks. Bytes go in by `space` and `advance`."""

    def __init__(
        self,
        source: str,
        form: Format,
        options: ReadOptions,
        progress: Progress,
        *,
        header: tuple[str, ...] | None = None,
        offset: int = 0,
    ) -> None:
        """A CSV stream without `header` begins with it."""
        self._source = source
        self._kind: TextKind = "csv" if form.kind == "csv" else "json"
        self._delimiter = form.delimiter
        self._fields = options.fields
        self._progress = progress
        self._header = header
        self._cutter = RecordCutter(
            form.delimiter, offset=offset, block_bytes=options.block_bytes, record_bytes=options.record_bytes
        )
        self.space = self._cutter.space
        self.advance = self._cutter.advance

    @property
    def offset(self) -> int:
        """Byte offset of the next byte to come."""
        return self._cutter.offset

    @property
    def full(self) -> bool:
        """Whether `ready` must be emptied before more bytes are put."""
        return self._cutter.full

    @property
    def header(self) -> tuple[str, ...] | None:
        """The header, if it is CSV and was met."""
        return self._header

    def ready(self) -> Iterator[TextBlock]:
        """The whole records that are here. Raises SourceError for a header that cannot be one."""
        if self._needs_header():
            self.take_header()
        if not self._needs_header():
            for piece in iter(self._cutter.take, None):
                yield self._block(piece)

    def finish(self) -> Iterator[TextBlock]:
        """The rest of a stream that ended; the last block, perhaps without records, has the final position.

        Raises SourceError as `ready` does.
        """
        yield from self.ready()
        if self._needs_header():
            resume, rest = self._cutter.resume, self._cutter.take_rest()
            self._header = ()
            if rest:
                self._header = parse_header(self._source, rest, self._delimiter or ",", self._fields)
            yield self._block(Piece(memoryview(b""), resume, (), resume), done=True)
            return
        resume = self._cutter.resume
        pieces = self._cutter.finish() or [Piece(memoryview(b""), resume, (), resume)]
        for piece in pieces:
            yield self._block(piece, done=piece is pieces[-1])

    def _needs_header(self) -> bool:
        return self._kind == "csv" and self._header is None

    def take_header(self) -> None:
        """Take the header alone, if it is whole. Raises SourceError if it cannot be one."""
        record = self._cutter.take_first()
        if record is not None:
            self._header = parse_header(self._source, record, self._delimiter or ",", self._fields)
        elif (piece := self._cutter.take()) is not None:
            raise SourceError(f"{self._source}: its first line cannot be a CSV header: {piece.oversize[0].reason}")

    def _block(self, piece: Piece, *, done: bool = False) -> TextBlock:
        return TextBlock(
            source=self._source,
            format=self._kind,
            data=piece.data,
            offset=piece.offset,
            position=self._progress.position(piece.resume, done=done),
            consumed_bytes=self._progress.consumed(piece.resume, done=done),
            header=self._header,
            delimiter=self._delimiter,
            oversize=piece.oversize,
        )


def parse_header(
    source: str, record: bytes, delimiter: str, fields: Sequence[FieldPath] | None = None
) -> tuple[str, ...]:
    """The names in a CSV file's first record. Raises SourceError if it cannot be a header."""
    where = f"{source}: its first line is not a CSV header:"
    if len(record) > HEADER_BYTES:
        raise SourceError(f"{where} it is longer than {HEADER_BYTES:,} bytes")
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{where} it is not UTF-8 (byte {error.start}); convert the file to UTF-8") from None
    try:
        rows = list(csv.reader(io.StringIO(text.rstrip("\r\n"), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise SourceError(f"{where} {error}") from None
    names = tuple(rows[0]) if rows else ()
    if not any(names):
        raise SourceError(f"{where} it is empty; write the columns' names there")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SourceError(f"{where} it names {name!r} twice; every column needs a name of its own")
        seen.add(name)
    if fields and not seen.intersection(field.column for field in fields):
        wanted = ", ".join(field.column for field in fields[:5])
        raise SourceError(
            f"{where} it names none of the fields the pipeline reads ({wanted}), but {', '.join(names[:5])}; "
            "add a header, or say another --delimiter"
        )
    return names
