"""What the tests of the columnar form share: batches as plain events, and the scalar core's view of a block."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import settings

from oncefold.columnar.batch import DELETE, FILTERED, NO_SPAN, NO_TIME, NOT_AN_EVENT, SPAN_BITS, Batch, BatchBuilder
from oncefold.columnar.leaves import decode_leaf
from oncefold.columnar.text import TextDecoder, decode_csv
from oncefold.commit import Reject, whole_version
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import IgnoredRecord, InvalidEvent
from oncefold.core.event import DELETED, Content, Event
from tests.tools import sizes

SOURCE = "a source"


def effort(examples: int) -> settings:
    """So many examples in the full form; without a deadline, because a kernel may have to compile."""
    return settings(max_examples=sizes.examples(examples), deadline=None)


@dataclass(frozen=True, slots=True)
class Read:
    """What became of a block: (position, event or None) of each record, the newest event time, and the rejects."""

    records: list[tuple[int, Event | None]]
    newest_time: int | None
    rejects: list[Reject]

    def __add__(self, other: "Read") -> "Read":
        times = [time for time in (self.newest_time, other.newest_time) if time is not None]
        return Read(self.records + other.records, max(times, default=None), self.rejects + other.rejects)


def timeless(event: Event) -> Event:
    """An event as a batch holds it: event times are only kept as the newest of all."""
    return replace(event, time=None)


def of_batch(batch: Batch) -> Read:
    """A batch as plain values; also checks that its columns fit together."""
    leaves = [batch.leaves.data[a:b].tobytes() for a, b in pairwise(batch.leaves.offsets)]
    assert len(set(leaves)) == len(leaves) == len(batch.leaves)
    labels = [decode_leaf(leaf) for leaf in leaves]
    records = [(int(batch.where[row]), _event(batch, row, labels)) for row in range(len(batch))]
    return Read(records, None if batch.newest_time == NO_TIME else batch.newest_time, list(batch.rejects))


def _event(batch: Batch, row: int, labels: Sequence[tuple[str, ...]]) -> Event | None:
    leaf = int(batch.leaf[row])
    if leaf == NOT_AN_EVENT:
        return None
    start, values = int(batch.key_start[row]), batch.measures[:, row].tolist()
    columns = tuple(values[:-1] if batch.wide else values)
    version = whole_version(int(batch.version[row]), values, len(columns))
    numbers = len(columns) - batch.text_columns
    measures = columns[:numbers]
    key = batch.data[start : start + int(batch.key_length[row])].tobytes().decode()
    if leaf == DELETE:
        assert not any(measures)
        return Event(key, version, DELETED)
    if leaf == FILTERED:
        assert not any(measures)
        return Event(key, version, DELETED, filtered=True)
    return Event(key, version, Content(labels[leaf], measures, tuple(_text(batch, at) for at in columns[numbers:])))


def _text(batch: Batch, span: int) -> str | None:
    """A text of a key, which is a span of the batch's texts."""
    if span == NO_SPAN:
        return None
    assert batch.texts is not None
    start, length = span >> SPAN_BITS, span & (1 << SPAN_BITS) - 1
    return batch.texts[start : start + length].tobytes().decode()


def by_the_core(records: Iterable[tuple[int, bytes]], decode: Callable[[bytes], Event], **form: Any) -> Read:
    """(position, raw bytes) of records as the scalar decoder reads them; blank ones are no events."""
    read: list[tuple[int, Event | None]] = []
    times, rejects = [], []
    for position, raw in records:
        event = None
        if raw.lstrip(b"\0").strip(b" \t\r" if form["format"] == "json" else b""):
            try:
                event = decode(raw)
            except IgnoredRecord:
                pass
            except InvalidEvent as error:
                rejects.append(Reject(SOURCE, position, str(error), raw, size=len(raw), **form))
        if event is not None and event.time is not None:
            times.append(event.time)
        each = (None,) if event is None else event.each()
        read += [(position, one and timeless(one)) for one in each]
    return Read(read, max(times, default=None), rejects)


def cut_lines(block: bytes, offset: int) -> list[tuple[int, bytes]]:
    """The lines of a block: (position, bytes without line end)."""
    lines = []
    for line in _split(block, [at for at, byte in enumerate(block) if byte == 10]):
        lines.append((offset, line.rstrip(b"\r\n")))
        offset += len(line)
    return lines


def _split(block: bytes, newlines: Sequence[int]) -> list[bytes]:
    """The block cut after each of these newlines."""
    ends = [0, *(at + 1 for at in newlines)]
    if ends[-1] < len(block):
        ends.append(len(block))
    return [block[a:b] for a, b in pairwise(ends)]


def cut_csv(block: bytes, delimiter: str) -> list[bytes]:
    """The CSV records of a block, line ends included: a quote opens only as the first byte of a cell."""
    ends, state, first = [], "outside", True
    for at, byte in enumerate(block):
        letter = chr(byte)
        if state == "inside":
            state = "closing" if letter == '"' else state
        elif letter == '"' and (first or state == "closing"):
            state = "inside"
        else:
            state = "outside"
            if letter == "\n":
                ends.append(at)
        first = state == "outside" and letter in {delimiter, "\n"}
    return _split(block, ends)


def json_by_the_core(pipeline: Pipeline, block: bytes, offset: int) -> Read:
    """A block of JSON Lines as the scalar decoder reads it."""
    return by_the_core(cut_lines(block, offset), Decoder(pipeline).json, format="json")


def csv_by_the_core(pipeline: Pipeline, block: bytes, offset: int, header: Sequence[str], delimiter: str) -> Read:
    """A block of CSV as the scalar decoder reads it."""
    decoder = Decoder(pipeline)
    records = []
    for record in cut_csv(block, delimiter):
        records.append((offset, record.rstrip(b"\r\n")))
        offset += len(record)
    return by_the_core(
        records,
        lambda raw: decode_csv(decoder, raw, header, delimiter),
        format="csv",
        context=json.dumps([delimiter, *header], ensure_ascii=False),
    )


def assert_same(expected: Read, actual: Read) -> None:
    """Fail with the first record that differs."""
    reasons = {reject.position: reject.reason for reject in expected.rejects}
    for wanted, found in zip(expected.records, actual.records, strict=True):
        assert wanted == found, reasons.get(wanted[0], "")
    for wanted, found in zip(expected.rejects, actual.rejects, strict=True):
        assert wanted == found
    assert expected.newest_time == actual.newest_time


class Scalar(Decoder):
    """The scalar decoder, which counts its calls."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline)
        self.calls = 0

    def json(self, raw: bytes) -> Event:
        self.calls += 1
        return super().json(raw)

    def csv(self, header: Sequence[str], cells: Sequence[str]) -> Event:
        self.calls += 1
        return super().csv(header, cells)


def counting(pipeline: Pipeline) -> tuple[TextDecoder, Scalar]:
    """A decoder of blocks, and the scalar decoder that it falls back to."""
    decoder, scalar = TextDecoder(pipeline), Scalar(pipeline)
    decoder._scalar = scalar
    return decoder, scalar


def batch_of(pipeline: Pipeline, events: Sequence[Event]) -> Batch:
    """A batch of these events."""
    columns = BatchBuilder(len(events), pipeline, np.zeros(0, np.uint8))
    return columns.finish(lambda row: events[row], _never)


def _never(row: int, reason: str) -> Reject:
    raise AssertionError(f"event {row} was refused: {reason}")
