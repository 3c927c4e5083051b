"""A pipeline as flat arrays, the form in which kernels read it."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from oncefold.columnar.arrays import Int32s, Int64Rows, Int64s, UInt8s
from oncefold.columnar.row_plan import RowPlan, envelope_paths, row_plan
from oncefold.core import leafset
from oncefold.core.definition import FirstOf, Level, Pipeline, Version, share_bits
from oncefold.core.expression import Source
from oncefold.core.fieldpath import FieldPath
from oncefold.core.measures import KeyColumn
from oncefold.core.time_format import TimeFormat
from oncefold.core.timestamps import NANOS, UNIT_PLACES
from oncefold.core.zones import zone_of

BY_STEP, BY_MONTH, BY_YEAR, BY_CLOCK = 0, 1, 2, 3
"""How the start of a window is found; BY_CLOCK is of a zone and shorter than a day."""
AS_DAY, AS_TIME, AS_MONTH, AS_YEAR, AS_LOCAL = 10, 20, 7, 4, 25
"""How a window's label is written, by its length in characters."""

NO_ZONE, COMMON_FORMAT, UNREADABLE_FORMAT = -1, -1, -2
"""UTC, the common spellings of times, and a pattern that only the scalar decoder reads."""

DELETE_NONE, DELETE_TRUE, DELETE_EQUALS = 0, 1, 2

OF_INTEGER, OF_TIME, OF_DECIMAL, OF_LSN, OF_ULID, OF_UUID, OF_TEXT, OF_OTHER = 0, 1, 2, 3, 4, 5, 6, 7
"""How a version is read; OF_OTHER by the scalar decoder alone."""


_MOST_ARRAYS = 60
"""Arrays that have a bit of one number each."""

NO_ARRAY, UNREAD_ARRAY = -1, -2
"""The array of a level that has one label, and of one whose elements only the scalar decoder reads."""

COLUMN_NUMBER, COLUMN_PRESENT, COLUMN_TRUE, COLUMN_TIME, COLUMN_TEXT = 0, 1, 2, 3, 4
"""What a key keeps of a field: see `measures.ColumnForm`."""
MISSING_REJECTS, MISSING_IS_ZERO, MISSING_IS_NULL = 0, 1, 2


class ZoneTables(NamedTuple):
    """The zones and patterns of times that a definition names, one after the other."""

    first: Int64s
    """Zone z has the entries first[z] to first[z + 1] of the next three."""
    switches: Int64s
    local_switches: Int64s
    offsets: Int64s
    format_first: Int64s
    formats: Int64s
    """Programs of patterns: a byte, or 256 + the letter of a directive."""


class DecodePlan(NamedTuple):
    """What to make of the fields of a record, which go by numbers."""

    keys: Int32s
    version: Int64Rows
    """Per part: field, decimal places of its number, an OF form, zone, format, bits among the 128 of a list."""
    is_wide: Int64s
    """1 in one element if versions have 128 bits."""
    time: Int64s
    """(field or -1, decimal places, zone, format)."""
    delete: Int64s
    """(field or -1, one of the DELETE forms)."""
    delete_equals: UInt8s
    levels: Int64Rows
    """Per level: field, 1 if a window, decimal places, BY form, length, step and origin in seconds, AS form, 1 with
    a default, the window's zone, the zone of naive times, and their format, and the array that it is filled from.
    """
    arrays: Int64s
    """How many arrays fill levels, and which do in a rollup, as bits of one number, for each rollup of others."""
    inside: UInt8s
    inside_ends: Int64s
    """Name of level i in each element: inside[ends[i] : ends[i + 1]]; nothing where elements are labels themselves."""
    defaults: UInt8s
    default_ends: Int64s
    """Default of level i: defaults[ends[i] : ends[i + 1]]."""
    measures: Int64Rows
    """Per column of a key: field or -1, scale, 1 if it rounds, a MISSING form, a COLUMN form."""
    where: Int64s
    """In one element: the field that must be true of an event that counts, or -1."""
    scalar_only: Int64s
    """1 in one element if the scalar decoder reads every record: expressions of what is read in another way first."""
    zones: ZoneTables
    spelling: Int64s
    """(1 if numbers in text are spelled with other marks, the byte before decimal places, the byte between groups or
    -1)."""
    rows: RowPlan
    has_classes: Int64s
    """1 in one element if `faults.diagnose` knows the spellings of the fields, so that bad records have classes."""


