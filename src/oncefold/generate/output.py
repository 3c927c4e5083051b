"""Where the events go: text plain or compressed, or Parquet, to a file or an open binary stream."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, get_args

import pyarrow as pa

from oncefold.generate.planner import plan
from oncefold.generate.table import arrow_table, schema
from oncefold.generate.tally import Tally
from oncefold.generate.text import columns, csv_header, csv_lines, json_lines
from oncefold.generate.workload import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oncefold.generate.events import Events
    from oncefold.generate.workload import Workload

Format = Literal["jsonl", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


class Sink(Protocol):
    """Takes events in order."""

    def write(self, events: Events) -> None:
        """Write these events."""

    def flush(self) -> None:
        """Let readers of the output see what has been written, as far as the format allows."""


class _TextSink:
    def __init__(self, workload: Workload, stream: Any, form: Format) -> None:
        self._workload = workload
        self._stream = stream
        self._lines = csv_lines if form == "csv" else json_lines
        if form == "csv":
            stream.write(csv_header(workload))

    def write(self, events: Events) -> None:
        self._stream.write(self._lines(self._workload, events))

    def flush(self) -> None:
        self._stream.flush()


class _ParquetSink:
    def __init__(self, workload: Workload, writer: Any) -> None:
        self._workload = workload
        self._writer = writer

    def write(self, events: Events) -> None:
        self._writer.write_table(arrow_table(self._workload, events))

    def flush(self) -> None:
        """A row group is complete once written, but Parquet can be read only after its end."""


def guess_format(name: str) -> Format:
    """Return the format that a file's name asks for: `.csv` and `.parquet`, else JSON Lines."""
    path = Path(name)
    stem = Path(path.stem) if path.suffix in _COMPRESSIONS else path
    return {".csv": "csv", ".parquet": "parquet"}.get(stem.suffix, "jsonl")  # type: ignore[return-value]


@contextmanager
def open_sink(workload: Workload, target: str | Path | IO[bytes], form: Format | None = None) -> Iterator[Sink]:
    """Open a file (compressed when its name ends in .gz or .zst), or use an open stream and leave it open."""
    named = isinstance(target, str | Path)
    chosen = form or (guess_format(str(target)) if named else "jsonl")
    compression = _COMPRESSIONS.get(Path(target).suffix) if isinstance(target, str | Path) else None
    if chosen == "parquet" and compression:
        raise WorkloadError("Parquet is compressed inside: give a file name without .gz or .zst")
    with ExitStack() as stack:
        stream: Any = stack.enter_context(Path(target).open("wb")) if isinstance(target, str | Path) else target
        if chosen == "parquet":
            yield _ParquetSink(workload, stack.enter_context(_parquet_writer(stream, workload)))
        elif compression:
            packed = stack.enter_context(pa.CompressedOutputStream(stream, compression))
            yield _TextSink(workload, packed, chosen)
        else:
            yield _TextSink(workload, stream, chosen)


def _parquet_writer(stream: IO[bytes], workload: Workload) -> Any:
    import pyarrow.parquet as pq  # noqa: PLC0415 - takes long to import, and few outputs need it

    repeating = ["Version", *(name for name in columns(workload) if name.startswith("Hierarchy."))]
    return pq.ParquetWriter(stream, schema(workload), compression="zstd", use_dictionary=repeating)


def generate(workload: Workload, form: Literal["jsonl", "csv"] = "jsonl") -> Iterator[bytes]:
    """Yield the text of the whole stream in pieces of whole lines."""
    if form == "csv":
        yield csv_header(workload)
    lines = csv_lines if form == "csv" else json_lines
    for events in plan(workload):
        yield lines(workload, events)


def write(workload: Workload, target: str | Path | IO[bytes], form: Format | None = None) -> dict[str, Any]:
    """Write the whole stream and return its truth."""
    tally = Tally(workload)
    with open_sink(workload, target, form) as sink:
        for events in plan(workload):
            sink.write(events)
            tally.add(events)
    return tally.truth()
