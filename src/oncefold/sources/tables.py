"""Parquet and Arrow files in batches of rows, only the columns that are wanted, on from any row.

A table file is written once: its position covers the whole file, and one that changed in any way counts as replaced.
"""

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.deferred import Deferred
from oncefold.sources.blocks import Finding, TableBlock, TableKind
from oncefold.sources.directories import Columns, wanted_columns
from oncefold.sources.header import absent_columns, is_there, refuse_without_needed
from oncefold.sources.inputs import Format, ReadOptions
from oncefold.sources.position import FileState, Fingerprinter, opened
from oncefold.sources.waiting import Waiting

pq: Any = Deferred("pyarrow.parquet")

_ARROW_FILE_MAGIC: Final = b"ARROW1"
_ENDS: Final = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff\0\0\0\0")
"""The last bytes of a Parquet file, an Arrow file, an Arrow stream."""

_END_BYTES: Final = 8
_COLUMN_BYTES: Final = 8 * 2**20
"""Parquet columns are read in pieces of this size, not row group by row group, which may be large."""

_NARROW_DIGITS: Final = 18
"""Decimals of so many digits fit 64 bits."""

_WHOLE: Final = ("INT32", "INT64")
"""As what a Parquet file may have a decimal, beside bytes."""

_LENGTH_BYTES: Final = 4
"""Before each text that Parquet holds in full."""


class _Rows(NamedTuple):
    """A batch, and how much of the file is behind one once it was read."""

    batch: pa.RecordBatch
    bytes_behind: int


def read_table(
    source: str,
    path: str,
    form: Format,
    options: ReadOptions,
    waiting: Waiting,
    state: FileState | None = None,
    *,
    columns: Columns = (),
) -> Iterator[TableBlock | Finding]:
    """Blocks of at most `options.table_rows` rows; the last, which has none, has the final position.

    Raises SourceError if the file is not what its format says or has none of the wanted fields, after what could be
    read was handed on; OSError if it cannot be opened.
    """
    kind: TableKind = "parquet" if form.kind == "parquet" else "arrow"
    row = state.at if state is not None else 0
    behind = 0
    with opened(path) as descriptor:
        size = os.fstat(descriptor).st_size
        fingerprinter = Fingerprinter(descriptor, kind)
        batch = None
        try:
            metadata = pq.read_metadata(path) if kind == "parquet" else None
            schema = _arrow_schema(path) if metadata is None else metadata.schema.to_arrow_schema()
            columns = wanted_columns(columns, options.read_fields, schema.names)
            if (said := _examined(source, schema, options, [name for name, _ in columns])) and not row:
                yield Finding(source, "absent", said)
            if metadata is None:
                found = _arrow(path, size, options, row)
            else:
                found = _parquet(path, metadata, size, options, row)
            for batch, now_behind in _evened(found, options.table_rows):
                if waiting.stopped():
                    return
                position = fingerprinter.state(row + len(batch), size).position(source)
                yield TableBlock(source, _with_columns(batch, columns), row, position, now_behind - behind)
                row, behind = row + len(batch), now_behind
        except (pa.ArrowException, OSError) as error:
            reason = str(error).split("\n", 1)[0].rstrip(".")
            raise SourceError(f"{source}: it cannot be read as {kind} after row {row:,}: {reason}") from None
        nothing = pa.RecordBatch.from_pylist([]) if batch is None else batch.slice(0, 0)
        position = fingerprinter.state(row, size, done=True).position(source)
        yield TableBlock(source, nothing, row, position, size - behind)


def ends_whole(path: str) -> bool:
    """Whether a file has the end that its writer puts there last. Raises OSError."""
    with opened(path) as descriptor:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, _END_BYTES, max(0, size - _END_BYTES)).endswith(_ENDS)


