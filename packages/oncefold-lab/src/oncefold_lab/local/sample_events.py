"""Events of any definition's shape, and what its totals are after them, by the plain definition of the totals.

A field gets one value, whatever the definition uses it for: a field that is part of the key and a level, too, keeps its
label. Events come duplicated, corrected, late and, where the definition has deletes, deleted.
"""

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from oncefold.core.decimals import format_decimal
from oncefold.core.decode import Decoder
from oncefold.core.definition import Level, Pipeline, Time, Version
from oncefold.core.errors import InvalidEvent, OncefoldError
from oncefold.core.event import Event
from oncefold.core.expression import Source
from oncefold.core.fieldpath import FieldPath
from oncefold.core.fold import Node, Stored, Total, net
from oncefold.core.timestamps import NANOS, format_timestamp
from oncefold.core.versions import HALF, write_version
from oncefold_lab.elements import arrays_of

DUPLICATES, CORRECTIONS, LATE, DELETES = 0.125, 0.1, 0.05, 0.01
"""Shares of the events."""
LABELS = 3
"""Labels of a level under each parent."""
ELEMENTS = 3
"""The most of an array."""
_NANOS = 10**9
_START = 1_772_442_000 * _NANOS
"""2026-03-02T09:00:00Z: the time of the first event."""
_SECOND_OF_EVENT = 10**7
"""Nanoseconds between two events."""
_MEASURE_DIGITS = 8
"""Of each number, with those after the point; a measure takes up to 18."""


@dataclass(frozen=True, slots=True)
class _Draw:
    """What is drawn for an event."""

    key: int
    version: int
    at: int
    """Nanoseconds since 1970."""
    deleted: bool = False


class SampleEvents:
    """A fixed sequence of events for one definition; the same seed gives the same bytes."""

    def __init__(self, pipeline: Pipeline, count: int, seed: int) -> None:
        """Raises OncefoldError for a definition that rejects all of them, and for one with expressions."""
        if pipeline.expressions:
            raise OncefoldError(
                f"pipeline {pipeline.name}: no sample event can be made for a definition with expressions: "
                f"{pipeline.expressions[0]}"
            )
        self.pipeline, self.count = pipeline, count
        self._seed = seed
        decoder = Decoder(pipeline)
        self._greatest: dict[str, Event] = {}
        reason = ""
        for line in self.lines():
            try:
                event = decoder.json(line)
            except InvalidEvent as error:
                reason = str(error)
                continue
            before = self._greatest.get(event.key)
            if before is None or _rank(before) < _rank(event):
                self._greatest[event.key] = event
        if not self._greatest:
            raise OncefoldError(f"pipeline {pipeline.name}: no sample event can be made for this definition: {reason}")

    def lines(self) -> Iterator[bytes]:
        """The events as JSON Lines, without line feeds."""
        chance = random.Random(self._seed)  # noqa: S311 - nothing here is secret
        drawn: list[_Draw] = []
        for number in range(self.count):
            draw = self._next(chance, drawn, number)
            drawn.append(draw)
            yield self._line(draw)

    def totals(self) -> Mapping[Node, Total]:
        """The totals of every node that a live key counts in, and of the roots."""
        pairs = ((None, Stored(event.version, event.content)) for event in self._greatest.values())
        totals = {node: total for node, total in net(self.pipeline, pairs).items() if total.count}
        nothing = Total(0, (0,) * len(self.pipeline.amounts))
        roots = {Node(index): nothing for index in range(len(self.pipeline.rollups))}
        return roots | totals

    def _next(self, chance: random.Random, drawn: list[_Draw], number: int) -> _Draw:
        at = _START + number * _SECOND_OF_EVENT
        kind = chance.random()
        if drawn and kind < DUPLICATES:
            return chance.choice(drawn)
        if drawn and self.pipeline.version is not None:
            old = chance.choice(drawn)
            if kind < DUPLICATES + CORRECTIONS:
                return _Draw(old.key, self._version(number, at), at)
            if kind < DUPLICATES + CORRECTIONS + LATE:
                return _Draw(old.key, old.version - 1, old.at - 1)
            if self._deletes and kind < DUPLICATES + CORRECTIONS + LATE + DELETES:
                return _Draw(old.key, self._version(number, at), at, deleted=True)
        return _Draw(number, self._version(number, at), at)

    @property
    def _deletes(self) -> bool:
        return self.pipeline.delete is not None or self.pipeline.envelope in {"debezium", "dynamodb"}

    def _version(self, number: int, at: int) -> int:
        version = self.pipeline.version
        return at if version is not None and version.type == "timestamp" else 2 * number + 1

    def _line(self, draw: _Draw) -> bytes:
        pipeline = self.pipeline
        chance = random.Random(f"{self._seed}/{draw.key}/{draw.version}")  # noqa: S311
        values: dict[Source, Any] = {}
        for measure in pipeline.measures:
            values[measure.field] = _number(chance, measure.scale)
        label = ""
        for level in pipeline.levels:
            if level.each:
                continue
            label = f"{label}{chance.choice('abc'[:LABELS])}"
            values[level.field] = _moment_text(level, draw.at) if level.window is not None else label
        values |= arrays_of(pipeline, lambda: chance.randint(0, ELEMENTS), lambda _: chance.choice("xyz"[:LABELS]))
        if pipeline.time is not None:
            values[pipeline.time.field] = _moment_text(pipeline.time, draw.at)
        for field in pipeline.key_fields:
            values[field] = f"k{draw.key}"
        if pipeline.version is not None:
            values |= {part.field: _version_text(part, draw) for part in pipeline.version.parts}
        if draw.deleted and pipeline.delete is not None:
            values[pipeline.delete.field] = True if pipeline.delete.equals is None else pipeline.delete.equals
        if self._spelling is not None:
            values = {field: self._spelled(value) for field, value in values.items()}
        plain = {field: value for field, value in values.items() if isinstance(field, FieldPath)}
        return _enveloped(pipeline.envelope, plain, deleted=draw.deleted)

    @property
    def _spelling(self) -> str | None:
        return self.pipeline.decimal if self.pipeline.decimal != "." else None

    def _spelled(self, value: Any) -> Any:
        is_number = isinstance(value, str) and _NUMBER.fullmatch(value) is not None
        return value.replace(".", self._spelling or ".") if is_number else value


