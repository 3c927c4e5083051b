"""A pipeline's definition: what an event is, which trees it is counted in, and which sums are kept.

Frozen values only. `definition_toml` reads the same from a file.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal

from oncefold.core.errors import DefinitionError, InvalidQueryError, QueryError
from oncefold.core.expression import Expression, Source, fields_in, to_tree
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import LABEL_BYTES, MEASURE_DIGITS, NAME_CHARS
from oncefold.core.timestamps import Window

NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{NAME_CHARS - 1}}}", re.ASCII)
"""Names of pipelines, rollups and measures; the latter two also name columns of results."""

RESERVED_NAMES = frozenset({"count", "rollup", "path", "depth", "label"})
"""No names of measures: columns of the view `totals` beside theirs. `count` is no name of a rollup, either."""

Unit = Literal["s", "ms", "us", "ns"]


@dataclass(frozen=True, slots=True)
class Version:
    """Which field orders the events of a key: an integer, or a timestamp read to the nanosecond."""

    field: Source
    """Where the version is in an event."""
    type: Literal["integer", "timestamp"] = "integer"
    """How it is compared."""
    unit: Unit = "s"
    """Of a timestamp that is a number: what one is, since 1970-01-01T00:00:00Z."""


@dataclass(frozen=True, slots=True)
class Time:
    """The event's own time. It shows how fresh the totals are and never changes them."""

    field: Source
    """Where the time is in an event: RFC 3339 text, a date, or a number."""
    unit: Unit = "s"
    """Of a number: what one is, since 1970-01-01T00:00:00Z."""


@dataclass(frozen=True, slots=True)
class Delete:
    """When an event is a delete: the field is true, or has the text `equals`."""

    field: Source
    """Where it is in an event."""
    equals: str | None = None
    """The text that makes a delete; None for the value true."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a rollup: a field's text, or the window that a time field falls in."""

    field: Source
    """Where the label, or the time, is in an event."""
    window: Window | None = None
    """The length of the window; None for the field's own text."""
    unit: Unit = "s"
    """Of a time that is a number: what one is, since 1970-01-01T00:00:00Z."""
    missing: str | None = None
    """The label of an event without the field; None rejects such an event."""

    @property
    def name(self) -> str:
        """What a person calls the level: its field, with the window."""
        return f"{self.field}" if self.window is None else f"{self.field} ({self.window})"


@dataclass(frozen=True, slots=True)
class Rollup:
    """A tree: its name and its levels from the root down; no levels means a root alone."""

    name: str
    """A letter, then letters, digits, - or _."""
    levels: tuple[Level, ...]
    """From the root down."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A sum that every node keeps, exact at `scale` decimal places."""

    name: str
    """Names a column of the answers: a letter, then letters, digits, - or _."""
    field: Source
    """Where the number is in an event."""
    scale: int
    """Decimal places, from 0 to 18. A number with more is rejected."""
    round: Literal["half-even"] | None = None
    """How a number with more decimal places is rounded instead of rejected."""
    missing: Literal["reject", "zero"] = "reject"
    """What an event without the field means."""


