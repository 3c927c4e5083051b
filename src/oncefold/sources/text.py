"""Text of one stream or file, plain or compressed, to blocks: the layout, the records, the positions."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from oncefold.commit import SourcePosition
from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Finding, TextBlock, TextKind
from oncefold.sources.compression import (
    MAGIC_BYTES,
    Damaged,
    PlainFile,
    RawStream,
    compression_of,
    file_stream,
    is_undecided,
)
from oncefold.sources.cut import Piece, RecordCutter
from oncefold.sources.directories import Columns, wanted_columns
from oncefold.sources.encoding import as_utf8, encoding_named, is_encoding_undecided
from oncefold.sources.header import DELIMITERS, absent_columns, fitting, parse_header, separator
from oncefold.sources.inputs import Format, ReadOptions, says_compressed
from oncefold.sources.position import FileState, Fingerprinter
from oncefold.sources.shape import SHAPE_BYTES, Shape, shape_of
from oncefold.sources.waiting import Waiting

if TYPE_CHECKING:
    from oncefold.sources.document import Document

_BLANKS: Final = b"\0 \t\r\n"


@dataclass(frozen=True, slots=True)
class Layout:
    """What the beginning of a stream says about all of it."""

    header: tuple[str, ...] | None = None
    """CSV: the names of the columns, none if the stream is empty."""
    delimiter: str | None = None
    """CSV: the one character between fields."""
    shape: Shape = "lines"
    """JSON: how its objects are written."""


class StreamProgress(Protocol):
    """How far a stream was read, in the terms of its source."""

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
        progress: StreamProgress,
        *,
        layout: Layout | None = None,
        offset: int = 0,
        columns: Columns = (),
    ) -> None:
        """Without a layout the stream begins with what says it; `offset` is that of the first byte to come.

        `columns` are those of its directories.
        """
        self._columns = columns
        self._source = source
        self._kind: TextKind = "csv" if form.kind == "csv" else "json"
        self._delimiter = form.delimiter if layout is None else layout.delimiter
        self._options = options
        self._progress = progress
        self._layout = layout if layout is not None or self._kind == "csv" or not offset else Layout()
        self._cutter = RecordCutter(
            self._delimiter, offset=offset, block_bytes=options.block_bytes, record_bytes=options.record_bytes
        )
        self._document: Document | None = None
        self._space = memoryview(b"")
        self._fault = ""
        self._findings: list[Finding] = []

    @property
    def offset(self) -> int:
        """Byte offset of the next byte to come."""
        return self._cutter.offset

    @property
    def full(self) -> bool:
        """Whether `ready` must be emptied before more bytes are put."""
        return self._cutter.full

    @property
    def layout(self) -> Layout | None:
        """The layout, if it is known yet."""
        return self._layout

    def space(self) -> memoryview:
        """Where to put the next bytes."""
        self._space = self._cutter.space()
        return self._space

    def advance(self, count: int) -> None:
        """`count` bytes were put at the beginning of `space`."""
        if self._document is not None:
            count, self._fault = (0, self._fault) if self._fault else self._document.convert(self._space[:count])
        self._cutter.advance(count)

    def resume_after(self, before: bytes) -> None:
        """The stream goes on in its middle, after a record that ends with this byte; called before any bytes come."""
        if self._layout is not None and self._layout.shape != "lines":
            self._document = _document(self._layout.shape, self._cutter.offset, before)

    def ready(self) -> Iterator[TextBlock | Finding]:
        """The whole records that are here.

        Raises SourceError for a header that cannot be one, and for a JSON array that is none.
        """
        is_blank = self.begin(whole=False)
        yield from self._reported()
        if self._layout is not None or is_blank:
            for piece in iter(self._cutter.take, None):
                yield self._block(piece)
        self._refuse_fault()

    def finish(self) -> Iterator[TextBlock | Finding]:
        """The rest of a stream that ended; the last block, perhaps without records, has the final position.

        Raises SourceError as `ready` does, and for an array that does not end.
        """
        yield from self.ready()
        self._cutter.end()
        resume = self._cutter.resume
        self.begin(whole=True)
        yield from self._reported()
        if self._document is not None and (missing := self._document.missing()):
            for piece in iter(self._cutter.take, None):
                yield self._block(piece)
            self._refuse_fault()
            raise SourceError(
                f"{self._source}: {missing}; what could be read of it is counted. "
                "If it is still being written, run again when it is whole, or --follow it"
            )
        if self._kind == "json":
            resume = self._cutter.resume
        pieces = self._cutter.finish() or [Piece(memoryview(b""), resume, (), resume)]
        for piece in pieces:
            yield self._block(piece, done=piece is pieces[-1])

    def begin(self, *, whole: bool) -> bool:
        """Find out the layout, if what is here says it, or is `whole`; whether nothing but blanks is here.

        Raises SourceError for a header that cannot be one.
        """
        if self._layout is not None:
            return False
        if self._kind == "csv":
            self._begin_csv(whole=whole)
            return False
        held = self._cutter.held
        head = bytes(held[: 2 * SHAPE_BYTES]).lstrip(_BLANKS)
        if not head and len(held) > 2 * SHAPE_BYTES:
            head = bytes(held).lstrip(_BLANKS)
        if not head and not whole:
            self._cutter.hold()
            return True
        shape = shape_of(head, whole=whole)
        if shape is None:
            self._cutter.hold()
            return False
        self._layout = Layout(shape=shape)
        if shape != "lines":
            self._document = _document(shape, self._cutter.offset - len(held))
            size, self._fault = self._document.convert(held)
            self._cutter.rescan(None, size)
        return False

    def _begin_csv(self, *, whole: bool) -> None:
        record = self._header_record(whole=whole)
        if record is not None and (said := separator(record)) is not None:
            self._delimiter = self._options.delimiter or said
            self._cutter.take_first() or self._cutter.take_rest()
            self._cutter.rescan(self._delimiter)
            record = self._header_record(whole=whole)
        elif record is not None and self._options.delimiter is None:
            record = self._choose_delimiter(record, whole=whole)
        if record is not None:
            self._cutter.take_first() or self._cutter.take_rest()
            names = parse_header(
                self._source,
                record,
                self._delimiter or ",",
                self._options.fields,
                self._options.needed,
                [name for name, _ in self._columns],
            )
            known = (*names, *(name for name, _ in self._columns))
            if said := absent_columns(self._source, self._options.fields or (), known):
                self._findings.append(Finding(self._source, "absent", said))
            self._layout = Layout(names, self._delimiter)
        elif whole:
            self._layout = Layout((), self._delimiter)
        elif (piece := self._cutter.take()) is not None:
            raise SourceError(f"{self._source}: its first line cannot be a CSV header: {piece.oversize[0].reason}")

    def _header_record(self, *, whole: bool) -> bytes | None:
        """The first record, if it is here; if all is here it may lack its newline."""
        record = self._cutter.first()
        return (bytes(self._cutter.held) or None) if record is None and whole else record

    def _choose_delimiter(self, record: bytes, *, whole: bool) -> bytes | None:
        """Choose the delimiter that gives the header the most wanted fields; the header as it delimits it.

        The format's own is preferred.
        """
        fields = self._options.fields
        own = self._delimiter
        best, most = record, fitting(record, own or ",", fields)
        if fields is not None and most == len({field.column for field in fields}):
            return best
        for delimiter in DELIMITERS:
            if delimiter == own or delimiter.encode() not in record:
                continue
            self._cutter.rescan(delimiter)
            other = self._header_record(whole=whole)
            if other is not None and (fits := fitting(other, delimiter, fields)) > most:
                best, most, self._delimiter = other, fits, delimiter
        self._cutter.rescan(self._delimiter)
        return best

    def _reported(self) -> Iterator[Finding]:
        findings, self._findings = self._findings, []
        yield from findings

    def _refuse_fault(self) -> None:
        if self._fault:
            raise SourceError(f"{self._source}: it is not JSON: {self._fault}; what could be read of it is counted")

    def _block(self, piece: Piece, *, done: bool = False) -> TextBlock:
        header = None if self._layout is None else self._layout.header
        return TextBlock(
            source=self._source,
            format=self._kind,
            data=piece.data,
            offset=piece.offset,
            position=self._progress.position(piece.resume, done=done),
            consumed_bytes=self._progress.consumed(piece.resume, done=done),
            header=header,
            delimiter=self._delimiter,
            oversize=piece.oversize,
            columns=wanted_columns(self._columns, self._options.read_fields, header or ()) if self._columns else (),
        )


def _document(shape: Shape, offset: int, before: bytes = b"") -> "Document":
    from oncefold.sources.document import Document  # noqa: PLC0415 - a kernel is loaded when a document is met

    return Document(sequence=shape == "objects", offset=offset, before=before)


_SKIP_BYTES: Final = 256 * 2**10


class TextFile:
    """Reads the file open as `descriptor`, from the start or on from `state`; the caller closes it."""

    def __init__(
        self,
        source: str,
        descriptor: int,
        form: Format,
        options: ReadOptions,
        waiting: Waiting,
        state: FileState | None = None,
        *,
        columns: Columns = (),
    ) -> None:
        self._columns = columns
        self._source, self._descriptor, self._form, self._options = source, descriptor, form, options
        self._waiting = waiting
        self._resume = state.at if state is not None else 0
        self._raw: RawStream | None = None
        self._stream: TextStream | None = None
        self._to_skip = 0
        self._encoding = "" if options.encoding is None else encoding_named(options.encoding)
        if state is not None and state.encoding:
            self._encoding = state.encoding
        self._progress = _FileProgress(source, descriptor, self._encoding, state)

    def available(self) -> Iterator[TextBlock | Finding]:
        """Blocks of the whole records between here and the file's present end; fewer if stopped.

        Can be called again when the file has grown. Raises SourceError for damaged compressed data, after what could
        be read was handed on, and for a CSV header that cannot be one.
        """
        return self._available(final=False)

    def finish(self) -> Iterator[TextBlock | Finding]:
        """What `available` leaves: a last record without newline. The last block has the final position.

        Raises SourceError if a compressed stream is cut short; the position is then before what is missing.
        """
        yield from self._available(final=True)
        if self._waiting.stopped():
            return
        if self._raw is not None and (fault := self._raw.fault()):
            raise SourceError(
                f"{self._source}: {fault}; what could be read of it is counted. "
                "If it is still being written, run again when it is whole, or --follow it"
            )
        yield from self._text_stream().finish()

    def _available(self, *, final: bool) -> Iterator[TextBlock | Finding]:
        raw = self._raw_stream(final=final)
        if raw is None:
            return
        stream = self._text_stream()
        while not self._waiting.stopped():
            try:
                if self._to_skip:
                    if not self._skip(raw):
                        return
                    continue
                count = raw.readinto(stream.space())
            except Damaged as damage:
                raise SourceError(f"{self._source}: {damage}; what could be read of it is counted") from None
            if not count:
                return
            stream.advance(count)
            yield from stream.ready()

    def _skip(self, raw: RawStream) -> bool:
        """Pass over some of what was read before; whether there was any."""
        if isinstance(raw, PlainFile):
            before = os.pread(self._descriptor, 1, self._to_skip - 1)
            raw.stored, count = self._to_skip, self._to_skip
        else:
            space = bytearray(min(self._to_skip, _SKIP_BYTES))
            count = raw.readinto(memoryview(space))
            before = bytes(space[count - 1 : count])
        self._to_skip -= count
        if count and not self._to_skip and self._text_stream().offset == self._resume:
            self._text_stream().resume_after(before)
        return bool(count)

    def _raw_stream(self, *, final: bool) -> RawStream | None:
        """The bytes, once it is known how they are compressed."""
        if self._raw is None:
            self._raw = self._open_raw(final=final)
            self._to_skip = self._resume
        elif self._raw.fault() and os.fstat(self._descriptor).st_size > self._raw.stored and self._is_stuck():
            self._raw = self._open_raw(final=final)
            self._to_skip = self._text_stream().offset
        if self._raw is not None:
            self._progress.raw = self._raw
        return self._raw

    def _is_stuck(self) -> bool:
        return getattr(self._raw, "cut_short", False)

    def _open_raw(self, *, final: bool) -> RawStream | None:
        magic = os.pread(self._descriptor, MAGIC_BYTES, 0)
        if not magic or (is_undecided(magic) and not final):
            return None
        compression = compression_of(magic)
        if compression is None and says_compressed(self._source):
            raise SourceError(f"{self._source}: its name says that it is compressed, but it is neither gzip nor zstd")
        if compression is None and is_encoding_undecided(magic) and not final:
            return None
        raw = file_stream(self._descriptor, compression)
        return as_utf8(raw, self._encoding or None, magic if compression is None else None)

    def _text_stream(self) -> TextStream:
        if self._stream is None:
            layout = self._read_layout() if self._resume else None
            self._stream = TextStream(
                self._source,
                self._form,
                self._options,
                self._progress,
                layout=layout,
                offset=self._resume,
                columns=self._columns,
            )
        return self._stream

    def _read_layout(self) -> Layout | None:
        """The layout, from the file's start; what says it was read before, so it is there."""
        raw = self._open_raw(final=True)
        stream = TextStream(self._source, self._form, self._options, self._progress, columns=self._columns)
        while raw is not None and stream.layout is None:
            count = raw.readinto(stream.space()[:SHAPE_BYTES])
            stream.advance(count)
            stream.begin(whole=not count)
        return stream.layout


class _FileProgress:
    """The position of a file, as its stream sees it."""

    def __init__(self, source: str, descriptor: int, encoding: str, state: FileState | None) -> None:
        self._source, self._encoding = source, encoding
        self._fingerprinter = Fingerprinter(descriptor, "text")
        self._consumed = state.stored if state is not None else 0
        self.raw: RawStream | None = None

    def position(self, resume: int, *, done: bool) -> SourcePosition:
        state = self._fingerprinter.state(resume, self._stored(resume, done=done), done=done)
        return replace(state, encoding=self._encoding).position(self._source)

    def consumed(self, resume: int, *, done: bool) -> int:
        before, self._consumed = self._consumed, max(self._consumed, self._stored(resume, done=done))
        return self._consumed - before

    def _stored(self, resume: int, *, done: bool) -> int:
        if self.raw is None:
            return 0
        return resume if isinstance(self.raw, PlainFile) and not done else self.raw.stored
