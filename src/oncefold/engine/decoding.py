"""From the blocks of sources, and from what Python callers pass, to batches."""

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Protocol, TypeAlias, cast

import pyarrow as pa

from oncefold.columnar.batch import Batch
from oncefold.columnar.primitives import FIXED_SEED, Seed
from oncefold.columnar.table import TableDecoder
from oncefold.columnar.text import RecordDecoder, TextDecoder, csv_layout
from oncefold.commit import Reject
from oncefold.core.definition import Pipeline
from oncefold.core.errors import SourceError
from oncefold.sources.blocks import BLOCK_BYTES, Oversize, Pieces, TableBlock, TextBlock
from oncefold.sources.directories import with_columns
from oncefold.sources.shape import SHAPE_BYTES, shape_of

TABLE_ROWS = 2**17
"""Rows of a table that are decoded at once."""

ITEMS = 2**14
"""Mappings of an iterable that are decoded at once."""


class ArrowStream(Protocol):
    """Tables in the Arrow PyCapsule interface: Arrow tables and readers, pandas and polars frames."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A capsule with the stream."""


class ArrowArray(Protocol):
    """One array of records in the Arrow PyCapsule interface: an Arrow record batch."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object:
        """Capsules with the schema and the array."""


class LazyFrame(Protocol):
    """A frame that is computed when it is read: of polars."""

    def collect_schema(self) -> object:
        """The names and types of its columns."""

    def collect(self) -> Any:
        """Compute it: a frame."""


EventData = (
    str
    | bytes
    | bytearray
    | memoryview
    | Mapping[str, object]
    | Iterable[Mapping[str, object] | ArrowStream | ArrowArray]
    | ArrowStream
    | ArrowArray
    | LazyFrame
)
"""Events as Python programs have them: JSON Lines as text or bytes, a dictionary, an Arrow table, record batch or
reader, a pandas or polars frame, a polars LazyFrame, and an iterable or iterator of dictionaries or of tables and
frames."""


class BlockDecoder:
    """Decodes blocks of any source for one pipeline."""

    def __init__(self, pipeline: Pipeline, seed: Seed = FIXED_SEED) -> None:
        """`seed` is that of the engine that folds the batches."""
        self._records = RecordDecoder(pipeline, seed)
        self._text = TextDecoder(pipeline, seed)
        self._table = TableDecoder(pipeline, seed)

    def decode(self, block: TextBlock | TableBlock) -> tuple[Batch, list[Reject]]:
        """The batch of a block, and rejects for the records that were too long to be in it."""
        if isinstance(block, TableBlock):
            return self._table.decode(block.table, block.source, block.first_row), []
        oversize = [_oversize(block, record) for record in block.oversize]
        if block.columns:
            whole = with_columns(block)
            batch, _ = self.decode(replace(whole.block, oversize=()))
            rejects = [replace(reject, position=whole.position(reject.position)) for reject in batch.rejects]
            return replace(batch, rejects=rejects), oversize
        if block.format == "json":
            batch = self._text.json(block.data, block.source, block.offset)
            if block.pieces is None:
                return batch, oversize
            return replace(batch, rejects=_located(batch.rejects, block.pieces)), _located(oversize, block.pieces)
        assert block.header is not None
        assert block.delimiter is not None
        return self._text.csv(block.data, block.source, block.offset, block.header, block.delimiter), oversize

    def batches(self, data: EventData, source: str) -> Iterator[Batch]:
        """The batches of data that a Python program passes. Raises SourceError for data of another kind."""
        for first, piece in pieces_of(data):
            if isinstance(piece, memoryview):
                yield self._text.json(piece, source, first)
            elif isinstance(piece, list):
                yield self._records.mappings(piece, source, first)
            else:
                yield self._table.decode(piece, source, first)

    def again(self, rejects: Sequence[Reject]) -> Iterator[tuple[list[int], Batch]]:
        """Read rejects once more: batches, and the indexes of the rejects that each can be read from.

        Records of JSON Lines are read many at once; one of CSV might swallow the next, so each is read alone.
        """
        lines = [index for index, reject in enumerate(rejects) if reject.format == "json"]
        for first in range(0, len(lines), TABLE_ROWS):
            yield self._lines_again(lines[first : first + TABLE_ROWS], rejects)
        for index, reject in enumerate(rejects):
            if reject.format != "json":
                batch = self._csv_again(reject) if reject.format == "csv" else self._records.again(reject)
                yield ([] if batch.rejects else [index]), batch

    def _lines_again(self, indexes: list[int], rejects: Sequence[Reject]) -> tuple[list[int], Batch]:
        raws = [rejects[index].raw for index in indexes]
        starts = accumulate((len(raw) + 1 for raw in raws), initial=0)
        batch = self._text.json(b"\n".join(raws) + b"\n", "", 0)
        bad = {reject.position for reject in batch.rejects}
        return [index for index, start in zip(indexes, starts, strict=False) if start not in bad], batch

    def _csv_again(self, reject: Reject) -> Batch:
        delimiter, header = csv_layout(reject.context)
        return self._text.csv(reject.raw, reject.source, reject.position, header, delimiter)


Piece: TypeAlias = memoryview | list[Any] | pa.RecordBatch
"""JSON Lines, mappings, or a part of a table."""


def pieces_of(data: EventData) -> Iterator[tuple[int, Piece]]:
    """Data that a Python program passes, in pieces, each with the byte, item or row that it begins at.

    Raises SourceError for data of another kind. What an iterable gave before it raised comes before its exception.
    """
    if isinstance(data, str):
        if _is_a_name(data):
            raise SourceError(
                f"cannot ingest the text {data[:100]!r}: it is no JSON object. To read a file of that name: "
                "oncefold run, or hand in its bytes"
            )
        data = data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return _of_lines(_as_lines(bytes(data)))
    if isinstance(data, Mapping):
        return iter([(0, [data])])
    computed: object = cast("LazyFrame", data).collect() if hasattr(data, "collect_schema") else data
    if (table := _batches_of(computed)) is not None:
        return _of_table(table, 0)
    if isinstance(computed, Iterable):
        return _of_items(computed)
    kinds = "JSON Lines as bytes, mappings, an Arrow table or a data frame"
    raise SourceError(f"cannot ingest {type(data).__name__}; pass {kinds}")


def _of_lines(data: bytes) -> Iterator[tuple[int, Piece]]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + BLOCK_BYTES) + 1 or len(data)
        yield start, memoryview(data)[start:end]
        start = end


def _of_items(items: Iterable[object]) -> Iterator[tuple[int, Piece]]:
    """Mappings and tables, in their order; what came before an exception comes before it."""
    found: list[Any] = []
    first, failure = 0, None
    given = iter(items)
    while failure is None:
        try:
            item = next(given)
        except StopIteration:
            break
        except Exception as error:
            failure = error
            break
        if (table := _batches_of(item)) is None:
            found.append(item)
        if found and (table is not None or len(found) == ITEMS):
            yield first, found
            first, found = first + len(found), []
        for at, piece in _of_table(table or (), first):
            yield at, piece
            first = at + len(piece)
    if found:
        yield first, found
    if failure is not None:
        raise failure


def _of_table(reader: Iterable[pa.RecordBatch], first: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    for whole in reader:
        for start in range(0, whole.num_rows, TABLE_ROWS):
            part = whole.slice(start, TABLE_ROWS)
            yield first, part
            first += part.num_rows


def _batches_of(data: object) -> Iterable[pa.RecordBatch] | None:
    """The record batches of a table or frame; None for what is neither."""
    if hasattr(data, "__arrow_c_stream__"):
        batches: Iterable[pa.RecordBatch] = pa.RecordBatchReader.from_stream(data)
        return batches
    return [pa.record_batch(data)] if hasattr(data, "__arrow_c_array__") else None


def _is_a_name(text: str) -> bool:
    """Whether a text is rather the name of a file than JSON Lines: one line that holds no JSON."""
    line = text.removeprefix("\ufeff").strip()
    return bool(line) and "\n" not in line and line[0] not in '{["'


def _as_lines(data: bytes) -> bytes:
    """Data as JSON Lines, also if it is one array, or objects over several lines. Raises SourceError if it breaks."""
    data = data.removeprefix(codecs.BOM_UTF8)
    shape = shape_of(data[: 2 * SHAPE_BYTES].lstrip() or data, whole=len(data) <= 2 * SHAPE_BYTES)
    if shape in {"lines", None}:
        return data
    from oncefold.sources.document import Document  # noqa: PLC0415 - a kernel is loaded when a document is met

    document, lines = Document(sequence=shape == "objects"), bytearray(data)
    _, fault = document.convert(memoryview(lines))
    if wrong := fault or document.missing():
        raise SourceError(f"cannot ingest this: it is not JSON: {wrong}")
    return bytes(lines)


def _oversize(block: TextBlock, record: Oversize) -> Reject:
    return Reject(block.source, record.offset, record.reason, record.head, block.format, size=record.length)


def _located(rejects: Iterable[Reject], pieces: Pieces) -> list[Reject]:
    """The rejects of a joined block, each with the source and position of its piece."""
    located: list[Reject] = []
    for reject in rejects:
        source, position = pieces.locate(reject.position)
        located.append(replace(reject, source=source, position=position))
    return located
