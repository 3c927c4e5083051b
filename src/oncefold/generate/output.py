"""Where the events go, text plain or compressed, or Parquet; and the right totals of what was written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Literal, Protocol, get_args

import numpy as np
import pyarrow as pa

from oncefold.generate.formats import arrow_table, columns, csv_header, csv_lines, json_lines, schema
from oncefold.generate.planner import Events, ExpectedOutcome, Kind, Latest, plan
from oncefold.generate.randomness import Ints, cents
from oncefold.generate.workload import LEVELS, Workload, WorkloadError, leaf

_GONE = -1
_KEYS_AT_A_TIME = 1 << 16


class Tally:
    """The truth about the events added so far, which must be the stream's events in order from its first."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._latest = Latest()
        self._kinds = np.zeros(len(Kind), dtype=np.int64)
        self._outcomes = np.zeros(len(ExpectedOutcome), dtype=np.int64)
        self._moves = 0

    @property
    def events(self) -> int:
        """Number of events added."""
        return int(self._kinds.sum())

    def add(self, events: Events) -> None:
        """Count these events in."""
        self._kinds += np.bincount(events.kind, minlength=len(Kind))
        self._outcomes += np.bincount(events.outcome, minlength=len(ExpectedOutcome))
        self._moves += int(events.moved.sum())
        newest = events.outcome == ExpectedOutcome.ACCEPTED
        self._latest.extend(int(self._kinds[Kind.KEY]))
        leaf = np.where(events.deleted, _GONE, events.leaf)
        self._latest.put(events.key[newest], events.version[newest], leaf[newest])

    def truth(self) -> dict[str, Any]:
        """Return what a reader of exactly these events must arrive at, as plain JSON values."""
        counts, sums = self._leaf_totals()
        live = int(counts.sum())
        kinds = [int(n) for n in self._kinds]
        return {
            "rollup": "risk",
            "levels": [f"Hierarchy.{level}" for level in LEVELS],
            "workload": asdict(self._workload),
            "totals": {
                "events": self.events,
                "keys": self._latest.keys,
                "live_keys": live,
                "deleted_keys": self._latest.keys - live,
                "modifications": kinds[Kind.MODIFICATION],
                "moves": self._moves,
                "deletes": kinds[Kind.DELETE],
                "out_of_order": kinds[Kind.OUT_OF_ORDER],
                "duplicates": kinds[Kind.DUPLICATE],
            },
            "outcomes": {outcome.name.lower(): int(self._outcomes[outcome]) for outcome in ExpectedOutcome},
            "nodes": _nodes(counts, sums),
        }

    def _leaf_totals(self) -> tuple[Ints, Ints]:
        """Return the live keys and the sum of cents of every leaf, in whole numbers throughout."""
        counts = np.zeros(self._workload.leaves, dtype=np.int64)
        sums = np.zeros(self._workload.leaves, dtype=np.int64)
        for first in range(0, self._latest.keys, _KEYS_AT_A_TIME):
            last = min(first + _KEYS_AT_A_TIME, self._latest.keys)
            leaf = self._latest.leaf[first:last].astype(np.int64)
            version = self._latest.version[first:last].astype(np.int64)
            value = cents(self._workload.seed, np.arange(first, last), version)
            live = leaf != _GONE
            np.add.at(counts, leaf[live], 1)
            np.add.at(sums, leaf[live], value[live])
        return counts, sums


def truth(workload: Workload, events: int | None = None) -> dict[str, Any]:
    """Return the truth about the first `events` events of the workload, or about all of them."""
    tally = Tally(workload)
    for block in plan(workload):
        tally.add(block if events is None else block.part(0, max(0, events - tally.events)))
    return tally.truth()


def _nodes(counts: Ints, sums: Ints) -> dict[str, dict[str, int | str]]:
    """Add the leaves up along the tree; nodes without live keys are absent, the root is always there."""
    nodes: dict[str, list[int]] = {"": [0, 0]}
    for index in np.flatnonzero(counts).tolist():
        for node in leaf(index).nodes:
            total = nodes.setdefault(node, [0, 0])
            total[0] += int(counts[index])
            total[1] += int(sums[index])
    return {node: {"count": nodes[node][0], "value": _amount(nodes[node][1])} for node in sorted(nodes)}


def _amount(value: int) -> str:
    return f"{value // 100}.{value % 100:02d}"


OutputFormat = Literal["jsonl", "csv", "parquet"]
FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


class Sink(Protocol):
    """Takes events in order."""

    def write(self, events: Events) -> None:
        """Write these events."""

    def flush(self) -> None:
        """Let readers of the output see what has been written, as far as the format allows."""


class _TextSink:
    def __init__(self, workload: Workload, stream: Any, form: OutputFormat) -> None:
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


def guess_format(name: str) -> OutputFormat:
    """Return the format that a file's name asks for: `.csv` and `.parquet`, else JSON Lines."""
    path = Path(name)
    stem = Path(path.stem) if path.suffix in _COMPRESSIONS else path
    return {".csv": "csv", ".parquet": "parquet"}.get(stem.suffix, "jsonl")  # type: ignore[return-value]


@contextmanager
def open_sink(workload: Workload, target: str | Path | IO[bytes], form: OutputFormat | None = None) -> Iterator[Sink]:
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


def write(workload: Workload, target: str | Path | IO[bytes], form: OutputFormat | None = None) -> dict[str, Any]:
    """Write the whole stream and return its truth."""
    tally = Tally(workload)
    with open_sink(workload, target, form) as sink:
        for events in plan(workload):
            sink.write(events)
            tally.add(events)
    return tally.truth()
