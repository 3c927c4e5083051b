"""`oncefold init` and `oncefold check`: write a pipeline file, and explain one."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from oncefold.cli.options import reading_options
from oncefold.core import leafset, nodepath
from oncefold.core.decimals import format_decimal
from oncefold.core.errors import DefinitionError
from oncefold.core.expression import Expression, to_sql
from oncefold.core.measures import ADDITIVE, UNSCALED
from oncefold.core.timestamps import UNIT_PLACES, format_timestamp, likely_unit
from oncefold.core.versions import write_version
from oncefold.pipeline_file import load_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oncefold.cli.sample import SampleReading
    from oncefold.core.definition import Level, Pipeline, Rollup, Time, Version
    from oncefold.core.event import Event
    from oncefold.core.measures import Measure
    from oncefold.queries.render.screen import Grid
    from oncefold.sources.inputs import ReadOptions

EXAMPLE = """\
# A pipeline: what an event is, which trees it is counted in, and which sums are kept.
# This example reads the events that `oncefold generate` writes, such as
#   {"TradeID": "...", "Value": 34624.51, "Version": 3, "Timestamp": 1616413258.8997,
#    "Hierarchy": {"RiskType": "Delta", "Region": "AMER", "TradeDesk": "FXSpot"}}
# Names of fields are case-sensitive; a dot leads into a nested object or names a CSV column "Hierarchy.Region".
# Lines that begin with # are comments: take the # away to use what they show.

name = "risk"

[event]
# What the event is about. Of all events with one key only the one of greatest version counts.
key = "TradeID"                       # several fields together: key = ["Book", "TradeID"]

# What orders the events of a key: a whole number, or a time. Without it an event is never corrected.
version = "Version"
# version = { field = "UpdatedAt", type = "timestamp" }           # RFC 3339 text, a date, or seconds since 1970
# version = { field = "UpdatedAt", type = "timestamp", unit = "ms" }

# When it happened: it shows how fresh the totals are and never changes them.
time = "Timestamp"

# Which events delete their key: a field that is true, or one that holds a certain text.
delete = "Deleted"
# delete = { field = "Operation", equals = "DELETE" }

[rollups]
# Trees of totals, each a list of levels from the root down. Every node counts its keys.
risk = ["Hierarchy.RiskType", "Hierarchy.TradeDesk", "Hierarchy.Region"]
# by_region = [{ field = "Hierarchy.Region", missing = "(none)" }]  # what an absent field means; else it is rejected
# by_hour = [{ field = "Timestamp", window = "1h" }, "Hierarchy.Region"]
# by_tag = [{ each = "Tags", missing = "(none)" }]                  # an array: a leaf for each of its elements
# all = []                                                         # the root alone

[measures]
# What every node keeps, exact to `scale` decimal places. A number with more places is rejected.
value = { sum = "Value", scale = 2 }
# fee = { sum = "Fee", scale = 4, missing = "zero" }               # an absent fee is 0
# risk = { sum = "Risk", scale = 6, round = "half-even" }          # for sources that print binary floats
# large = { count = "Value > 1000" }                               # the keys of which it is true
# mean = { avg = "Value", scale = 4 }                              # or min, max, distinct, first, last
"""

_INIT_EPILOG = """\b
Examples:
  # on a terminal: questions, with a guess at each answer
  oncefold init orders.toml
\b
  # a commented example in pipeline.toml, and events to try it with
  oncefold init < /dev/null
  oncefold generate --count 1000 events.jsonl
  oncefold check pipeline.toml --sample events.jsonl
\b
  # a first guess from a file of your own
  oncefold init orders.toml --from orders.csv
\b
  # begin again
  oncefold init --force"""

_CHECK_EPILOG = """\b
Examples:
  oncefold check risk.toml
\b
  # how the first ten events of a file are read
  oncefold check risk.toml --sample events.jsonl
