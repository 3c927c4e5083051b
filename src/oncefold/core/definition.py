"""A pipeline's definition: what an event is, which trees it is counted in, and which sums are kept.

Frozen values only. `definition_toml` reads the same from a text, `definition_text` writes it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, Literal

from oncefold.core.errors import DefinitionError, InvalidQueryError, QueryError
from oncefold.core.expression import Expression, Source, fields_in, to_tree
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import DECIMAL_VERSION_DIGITS, LABEL_BYTES, MEASURE_DIGITS, NAME_CHARS
from oncefold.core.measures import ADDITIVE, NULLABLE, UNSCALED, Amount, KeyColumn, Layout, Measure, layout_of
from oncefold.core.time_format import TimeFormat
from oncefold.core.windows import Window

NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{NAME_CHARS - 1}}}", re.ASCII)
"""Names of pipelines, rollups and measures; the latter two also name columns of results."""

RESERVED_NAMES = frozenset({"count", "rollup", "path", "depth", "label"})
"""No names of measures: columns of the view `totals` beside theirs. `count` is no name of a rollup, either."""

Unit = Literal["s", "ms", "us", "ns"]
VersionType = Literal["integer", "timestamp", "decimal", "ulid", "uuidv7", "lsn", "binlog", "text"]
Envelope = Literal["debezium", "dynamodb", "cloudevents"]

PART_TYPES = ("integer", "timestamp", "decimal", "lsn")
"""What a part of a list of versions may be."""

WIDE_BITS = 128
"""Bits of a version that is wider than 64."""


@dataclass(frozen=True, slots=True)
class FirstOf:
    """Several fields of which the first that is there counts."""

    fields: tuple[Source, ...]
    """At least one; an empty cell of a flat text is not there."""

    def __str__(self) -> str:
        return f"the first of {', '.join(map(str, self.fields))}"


@dataclass(frozen=True, slots=True)
class Version:
    """Which field orders the events of a key, or which fields do, and how they are compared."""

    field: Source
    """Where the version is in an event."""
    type: VersionType = "integer"
    """How it is compared: an integer of 64 bits, a time to the nanosecond, or one of `versions.TYPES`."""
    unit: Unit = "s"
    """Of a timestamp that is a number: what one is, since 1970-01-01T00:00:00Z."""
    scale: int = 0
    """Of a decimal: its decimal places."""
    timezone: str | None = None
    """Of a timestamp without an offset: the zone of its clock; None for UTC."""
    format: TimeFormat | None = None
    """Of a timestamp: how its text is written; None for the common spellings."""
    bits: int | None = None
    """Of a part of a list: how many of the 128 bits it has; None for an equal share of what is left."""
    then: tuple["Version", ...] = ()
    """Further parts, compared where those before are equal."""

    @property
    def parts(self) -> tuple["Version", ...]:
        """What is compared, in order; one without `then`."""
        return (replace(self, then=()), *self.then) if self.then else (self,)

    @property
    def is_wide(self) -> bool:
        """Whether it takes 128 bits instead of 64."""
        return bool(self.then) or self.type not in {"integer", "timestamp", "lsn"}


@dataclass(frozen=True, slots=True)
class Time:
    """The event's own time. It shows how fresh the totals are and never changes them."""

    field: Source
    """Where the time is in an event: RFC 3339 text, a date, or a number."""
    unit: Unit = "s"
    """Of a number: what one is, since 1970-01-01T00:00:00Z."""
    timezone: str | None = None
    """Of a time without an offset: the zone of its clock; None for UTC."""
    format: TimeFormat | None = None
    """How its text is written; None for the common spellings."""


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
    timezone: str | None = None
    """Of a time without an offset: the zone of its clock; None for UTC. The window has a zone of its own."""
    format: TimeFormat | None = None
    """How the text of a time is written; None for the common spellings."""
    each: bool = False
    """Whether the field is an array, and the key counts in a leaf for each of its elements."""
    inside: FieldPath | None = None
    """Where the label is in each element, which is an object; None for elements that are labels themselves."""

    @property
    def name(self) -> str:
        """What a person calls the level: its field, with the window; of an array the elements, and what is in them."""
        if self.each:
            return f"{self.field}[]" if self.inside is None else f"{self.field}[].{self.inside}"
        return f"{self.field}" if self.window is None else f"{self.field} ({self.window})"