def _parquet(path: str, metadata: Any, size: int, options: ReadOptions, row: int) -> Iterator[_Rows]:
    """Batches from `row` on, none of which spans row groups; row groups before it are not read."""
    if not options.whole:  # whole records are kept in the types of the file
        metadata = _with_narrow_decimals(metadata)
    columns = None
    if options.read_fields is not None:
        paths = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
        columns = [field.column for field in options.read_fields if is_there(field, paths)]
    behind = 0
    with pq.ParquetFile(
        path, metadata=metadata, read_dictionary=_repeating(metadata), buffer_size=_COLUMN_BYTES, pre_buffer=False
    ) as file:
        for group in range(metadata.num_row_groups):
            if behind + metadata.row_group(group).num_rows <= row:
                behind += metadata.row_group(group).num_rows
                continue
            for batch in file.iter_batches(options.table_rows, [group], columns):
                behind += len(batch)
                if behind > row:
                    yield _Rows(batch.slice(max(0, row - behind + len(batch))), size * behind // metadata.num_rows)


def _with_columns(batch: pa.RecordBatch, columns: Columns) -> pa.RecordBatch:
    """The same rows with the columns of their directories, as text."""
    if not columns:
        return batch
    values = [pa.repeat(pa.scalar(value, pa.large_string()), len(batch)) for _, value in columns]
    names = [*batch.schema.names, *(name for name, _ in columns)]
    return pa.RecordBatch.from_arrays([*batch.columns, *values], names)


def _examined(source: str, schema: pa.Schema, options: ReadOptions, others: Sequence[str]) -> str:
    """What is to be said of wanted columns that are not there; "" if all are.

    Raises SourceError if a column that is read is there twice, or one that every event needs, or any, is not.
    """
    fields = options.fields
    _refuse_named_twice(source, fields, schema.names)
    if not fields:
        return ""
    paths = paths_of(schema)
    if not any(is_there(field, paths) for field in fields):
        wanted = ", ".join(field.column for field in fields[:5])
        raise SourceError(
            f"{source}: it has none of the fields the pipeline reads ({wanted}), but {', '.join(paths[:5])}"
        )
    paths += others
    refuse_without_needed(source, options.needed, paths)
    return absent_columns(source, fields, paths)


def paths_of(schema: pa.Schema) -> list[str]:
    """The dotted paths of all columns and of what is nested in them by name."""
    return [path for field in schema for path in _paths(field)]


def _paths(field: pa.Field, above: str = "") -> Iterator[str]:
    """The dotted paths of a column and of all that is nested in it by name."""
    path = f"{above}{field.name}"
    yield path
    if pa.types.is_struct(field.type):
        for index in range(field.type.num_fields):
            yield from _paths(field.type.field(index), f"{path}.")


def _refuse_named_twice(source: str, fields: Sequence[FieldPath] | None, names: Sequence[str]) -> None:
    """Refuse a table that names a column twice which is read: nothing says which of the two is meant."""
    read = None
    if fields is not None:
        read = {field.column if field.column in names else field.segments[0] for field in fields}
    for name, times in Counter(names).items():
        if times > 1 and (read is None or name in read):
            raise SourceError(
                f"{source}: it names the column {name!r} twice; every column that is read needs its own name"
            )


def _arrow_schema(path: str) -> pa.Schema:
    with pa.OSFile(path) as file, _arrow_reader(file) as reader:
        return reader.schema


def _arrow_reader(file: Any, settings: Any = None) -> Any:
    """A reader of an IPC file or stream."""
    is_file = file.read(len(_ARROW_FILE_MAGIC)) == _ARROW_FILE_MAGIC
    file.seek(0)
    return pa.ipc.open_file(file, options=settings) if is_file else pa.ipc.open_stream(file, options=settings)


def _repeating(metadata: Any) -> list[str]:
    """The columns of text that the file holds as dictionaries: read as such, they take half the time.

    As dictionaries, since a text in full takes four bytes for its length alone.
    """
    if not metadata.num_row_groups:
        return []
    group = metadata.row_group(0)
    chunks = [(metadata.schema.column(index), group.column(index)) for index in range(metadata.num_columns)]
    return [
        column.path
        for column, chunk in chunks
        if column.logical_type.type == "STRING" and chunk.total_uncompressed_size < _LENGTH_BYTES * chunk.num_values
    ]


def _with_narrow_decimals(metadata: Any) -> Any:
    """The same metadata under a schema by which pyarrow reads decimals of up to 18 digits as 64 bits and not 128.

    A file's metadata may name the Arrow types that its columns are read as. Files without such decimals, and a pyarrow
    that does not have them, keep theirs.
    """
    schema = metadata.schema.to_arrow_schema()
    narrow = pa.schema([_narrow(field) for field in schema], schema.metadata)
    if narrow.types == schema.types:
        return metadata
    columns = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    whole = any(column.logical_type.type == "DECIMAL" and column.physical_type in _WHOLE for column in columns)
    file = io.BytesIO()
    try:
        pq.ParquetWriter(file, narrow, store_decimal_as_integer=whole).close()
        renamed = pq.read_metadata(io.BytesIO(file.getbuffer()))
        renamed.append_row_groups(metadata)
    except (pa.ArrowException, RuntimeError, TypeError):
        return metadata  # the file describes its columns in another way than pyarrow writes them
    return renamed if renamed.schema.to_arrow_schema().types == narrow.types else metadata


def _narrow(field: pa.Field) -> pa.Field:
    kind = field.type
    if not hasattr(pa, "decimal64") or not pa.types.is_decimal128(kind) or kind.precision > _NARROW_DIGITS:
        return field
    return field.with_type(pa.decimal64(kind.precision, kind.scale))


def _arrow(path: str, size: int, options: ReadOptions, row: int) -> Iterator[_Rows]:
    """Batches of an IPC file or stream from `row` on."""
    seen = 0
    for batch, behind in _arrow_batches(path, size, options):
        seen += len(batch)
        if seen > row:
            yield _Rows(batch.slice(max(0, row - seen + len(batch))), behind)


def _arrow_batches(path: str, size: int, options: ReadOptions) -> Iterator[_Rows]:
    with pa.OSFile(path) as file:
        settings = _arrow_settings(options.read_fields, _arrow_schema(path))
        with _arrow_reader(file, settings) as reader:
            if isinstance(reader, pa.ipc.RecordBatchFileReader):
                count = reader.num_record_batches
                for index in range(count):
                    yield _Rows(reader.get_batch(index), size * (index + 1) // count)
            else:
                for batch in reader:
                    yield _Rows(batch, file.tell())


def _arrow_settings(fields: Sequence[FieldPath] | None, schema: pa.Schema) -> Any:
    """What to read: whole columns, also where only a nested field is wanted."""
    if fields is None:
        return pa.ipc.IpcReadOptions()
    names = {name for field in fields for name in (field.column, field.segments[0])}
    indexes = [index for index, name in enumerate(schema.names) if name in names]
    return pa.ipc.IpcReadOptions(included_fields=indexes)


def _evened(found: Iterable[_Rows], rows: int) -> Iterator[_Rows]:
    """The same rows in batches of at most `rows`, small neighbours put together to at least a quarter of that."""
    gathered: list[pa.RecordBatch] = []
    count, behind = 0, 0
    for batch, now_behind in found:
        if gathered and count + len(batch) > rows:
            yield from _joined(gathered, behind)
            gathered, count = [], 0
        if len(batch) > rows:
            for at in range(0, len(batch), rows):
                last = at + rows >= len(batch)
                yield _Rows(batch.slice(at, rows), now_behind if last else behind)
        elif len(batch):
            gathered.append(batch)
            count += len(batch)
        behind = now_behind
        if count >= rows // 4:
            yield from _joined(gathered, behind)
            gathered, count = [], 0
    yield from _joined(gathered, behind)


def _joined(batches: Sequence[pa.RecordBatch], behind: int) -> Iterator[_Rows]:
    if len(batches) > 1:
        batches = pa.Table.from_batches(batches).combine_chunks().to_batches()
    for batch in batches:
        yield _Rows(batch, behind)
