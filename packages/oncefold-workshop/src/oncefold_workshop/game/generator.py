"""What is sent: the workshop's messages by the rules of its generator, and messages of any other pipeline.

Batches of 40. Of another pipeline, from hard mode on, 5 of each 40 are duplicates, and 3 % of the others modify a key
of any round; some of them carry an older version or another leaf.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Protocol

from oncefold.core.decimals import format_decimal
from oncefold.core.decode import Decoder
from oncefold.core.definition import Level, Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import InvalidEvent, OncefoldError
from oncefold.core.event import Content, Event
from oncefold.core.expression import Source
from oncefold.core.fieldpath import FieldPath
from oncefold.core.timestamps import UNIT_PLACES
from oncefold_lab.elements import arrays_of
from oncefold_lab.search.workload import Send, SentLine
from oncefold_lab.world.scheduler import START, random_source
from oncefold_workshop.game.rules import MESSAGES_PER_SECOND, Mode, Round
from oncefold_workshop.pipelines.generator import BATCH, DUPLICATES, MODIFIED, Burst, TradeVersion, partition_key

OLDER = 1 / 3
"""Of the modifications: they carry an older version."""
MOVED = 0.2
"""Of the modifications: they go to another leaf."""

WORKSHOP = parse_toml(
    """
    name = "risk"
    [event]
    key = "TradeID"
    version = "Version"
    time = "Timestamp"
    [rollups]
    risk = ["Hierarchy.RiskType", "Hierarchy.TradeDesk", "Hierarchy.Region"]
    [measures]
    value = { sum = "Value", scale = 2 }
    """,
    "the workshop's pipeline",
)


class MessageSource(Protocol):
    """What is sent in a game."""

    @property
    def pipeline(self) -> Pipeline:
        """What the messages mean."""

    def sends(self, played: Round) -> tuple[Send, ...]:
        """The messages of a round; rounds have to be taken in their order."""


def batches(played: Round) -> Iterator[tuple[float, int]]:
    """When each batch of a round is sent, in seconds since the game began, and how many messages it has."""
    for first in range(0, played.messages, BATCH):
        size = min(BATCH, played.messages - first)
        yield played.start + (first + size) / MESSAGES_PER_SECOND, size


def mixed(random: Random, lines: list[SentLine], size: int) -> list[SentLine]:
    """A batch's own messages filled up to its size with duplicates of them, in any order."""
    if not lines:
        return lines
    batch = lines + [random.choice(lines) for _ in range(size - len(lines))]
    random.shuffle(batch)
    return batch


def own(played: Round, size: int) -> int:
    """How many messages of a batch are no duplicates."""
    return size if played.mode is Mode.EASY else size - size * DUPLICATES // BATCH


class WorkshopSource:
    """The workshop's generator: each round is a burst of its own."""

    pipeline = WORKSHOP

    def __init__(self, seed: int) -> None:
        self._random = random_source(seed, "messages")

    def sends(self, played: Round) -> tuple[Send, ...]:
        """See MessageSource."""
        burst = Burst(self._random, hard=played.mode is not Mode.EASY)
        return tuple(self._send(burst, at, size) for at, size in batches(played))

    def _send(self, burst: Burst, at: float, size: int) -> Send:
        records = [self._record(burst.next(), START + at) for _ in range(burst.own(size))]
        return Send(at, tuple(burst.repeated(records, size)))

    def _record(self, sent: TradeVersion, timestamp: float) -> tuple[str, tuple[SentLine]]:
        text = sent.text(timestamp)
        event = Event(sent.trade, sent.version, Content(sent.leaf, (sent.cents,)))
        return partition_key(text), (SentLine(text.encode(), event),)


DELETED = 0.1
"""Of the modifications, where the definition has deletes."""
_LABELS = 3
_ELEMENTS = 3
"""The most of an array."""
_MOST = 10**7
"""The largest amount, as a mantissa."""


_Place = tuple[tuple[str, ...], Mapping[Source, list[Any]]]
"""A label for each level, and the arrays of those that are filled for each element of one."""


class _Key:
    """A key as it was sent last. New versions are even, so that there always is an older one that was never sent."""

    __slots__ = ("name", "older", "place", "version")

    def __init__(self, name: str, place: "_Place") -> None:
        self.name = name
        self.place = place
        self.version = 2
        self.older = False