@dataclass(frozen=True, slots=True)
class Rollup:
    """A tree: its name and its levels from the root down; no levels means a root alone."""

    name: str
    """A letter, then letters, digits, - or _."""
    levels: tuple[Level, ...]
    """From the root down."""


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
    key: tuple[Source | FirstOf, ...]
    """The fields that together are the key, at least one."""
    rollups: tuple[Rollup, ...]
    """The trees in which each key counts, at least one."""
    measures: tuple[Measure, ...] = ()
    """What every node keeps besides the number of keys."""
    version: Version | None = None
    """What orders the events of a key; None means that events are only inserted."""
    time: Time | None = None
    """The event's own time; None for events without one."""
    delete: Delete | None = None
    """When an event is a delete; None means never."""
    where: Expression | None = None
    """What is true of the events that count; None counts all. An event of which it is not true takes its key out of the
    totals at its version, as a delete does."""
    envelope: Envelope | None = None
    """What records are wrapped in: paths are of the row inside, `@` before one leads to the envelope's own fields."""
    missing_texts: tuple[str, ...] = ()
    """Texts that mean that the field is missing, wherever one is read."""
    decimal: str = "."
    """What stands before the decimal places of a number that is text."""
    group: str | None = None
    """What stands between groups of three digits of such a number; None for nothing."""
    keep_events: bool | None = None
    """Whether a store keeps the newest whole event of each key, so that its definition can be replaced; None does not,
    and False also drops those that are kept."""

    def __post_init__(self) -> None:
        """Raises DefinitionError for impossible settings; the TOML form raises it with their position."""
        for wrong in _flaws(self):
            raise DefinitionError(f"pipeline {self.name!r}: {wrong}")

    @property
    def has_wide_versions(self) -> bool:
        """Whether a version takes 128 bits instead of 64."""
        return self.version is not None and self.version.is_wide

    @property
    def timezones(self) -> tuple[str, ...]:
        """The zones that it names, each once."""
        version = () if self.version is None else self.version.parts
        timed: list[Version | Time | Level] = [*version, *([] if self.time is None else [self.time]), *self.levels]
        windows = [level.window for level in self.levels if level.window is not None]
        names = [item.timezone for item in timed] + [window.timezone for window in windows]
        return tuple(dict.fromkeys(name for name in names if name is not None))

    @property
    def value_columns(self) -> int:
        """Numbers beside the version in a key's state: its columns, and the low word of a wide version after them."""
        return len(self.layout.columns) + self.has_wide_versions

    @cached_property
    def layout(self) -> Layout:
        """The numbers that keys and nodes keep for the measures."""
        return layout_of(self.measures)

    @property
    def columns(self) -> tuple[KeyColumn, ...]:
        """The numbers and texts that every key keeps."""
        return self.layout.columns

    @property
    def amounts(self) -> tuple[Amount, ...]:
        """The numbers that every node keeps."""
        return self.layout.amounts

    @property
    def engine_only(self) -> tuple[Measure, ...]:
        """The measures that no sum over keys gives: those that only the engine has."""
        return tuple(measure for measure in self.measures if measure.kind not in ADDITIVE)

    @property
    def key_fields(self) -> tuple[Source, ...]:
        """The field of each part of the key; of several that a part may be read from, the first."""
        return tuple(part.fields[0] if isinstance(part, FirstOf) else part for part in self.key)

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
    def arrays(self) -> tuple[tuple[int, ...], ...]:
        """For each array that fills levels, the indexes of those within `levels`; empty if a key has one leaf."""
        found: dict[Source, list[int]] = {}
        for index, level in enumerate(self.levels):
            if level.each:
                found.setdefault(level.field, []).append(index)
        return tuple(map(tuple, found.values()))

    @cached_property
    def rollup_arrays(self) -> tuple[tuple[int, ...], ...]:
        """For each rollup, the indexes within `arrays` of those that fill its levels."""
        return tuple(
            tuple(array for array, filled in enumerate(self.arrays) if not set(filled).isdisjoint(levels))
            for levels in self.rollup_levels
        )

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Every place that the definition reads, each once: fields and expressions."""
        single = (self.version, self.time, self.delete)
        keys = (part.fields if isinstance(part, FirstOf) else (part,) for part in self.key)
        found: list[Source] = [*chain.from_iterable(keys), *(level.field for level in self.levels)]
        found += [measure.field for measure in self.measures]
        found += [item.field for item in single if item is not None]
        found += [part.field for part in (() if self.version is None else self.version.then)]
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

    @property
    def needed_fields(self) -> tuple[FieldPath, ...]:
        """The fields that every event has, deletes too: those of its key and of its version."""
        sources = [*self.key, *([] if self.version is None else [self.version.field])]
        return tuple(field for field in sources if isinstance(field, FieldPath))

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that the totals depend on; its name, its event time and `keep_events` are not among it.

        The event time is where a measure is the first or last value by it.
        """
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
    yield from _event_flaws(pipeline)
    for level in pipeline.levels:
        yield from (f"level {level.name}: {wrong}" for wrong in _level_flaws(level))
    if pipeline.where is not None and pipeline.where.tree.kind != "boolean":
        yield f"where must be true or false of an event, and {pipeline.where} is neither"
    for measure in pipeline.measures:
        yield from (f"measure {measure.name}: {wrong}" for wrong in _measure_flaws(measure))
    if pipeline.time is None and depends_on_time(pipeline):
        yield 'first and last are by the event\'s time: name its field under [event], such as time = "Timestamp"'


