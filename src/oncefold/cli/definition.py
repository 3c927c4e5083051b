"""`oncefold init` and `oncefold check`: write a pipeline file, and explain one."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from oncefold.cli.meaning import meaning
from oncefold.cli.options import reading_options
from oncefold.core import leafset, nodepath
from oncefold.core.decimals import format_decimal
from oncefold.core.errors import DefinitionError
from oncefold.core.timestamps import UNIT_PLACES, format_timestamp, likely_unit
from oncefold.core.versions import write_version
from oncefold.pipeline_file import load_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oncefold.cli.sample import SampleReading
    from oncefold.core.definition import Pipeline, Time, Version
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
