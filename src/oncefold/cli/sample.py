"""The first records of a source in any format, each read by the scalar decoder; nothing is folded or kept."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from oncefold.core.csv_record import csv_cells, csv_record_end
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import IgnoredRecord, InvalidEvent, SourceError
from oncefold.core.event import Event

if TYPE_CHECKING:
    from oncefold.sources.blocks import Finding, TableBlock, TextBlock
    from oncefold.sources.inputs import ReadOptions

_BLOCK_BYTES = 2**18
_TABLE_ROWS = 2**12


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One record: of JSON its text, of CSV header and cells, of a table the row."""

    line: int
    """The line it begins on, or the number of its row, from 1."""
    raw: bytes = b""
    header: tuple[str, ...] = ()
    cells: tuple[str, ...] | None = None
    row: Mapping[str, Any] | None = None
    fault: str = ""
    """Why it is not a record."""


@dataclass(frozen=True, slots=True)
class SampleReading:
    """The result of reading a record: an event, or the reason of its rejection."""

    line: int
    event: Event | None
    reason: str = ""
    ignored: bool = False
    """Whether the record says nothing, as its envelope means it; it is not rejected."""


class Sample:
    """The first records of a source, read as `oncefold run` reads them."""

    def __init__(self, name: str, rows: int, options: "ReadOptions") -> None:
        """At most so many records of a file, a directory, a pattern, or `-` for stdin."""
        self._name, self._rows = name, rows
        self._options = replace(options, block_bytes=_BLOCK_BYTES, table_rows=_TABLE_ROWS)
        self.said: list[str] = []
        """What a person should know of the source."""
        self.delimiter: str | None = None
        """Of CSV, as far as it was read."""
        self.form = ""
        """How it is written, in words."""

    def records(self) -> Generator[SampleRecord]:
        """The records. Raises SourceError if there is no such source, or none of it can be read."""
        from oncefold.sources.sources import Sources

        yield from islice(self._all(Sources([self._name], self._options).blocks()), self._rows)

    def _all(self, blocks: "Iterator[TextBlock | TableBlock | Finding]") -> Iterator[SampleRecord]:
        from oncefold.sources.blocks import Finding, TextBlock
        from oncefold.sources.directories import with_columns

        line, source, seen = 1, "", 0
        try:
            for item in blocks:
                if isinstance(item, Finding):
                    self.said.append(item.message)
                    continue
                block = with_columns(item).block if isinstance(item, TextBlock) and item.columns else item
                if block.source != source:
                    source, line = block.source, 1
                if isinstance(block, TextBlock):
                    self.delimiter = block.delimiter
                    self.form = "JSON" if block.format == "json" else f"CSV with {block.delimiter!r} between columns"
                    if line == 1 and block.header:
                        line += 1
                    records = _json(block, line) if block.format == "json" else _csv(block, line)
                    line += len(block.oversize) + bytes(block.data).count(b"\n")
                else:
                    self.form = "a typed table"
                    records = _rows(block)
                for record in records:
                    seen += 1
                    yield record
        except SourceError:
            if not seen:
                raise


def readings(records: Iterator[SampleRecord], pipeline: Pipeline) -> Iterator[SampleReading]:
    """Each record as the pipeline reads it."""
    decoder = Decoder(pipeline)
    for record in records:
        try:
            yield from (SampleReading(record.line, event) for event in _decoded(decoder, record).each())
        except IgnoredRecord as error:
            yield SampleReading(record.line, None, str(error), ignored=True)
        except InvalidEvent as error:
            yield SampleReading(record.line, None, str(error))


def _decoded(decoder: Decoder, record: SampleRecord) -> Event:
    if record.fault:
        raise InvalidEvent(record.fault)
    if record.row is not None:
        return decoder.flat(record.row)
    return decoder.json(record.raw) if record.cells is None else decoder.csv(record.header, record.cells)


def _json(block: "TextBlock", line: int) -> Iterator[SampleRecord]:
    for oversize in block.oversize:
        yield SampleRecord(line, oversize.head, fault=oversize.reason)
        line += 1
    for number, raw in enumerate(bytes(block.data).split(b"\n"), line):
        if raw.strip(b"\0 \t\r"):
            yield SampleRecord(number, raw.rstrip(b"\r"))


def _csv(block: "TextBlock", line: int) -> Iterator[SampleRecord]:
    header, delimiter = block.header or (), block.delimiter or ","
    for oversize in block.oversize:
        yield SampleRecord(line, oversize.head, header, fault=oversize.reason)
        line += 1
    data, at = bytes(block.data), 0
    while at < len(data):
        end = csv_record_end(data, at, delimiter)
        raw = data[at:end].rstrip(b"\r\n")
        if raw.lstrip(b"\0"):
            yield _csv_record(raw, line, header, delimiter)
        line += data.count(b"\n", at, end)
        at = end


def _csv_record(raw: bytes, line: int, header: tuple[str, ...], delimiter: str) -> SampleRecord:
    try:
        return SampleRecord(line, raw, header, tuple(csv_cells(raw, delimiter)))
    except InvalidEvent as error:
        return SampleRecord(line, raw, header, fault=str(error))


def _rows(block: "TableBlock") -> Iterator[SampleRecord]:
    from oncefold.columnar.table import plain_value

    columns = dict(zip(block.table.schema.names, block.table.columns, strict=True))
    for row in range(block.table.num_rows):
        values = {name: plain_value(column, row) for name, column in columns.items()}
        yield SampleRecord(block.first_row + row + 1, row=values)
