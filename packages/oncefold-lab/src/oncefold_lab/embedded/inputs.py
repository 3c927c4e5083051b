"""The workload as the engine gets it: batches for the session, blocks of sources, and what each step means."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from oncefold.commit import SourcePosition
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidEvent
from oncefold.core.event import Event
from oncefold.sources.blocks import Finding, TextBlock
from oncefold.sources.inputs import Format, ReadOptions
from oncefold.sources.text import Layout, TextStream
from oncefold_lab.embedded.oracle import ExpectedStep
from oncefold_lab.embedded.workload import (
    HEADER,
    SESSION,
    DiskWorkload,
    Record,
    WorkloadBatch,
    WorkloadFile,
    csv_cells,
    csv_text,
    json_line,
    json_text,
)

_TABLE = pa.schema(
    {
        "id": pa.string(),
        "v": pa.int64(),
        "region": pa.string(),
        "desk": pa.string(),
        "value": pa.decimal128(18, 0),
        "fee": pa.int64(),
        "gone": pa.bool_(),
        "t": pa.int64(),
    }
)
BLOCKS_AT_ONCE = 3
"""Blocks of a source in one run; each is a commit."""


class Inputs:
    """Hands on what a store has not folded yet, by the positions that it keeps."""

    def __init__(self, pipeline: Pipeline, workload: DiskWorkload) -> None:
        self._workload = workload
        self._readers = {file.name: _Reader(file, pipeline) for file in workload.files}
        self.runs = _runs(workload, {name: len(reader.blocks) for name, reader in self._readers.items()})
        """The order of everything: a source, and how many commits it makes until the next one's turn."""
        self.steps = _steps(self.runs, Decoder(pipeline), workload, self._readers)

    def batch(self, state: str | None) -> tuple[Any, str]:
        """The data of the batch that follows a position of the session, and the position with it."""
        number = 0 if state is None else int(state)
        batch = self._workload.batches[number]
        return _handed_in(batch), str(number + 1)

    def blocks(self, source: str, state: str | None, number: int) -> list[TextBlock]:
        """The blocks of a source that follow a position, at most so many."""
        return self._readers[source].after(state)[:number]


def _runs(workload: DiskWorkload, blocks: dict[str, int]) -> tuple[tuple[str, int], ...]:
    left = {SESSION: len(workload.batches), **blocks}
    runs = []
    for source in (*workload.turns, *(name for name, number in left.items() for _ in range(number))):
        number = min(left[source], 1 if source == SESSION else BLOCKS_AT_ONCE)
        left[source] -= number
        if number:
            runs.append((source, number))
    return tuple(runs)


def _steps(
    runs: tuple[tuple[str, int], ...], decoder: Decoder, workload: DiskWorkload, readers: dict[str, "_Reader"]
) -> list[ExpectedStep]:
    batches = (
        ExpectedStep(SESSION, str(number + 1), tuple(_meant(decoder, batch.form, record) for record in batch.records))
        for number, batch in enumerate(workload.batches)
    )
    steps: dict[str, Iterator[ExpectedStep]] = {SESSION: batches}
    steps |= {name: reader.steps(decoder) for name, reader in readers.items()}
    return [next(steps[source]) for source, number in runs for _ in range(number)]


def _handed_in(batch: WorkloadBatch) -> Any:
    if batch.form == "json":
        return json_text(batch.records)
    if batch.form == "mappings":
        return [dict(record) for record in batch.records]
    return pa.Table.from_pylist(list(batch.records), schema=_TABLE)


def _meant(decoder: Decoder, form: str, record: Record) -> Event | None:
    """The event of a record, None if it is to be rejected; the scalar decoder says so, not the engine's."""
    readings: dict[str, Callable[[], Event]] = {
        "json": lambda: decoder.json(json_line(record)),
        "csv": lambda: decoder.csv(HEADER, csv_cells(record)),
        "mappings": lambda: decoder.record(record),
        "table": lambda: decoder.flat(record),
    }
    try:
        return readings[form]()
    except InvalidEvent:
        return None


class _Reader:
    """A file in memory. Each block is cut by the engine's own cutter, begun anew at the position before it."""

    def __init__(self, file: WorkloadFile, pipeline: Pipeline) -> None:
        self._file = file
        self._options = ReadOptions(fields=pipeline.fields, block_bytes=file.block_bytes)
        self._text = (json_text if file.kind == "json" else csv_text)(file.records)
        self.blocks = list(self._all())
        self._numbers = {None: 0} | {block.position.state: i + 1 for i, block in enumerate(self.blocks)}

    def after(self, state: str | None) -> list[TextBlock]:
        """The blocks from a position on."""
        return self.blocks[self._numbers[state] :]

    def _all(self) -> Iterator[TextBlock]:
        at, header, done = 0, None, False
        while not done:
            block = self._next(at, header)
            yield block
            state = json.loads(block.position.state)
            at, header, done = state["at"], state["header"], state["done"]

    def _next(self, at: int, header: list[str] | None) -> TextBlock:
        form = Format(self._file.kind, "," if self._file.kind == "csv" else None)
        position = _Position(self._file.name)
        layout = None if header is None else Layout(tuple(header), form.delimiter)
        stream = TextStream(self._file.name, form, self._options, position, layout=layout, offset=at)
        position.stream = stream
        return next(self._cut(stream, self._text[at:]))

    def _cut(self, stream: TextStream, rest: bytes) -> Iterator[TextBlock]:
        while rest:
            space = stream.space()
            size = min(len(space), len(rest))
            space[:size] = rest[:size]
            stream.advance(size)
            rest = rest[size:]
            if stream.full:
                yield from _blocks(stream.ready())
        yield from _blocks(stream.finish())

    def steps(self, decoder: Decoder) -> Iterator[ExpectedStep]:
        """What each block means."""
        done = 0
        for block in self.blocks:
            lines = bytes(block.data).count(b"\n")
            records = self._file.records[done : done + lines]
            done += lines
            events = tuple(_meant(decoder, self._file.kind, record) for record in records)
            yield ExpectedStep(self._file.name, block.position.state, events)
        assert done == len(self._file.records)


def _blocks(found: Iterator[TextBlock | Finding]) -> Iterator[TextBlock]:
    return (item for item in found if isinstance(item, TextBlock))


class _Position:
    """The position in a file in memory."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.stream: TextStream | None = None

    def position(self, resume: int, *, done: bool) -> SourcePosition:
        """The offset, the header, and whether all was read."""
        layout = None if self.stream is None else self.stream.layout
        header = None if layout is None else layout.header
        return SourcePosition(self._source, json.dumps({"at": resume, "header": header, "done": done}))

    def consumed(self, resume: int, *, done: bool) -> int:  # noqa: ARG002 - what a source is asked
        """Progress is not shown here."""
        return 0
