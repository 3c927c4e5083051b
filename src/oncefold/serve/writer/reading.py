"""A body, as it arrives, to blocks of whole records: decompressed, cut, never held whole."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa

from oncefold.columnar.arrays import read_only
from oncefold.columnar.csv_scan import record_ends
from oncefold.columnar.primitives import count_newlines
from oncefold.commit import SourcePosition
from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.engine.decoding import BlockDecoder
from oncefold.serve.channel.messages import BodyFormat
from oncefold.serve.writer.arrow_messages import ArrowMessages, Malformed
from oncefold.serve.writer.body_stream import BodyReader
from oncefold.serve.writer.slicing import sliced
from oncefold.sources.blocks import Finding, TableBlock, TextBlock
from oncefold.sources.compression import Damaged, Gzip, RawStream, Zstd
from oncefold.sources.document import EMPTY, Document
from oncefold.sources.header import absent_columns
from oncefold.sources.inputs import Format, ReadOptions
from oncefold.sources.tables import paths_of
from oncefold.sources.text import TextStream

BLOCK_BYTES: Final = 2**20
"""Bytes of text in one block, for each share of memory that a body may take."""

MOST_ROWS: Final = 2**16
"""Records that are decoded at once, about."""

FREE_EXPANDED_BYTES: Final = 16 * 2**20
MOST_EXPANSION: Final = 200
"""A compressed body has at most the one, or so many times its bytes as sent: what is cheap to send is cheap to read."""

Hold = Callable[[int], None]
"""Called with how many bytes a record takes that is not whole yet."""

_ReadInto = Callable[[memoryview], int]
_GZIP_READ: Final = 64 * 2**10
_NOTHING_SENT: Final = "the body is empty; send an object, or an array of objects"
_NOWHERE: Final = SourcePosition("", "")


@dataclass(frozen=True, slots=True)
class BodyDecoding:
    """What is the same for every body that a server reads."""

    decoder: BlockDecoder
    fields: tuple[FieldPath, ...]
    record_bytes: int
    needed: tuple[FieldPath, ...] = ()
    """Those of the fields that every event has."""
    whole: bool = False
    """Whether tables are read with all their columns."""
    shares: int = 1
    """How much larger than the least the blocks are."""

    def options(self) -> ReadOptions:
        """How text is cut."""
        block_bytes = min(self.shares * BLOCK_BYTES, self.record_bytes)
        return ReadOptions(
            fields=self.fields, needed=self.needed, block_bytes=block_bytes, record_bytes=self.record_bytes
        )


def read_body(
    decoding: BodyDecoding,
    format_: BodyFormat,
    body: BodyReader,
    hold: Hold = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[TextBlock | TableBlock]:
    """The records of a body, block by block as it comes.

    `hold` is called with how many bytes a record takes that is not whole yet; it may wait, or raise. `note` is called
    with what the client should know, such as columns that are not there. Raises Malformed
    when the body as a whole is not what it should be, after all records that were whole before that, and BrokenOff when
    its client gave up.
    """
    if format_.kind == "arrow":
        return _tables(decoding, format_, body, hold, note)
    return (part for block in _text(decoding, format_, body, hold, note) for part in thinned(block))


class _Plain:
    """A body that is not compressed, as a RawStream."""

    def __init__(self, readinto: _ReadInto) -> None:
        self.readinto = readinto
        self.stored = 0

    def fault(self) -> str | None:
        return None


def _raw(format_: BodyFormat, readinto: _ReadInto) -> RawStream:
    def fetch(size: int) -> bytes:
        space = memoryview(bytearray(size))
        return bytes(space[: readinto(space)])

    if format_.compression == "gzip":
        return Gzip(lambda size: fetch(min(size, _GZIP_READ)))
    return Zstd(fetch) if format_.compression == "zstd" else _Plain(readinto)


def _surely(body: BodyReader) -> _ReadInto:
    """Gives 0 at the end alone, however long bytes take."""

    def readinto(view: memoryview) -> int:
        while not (count := body.readinto(view)) and not body.ended:
            body.passed_on()
        return count

    return readinto


def _text(
    decoding: BodyDecoding, format_: BodyFormat, body: BodyReader, hold: Hold, note: Callable[[str], None]
) -> Iterator[TextBlock]:
    form = Format("csv", format_.delimiter or ",") if format_.kind == "csv" else Format("json")
    options = replace(decoding.options(), delimiter=format_.delimiter)
    stream = TextStream(format_.source, form, options, _Nowhere())
    end = 0
    try:
        for fault in _fed(stream, format_, body):
            for block in _blocks(stream.ready(), note):
                if not _is_blank(block):
                    yield block
                end = block.offset + len(block.data)
            body.passed_on()
            if fault:
                raise Malformed(fault)
            hold(min(stream.offset - end, decoding.record_bytes))
        yield from _blocks(stream.finish(), note)
    except SourceError as error:
        kind = "CSV" if format_.kind == "csv" else "JSON Lines"
        raise Malformed(f"the body is not {kind}: {str(error).removeprefix(f'{format_.source}: ')}") from None


def _blocks(found: Iterator[TextBlock | Finding], note: Callable[[str], None]) -> Iterator[TextBlock]:
    """The blocks; findings are noted."""
    for item in found:
        if isinstance(item, TextBlock):
            yield item
        else:
            note(item.message.removeprefix(f"{item.source}: "))


def _is_blank(block: TextBlock) -> bool:
    """Whether there is nothing but empty lines, which are no records of JSON Lines."""
    data = block.data
    if block.format == "csv" or block.oversize or not len(data) or data[0] > ord(" "):
        return False
    return bytes(data).isspace()


def _fed(stream: TextStream, format_: BodyFormat, body: BodyReader) -> Iterator[str]:
    """Feed the stream; yields whenever its records are to be passed on, at last with what is wrong, if anything is."""
    raw = _raw(format_, _surely(body) if format_.compression == "zstd" else body.readinto)
    document = Document() if format_.kind == "document" else None
    expanded = 0
    while True:
        space = stream.space()
        try:
            count = raw.readinto(space)
        except Damaged as damage:
            yield f"the body cannot be read: {damage}"
            return
        expanded += count
        if format_.compression and expanded > max(FREE_EXPANDED_BYTES, MOST_EXPANSION * raw.stored):
            yield (
                f"the body expands to more than {MOST_EXPANSION} times its {raw.stored:,} bytes, which is more work "
                "than a request may make; send it less compressed, or in parts"
            )
            return
        if count:
            count, fault = (count, "") if document is None else document.convert(space[:count])
            stream.advance(count)
            if fault:
                yield f"the body is not JSON: {fault}"
                return
        elif body.ended:
            break
        if stream.full or body.is_stale:
            yield ""
    if cut := raw.fault():
        yield f"the body is cut short: {cut}"
    elif document is not None and (missing := document.missing()):
        yield _NOTHING_SENT if missing == EMPTY else f"the body is cut short: {missing}"


class _Nowhere:
    """A body has no position to read on from: it is sent again as a whole."""

    def position(self, resume: int, *, done: bool) -> SourcePosition:  # noqa: ARG002 - as sources have it
        return _NOWHERE

    def consumed(self, resume: int, *, done: bool) -> int:  # noqa: ARG002
        return 0


def _tables(
    decoding: BodyDecoding, format_: BodyFormat, body: BodyReader, hold: Hold, note: Callable[[str], None]
) -> Iterator[TableBlock]:
    raw = _raw(format_, _surely(body))
    first = 0
    try:
        with pa.ipc.open_stream(pa.PythonFile(ArrowMessages(raw, hold), mode="r")) as reader:
            _require_names(reader.schema)
            columns = _wanted(decoding.fields, reader.schema, whole=decoding.whole)
            if said := absent_columns("", decoding.fields, paths_of(reader.schema)):
                note(said.removeprefix(": "))
            for batch in reader:
                batch.validate(full=True)  # offsets from outside may point anywhere
                for part in sliced(batch.select(columns)):
                    yield TableBlock(format_.source, part, first, _NOWHERE, 0)
                    first += part.num_rows
        if raw.readinto(memoryview(bytearray(1))):
            raise Malformed("after the end of the Arrow stream more follows; send one stream in a body")
    except (pa.ArrowException, OSError, Damaged) as error:
        words = str(error).split("\n", 1)[0].rstrip(".")
        raise Malformed(f"the body cannot be read as an Arrow stream after row {first:,}: {words}") from None
    if fault := raw.fault():
        raise Malformed(f"the body is cut short: {fault}")


def _require_names(schema: pa.Schema) -> None:
    """Raises Malformed for a field, however deep within another, whose name is not UTF-8; pyarrow takes any bytes."""
    waiting = list(schema)
    try:
        while waiting:
            field = waiting.pop()
            field.name  # noqa: B018 - decoded here
            waiting += [field.type.field(index) for index in range(field.type.num_fields)]
    except UnicodeDecodeError:
        raise Malformed("a field of the Arrow stream has a name that is not UTF-8") from None


def _wanted(fields: Sequence[FieldPath], schema: pa.Schema, *, whole: bool = False) -> list[int]:
    """The columns that are read; others may hold what they like. Raises Malformed for none, and for one named twice.

    `whole` reads them all, and wants one of the fields among them all the same.
    """
    names = {name for field in fields for name in (field.column, field.segments[0])}
    found = [index for index, name in enumerate(schema.names) if name in names]
    if not found:
        wanted, there = (", ".join(some[:5]) for some in ([field.column for field in fields], schema.names))
        raise Malformed(f"the table has none of the fields the pipeline reads ({wanted}), but {there}")
    twice = [name for name, count in Counter(schema.names[index] for index in found).items() if count > 1]
    if twice:
        raise Malformed(f"the table names {twice[0]!r} twice")
    return list(range(len(schema.names))) if whole else found


def is_dense(body: bytes) -> bool:
    """Whether a body has so many lines for its size that it is better cut."""
    return body.count(b"\n") > MOST_ROWS // 16


def thinned(block: TextBlock) -> Iterator[TextBlock]:
    """The same records in blocks of MOST_ROWS each; the block itself, if it has no more.

    Decoded, a record takes as much memory however short it is.
    """
    data = read_only(np.frombuffer(block.data, np.uint8))
    if len(data) <= MOST_ROWS or count_newlines(data) <= MOST_ROWS:
        yield block
        return
    if block.format == "csv":
        ends = record_ends(data, ord(block.delimiter or ","))
    else:
        ends = np.flatnonzero(data == ord("\n")) + 1
    edges = [0, *ends[MOST_ROWS - 1 : -1 : MOST_ROWS].tolist(), len(data)]
    for start, end in pairwise(edges):
        part = replace(block, data=block.data[start:end], offset=block.offset + start)
        yield part if start == 0 else replace(part, oversize=())
