"""The first records of a JSON Lines or CSV file, each read by the scalar decoder; nothing is folded or kept."""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidEvent, SourceError
from oncefold.core.event import Event
from oncefold.core.limits import RECORD_BYTES

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One record of the file; `cells` and `header` only of a CSV."""

    line: int
    """The line it begins on, from 1."""
    raw: bytes
    header: tuple[str, ...] = ()
    cells: tuple[str, ...] | None = None
    fault: str = ""
    """Why it is not a record."""


@dataclass(frozen=True, slots=True)
class SampleReading:
    """The result of reading a record: an event, or the reason of its rejection."""

    line: int
    event: Event | None
    reason: str = ""


def readings(records: Iterator[SampleRecord], pipeline: Pipeline) -> Iterator[SampleReading]:
    """Each record as the pipeline reads it."""
    decoder = Decoder(pipeline)
    for record in records:
        try:
            yield SampleReading(record.line, _decoded(decoder, record))
        except InvalidEvent as error:
            yield SampleReading(record.line, None, str(error))


def _decoded(decoder: Decoder, record: SampleRecord) -> Event:
    if record.fault:
        raise InvalidEvent(record.fault)
    return decoder.json(record.raw) if record.cells is None else decoder.csv(record.header, record.cells)


def first_records(
    name: str, rows: int, form: str | None = None, delimiter: str | None = None
) -> Generator[SampleRecord]:
    """At most so many records of a file, `-` for stdin; gzip and zstd are detected. Raises SourceError."""
    from oncefold.sources.inputs import ReadOptions, format_of
    from oncefold.sources.text import document_fault

    found = format_of(name, ReadOptions(format=form, delimiter=delimiter))
    if not found.is_text:
        raise SourceError(f"{name}: a sample is read from JSON Lines or CSV; give one of these")
    try:
        with _opened(name) as stream:
            if found.kind == "json" and (fault := document_fault(stream.peek(1).removeprefix(_BOM))):
                raise SourceError(f"{name}: {fault}")
            lines = _Lines(stream)
            records = _csv(name, lines, found.delimiter or ",") if found.kind == "csv" else _json(lines)
            yield from islice(records, rows)
    except FileNotFoundError:
        raise SourceError(f"{name}: no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


@contextmanager
def _opened(name: str) -> Iterator[io.BufferedReader]:
    """The file's bytes, decompressed; stdin stays open."""
    with ExitStack() as stack:
        file: Any = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
        stream = io.BufferedReader(file)
        stack.callback(_detach, stream)
        magic = stream.peek(4)
        if magic.startswith(_GZIP):
            yield io.BufferedReader(stack.enter_context(gzip.GzipFile(fileobj=stream)))
        elif magic.startswith(_ZSTD):
            import pyarrow as pa

            yield io.BufferedReader(stack.enter_context(pa.CompressedInputStream(stream, "zstd")))
        else:
            yield stream


def _detach(stream: io.BufferedReader) -> None:
    if not stream.closed:
        stream.detach()


class _Lines:
    """The lines of a stream, whole and bounded, with their bytes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._taken: list[bytes] = []
        self.number = 0
        """Lines read so far."""

    def __iter__(self) -> Iterator[bytes]:
        while line := self._stream.readline(RECORD_BYTES + 1):
            self.number += 1
            if self.number == 1:
                line = line.removeprefix(_BOM)
            if len(line) > RECORD_BYTES and not line.endswith(b"\n"):
                self._skip_rest()
            self._taken.append(line)
            yield line

    def take(self) -> bytes:
        """The bytes of all lines read since the last call."""
        raw = b"".join(self._taken)
        self._taken.clear()
        return raw

    def _skip_rest(self) -> None:
        while (rest := self._stream.readline(RECORD_BYTES)) and not rest.endswith(b"\n"):
            pass


def _json(lines: _Lines) -> Iterator[SampleRecord]:
    for line in lines:
        raw = line.rstrip(b"\r\n")
        if raw.strip(b" \t"):
            yield SampleRecord(lines.number, raw, fault=_too_long(raw))
        lines.take()


def _csv(name: str, lines: _Lines, delimiter: str) -> Iterator[SampleRecord]:
    from oncefold.sources.text import parse_header

    texts = (line.decode("utf-8", "surrogateescape") for line in lines)
    rows = csv.reader(texts, delimiter=delimiter)
    try:
        next(rows)
    except StopIteration:
        return
    except csv.Error as error:
        parse_header(name, lines.take(), delimiter)
        raise SourceError(f"{name}: its first line is not a CSV header: {error}") from None
    header = parse_header(name, lines.take(), delimiter)
    while True:
        start, fault = lines.number + 1, ""
        cells: tuple[str, ...] = ()
        try:
            cells = tuple(next(rows))
        except StopIteration:
            return
        except csv.Error as error:
            fault = f"not a CSV record: {error}"
        raw = lines.take()
        if cells or fault:
            yield SampleRecord(start, raw, header, cells, fault or _too_long(raw) or _not_utf8(raw))


def _too_long(raw: bytes) -> str:
    return f"the record is longer than {RECORD_BYTES:,} bytes" if len(raw) > RECORD_BYTES else ""


def _not_utf8(raw: bytes) -> str:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}"
    return ""