_NUMBER = re.compile(r"-?[0-9]+\.[0-9]+", re.ASCII)


def _version_text(part: Version, draw: _Draw) -> Any:
    """The draw's version as a part of this type writes it."""
    number = draw.version
    if part.type == "timestamp":
        return _moment_text(part, number)
    if part.type == "uuidv7":
        return f"{number:08x}-0000-7000-8000-000000000000"
    if part.type == "text":
        return f"{number:012d}"
    return write_version(part, number - HALF if part.type == "ulid" else number * 10**part.scale)


def _moment_text(spec: Version | Time | Level, nanos: int) -> str:
    if spec.format is None:
        return format_timestamp(nanos)
    return datetime.fromtimestamp(nanos // NANOS, UTC).strftime(spec.format.text)


def _enveloped(envelope: str | None, values: Mapping[FieldPath, Any], *, deleted: bool) -> bytes:
    """The values as the row of an envelope; those whose path begins with `@` are its own."""
    if envelope is None:
        return _record(values)
    own = {FieldPath((path.segments[0][1:], *path.segments[1:])): value for path, value in values.items()
           if path.segments[0].startswith("@")}  # fmt: skip
    row = {path: value for path, value in values.items() if not path.segments[0].startswith("@")}
    if envelope == "cloudevents":
        head: dict[FieldPath, Any] = {FieldPath(("specversion",)): "1.0"}
        return _record({**head, **own, **_below(("data",), row)})
    if envelope == "debezium":
        row = _below(("before" if deleted else "after",), row)
        return _record({FieldPath(("op",)): "d" if deleted else "u", **own, **row})
    version = own.pop(FieldPath(("version",)), None)
    if version is not None:
        own[FieldPath(("dynamodb", "SequenceNumber"))] = str(version)
    typed = {FieldPath(_through_maps(path)): _typed(value) for path, value in row.items()}
    image = _below(("dynamodb", "OldImage" if deleted else "NewImage"), typed)
    return _record({FieldPath(("eventName",)): "REMOVE" if deleted else "MODIFY", **own, **image})


def _typed(value: Any) -> dict[str, Any]:
    """A value as an attribute with its type."""
    if isinstance(value, list):
        return {"L": [_typed(element) for element in value]}
    if isinstance(value, dict):
        return {"M": {name: _typed(inner) for name, inner in value.items()}}
    return {"S": str(value)}


def _below(root: tuple[str, ...], values: Mapping[FieldPath, Any]) -> dict[FieldPath, Any]:
    return {FieldPath((*root, *path.segments)): value for path, value in values.items()}


def _through_maps(path: FieldPath) -> tuple[str, ...]:
    *parents, last = path.segments
    return (*(name for parent in parents for name in (parent, "M")), last)


def _rank(event: Event) -> tuple[int, Any]:
    return event.version, event.content.rank


def _number(chance: random.Random, scale: int) -> str:
    """A number as text, with so many decimal places."""
    return format_decimal(chance.randrange(-(10**_MEASURE_DIGITS), 10**_MEASURE_DIGITS), scale)


def _record(values: Mapping[FieldPath, Any]) -> bytes:
    """A JSON object with each value at its path; of two paths of which one leads through the other, the longer one."""
    record: dict[str, Any] = {}
    paths = [path for path in values if isinstance(path, FieldPath)]
    for path in sorted(paths, key=lambda path: len(path.segments)):
        inner = record
        for segment in path.segments[:-1]:
            if not isinstance(inner.get(segment), dict):
                inner[segment] = {}
            inner = inner[segment]
        inner[path.segments[-1]] = values[path]
    return json.dumps(record, ensure_ascii=False).encode()
