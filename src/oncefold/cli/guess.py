"""A first guess at a pipeline from a few events: always valid, and meant to be corrected by a person."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from oncefold.cli.guess_arrays import array_rollups
from oncefold.cli.sample import Sample, SampleRecord
from oncefold.cli.unwrapping import Unwrapped, unwrapped
from oncefold.core.decimals import parse_decimal
from oncefold.core.definition import RESERVED_NAMES, Delete, Level, Pipeline, Rollup, Time, Unit, Version
from oncefold.core.definition_text import to_toml
from oncefold.core.errors import SourceError
from oncefold.core.fieldpath import FieldPath
from oncefold.core.limits import MEASURE_LIMIT, NAME_CHARS
from oncefold.core.measures import Measure
from oncefold.core.timestamps import parse_timestamp
from oncefold.core.values import Number

if TYPE_CHECKING:
    from oncefold.sources.inputs import ReadOptions

ROWS = 200
_LISTED = 5
"""Fields that are named in a reason."""
MOST_LEVELS = 3
_TREE = "tree"
"""The name of the rollup of fields of one text."""
MOST_PLACES = 8
"""More decimal places are regarded as noise of binary floats, and rounded."""

_FINEST = 18
_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_KEY = re.compile(r"(.*[^a-z])?(id|key|uuid)|.*(Id|ID|Key|UUID)")
_VERSION = re.compile(r"v|vers?|version|revision|rev|sequence|seq|lsn", re.IGNORECASE)
_CHANGED = re.compile(r"(last)?_?(updated|modified|changed)_?(at|on|time)?", re.IGNORECASE)
_TIME = re.compile(r".*(time|date).*|.*(_at|At)|day|ts", re.IGNORECASE)
_DATED = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9](?![0-9])", re.ASCII)
_COMMA = re.compile(r"[+-]?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]+)?", re.ASCII)
_DELETED = re.compile(r"(is)?_?deleted", re.IGNORECASE)

Row = dict[FieldPath, str]
Columns = dict[FieldPath, list[str]]
"""The texts of each field in the records that have it, in order of first mention."""


Choose = Callable[[Pipeline, Columns], Pipeline]
"""Corrects a guess, given the texts of each field."""


def guess(events: str, options: "ReadOptions | None" = None, choose: Choose = lambda found, _: found) -> str:
    """A pipeline file for the events of a source, with the reason of each choice. Raises SourceError if none fits."""
    from oncefold.sources.inputs import ReadOptions

    sample = Sample(events, ROWS, options or ReadOptions())
    with closing(sample.records()) as records:
        values = [_value(record) for record in records]
    found = unwrapped(values)
    objects = [row for row in (values if found is None else found.rows) if isinstance(row, Mapping)]
    arrays = list(array_rollups(objects, _TREE))
    taken = {level.field for rollup, _ in arrays for level in rollup.levels}
    flat = ({field: text for field, text in _flattened((), row) if field not in taken} for row in objects)
    rows = [row for row in flat if row]
    why: list[str] = []
    guessed = _pipeline(events, rows, why, found)
    why += (reason for _, reason in arrays)
    pipeline = choose(replace(guessed, rollups=(*guessed.rollups, *(rollup for rollup, _ in arrays))), _columns(rows))
    lines = [
        f"A guess from the first {len(rows)} events of {json.dumps(events)}, read as {sample.form}:",
        "correct what is wrong, then see",
        f"  oncefold check THIS_FILE --sample {events}",
        *map(_comment, why),
    ]
    return "".join(f"# {line}\n" for line in lines) + f"\n{to_toml(pipeline)}"


def _comment(text: str) -> str:
    """Text for a comment: nothing in the data ends it."""
    return "- " + "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _value(record: SampleRecord) -> Any:
    """The record as JSON has it, without empty cells; None if it cannot be read."""
    if record.fault:
        return None
    if record.cells is not None:
        return {name: cell for name, cell in zip(record.header, record.cells, strict=False) if cell}
    if record.row is not None:
        return record.row
    try:
        return json.loads(record.raw.lstrip(b"\0"), parse_float=Number, parse_int=Number)
    except (ValueError, RecursionError):
        return None


def _flattened(path: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flattened((*path, name), value)
        elif isinstance(value, bool | str) and name.isprintable():
            yield FieldPath((*path, name)), str(value).lower() if isinstance(value, bool) else value


def _columns(rows: Iterable[Row]) -> Columns:
    columns: Columns = {}
    for row in rows:
        for field, text in row.items():
            columns.setdefault(field, []).append(text)
    return columns


def _pipeline(events: str, rows: list[Row], why: list[str], found: Unwrapped | None) -> Pipeline:
    """Each field gets the first role it fits; what fits none is left out. Each choice adds its reason to `why`."""
    if found is not None:
        why.append(f"envelope {found.envelope}: every record has its fields; {found.deletes} of them hold no row")
    deleted = _take(_columns(rows), _is_delete_flag)
    live = [row for row in rows if deleted is None or row.get(deleted) not in {"true", "1"}]
    columns = _columns(live)
    left = {field: texts for field, texts in columns.items() if field != deleted}
    version = _version(left) if found is None else _version_around(found)
    key = _key(left, live, version)
    if key is None:
        raise SourceError(
            f"{events}: no field of its first {len(rows)} events looks like a key; "
            "write the commented example with: oncefold init, and fill in your fields"
        )
    why.append(_why_key(key, columns, version))
    if found is not None and version is not None:
        why.append(f"version {version.field}: it orders the changes of the envelope")
    elif version is None:
        why.append("no version: no field is named like one, or like the time of a change; events are only inserted")
    else:
        what = "whole numbers under a name for versions" if version.type == "integer" else "times of a change"
        why.append(f"version {version.field}: {what}")
    time = _take(left, lambda name, texts: _looks_like_a_time(name, texts) and _all_times(texts))
    comma = _spelling(left)
    if comma:
        why.append(f"decimal {comma[0]!r}: numbers are written like {comma[2]}")
    if time is not None:
        why.append(f"time {time}: all its values are times")
    if deleted is not None:
        why.append(f"delete {deleted}: it is true or false, and named for that")
    measures = _measures(left, len(live))
    why.extend(_why_measure(measure, columns[_path(measure.field)], len(live)) for measure in measures)
    rollup = _rollup(left, len(live))
    why.extend(f"level {level.field}: {len(set(left[_path(level.field)]))} different texts" for level in rollup.levels)
    unused = [field for field in left if field not in {level.field for level in rollup.levels}]
    if unused:
        why.append(f"left out, too many different texts for a level: {', '.join(map(str, unused[:_LISTED]))}")
    return Pipeline(
        name=_pipeline_name(events),
        key=(key,),
        version=version,
        delete=None if deleted is None else Delete(deleted),
        time=None if time is None else Time(time, _unit(columns[time])),
        rollups=(rollup,),
        measures=measures,
        envelope=None if found is None else found.envelope,
        decimal=comma[0] if comma else ".",
        group=comma[1] if comma else None,
    )


def _version_around(found: Unwrapped) -> Version | None:
    """The version that an envelope has for its rows."""
    if found.envelope == "dynamodb":
        return Version(FieldPath(("@version",)), "decimal")
    if found.version is None:
        return None
    field, kind = found.version
    return Version(field, "timestamp", "ms") if kind == "timestamp" else Version(field)


def _spelling(left: Columns) -> tuple[str, str | None, str] | None:
    """What stands before decimal places, what between groups of digits, and an example; None for a plain point.

    Such numbers are written plainly into the columns.
    """
    commas = {field: texts for field, texts in left.items() if all(map(_COMMA.fullmatch, texts))}
    commas = {field: texts for field, texts in commas.items() if any("," in text for text in texts)}
    if not commas:
        return None
    group = "." if any("." in text for texts in commas.values() for text in texts) else None
    example = next(text for texts in commas.values() for text in texts if "," in text)
    for field, texts in commas.items():
        left[field] = [text.replace(".", "").replace(",", ".") for text in texts]
    return ",", group, example


def _path(source: object) -> FieldPath:
    """A guess names fields alone."""
    assert isinstance(source, FieldPath)
    return source


def _why_key(key: FieldPath, columns: Columns, version: Version | None) -> str:
    texts = columns[key]
    named = "named like a key" if _KEY.fullmatch(key.segments[-1]) else "different in every event"
    repeats = len(texts) - len(set(texts))
    if not repeats:
        return f"key {key}: {named}, and never the same twice"
    because = f"with other values of {version.field}" if version is not None else "and no version tells which counts"
    return f"key {key}: {named}; {repeats} of {len(texts)} come again, {because}"


def _why_measure(measure: Measure, texts: list[str], rows: int) -> str:
    missing = "" if measure.missing == "reject" else f", missing in {rows - len(texts)} of {rows} events"
    rounded = ", rounded, as binary floats are printed with more" if measure.round else ""
    return f"measure {measure.name}: numbers of up to {measure.scale} decimal places{rounded}{missing}"


def _pipeline_name(events: str) -> str:
    """After the file, as far as its name can be one."""
    stem = PurePath(events).name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_0123456789")[:NAME_CHARS] or "pipeline"


def _take(left: Columns, fits: Callable[[str, list[str]], bool]) -> FieldPath | None:
    """Take the first field that fits out of those that are left."""
    for field, texts in left.items():
        if fits(field.segments[-1], texts):
            del left[field]
            return field
    return None


def _is_delete_flag(name: str, texts: list[str]) -> bool:
    return bool(_DELETED.fullmatch(name)) and set(texts) <= {"true", "false", "0", "1"}


def version_of(field: FieldPath, texts: list[str]) -> Version | None:
    """The version that a field is by its texts; None if they are neither whole numbers nor times."""
    if _all_whole(texts):
        return Version(field)
    return Version(field, "timestamp", _unit(texts)) if _all_times(texts) else None


def _version(left: Columns) -> Version | None:
    texts = dict(left)
    field = _take(left, lambda name, texts: bool(_VERSION.fullmatch(name)) and _all_whole(texts))
    if field is not None:
        return Version(field)
    field = _take(left, lambda name, texts: bool(_CHANGED.fullmatch(name)) and _all_times(texts))
    return None if field is None else Version(field, "timestamp", _unit(texts[field]))


def _key(left: Columns, rows: list[Row], version: Version | None) -> FieldPath | None:
    """A field that every event has: named like a key, or never the same twice, or only with another version.

    Numbers with decimal places are none. Of several that fit equally the one of most different values, and of these the
    first.
    """
    fits: dict[FieldPath, tuple[bool, bool, int]] = {}
    for field, texts in left.items():
        if len(texts) < len(rows) or not rows or any("." in text and _PLAIN.fullmatch(text) for text in texts):
            continue
        is_named = bool(_KEY.fullmatch(field.segments[-1]))
        different = len(set(texts))
        is_unique = different == len(texts)
        if version is not None and not is_unique:
            pairs = {(row[field], row.get(_path(version.field))) for row in rows}
            is_unique = len(pairs) == len(rows) and 2 * different >= len(rows) // 4
        if is_named or (is_unique and not _TIME.fullmatch(field.segments[-1])):
            fits[field] = (is_named and is_unique, is_named, different)
    if not fits:
        return None
    best = max(fits, key=lambda field: fits[field])
    del left[best]
    return best


def _measures(left: Columns, rows: int) -> tuple[Measure, ...]:
    measures: dict[str, Measure] = {}
    for field, texts in list(left.items()):
        measure = measure_of(field, texts, rows)
        if measure is None or measure.name.lower() in {taken.lower() for taken in measures}:
            continue
        measures[measure.name] = measure
        del left[field]
    return tuple(measures.values())


def measure_of(field: FieldPath, texts: list[str], rows: int) -> Measure | None:
    """The sum of a field that so many of `rows` have; None if some of its texts are no numbers."""
    places = _places(texts)
    if places is None:
        return None
    noisy = places > MOST_PLACES
    rounding: Literal["half-even"] | None = "half-even" if noisy else None
    missing: Literal["reject", "zero"] = "zero" if len(texts) < rows else "reject"
    return Measure(_name(field), field, MOST_PLACES if noisy else places, rounding, missing)


def _rollup(left: Columns, rows: int) -> Rollup:
    """The fields of fewest different texts, the fewest at the root."""
    kinds = {field: len(set(texts)) for field, texts in left.items()}
    chosen = sorted((field for field in left if kinds[field] <= max(rows // 4, 2)), key=lambda field: kinds[field])
    return Rollup(_TREE, tuple(level_of(field, some_missing=len(left[field]) < rows) for field in chosen[:MOST_LEVELS]))


def level_of(field: FieldPath, *, some_missing: bool) -> Level:
    """A level of a field's texts."""
    return Level(field, missing="(none)" if some_missing else None)


