"""What a definition means, in words that `oncefold check` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncefold.core.expression import Expression, to_sql
from oncefold.core.measures import ADDITIVE, UNSCALED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oncefold.core.definition import Level, Pipeline, Rollup, Time, Version
    from oncefold.core.measures import Measure


def meaning(pipeline: Pipeline) -> list[tuple[str, str]]:
    """The meaning of a definition: lines of a heading, which may be empty, and a text."""
    return [
        ("name", pipeline.name),
        *_listed("records", list(_record_texts(pipeline))),
        ("key", " and ".join(map(str, pipeline.key)) + (", together" if len(pipeline.key) > 1 else "")),
        ("version", _version_text(pipeline.version)),
        ("deletes", _delete_text(pipeline)),
        ("time", _time_text(pipeline.time)),
        *([] if pipeline.where is None else [("where", _where_text(pipeline.where))]),
        *_listed("fields", _derived_texts(pipeline)),
        *_listed("rollups", [_rollup_text(rollup) for rollup in pipeline.rollups]),
        *_listed("totals", ["count: the live keys", *map(_measure_text, pipeline.measures)]),
        *_aws_line(pipeline),
        *([] if pipeline.keep_events is None else [("events", _KEPT_TEXTS[pipeline.keep_events])]),
        ("fingerprint", pipeline.fingerprint),
    ]


_KEPT_TEXTS = {
    True: "a store keeps the newest whole event of each key, so that `oncefold redefine` can replace this definition",
    False: "a store drops the whole events that it has kept",
}


def _aws_line(pipeline: Pipeline) -> list[tuple[str, str]]:
    """Which measures a stack's functions cannot keep, and how to have them."""
    if not pipeline.engine_only:
        return []
    named = ", ".join(measure.name for measure in pipeline.engine_only)
    way = "run the engine as a consumer of the same stream: oncefold run PIPELINE.toml kinesis://STREAM --store FILE"
    return [("on AWS", f"not {named}: a stack's functions keep sums, counts and averages. For these measures {way}")]


