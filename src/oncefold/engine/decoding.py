"""From the blocks of sources, and from what Python callers pass, to batches."""

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Protocol

import pyarrow as pa

from oncefold.columnar.batch import Batch
from oncefold.columnar.primitives import FIXED_SEED, Seed
from oncefold.columnar.table import TableDecoder
from oncefold.columnar.text import RecordDecoder, TextDecoder, csv_layout
from oncefold.commit import Reject
from oncefold.core.definition import Pipeline
from oncefold.core.errors import SourceError
from oncefold.sources.blocks import Oversize, Pieces, TableBlock, TextBlock
from oncefold.sources.directories import with_columns
from oncefold.sources.shape import SHAPE_BYTES, shape_of

TABLE_ROWS = 2**17
"""Rows of a table that are decoded at once."""

BLOCK_BYTES = 2**23
"""Bytes of lines that are decoded at once, about."""


class ArrowStream(Protocol):
    """Tables in the Arrow PyCapsule interface: Arrow tables and readers, pandas and polars frames."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """A capsule with the stream."""


class ArrowArray(Protocol):
    """One array of records in the Arrow PyCapsule interface: an Arrow record batch."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object:
        """Capsules with the schema and the array."""


EventData = (
    str
    | bytes
    | bytearray
    | memoryview
    | Mapping[str, object]
    | Iterable[Mapping[str, object]]
    | ArrowStream
    | ArrowArray
)
"""Events as Python programs have them: JSON Lines as text or bytes, a dictionary, an iterable of dictionaries, an Arrow
table, record batch or reader, a pandas or polars frame."""


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

    def batches(self, data: EventData, source: str) -> Iterable[Batch]:
        """The batches of data that a Python program passes. Raises SourceError for data of another kind."""
        if isinstance(data, str):
            if _is_a_name(data):
                raise SourceError(
                    f"cannot ingest the text {data[:100]!r}: it is no JSON object. To read a file of that name: "
                    "oncefold run, or hand in its bytes"
                )
            data = data.encode()
        if isinstance(data, bytes | bytearray | memoryview):
            return self._lines(_as_lines(bytes(data)), source)
        if isinstance(data, Mapping):
            return [self._records.mappings([data], source)]
        if hasattr(data, "__arrow_c_stream__"):
            return self._tables(pa.RecordBatchReader.from_stream(data), source)
        if hasattr(data, "__arrow_c_array__"):
            return [self._table.decode(pa.record_batch(data), source, 0)]
        if isinstance(data, Iterable):
            return [self._records.mappings(list(data), source)]
        kinds = "JSON Lines as bytes, mappings, an Arrow table or a data frame"
        raise SourceError(f"cannot ingest {type(data).__name__}; pass {kinds}")

    def _tables(self, reader: Iterable[pa.RecordBatch], source: str) -> Iterable[Batch]:
        first = 0
        for whole in reader:
            for start in range(0, whole.num_rows, TABLE_ROWS):
                part = whole.slice(start, TABLE_ROWS)
                yield self._table.decode(part, source, first)
                first += part.num_rows

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

    def _lines(self, data: bytes, source: str) -> Iterator[Batch]:
        start = 0
        while start < len(data):
            end = data.find(b"\n", start + BLOCK_BYTES) + 1 or len(data)
            yield self._text.json(memoryview(data)[start:end], source, start)
            start = end

    def _lines_again(self, indexes: list[int], rejects: Sequence[Reject]) -> tuple[list[int], Batch]:
        raws = [rejects[index].raw for index in indexes]
        starts = accumulate((len(raw) + 1 for raw in raws), initial=0)
        batch = self._text.json(b"\n".join(raws) + b"\n", "", 0)
        bad = {reject.position for reject in batch.rejects}
        return [index for index, start in zip(indexes, starts, strict=False) if start not in bad], batch

    def _csv_again(self, reject: Reject) -> Batch:
        delimiter, header = csv_layout(reject.context)
        return self._text.csv(reject.raw, reject.source, reject.position, header, delimiter)


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
