"""What is sent: few keys with many versions, so that every collision happens."""

import json
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from oncefold.core import leafset
from oncefold.core.decimals import format_decimal
from oncefold.core.definition import Delete, Level, Pipeline, Rollup, Version
from oncefold.core.event import DELETED, Content, Event
from oncefold.core.expression import Source
from oncefold.core.fieldpath import FieldPath
from oncefold.core.measures import Measure

_LABELS = ("a", "b", "c", "", "a/b", "\0", "ü", "\\", "a b", *(f"n{number}" for number in range(30)))
_SCATTERED = (0.1, 0.1, 0.6)
"""The share of records that are not under their event's key, so that a key's events are in several shards."""
_WIDE_CHANCE = 0.08
"""Of a workload with so many keys and leaves that one batch takes several transactions."""
_REJECTS = (b'{"id": 1', b"[]", b'{"v": 1}', b'{"id": "x", "v": 1.5}', b"\xff", b'{"id": "x", "v": 1, "v": 2}')
_GAPS = (0.0, 0.02, 0.3, 2.0)
_LONG_GAPS = (30.0, 130.0, 650.0)
"""Seconds; the longest lets the tokens of transactions die."""
_LONG_GAP_CHANCE = 0.04
_SETS_CHANCE = 0.15
"""Of a pipeline under which a key may have several leaves."""
_MOST_ELEMENTS = 3
_AMOUNTS = (100, 10**6, 10**17)
"""The largest ones, as mantissas; the last have more digits than a binary float."""


@dataclass(frozen=True, slots=True)
class SentLine:
    """A line of a record: its bytes, and the event that it is; None for one that is none."""

    data: bytes
    event: Event | None


@dataclass(frozen=True, slots=True)
class Send:
    """Records that are put by one call: each a partition key and its lines."""

    at: float
    """Seconds from the beginning."""
    records: tuple[tuple[str, tuple[SentLine, ...]], ...]

    @property
    def lines(self) -> list[SentLine]:
        """All lines."""
        return [line for _, lines in self.records for line in lines]


def draw_pipeline(random: Random) -> Pipeline:
    """A pipeline: one to three trees over shared levels in any order, none to two measures."""
    levels = [Level(_field(f"L{number}")) for number in range(random.randint(1, 3))]
    rollups = tuple(
        Rollup(f"r{number}", tuple(random.sample(levels, random.randint(0, len(levels)))))
        for number in range(random.choice([1, 1, 2, 3]))
    )
    names = [f"m{number}" for number in range(random.choice([0, 1, 1, 2]))]
    measures = tuple(Measure(name, _field(name), random.choice([0, 2, 6])) for name in names)
    return Pipeline("lab", (_field("id"),), rollups, measures, Version(_field("v")), delete=Delete(_field("gone")))


def with_several_leaves(random: Random, pipeline: Pipeline) -> Pipeline:
    """The pipeline, now and then with a level that is filled for each element of an array."""
    if random.random() >= _SETS_CHANCE or not pipeline.levels:
        return pipeline
    chosen = random.choice(pipeline.levels)
    each = Level(chosen.field, missing=random.choice([None, "(none)"]), each=True)
    rollups = tuple(
        replace(rollup, levels=tuple(each if level == chosen else level for level in rollup.levels))
        for rollup in pipeline.rollups
    )
    return replace(pipeline, rollups=rollups)


@dataclass(frozen=True, slots=True)
class _Style:
    """How large the parts of a workload are."""

    lines: tuple[int, int]
    keys: tuple[int, ...]
    labels: tuple[int, int]
    lines_of_record: tuple[int, ...]


_NARROW = _Style((15, 90), (2, 5, 12), (2, 4), (1, 1, 1, 3))
_WIDE = _Style((150, 350), (60, 300), (6, 36), (1, 40, 150))


def draw_sends(random: Random, pipeline: Pipeline) -> tuple[Send, ...]:
    """What is sent, in the order of time."""
    style = _WIDE if random.random() < _WIDE_CHANCE else _NARROW
    lines = _lines(random, pipeline, style)
    scattered = random.choice(_SCATTERED)
    sends: list[Send] = []
    at = 0.0
    while lines:
        records = []
        for _ in range(random.choice([1, 1, 2, 4])):
            some = tuple(lines.pop() for _ in range(min(len(lines), random.choice(style.lines_of_record))))
            if some:
                records.append((_partition_key(random, some, scattered), some))
        sends.append(Send(at, tuple(records)))
        at += random.choice(_LONG_GAPS if random.random() < _LONG_GAP_CHANCE else _GAPS)
    return tuple(sends)


def line_of(pipeline: Pipeline, event: Event) -> SentLine:
    """An event as a line."""
    document: dict[str, Any] = {}
    _put(document, pipeline.key_fields[0], event.key)
    if pipeline.version is not None:
        _put(document, pipeline.version.field, event.version)
    if event.content.labels is None:
        assert pipeline.delete is not None
        _put(document, pipeline.delete.field, value=True)
    else:
        for level, label in zip(pipeline.levels, event.content.labels, strict=True):
            _put(document, level.field, list(leafset.unpack(label)) if level.each else label)
        for measure, value in zip(pipeline.measures, event.content.measures, strict=True):
            _put(document, measure.field, format_decimal(value, measure.scale))
    return SentLine(json.dumps(document).encode(), event)


def _put(document: dict[str, Any], field: Source, value: Any) -> None:
    assert isinstance(field, FieldPath)
    *path, name = field.segments
    for segment in path:
        document = document.setdefault(segment, {})
    document[name] = value


def _lines(random: Random, pipeline: Pipeline, style: _Style) -> list[SentLine]:
    """New events, exact copies of earlier ones, and what is no event."""
    keys = [f"k{number}" for number in range(random.choice(style.keys))] + ["", "\0"]
    labels = random.sample(_LABELS, random.randint(*style.labels))
    versions = random.choice([2, 4, 20])
    most = random.choice(_AMOUNTS)
    lines: list[SentLine] = []
    for _ in range(random.randint(*style.lines)):
        drawn = random.random()
        if lines and drawn < 0.12:
            lines.append(random.choice(lines))
        elif drawn < 0.16:
            lines.append(SentLine(random.choice(_REJECTS), None))
        else:
            deleted = pipeline.delete is not None and drawn < 0.28
            content = DELETED if deleted else _content(random, pipeline, labels, most)
            lines.append(line_of(pipeline, Event(random.choice(keys), random.randrange(versions), content)))
    return lines


def _content(random: Random, pipeline: Pipeline, labels: list[str], most: int) -> Content:
    amounts = tuple(random.randint(-most, most) for _ in pipeline.measures)
    return Content(tuple(_label(random, level, labels) for level in pipeline.levels), amounts)


def _label(random: Random, level: Level, labels: list[str]) -> str:
    """One label; of a level for each element of an array some, as the decoder has them."""
    if not level.each:
        return random.choice(labels)
    return leafset.pack(sorted(set(random.choices(labels, k=random.randint(1, _MOST_ELEMENTS)))))


def _partition_key(random: Random, lines: tuple[SentLine, ...], scattered: float) -> str:
    """Mostly the first line's own key; else any, so that a key's events come through several shards."""
    event = lines[0].event
    own = event is not None and event.key != "" and random.random() >= scattered
    return event.key if event is not None and own else f"p{random.randrange(6)}"


def _field(name: str) -> FieldPath:
    return FieldPath((name,))