def _listed(heading: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    return [("" if index else heading, line) for index, line in enumerate(lines)]


def _version_text(version: Version | None) -> str:
    if version is None:
        return (
            "none: events are inserted and never corrected; another event of the same key is a duplicate or a conflict"
        )
    kinds = " then ".join(f"{part.field}, {_version_kind(part)}" for part in version.parts)
    return f"{kinds}; of each key the event with the greatest version counts, in any order of arrival"


_VERSION_KINDS = {
    "integer": "a whole number",
    "ulid": "a ULID",
    "uuidv7": "a UUID of version 7",
    "lsn": "a log sequence number of PostgreSQL",
    "binlog": "a position in MySQL's binary log",
    "text": "text of at most 16 bytes, compared byte by byte",
}


def _version_kind(part: Version) -> str:
    if part.type == "timestamp":
        return _timestamp_text(part)
    if part.type == "decimal":
        return f"a number of up to 38 digits with {part.scale} decimal places"
    return _VERSION_KINDS[part.type]


_ENVELOPES = {
    "debezium": "Debezium events: fields are of the row after the change, or before it where there is none after; an "
    "event whose op is d is a delete; tombstones are ignored",
    "dynamodb": "DynamoDB stream records or exports: fields are attributes of the new image, or of the old one or the "
    "keys where there is none; REMOVE is a delete",
    "cloudevents": "CloudEvents: fields are of their data",
}


def _record_texts(pipeline: Pipeline) -> Iterator[str]:
    """What the definition says of records as a whole."""
    if pipeline.envelope is not None:
        yield f"{_ENVELOPES[pipeline.envelope]}; @ before a field leads to the envelope's own"
        if pipeline.envelope != "cloudevents":
            yield "a change of the key, where the record has both, deletes the old one and is an event of the new one"
    if pipeline.missing_texts:
        yield f"a field that holds {' or '.join(map(repr, pipeline.missing_texts))} is missing"
    if (pipeline.decimal, pipeline.group) != (".", None):
        grouped = "" if pipeline.group is None else f", and {pipeline.group!r} between groups of three digits"
        yield f"numbers in text have {pipeline.decimal!r} before their decimal places{grouped}"


_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def _timestamp_text(spec: Version | Time | Level) -> str:
    zone = "" if spec.timezone is None else f", of {spec.timezone} where it names no offset"
    if spec.format is not None:
        return f"a time written as {spec.format}{zone}"
    return f"a time (RFC 3339 text, a date, or {_UNIT_NAMES[spec.unit]} since 1970{zone})"


def _delete_text(pipeline: Pipeline) -> str:
    delete, by_envelope = pipeline.delete, pipeline.envelope in {"debezium", "dynamodb"}
    clauses = ["what the envelope says is one"] if by_envelope else []
    if delete is not None:
        clauses.append(f"events whose {delete.field} is " + ("true" if delete.equals is None else repr(delete.equals)))
    return ", and ".join(clauses) or "none"


def _time_text(time: Time | None) -> str:
    return "none" if time is None else f"{time.field}, {_timestamp_text(time)}; it shows how fresh the totals are"


def _derived_texts(pipeline: Pipeline) -> list[str]:
    """What the named expressions are."""
    named = (expression for expression in pipeline.expressions if expression.name)
    return [f"{expression.name} is {to_sql(expression.tree)}" for expression in named]


def _where_text(where: Expression) -> str:
    return f"{to_sql(where.tree)}; an event of which this is not true takes its key out of the totals"


def _rollup_text(rollup: Rollup) -> str:
    several = any(level.each for level in rollup.levels)
    counts = "; a key counts once in each of its leaves and once in every node above them" if several else ""
    return f"{rollup.name}: {' > '.join(['(root)', *map(_level_text, rollup.levels)])}{counts}"


def _level_text(level: Level) -> str:
    missing = [] if level.missing is None else [f"{level.missing!r} if missing"]
    if level.each:
        empty = [] if level.missing is None else [f"{level.missing!r} if missing or empty"]
        what = f"each of {level.field}" if level.inside is None else f"{level.inside} of each of {level.field}"
        return f"{what} ({empty[0]})" if empty else what
    if level.window is None:
        return f"{level.field} ({missing[0]})" if missing else str(level.field)
    details = [] if level.unit == "s" else [f"{_UNIT_NAMES[level.unit]} since 1970"]
    if level.window.timezone is not None:
        details.append(f"by the clocks and the calendar of {level.window.timezone}")
    if level.window.week_starts != "monday":
        details.append(f"weeks begin on {level.window.week_starts.capitalize()}")
    if level.format is not None:
        details.append(f"written as {level.format}")
    if level.timezone is not None:
        details.append(f"times without an offset are of {level.timezone}")
    name = f"{level.field} by {level.window}"
    return f"{name} ({', '.join([*details, *missing])})" if details or missing else name


def _measure_text(measure: Measure) -> str:
    rounding = "rounded half to even" if measure.round else "more are rejected"
    missing = ", 0 if missing" if measure.missing == "zero" else ""
    places = f", {measure.scale} decimal places ({rounding}){missing}"
    where = "" if measure.kind in ADDITIVE else "; kept by the engine alone"
    return f"{measure.name}: {_made_of(measure)}{'' if measure.kind in UNSCALED else places}{where}"


def _made_of(measure: Measure) -> str:
    """A measure as a person would say it."""
    field = measure.field
    if measure.kind == "count":
        return (
            f"the keys of which {field} is true" if measure.is_condition else f"the keys that have a value of {field}"
        )
    return {
        "sum": f"the sum of {field}",
        "avg": f"the average of {field} over the keys that have a value",
        "min": f"the least {field}",
        "max": f"the greatest {field}",
        "distinct": f"the number of different values of {field}",
        "first": f"the {field} of the key with the least event time, of several the least key",
        "last": f"the {field} of the key with the greatest event time, of several the greatest key",
    }[measure.kind]