class OwnSource:
    """Messages of a pipeline."""

    def __init__(self, seed: int, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._decoder = Decoder(pipeline)
        self._random: Random = random_source(seed, "messages")
        self._keys: list[_Key] = []

    @property
    def pipeline(self) -> Pipeline:
        """See Source."""
        return self._pipeline

    def sends(self, played: Round) -> tuple[Send, ...]:
        """See Source. Raises OncefoldError for a definition of which no message can be made."""
        return tuple(self._send(played, at, size) for at, size in batches(played))

    def _send(self, played: Round, at: float, size: int) -> Send:
        lines = [self._line(played, at) for _ in range(own(played, size))]
        return Send(at, tuple((_partition(line), (line,)) for line in mixed(self._random, lines, size)))

    def _line(self, played: Round, at: float) -> SentLine:
        random, versions = self._random, self._pipeline.version is not None
        if versions and played.mode is not Mode.EASY and self._keys and random.random() < MODIFIED:
            key = random.choice(self._keys)
            if random.random() < OLDER and not key.older:
                key.older = True
                return self._message(key, key.version - 1, at, deleted=False)
            key.version, key.older = key.version + 2, False
            key.place = self._place() if random.random() < MOVED else key.place
            deleted = self._pipeline.delete is not None and random.random() < DELETED
            return self._message(key, key.version, at, deleted=deleted)
        key = _Key(f"k{len(self._keys):08d}", self._place())
        self._keys.append(key)
        return self._message(key, key.version, at, deleted=False)

    def _place(self) -> _Place:
        labels = tuple("" if level.each else self._label(level) for level in self._pipeline.levels)
        return labels, arrays_of(self._pipeline, lambda: self._random.randint(0, _ELEMENTS), self._label)

    def _label(self, level: Level) -> str:
        return f"{_segments(level.field)[-1]}-{self._random.randint(1, _LABELS)}"

    def _message(self, key: _Key, version: int, at: float, *, deleted: bool) -> SentLine:
        pipeline, document = self._pipeline, _Document()
        for field in pipeline.key_fields:
            document.put(field, key.name)
        if pipeline.version is not None:
            timed = pipeline.version.type == "timestamp"
            document.put(pipeline.version.field, _moment(START + version, pipeline.version.unit) if timed else version)
        if pipeline.time is not None:
            document.put(pipeline.time.field, _moment(START + at, pipeline.time.unit))
        if deleted and pipeline.delete is not None:
            document.put(pipeline.delete.field, True if pipeline.delete.equals is None else pipeline.delete.equals)
        labels, arrays = key.place
        for level, label in zip(pipeline.levels, labels, strict=True):
            document.put(level.field, arrays[level.field] if level.each else _value(level, label, at))
        for measure in pipeline.measures:
            document.put(measure.field, format_decimal(self._random.randint(-_MOST, _MOST), measure.scale))
        return self._decoded(json.dumps(document.content).encode())

    def _decoded(self, data: bytes) -> SentLine:
        try:
            return SentLine(data, self._decoder.json(data))
        except InvalidEvent as error:
            raise _unfit(f"{data.decode()} is refused: {error}") from None


class _Document:
    """A message as it is put together. A field that has two meanings keeps the first."""

    def __init__(self) -> None:
        self.content: dict[str, Any] = {}

    def put(self, field: Source, value: Any) -> None:
        """Set a field, if it is not set.

        Raises OncefoldError where a field lies within another that is a value, and for an expression.
        """
        *path, name = _segments(field)
        inner = self.content
        for segment in path:
            inner = inner.setdefault(segment, {})
            if not isinstance(inner, dict):
                raise _unfit(f"{field} lies within another field that it uses")
        inner.setdefault(name, value)


def _segments(field: Source) -> Sequence[str]:
    """The segments of a field's path. Raises OncefoldError for an expression, whose value cannot be chosen."""
    if not isinstance(field, FieldPath):
        raise _unfit(f"{field} is an expression")
    return field.segments


def _unfit(message: str) -> OncefoldError:
    return OncefoldError(
        f"--pipeline: the game cannot make messages of this definition: {message}; play with plain fields, apart"
    )


def _value(level: Level, label: str, at: float) -> Any:
    return label if level.window is None else _moment(START + at, level.unit)


def _moment(seconds: float, unit: str) -> int:
    """A moment as a whole number of a unit."""
    factor: int = 10 ** (UNIT_PLACES["s"] - UNIT_PLACES[unit])
    return int(seconds) * factor


def _partition(line: SentLine) -> str:
    assert line.event is not None
    return line.event.key or "-"