def _level_flaws(level: Level) -> Iterator[str]:
    if len((level.missing or "").encode()) > LABEL_BYTES:
        yield f"the label for what is missing is longer than {LABEL_BYTES} bytes"
    if level.each and (level.window is not None or isinstance(level.field, Expression)):
        yield "for each element of an array there is a label, neither a window nor an expression"
    if level.inside is not None and not level.each:
        yield "only an array's elements have something inside"


def _measure_flaws(measure: Measure) -> Iterator[str]:
    if not 0 <= measure.scale <= MEASURE_DIGITS:
        yield f"the scale must be from 0 to {MEASURE_DIGITS}, not {measure.scale}"
    if measure.kind in UNSCALED and (measure.scale or measure.round is not None):
        yield f"a {measure.kind} is a whole number and has neither scale nor round"
    if measure.kind != "sum" and measure.missing != "reject":
        yield f"only a sum has missing; what is missing takes no part in {measure.kind}"
    kind = measure.field.tree.kind if isinstance(measure.field, Expression) else "raw"
    if measure.kind in NULLABLE and kind in {"boolean", "time"}:
        yield f"{measure.kind} is of numbers, and {measure.field} is none"
    if measure.kind == "distinct" and isinstance(measure.field, Expression) and kind != "text":
        yield f"distinct is of texts, and {measure.field} is none"


def _event_flaws(pipeline: Pipeline) -> Iterator[str]:
    yield from _version_flaws(pipeline.version)
    if len(pipeline.decimal) != 1 or len(pipeline.group or " ") != 1 or pipeline.decimal == pipeline.group:
        yield "decimal and group are one character each, and not the same one"
    if pipeline.envelope == "debezium" and pipeline.version is None:
        yield 'a Debezium event needs a version, such as "@source.lsn"'


def _version_flaws(version: Version | None) -> Iterator[str]:
    if version is None:
        return
    if not 0 <= version.scale <= DECIMAL_VERSION_DIGITS:
        yield f"a version's scale must be from 0 to {DECIMAL_VERSION_DIGITS}, not {version.scale}"
    if version.then:
        if any(part.then or part.type not in PART_TYPES for part in version.parts):
            yield f"a part of a list of versions is one of {', '.join(PART_TYPES)}"
            return
        try:
            share_bits(version)
        except ValueError as error:
            yield str(error)


def share_bits(version: Version) -> tuple[int, ...]:
    """The bits of each part of a list: what it asks for or always has, or an equal share of the rest.

    Raises ValueError if they do not fit.
    """
    fixed = [part.bits or PART_BITS.get(part.type, 0) for part in version.parts]
    free, left = fixed.count(0), WIDE_BITS - sum(fixed)
    if left < free:
        raise ValueError(f"the parts of a version have {WIDE_BITS} bits together, and these ask for more")
    share, rest = divmod(left, free) if free else (0, 0)
    bits = []
    for wanted in fixed:
        bits.append(wanted or share + rest)
        rest = rest if wanted else 0
    return tuple(bits)


PART_BITS = {"timestamp": 64, "lsn": 64}
"""Bits of a part of a list whose type says how many it takes."""


def _meaning(pipeline: Pipeline) -> dict[str, Any]:
    meaning: dict[str, Any] = _plain(pipeline)
    del meaning["name"], meaning["keep_events"]
    if not depends_on_time(pipeline):
        del meaning["time"]
    return meaning


def depends_on_time(pipeline: Pipeline) -> bool:
    """Whether a measure is the first or last value by the event's time."""
    return pipeline.layout.time >= 0


UNSET: dict[str, Any] = {
    "where": None,
    "kind": "sum",
    "scale": 0,
    "timezone": None,
    "week_starts": "monday",
    "format": None,
    "bits": None,
    "then": (),
    "envelope": None,
    "missing_texts": (),
    "decimal": ".",
    "group": None,
    "each": False,
    "inside": None,
}
"""Settings that are left out of the fingerprint where they say nothing, so that those of older definitions stay."""


def _plain(value: Any) -> Any:
    """Values as JSON has them, without settings that say nothing; an expression as its tree."""
    if isinstance(value, Expression):
        return {"tree": to_tree(value.tree)}
    if is_dataclass(value):
        unset = {name: empty for name, empty in UNSET.items() if name != "scale" or isinstance(value, Version)}
        items = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: _plain(item) for name, item in items.items() if name not in unset or item != unset[name]}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