\b
  # the first hundred, from a compressed CSV or out of a pipe
  oncefold check risk.toml --sample events.csv.gz --rows 100
  tail -n 100 events.jsonl | oncefold check risk.toml --sample - --rows 100
\b
Exit status: 0 all is well, 1 no sampled event could be read, 2 the definition or a file is wrong."""


@click.command(epilog=_INIT_EPILOG)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default="pipeline.toml")
@click.option("--from", "events", metavar="EVENTS", help="Guess the fields from a source in any format, - for stdin.")
@click.option("--force", is_flag=True, help="Overwrite FILE if it exists.")
@reading_options
def init(
    *, file: Path, events: str | None, force: bool, form: str | None, delimiter: str | None, encoding: str | None
) -> None:
    """Write a pipeline definition to FILE (pipeline.toml).

    On a terminal it asks for a file of your events and for the role of each field, with a guess at each. With --from it
    takes the guesses. Otherwise it writes a commented example, which works unchanged for the events that
    `oncefold generate` writes.
    """
    if file.exists() and not force:
        raise DefinitionError(f"{file} exists; name another file, or overwrite it with --force")
    text, events = _written(events, _read_options(form, delimiter, encoding))
    try:
        with file.open("w" if force else "x", encoding="utf-8", newline="\n") as output:
            output.write(text)
    except FileExistsError:
        raise DefinitionError(f"{file} exists; name another file, or overwrite it with --force") from None
    except OSError as error:
        raise DefinitionError(f"{file}: cannot be written: {error.strerror}; name another file") from None
    sample = events or "EVENTS"
    click.echo(f"wrote {file}; see how it reads your events: oncefold check {file} --sample {sample}")


def _written(events: str | None, options: ReadOptions) -> tuple[str, str | None]:
    """The text of the file, and the source that it was guessed from."""
    if events is not None:
        from oncefold.cli.guess import guess

        return guess(events, options), events
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return EXAMPLE, None
    from oncefold.cli.wizard import prompt

    return prompt(EXAMPLE, options)


def _read_options(form: str | None, delimiter: str | None, encoding: str | None) -> ReadOptions:
    from oncefold.sources.inputs import ReadOptions

    return ReadOptions(format=form, delimiter=delimiter, encoding=encoding)


@click.command(epilog=_CHECK_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--sample", metavar="EVENTS", help="Also read the first events of a source, as `run` does; - for stdin.")
@click.option("--rows", type=click.IntRange(1, 100_000), default=10, show_default=True, help="How many of them.")
@reading_options
@click.pass_context
def check(
    context: click.Context,
    file: Path,
    sample: str | None,
    rows: int,
    form: str | None,
    delimiter: str | None,
    encoding: str | None,
) -> None:
    """Validate the pipeline definition in FILE and explain what it means.

    With --sample it shows how the first events of a file are read: key, version, leaf, measures and time, or the
    reason for which one would be rejected. Nothing is stored.
    """
    pipeline = load_pipeline(file)
    click.echo(f"{file} is a valid pipeline.\n")
    for name, text in meaning(pipeline):
        click.echo(f"{name:<12} {text}".rstrip())
    if sample is not None and not _show_sample(pipeline, sample, rows, _read_options(form, delimiter, encoding)):
        context.exit(1)


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


def _show_sample(pipeline: Pipeline, sample: str, rows: int, options: ReadOptions) -> int:
    """Print how the first events are read; the number of those that were."""
    from oncefold.cli.sample import Sample, readings
    from oncefold.queries.render.screen import Screen

    reading = Sample(sample, rows, replace(options, fields=pipeline.fields, needed=pipeline.needed_fields))
    with closing(reading.records()) as records:
        found = list(readings(records, pipeline))
    for message in reading.said:
        click.echo(f"\n{_printable(message)}")
    read = sum(reading.event is not None for reading in found)
    click.echo()
    if found:
        Screen().grid(_grid(pipeline, found))
        click.echo()
    ignored = sum(reading.ignored for reading in found)
    said = f" {ignored} say nothing and are ignored." if ignored else ""
    click.echo(_summary(sample, read, len(found) - ignored) + said)
    for hint in dict.fromkeys(hint for reading in found for hint in _unit_hints(pipeline, reading)):
        click.echo(hint)
    return read


def _unit_hints(pipeline: Pipeline, reading: SampleReading) -> Iterator[str]:
    """What is said of times that would be of our days in another unit."""
    event, time, version = reading.event, pipeline.time, pipeline.version
    if event is None:
        return
    found: list[tuple[Time | Version, int]] = []
    if time is not None and event.time is not None:
        found.append((time, event.time))
    if version is not None and version.type == "timestamp" and not version.then:
        found.append((version, event.version))
    for spec, nanos in found:
        unit = likely_unit(str(abs(nanos) // 10 ** UNIT_PLACES[spec.unit]))
        if unit is not None and unit != spec.unit:
            yield f'{spec.field} is read as {format_timestamp(nanos)}; it looks like {unit}: write unit = "{unit}".'


def _summary(sample: str, read: int, found: int) -> str:
    sample = "stdin" if sample == "-" else sample
    if not found:
        return f"{sample} holds no events."
    if found == 1:
        read_it = "can be read" if read else "would be rejected, for the reason shown"
        return f"The first event of {sample} {read_it}."
    rejected = f"; {found - read} would be rejected, for the reasons shown" if read < found else ""
    return f"{read} of the first {found} events of {sample} can be read{rejected}."


def _grid(pipeline: Pipeline, found: Sequence[SampleReading]) -> Grid:
    """A row for each record, and further ones where it has several leaves or measures."""
    from oncefold.queries.render.screen import Grid

    grid = Grid(["line", "key", "version", "leaf", "measures", "time"], frozenset(["line"]))
    for reading in found:
        if reading.event is None:
            verdict = "ignored" if reading.ignored else "rejected"
            grid.add(str(reading.line), verdict, "", _printable(reading.reason), "", "")
            continue
        columns = (text.split("\n") for text in (str(reading.line), *_cells(pipeline, reading.event)))
        for cells in zip_longest(*columns, fillvalue=""):
            grid.add(*cells)
    return grid


def _cells(pipeline: Pipeline, event: Event) -> tuple[str, str, str, str, str]:
    version = "" if pipeline.version is None else write_version(pipeline.version, event.version)
    time = "" if event.time is None else format_timestamp(event.time)
    return _printable(event.key), version, _printable(_leaf(pipeline, event)), _sums(pipeline, event), time


def _leaf(pipeline: Pipeline, event: Event) -> str:
    """The path of each leaf in each rollup, on a line of its own; with its name if there are several rollups."""
    labels = event.content.labels
    if labels is None:
        return "(filtered)" if event.filtered else "(delete)"
    paths = []
    for rollup, indexes in zip(pipeline.rollups, pipeline.rollup_levels, strict=True):
        for path in leafset.paths(pipeline.arrays, labels, indexes):
            node = nodepath.join(path) or "(root)"
            paths.append(node if len(pipeline.rollups) == 1 else f"{rollup.name}: {node}")
    return "\n".join(paths)


def _sums(pipeline: Pipeline, event: Event) -> str:
    content = event.content
    if content.deleted:
        return ""
    values = pipeline.layout.values_of_key(content.measures, content.texts)
    return "\n".join(_value(measure, value) for measure, value in zip(pipeline.measures, values, strict=True))


def _value(measure: Measure, value: int | str | None) -> str:
    if value is None:
        return f"{measure.name} NULL"
    return f"{measure.name} {format_decimal(value, measure.scale) if isinstance(value, int) else _printable(value)}"


def _printable(text: str) -> str:
    """The text without control characters, which could control the terminal."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)