class Trie(NamedTuple):
    """The paths of the fields as a tree of names. Node 0 is the record; node n has edges first[n] to first[n + 1]."""

    first: Int32s
    child: Int32s
    """The node below an edge, or -1."""
    field: Int32s
    """The field that an edge ends in, or -1."""
    name_start: Int32s
    name_length: Int32s
    names: UInt8s
    head: npt.NDArray[np.uint64]
    """The first eight bytes of each name, zeros beyond it."""
    head_mask: npt.NDArray[np.uint64]


def needs_scalar(pipeline: Pipeline) -> bool:
    """Whether only the scalar decoder reads the rows of a table, because of what the definition says of them."""
    version = pipeline.version
    return (
        pipeline.has_wide_versions
        or pipeline.envelope is not None
        or bool(pipeline.missing_texts)
        or (pipeline.decimal, pipeline.group) != (".", None)
        or any(isinstance(part, FirstOf) for part in pipeline.key)
        or (version is not None and (version.type == "lsn" or version.format is not None))
        or (pipeline.time is not None and pipeline.time.format is not None)
        or any(level.format is not None for level in pipeline.levels)
    )


def numbered_fields(pipeline: Pipeline) -> dict[FieldPath, int]:
    """The number of each field that a pipeline reads, in the order of `Pipeline.fields`."""
    return {field: index for index, field in enumerate(pipeline.fields)}


def columns_of(pipeline: Pipeline) -> dict[FieldPath, int]:
    """The number of each field where records are flat: fields of one column share a number."""
    numbers: dict[str, int] = {}
    return {field: numbers.setdefault(field.column, len(numbers)) for field in pipeline.fields}


def plan_of(pipeline: Pipeline, fields: Mapping[FieldPath, int] | None = None) -> DecodePlan:
    """Compile the definition; fields are numbered by `numbered_fields` unless given otherwise.

    Expressions come after them, then the parts of a key that have several fields, then what an envelope is made of.
    """
    fields = numbered_fields(pipeline) if fields is None else fields
    number = numbers_of(pipeline, fields)
    zones = _Tables(pipeline)
    version, time, delete = pipeline.version, pipeline.time, pipeline.delete
    defaults = [_default(level) for level in pipeline.levels]
    names = [level.inside.segments[-1].encode() if level.inside else b"" for level in pipeline.levels]
    return DecodePlan(
        keys=np.array([number[part] for part in pipeline.key], np.int32),
        version=_matrix([_version_row(part, number, zones, bits) for part, bits in _parts(version)], 6),
        is_wide=_row(int(pipeline.has_wide_versions)),
        time=_row(-1, 0, NO_ZONE, COMMON_FORMAT)
        if time is None
        else _row(number[time.field], UNIT_PLACES[time.unit], zones.zone(time.timezone), zones.format(time.format)),
        delete=_row(-1, DELETE_NONE)
        if delete is None
        else _row(number[delete.field], DELETE_TRUE if delete.equals is None else DELETE_EQUALS),
        delete_equals=_bytes((delete.equals or "").encode() if delete else b""),
        levels=_matrix(
            [
                (*_level_row(level, number, zones), array)
                for level, array in zip(pipeline.levels, _array_numbers(pipeline), strict=True)
            ],
            13,
        ),
        arrays=_row(len(pipeline.arrays), *_arrays_of_rollups(pipeline)),
        inside=_bytes(b"".join(names)),
        inside_ends=np.cumsum([0, *map(len, names)]).astype(np.int64),
        defaults=_bytes(b"".join(defaults)),
        default_ends=np.cumsum([0, *map(len, defaults)]).astype(np.int64),
        measures=_matrix(
            [_column_row(column, number) for column in pipeline.columns],
            5,
        ),
        where=_row(-1 if pipeline.where is None else number[pipeline.where]),
        scalar_only=_row(int(bool(pipeline.expressions) and needs_scalar(pipeline))),
        zones=zones.tables(),
        spelling=_spelling(pipeline),
        rows=row_plan(pipeline, number, fields),
        has_classes=_row(int(not needs_scalar(pipeline) and not pipeline.timezones and not pipeline.arrays)),
    )