def _name(field: FieldPath) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", field.segments[-1]).lstrip("_-0123456789")[: NAME_CHARS - 4] or "sum"
    return f"{name}_sum" if name.lower() in RESERVED_NAMES else name


def _all_whole(texts: Iterable[str]) -> bool:
    return all(map(_WHOLE.fullmatch, texts))


def _all_times(texts: list[str]) -> bool:
    try:
        for text in texts:
            parse_timestamp(text, _unit([text]))
    except ValueError:
        return False
    return True


def _looks_like_a_time(name: str, texts: list[str]) -> bool:
    return bool(_TIME.fullmatch(name)) or all(map(_DATED.match, texts))


def _unit(texts: list[str]) -> Unit:
    """The unit in which epoch numbers are times of our age, by their whole digits."""
    whole = texts[0].lstrip("-").partition(".")[0]
    units: dict[int, Unit] = {12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}
    return units.get(len(whole), "s") if whole.isdigit() else "s"


def _places(texts: list[str]) -> int | None:
    """The decimal places that the numbers are written with; None if some are no numbers that a measure can hold."""
    places = max(len(text.partition(".")[2]) if _PLAIN.fullmatch(text) else 0 for text in texts)
    for least in range(min(places, _FINEST), _FINEST + 1):
        try:
            for text in texts:
                parse_decimal(text, least, MEASURE_LIMIT)
        except ValueError as error:
            if "decimal places" not in str(error):
                return None
        else:
            return least
    return _FINEST
