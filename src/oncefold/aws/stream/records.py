"""Events as records of a stream: one line each, or several packed, under a partition key that follows from the data."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from oncefold.core import nodepath
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import IgnoredRecord, InvalidEvent
from oncefold.core.fieldpath import FieldPath

GROUPS: Final = 256
"""Into so many groups events are sorted by their key when several go into one record; each has a partition key."""

_KEY_BYTES: Final = 16
"""Bytes of a hash; a partition key is twice as many characters."""


class Flush:
    """A mark among lines or records: what came before it is sent without waiting for more."""


FLUSH: Final = Flush()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a source, without its newline."""

    data: bytes
    source: str = ""
    number: int = 0
    """Counted from 1."""

    @property
    def location(self) -> str:
        """Where a person finds it."""
        where = "standard input" if self.source == "-" else self.source
        return f"{where}, line {self.number:,}" if where else f"line {self.number:,}"


@dataclass(frozen=True, slots=True)
class Record:
    """A record to be sent."""

    data: bytes
    partition_key: str
    """Of 1 to 256 characters; records under one key go to one shard."""
    lines: int = 1
    location: str = ""
    """Where a person finds its first line."""

    @property
    def size(self) -> int:
        """Bytes, as the limits of Kinesis count them."""
        return len(self.data) + len(self.partition_key.encode())


@dataclass(frozen=True, slots=True)
class OversizeRecord:
    """A record, or a line, that is too large for the stream."""

    location: str
    size: int
    """Bytes."""


def hashed(data: bytes) -> str:
    """A partition key that spreads data over all shards, the same for the same data."""
    return hashlib.blake2b(data, digest_size=_KEY_BYTES).hexdigest()


def by_fields(fields: Sequence[FieldPath]) -> Callable[[bytes], str]:
    """A partition key from some fields of a JSON line.

    A line without them, or that cannot be read, goes by all its bytes: the reader of the stream reports what is wrong.
    """

    def key(line: bytes) -> str:
        try:
            record = json.loads(line, parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            return hashed(line)
        values = [_value(record, path) for path in fields]
        if any(value is None for value in values):
            return hashed(line)
        return hashed(nodepath.join([str(value) for value in values]).encode("utf-8", "surrogatepass"))

    return key


def by_key(pipeline: Pipeline) -> Callable[[bytes], str]:
    """A partition key from the pipeline's own key, however it is written or computed.

    A line that is no event goes by all its bytes: the reader of the stream reports what is wrong.
    """
    decoder = Decoder(pipeline)

    def key(line: bytes) -> str:
        try:
            event = decoder.json(line)
        except (IgnoredRecord, InvalidEvent):
            return hashed(line)
        return hashed(event.key.encode())

    return key


def _value(record: Any, path: FieldPath) -> Any:
    for segment in path.segments:
        record = record.get(segment) if isinstance(record, dict) else None
    return record


def pack(
    lines: Iterable[Line | OversizeRecord | Flush],
    *,
    key: Callable[[bytes], str] | None = None,
    per_record: int = 1,
    record_bytes: int,
) -> Iterator[Record | OversizeRecord | Flush]:
    """The lines as records of at most `per_record` lines and, if each line allows it, `record_bytes`.

    `key` gives the partition key of a line, so that lines of one key reach one shard; without it records go by all
    their bytes, evenly. Blank lines are left out.
    """
    packs: dict[str, _Pack] = {}
    for line in lines:
        if isinstance(line, Flush):
            yield from (pack.record(name) for name, pack in packs.items())
            packs.clear()
        if not isinstance(line, Line):
            yield line
            continue
        if not line.data.strip():
            continue
        name = "" if key is None else key(line.data)
        if per_record == 1:
            yield Record(line.data, name or hashed(line.data), 1, line.location)
            continue
        if name:
            name = f"group-{int(name, 16) % GROUPS}"
        packed = packs.get(name)
        if packed is not None and packed.size + len(line.data) + 2 * _KEY_BYTES > record_bytes:
            yield packs.pop(name).record(name)
            packed = None
        if packed is None:
            packed = packs[name] = _Pack()
        packed.add(line)
        if len(packed.lines) == per_record:
            yield packs.pop(name).record(name)
    yield from (pack.record(name) for name, pack in packs.items())


@dataclass(slots=True)
class _Pack:
    """Lines that will be one record."""

    lines: list[Line] = field(default_factory=list)
    size: int = 0
    """Bytes, a newline behind each line included."""

    def add(self, line: Line) -> None:
        self.lines.append(line)
        self.size += len(line.data) + 1

    def record(self, name: str) -> Record:
        data = b"\n".join(line.data for line in self.lines)
        return Record(data, name or hashed(data), len(self.lines), self.lines[0].location)