@dataclass(frozen=True)
class Pipeline:
    """The whole definition; equal definitions give equal totals from equal events.

    Raises:
        DefinitionError: No definition can mean this: two measures share a name, for example.

    Example:
        >>> from oncefold import FieldPath, Level, Measure, Pipeline, Rollup, Version
        >>> orders = Pipeline(
        ...     name="orders",
        ...     key=(FieldPath.parse("order"),),
        ...     version=Version(FieldPath.parse("version")),
        ...     rollups=(Rollup("tree", (Level(FieldPath.parse("country")), Level(FieldPath.parse("channel")))),),
        ...     measures=(Measure("amount", FieldPath.parse("amount"), scale=2),),
        ... )
        >>> [level.name for level in orders.levels]
        ['country', 'channel']
    """

    name: str
    """A letter, then letters, digits, - or _."""
    key: tuple[Source, ...]
    """The fields that together are the key, at least one."""
    rollups: tuple[Rollup, ...]
    """The trees in which each key counts, at least one."""
    measures: tuple[Measure, ...] = ()
    """What is summed besides the number of keys."""
    version: Version | None = None
    """What orders the events of a key; None means that events are only inserted."""
    time: Time | None = None
    """The event's own time; None for events without one."""
    delete: Delete | None = None
    """When an event is a delete; None means never."""
    where: Expression | None = None
    """What is true of the events that count; None counts all. An event of which it is not true takes its key out of the
    totals at its version, as a delete does."""

    def __post_init__(self) -> None:
        """Raises DefinitionError for impossible settings; the TOML form raises it with their position."""
        for wrong in _flaws(self):
            raise DefinitionError(f"pipeline {self.name!r}: {wrong}")

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The distinct levels of all rollups in order of first mention: the labels of a leaf."""
        return tuple(dict.fromkeys(chain.from_iterable(rollup.levels for rollup in self.rollups)))

    @cached_property
    def rollup_levels(self) -> tuple[tuple[int, ...], ...]:
        """For each rollup, the indexes of its levels within `levels`."""
        index_of = {level: index for index, level in enumerate(self.levels)}
        return tuple(tuple(index_of[level] for level in rollup.levels) for rollup in self.rollups)

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Every place that the definition reads, each once: fields and expressions."""
        single = (self.version, self.time, self.delete)
        found: list[Source] = [*self.key, *(level.field for level in self.levels)]
        found += [measure.field for measure in self.measures]
        found += [item.field for item in single if item is not None]
        return tuple(dict.fromkeys([*found, *([] if self.where is None else [self.where])]))

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions among the sources."""
        return tuple(source for source in self.sources if isinstance(source, Expression))

    @cached_property
    def fields(self) -> tuple[FieldPath, ...]:
        """Every field that is read, by expressions too, each once."""
        found = (fields_in(source.tree) if isinstance(source, Expression) else [source] for source in self.sources)
        return tuple(dict.fromkeys(chain.from_iterable(found)))

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that the totals depend on; the pipeline's name and its event time are not among it."""
        return hashlib.sha256(json.dumps(_meaning(self), sort_keys=True).encode()).hexdigest()

    def find_rollup(self, name: str | None) -> int:
        """The index of the rollup with this name; it may be left out where there is only one. Raises QueryError."""
        known = ", ".join(rollup.name for rollup in self.rollups)
        if name is None:
            if len(self.rollups) > 1:
                raise InvalidQueryError(f"there are several rollups: {known}; name the one you mean")
            return 0
        try:
            return self.rollup_index(name)
        except KeyError:
            raise QueryError(f"there is no rollup {name!r}; there is: {known}") from None

    def rollup_index(self, name: str) -> int:
        """The index of the rollup with this name. Raises KeyError if there is none."""
        for index, rollup in enumerate(self.rollups):
            if rollup.name == name:
                return index
        raise KeyError(name)


def _flaws(pipeline: Pipeline) -> Iterator[str]:
    names = [("rollup", rollup.name) for rollup in pipeline.rollups]
    names += [("measure", measure.name) for measure in pipeline.measures]
    taken = {"pipeline": frozenset[str](), "rollup": frozenset({"count"}), "measure": RESERVED_NAMES}
    for what, name in [("pipeline", pipeline.name), *names]:
        if not NAME.fullmatch(name):
            yield f"{name!r} is not a name for a {what}: use a letter, then letters, digits, - or _"
        if name.lower() in taken[what]:
            yield f"{name!r} is taken by a column of the results: choose another name for the {what}"
    for what in ("rollup", "measure"):
        own = [name.lower() for kind, name in names if kind == what]
        if len(set(own)) != len(own):
            yield f"two {what}s share a name"
    if not pipeline.key or not pipeline.rollups:
        yield "it needs a key field and a rollup at least"
    for level in pipeline.levels:
        if len((level.missing or "").encode()) > LABEL_BYTES:
            yield f"level {level.name}: the label for what is missing is longer than {LABEL_BYTES} bytes"
    if pipeline.where is not None and pipeline.where.tree.kind != "boolean":
        yield f"where must be true or false of an event, and {pipeline.where} is neither"
    for measure in pipeline.measures:
        if not 0 <= measure.scale <= MEASURE_DIGITS:
            yield f"measure {measure.name}: the scale must be from 0 to {MEASURE_DIGITS}, not {measure.scale}"