def numbers_of(pipeline: Pipeline, fields: Mapping[FieldPath, int]) -> dict[Source | FirstOf, int]:
    """The number of every place that is read: fields as given, then expressions, then parts of several fields."""
    number: dict[Source | FirstOf, int] = dict(fields.items())
    parts = [part for part in pipeline.key if isinstance(part, FirstOf)]
    rest: list[Source | FirstOf] = [*pipeline.expressions, *parts]
    for source in dict.fromkeys(rest):
        number[source] = len(number)
    return number


def width_of(pipeline: Pipeline, fields: Mapping[FieldPath, int] | None = None) -> int:
    """How many places are read, those of an envelope among them."""
    fields = numbered_fields(pipeline) if fields is None else fields
    number = numbers_of(pipeline, fields)
    return 1 + max(number.values(), default=0) + len(envelope_paths(pipeline))


def _parts(version: Version | None) -> list[tuple[Version, int]]:
    if version is None:
        return []
    return list(zip(version.parts, share_bits(version) if version.then else (0,), strict=True))


class _Tables:
    """Numbers the zones and patterns of a definition as they come up."""

    def __init__(self, pipeline: Pipeline) -> None:
        version = pipeline.version
        timed = [*(version.parts if version else ()), *([pipeline.time] if pipeline.time else ()), *pipeline.levels]
        self._zones = list(pipeline.timezones)
        self._formats = list(dict.fromkeys(item.format for item in timed if item.format is not None))
        self._programs = [_program(pattern) for pattern in self._formats]

    def zone(self, name: str | None) -> int:
        return NO_ZONE if name is None else self._zones.index(name)

    def format(self, pattern: TimeFormat | None) -> int:
        if pattern is None:
            return COMMON_FORMAT
        at = self._formats.index(pattern)
        return at if self._programs[at] else UNREADABLE_FORMAT

    def tables(self) -> ZoneTables:
        zones = [zone_of(name) for name in self._zones]
        return ZoneTables(
            first=_ends([len(zone.switches) for zone in zones]),
            switches=_joined([zone.switches for zone in zones]),
            local_switches=_joined([zone.local_switches for zone in zones]),
            offsets=_joined([zone.offsets for zone in zones]),
            format_first=_ends(list(map(len, self._programs))),
            formats=_joined(self._programs),
        )


_PROGRAMMED = frozenset("YmdHMSf")


def _program(pattern: TimeFormat) -> list[int]:
    """A pattern for the kernel; nothing for one that only the scalar decoder reads."""
    codes: list[int] = []
    for letter, literal in pattern.tokens():
        if letter and letter not in _PROGRAMMED:
            return []
        codes += [256 + ord(letter)] if letter else list(literal.encode())
    return codes


def _spelling(pipeline: Pipeline) -> Int64s:
    marks = [ord(mark) if mark is not None and mark.isascii() else -1 for mark in (pipeline.decimal, pipeline.group)]
    return _row(int((pipeline.decimal, pipeline.group) != (".", None)), *marks)


def _ends(sizes: list[int]) -> Int64s:
    return np.cumsum([0, *sizes]).astype(np.int64)


def _joined(parts: Sequence[Sequence[int]]) -> Int64s:
    """As an array that is never empty."""
    return np.array([*chain.from_iterable(parts), 0], np.int64)


def _matrix(rows: Sequence[Sequence[int]], width: int) -> Int64Rows:
    return np.array(rows, np.int64).reshape(-1, width)


def trie_of(pipeline: Pipeline) -> Trie:
    """The tree of names of the pipeline's fields."""
    nodes: list[dict[str, list[int]]] = [{}]
    for index, segments in _read_paths(pipeline):
        node = 0
        for depth, segment in enumerate(segments):
            edge = nodes[node].setdefault(segment, [-1, -1])
            if depth == len(segments) - 1:
                edge[1] = index
            else:
                if edge[0] < 0:
                    nodes.append({})
                    edge[0] = len(nodes) - 1
                node = edge[0]
    edges = [(name.encode(), child, field) for node in nodes for name, (child, field) in node.items()]
    lengths = [len(name) for name, _, _ in edges]
    return Trie(
        first=np.cumsum([0, *map(len, nodes)]).astype(np.int32),
        child=np.array([child for _, child, _ in edges], np.int32),
        field=np.array([field for _, _, field in edges], np.int32),
        name_start=np.cumsum([0, *lengths])[:-1].astype(np.int32),
        name_length=np.array(lengths, np.int32),
        names=_bytes(b"".join(name for name, _, _ in edges)),
        head=np.array([int.from_bytes(name[:8], "little") for name, _, _ in edges], np.uint64),
        head_mask=np.array([(1 << 8 * min(8, size)) - 1 for size in lengths], np.uint64),
    )


