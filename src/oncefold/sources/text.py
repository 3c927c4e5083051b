"""Text of one stream or file, plain or compressed, to blocks: the header, the records, the positions."""

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from oncefold.commit import SourcePosition
from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.sources.blocks import TextBlock, TextKind
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
from oncefold.sources.inputs import Format, ReadOptions, says_compressed
from oncefold.sources.position import FileState, Fingerprinter
from oncefold.sources.waiting import Waiting

_HEAD_BYTES: Final = 2**16
"""Bytes of a JSON stream that are looked at before it is read as lines."""

_ARRAY_OF_OBJECTS: Final = re.compile(rb"\[\s*(\{|$)")

HEADER_BYTES: Final = 2**20
"""Bytes of a CSV header; a longer first record is no header."""


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
        self._is_checked = self._kind == "csv" or offset > 0
        """Whether the stream was found to be lines, or its beginning was read by an earlier run."""
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
        """The header, if it is CSV and was read."""
        return self._header

    def ready(self) -> Iterator[TextBlock]:
        """The whole records that are here.

        Raises SourceError for a header that cannot be one, and for JSON that is one document instead of lines.
        """
        if self._needs_header():
            self.take_header()
        if not self._needs_header():
            for piece in iter(self._cutter.take, None):
                self._check(piece)
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
            self._check(piece)
            yield self._block(piece, done=piece is pieces[-1])

    def _check(self, piece: Piece) -> None:
        """Refuse a stream whose first record shows that it is one document. Raises SourceError."""
        if self._is_checked:
            return
        head = piece.oversize[0].head if piece.oversize else bytes(piece.data[:_HEAD_BYTES])
        if head.strip(b"\0 \t\r\n"):
            self._is_checked = True
            if fault := document_fault(head):
                raise SourceError(f"{self._source}: {fault}")

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


def document_fault(head: bytes) -> str:
    """Why a stream that begins with these bytes is one JSON document, or several over many lines; "" if it is lines.

    Reading it line by line would count some of its events and reject the others.
    """
    head = head.lstrip(b"\0 \t\r\n")
    if _ARRAY_OF_OBJECTS.match(head):
        return "it is one JSON array, not JSON Lines; write one object per line, for example by: jq -c '.[]' FILE"
    line, newline, _ = head.partition(b"\n")
    if not line.startswith(b"{") or not newline or _is_json(line):
        return ""
    text = head.decode("utf-8", "replace")
    try:
        spread = line.strip() == b"{" or json.JSONDecoder().raw_decode(text)[1] > text.index("\n")
    except (ValueError, RecursionError):
        return ""
    return (
        "its objects extend over several lines, which is not JSON Lines; write one object per line, for example by: "
        "jq -c . FILE"
        if spread
        else ""
    )


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


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
    if len(rows) > 1:
        raise SourceError(
            f"{where} a carriage return alone ends no line here; end lines with a line feed, for example by: "
            "tr '\\r' '\\n' < FILE"
        )
    names = tuple(rows[0]) if rows else ()
    if not any(names):
        raise SourceError(f"{where} it is empty; write the columns' names there")
    read = None if fields is None else {field.column for field in fields}
    seen: set[str] = set()
    for name in names:
        if name in seen and (read is None or name in read):
            raise SourceError(f"{where} it names {name!r} twice; every column that is read needs a name of its own")
        seen.add(name)
    if fields and not seen.intersection(field.column for field in fields):
        wanted = ", ".join(field.column for field in fields[:5])
        raise SourceError(
            f"{where} it names none of the fields the pipeline reads ({wanted}), but {', '.join(names[:5])}; "
            "add a header, or say another --delimiter"
        )
    return names


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
    ) -> None:
        self._source, self._descriptor, self._form, self._options = source, descriptor, form, options
        self._waiting = waiting
        self._resume = state.at if state is not None else 0
        self._progress = _FileProgress(source, descriptor, state)
        self._raw: RawStream | None = None
        self._stream: TextStream | None = None
        self._to_skip = 0

    def available(self) -> Iterator[TextBlock]:
        """Blocks of the whole records between here and the file's present end; fewer if stopped.

        Can be called again when the file has grown. Raises SourceError for damaged compressed data, after what could
        be read was handed on, and for a CSV header that cannot be one.
        """
        return self._available(final=False)

    def finish(self) -> Iterator[TextBlock]:
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

    def _available(self, *, final: bool) -> Iterator[TextBlock]:
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
            raw.stored, self._to_skip = self._to_skip, 0
            return True
        count = raw.readinto(memoryview(bytearray(min(self._to_skip, _SKIP_BYTES))))
        self._to_skip -= count
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
        return file_stream(self._descriptor, compression)

    def _text_stream(self) -> TextStream:
        if self._stream is None:
            header = self._read_header() if self._form.kind == "csv" and self._resume else None
            self._stream = TextStream(
                self._source, self._form, self._options, self._progress, header=header, offset=self._resume
            )
        return self._stream

    def _read_header(self) -> tuple[str, ...] | None:
        """The header, from the file's start; the records were read before, so it is there."""
        raw = self._open_raw(final=True)
        stream = TextStream(self._source, self._form, self._options, self._progress)
        while raw is not None and stream.header is None and (count := raw.readinto(stream.space())):
            stream.advance(count)
            stream.take_header()
        return stream.header


class _FileProgress:
    """The position of a file, as its stream sees it."""

    def __init__(self, source: str, descriptor: int, state: FileState | None) -> None:
        self._source = source
        self._fingerprinter = Fingerprinter(descriptor, "text")
        self._consumed = state.stored if state is not None else 0
        self.raw: RawStream | None = None

    def position(self, resume: int, *, done: bool) -> SourcePosition:
        return self._fingerprinter.state(resume, self._stored(resume, done=done), done=done).position(self._source)

    def consumed(self, resume: int, *, done: bool) -> int:
        before, self._consumed = self._consumed, max(self._consumed, self._stored(resume, done=done))
        return self._consumed - before

    def _stored(self, resume: int, *, done: bool) -> int:
        if self.raw is None:
            return 0
        return resume if isinstance(self.raw, PlainFile) and not done else self.raw.stored
