"""Messages of any pipeline, made from its definition: new keys, duplicates, modifications, older versions, deletes."""

import json
from random import Random
from typing import Any

from oncefold.core.decimals import format_decimal
from oncefold.core.decode import Decoder
from oncefold.core.definition import Level, Pipeline
from oncefold.core.errors import InvalidEvent, OncefoldError
from oncefold.core.fieldpath import FieldPath
from oncefold.core.timestamps import UNIT_PLACES
from oncefold_lab.search.workload import Line, Send
from oncefold_lab.world import chance
from oncefold_lab.world.scheduler import START
from oncefold_workshop.game.messages import MODIFIED, MOVED, OLDER, batches, mixed, own
from oncefold_workshop.game.rules import Mode, Round

DELETED = 0.1
"""Of the modifications, where the definition has deletes."""
_LABELS = 3
_MOST = 10**7
"""The largest amount, as a mantissa."""


class _Key:
    """A key as it was sent last. New versions are even, so that there always is an older one that was never sent."""

    __slots__ = ("labels", "name", "older", "version")

    def __init__(self, name: str, labels: tuple[str, ...]) -> None:
        self.name = name
        self.labels = labels
        self.version = 2
        self.older = False


class OwnSource:
    """Messages of a pipeline."""

    def __init__(self, seed: int, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._decoder = Decoder(pipeline)
        self._random: Random = chance.source(seed, "messages")
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

    def _line(self, played: Round, at: float) -> Line:
        random, versions = self._random, self._pipeline.version is not None
        if versions and played.mode is not Mode.EASY and self._keys and random.random() < MODIFIED:
            key = random.choice(self._keys)
            if random.random() < OLDER and not key.older:
                key.older = True
                return self._message(key, key.version - 1, at, deleted=False)
            key.version, key.older = key.version + 2, False
            key.labels = self._labels() if random.random() < MOVED else key.labels
            deleted = self._pipeline.delete is not None and random.random() < DELETED
            return self._message(key, key.version, at, deleted=deleted)
        key = _Key(f"k{len(self._keys):08d}", self._labels())
        self._keys.append(key)
        return self._message(key, key.version, at, deleted=False)

    def _labels(self) -> tuple[str, ...]:
        return tuple(
            f"{level.field.segments[-1]}-{self._random.randint(1, _LABELS)}" for level in self._pipeline.levels
        )

    def _message(self, key: _Key, version: int, at: float, *, deleted: bool) -> Line:
        pipeline, document = self._pipeline, _Document()
        for field in pipeline.key:
            document.put(field, key.name)
        if pipeline.version is not None:
            timed = pipeline.version.type == "timestamp"
            document.put(pipeline.version.field, _moment(START + version, pipeline.version.unit) if timed else version)
        if pipeline.time is not None:
            document.put(pipeline.time.field, _moment(START + at, pipeline.time.unit))
        if deleted and pipeline.delete is not None:
            document.put(pipeline.delete.field, True if pipeline.delete.equals is None else pipeline.delete.equals)
        for level, label in zip(pipeline.levels, key.labels, strict=True):
            document.put(level.field, _value(level, label, at))
        for measure in pipeline.measures:
            document.put(measure.field, format_decimal(self._random.randint(-_MOST, _MOST), measure.scale))
        return self._decoded(json.dumps(document.content).encode())

    def _decoded(self, data: bytes) -> Line:
        try:
            return Line(data, self._decoder.json(data))
        except InvalidEvent as error:
            raise _unfit(f"{data.decode()} is refused: {error}") from None


class _Document:
    """A message as it is put together. A field that has two meanings keeps the first."""

    def __init__(self) -> None:
        self.content: dict[str, Any] = {}

    def put(self, field: FieldPath, value: Any) -> None:
        """Set a field, if it is not set. Raises OncefoldError where a field lies within another that is a value."""
        *path, name = field.segments
        inner = self.content
        for segment in path:
            inner = inner.setdefault(segment, {})
            if not isinstance(inner, dict):
                raise _unfit(f"{field} lies within another field that it uses")
        inner.setdefault(name, value)


def _unfit(words: str) -> OncefoldError:
    return OncefoldError(
        f"--pipeline: the game cannot make messages of this definition: {words}; play with one whose fields are apart"
    )


def _value(level: Level, label: str, at: float) -> Any:
    return label if level.window is None else _moment(START + at, level.unit)


def _moment(seconds: float, unit: str) -> int:
    """A moment as a whole number of a unit."""
    factor: int = 10 ** (UNIT_PLACES["s"] - UNIT_PLACES[unit])
    return int(seconds) * factor


def _partition(line: Line) -> str:
    assert line.event is not None
    return line.event.key or "-"