def _meaning(pipeline: Pipeline) -> dict[str, Any]:
    meaning: dict[str, Any] = _plain(pipeline)
    del meaning["name"], meaning["time"]
    if pipeline.where is None:
        del meaning["where"]
    return meaning


def _plain(value: Any) -> Any:
    """Values as JSON has them; an expression as its tree."""
    if isinstance(value, Expression):
        return {"tree": to_tree(value.tree)}
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def changes_of_meaning(old: Pipeline, new: Pipeline) -> list[str]:
    """What `new` would make of totals kept under `old` that they do not mean: one line each, empty if none.

    A measure or level that used to reject events without its field may begin to accept them, and a measure may
    begin to round what it used to reject: the events rejected so far are on the reject list and can be redriven.
    Everything else changes what is kept.
    """
    return list(chain(_event_changes(old, new), _rollup_changes(old, new), _measure_changes(old, new)))


def _event_changes(old: Pipeline, new: Pipeline) -> Iterator[str]:
    for name in ("key", "version", "delete", "where"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"[event] {name} was {_words(before)} and is now {_words(after)}"


def _rollup_changes(old: Pipeline, new: Pipeline) -> Iterator[str]:
    if [r.name for r in old.rollups] != [r.name for r in new.rollups]:
        yield f"[rollups] were {_names(old.rollups)} and are now {_names(new.rollups)}"
        return
    if old.rollup_levels != new.rollup_levels:
        yield f"[rollups] the labels of a leaf were {_words(old.levels)} and are now {_words(new.levels)}"
    for before, after in zip(old.rollups, new.rollups, strict=True):
        pairs = list(zip(before.levels, after.levels, strict=False))
        if len(before.levels) != len(after.levels) or not all(_widens_level(b, a) for b, a in pairs):
            yield f"[rollups] {before.name} was {_words(before.levels)} and is now {_words(after.levels)}"


def _widens_level(old: Level, new: Level) -> bool:
    same = (old.field, old.window, old.unit) == (new.field, new.window, new.unit)
    return same and (old.missing is None or old.missing == new.missing)


def _measure_changes(old: Pipeline, new: Pipeline) -> Iterator[str]:
    if [m.name for m in old.measures] != [m.name for m in new.measures]:
        yield f"[measures] were {_names(old.measures)} and are now {_names(new.measures)}"
        return
    for before, after in zip(old.measures, new.measures, strict=True):
        if not _widens_measure(before, after):
            changed = [
                f"{name} was {_words(was)} and is now {_words(getattr(after, name))}"
                for name, was in _fields(before)
                if was != getattr(after, name)
            ]
            yield f"[measures] {before.name}: {', '.join(changed)}"


def _widens_measure(old: Measure, new: Measure) -> bool:
    same = (old.field, old.scale) == (new.field, new.scale)
    return same and old.round in {None, new.round} and old.missing in {"reject", new.missing}


def _names(named: tuple[Rollup, ...] | tuple[Measure, ...]) -> str:
    return ", ".join(item.name for item in named) or "none"


def _words(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_words, value)) + "]"
    if isinstance(value, FieldPath | Expression | str | int):
        return str(value)
    parts = (f"{name} {item}" for name, item in _fields(value) if item is not None)
    return "{" + ", ".join(parts) + "}"


def _fields(value: Any) -> list[tuple[str, Any]]:
    return [(name, getattr(value, name)) for name in value.__dataclass_fields__]