def _read_paths(pipeline: Pipeline) -> list[tuple[int, tuple[str, ...]]]:
    """The number and path of everything that is looked for in a record."""
    fields = numbered_fields(pipeline)
    if pipeline.envelope is None:
        return [(index, field.segments) for field, index in fields.items()]
    first = 1 + max(numbers_of(pipeline, fields).values(), default=-1)
    return [(first + index, path) for index, path in enumerate(envelope_paths(pipeline))]


_VERSION_FORMS = {
    "integer": OF_INTEGER,
    "timestamp": OF_TIME,
    "decimal": OF_DECIMAL,
    "lsn": OF_LSN,
    "ulid": OF_ULID,
    "uuidv7": OF_UUID,
    "text": OF_TEXT,
}


def _version_row(part: Version, number: Mapping[Source | FirstOf, int], zones: _Tables, bits: int) -> list[int]:
    timed = part.type == "timestamp"
    return [
        number[part.field],
        UNIT_PLACES[part.unit] if timed else part.scale,
        _VERSION_FORMS.get(part.type, OF_OTHER),
        zones.zone(part.timezone),
        zones.format(part.format),
        bits,
    ]


def _level_row(level: Level, number: Mapping[Source | FirstOf, int], zones: _Tables) -> list[int]:
    window = level.window
    has_default = int(level.missing is not None)
    if window is None:
        return [number[level.field], 0, 0, 0, 0, 0, 0, 0, has_default, NO_ZONE, NO_ZONE, COMMON_FORMAT]
    by = BY_MONTH if window.months else BY_YEAR if window.unit == "y" else BY_STEP
    zoned = window.timezone is not None
    return [
        number[level.field],
        1,
        UNIT_PLACES[level.unit],
        BY_CLOCK if zoned and window.follows_clock else by,
        window.months or window.length,
        window.step // NANOS,
        window.origin // NANOS,
        AS_LOCAL if zoned and window.label_chars == AS_TIME - 1 else len(window.label(0)),
        has_default,
        zones.zone(window.timezone),
        zones.zone(level.timezone),
        zones.format(level.format),
    ]


def _default(level: Level) -> bytes:
    """The label of what is missing, as the level holds it."""
    label = level.missing or ""
    return (leafset.pack([label]) if level.each else label).encode()


def _array_numbers(pipeline: Pipeline) -> list[int]:
    """The array of each level, NO_ARRAY or UNREAD_ARRAY."""
    numbers = [NO_ARRAY] * len(pipeline.levels)
    is_plain = pipeline.envelope != "dynamodb" and not pipeline.missing_texts and len(pipeline.arrays) <= _MOST_ARRAYS
    for array, indexes in enumerate(pipeline.arrays):
        inside = [pipeline.levels[index].inside for index in indexes]
        has_names = all(path is None or (len(path.segments) == 1 and path.segments[0]) for path in inside)
        for index in indexes:
            numbers[index] = array if is_plain and has_names else UNREAD_ARRAY
    return numbers


def _arrays_of_rollups(pipeline: Pipeline) -> Sequence[int]:
    """Which arrays there are in a rollup, as bits of one number, each combination once."""
    if len(pipeline.arrays) > _MOST_ARRAYS:
        return []
    return list(dict.fromkeys(sum(1 << array for array in arrays) for arrays in pipeline.rollup_arrays))


def _column_row(column: KeyColumn, number: Mapping[Source | FirstOf, int]) -> tuple[int, ...]:
    return (
        -1 if column.field is None else number[column.field],
        column.scale,
        int(column.round is not None),
        _MISSING_FORMS[column.missing],
        _COLUMN_FORMS[column.form],
    )


_MISSING_FORMS = {"reject": MISSING_REJECTS, "zero": MISSING_IS_ZERO, "null": MISSING_IS_NULL}
_COLUMN_FORMS = {
    "number": COLUMN_NUMBER,
    "present": COLUMN_PRESENT,
    "true": COLUMN_TRUE,
    "time": COLUMN_TIME,
    "text": COLUMN_TEXT,
}


def _row(*values: int) -> Int64s:
    return np.array(values, np.int64)


def _bytes(data: bytes) -> UInt8s:
    """As an array that is never empty, so that kernels may take its address."""
    return np.frombuffer(data + bytes(8), np.uint8)
