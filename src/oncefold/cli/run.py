"""`oncefold run`: fold sources into a store, with progress, until they end or the user stops the run."""

import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oncefold.cli.progress import reporter_for, show_cursor
from oncefold.core.errors import OncefoldError, SourceError
from oncefold.pipeline_file import load_pipeline
from oncefold.store.retention import Retention

if TYPE_CHECKING:
    from oncefold.cli.progress import Reporter
    from oncefold.engine.run import RunProgress
    from oncefold.engine.session import Session
    from oncefold.sources.sources import Sources

_EPILOG = """\b
Examples:
  # files, directories and globs; what was read before is not read again
  oncefold run pipeline.toml events/*.jsonl --store risk.db
\b
  # a pipe, and compressed files
  zcat events.jsonl.gz | oncefold run pipeline.toml - --store risk.db
  oncefold run pipeline.toml 2026-11/ archive.csv.zst --store risk.db
\b
  # go on as files grow and new ones come, until Ctrl-C
  oncefold run pipeline.toml events/ --follow --store risk.db
\b
  # a Kinesis stream: to its present end, or on and on (needs oncefold[aws])
  oncefold run pipeline.toml kinesis://risk-events --store risk.db
  oncefold run pipeline.toml kinesis://risk-events --follow --store risk.db

Exit status: 0 everything was read, or --follow was stopped; 1 a source is not what was read before, cannot be read
to its end, or lost records before they were read; 2 the run cannot begin or continue; 130 Ctrl-C, or 143 SIGTERM, came
before everything was read."""

_WRONG = frozenset(["truncated", "replaced", "trimmed", "unreadable"])
"""Findings that make a run end with status 1."""

_LONG_COMMAND = 2_000
"""Characters of a command above which it is not repeated: a shell expanded a pattern into many names."""


@click.command(epilog=_EPILOG, short_help="Fold sources into a store, each event once.")
@click.argument("pipeline", type=click.Path(dir_okay=False))
@click.argument("sources", nargs=-1, required=True)
@click.option("--store", "-s", "store_path", envvar="ONCEFOLD_STORE", type=click.Path(dir_okay=False),
              help="The store file; made if there is none. [default: NAME.db by the pipeline's name]")  # fmt: skip
@click.option("--format", "form", help="jsonl, csv, tsv, parquet or arrow, for names that do not say it.")
@click.option("--delimiter", help="The character between the cells of CSV.")
@click.option("--follow", "-f", is_flag=True, help="Go on reading as files, folders and streams grow.")
@click.option("--reread", is_flag=True,
              help="Read every source from its start; safe: an event counts once however often it comes.")  # fmt: skip
@click.option("--retention", help="How long history and --as-of reach back: 12h, 30d, forever. [default: 30d]")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
def run(  # noqa: PLR0913
    *,
    pipeline: str,
    sources: tuple[str, ...],
    store_path: str | None,
    form: str | None,
    delimiter: str | None,
    follow: bool,
    reread: bool,
    retention: str | None,
    quiet: bool,
) -> None:
    """Fold SOURCES into a store under the definition PIPELINE.

    SOURCES are files, directories, globs, or - for standard input: JSON Lines, CSV (both also gzip or zstd), Parquet,
    Arrow; or kinesis://STREAM. Positions are committed with the totals: run the same command again after any
    interruption, and it continues exactly after the last commit. Ctrl-C and SIGTERM end a run after the current batch
    and its commit.
    """
    # Imported here so that `oncefold --help` does not load the engine.
    from oncefold.aws.stream import open_stream
    from oncefold.columnar.plan import fields_of
    from oncefold.engine.session import Session
    from oncefold.engine.warmup import warm_up
    from oncefold.sources.inputs import ReadOptions
    from oncefold.sources.sources import Sources
    from oncefold.sources.waiting import RealWaiting

    definition = load_pipeline(pipeline)
    path = Path(store_path or f"{definition.name}.db")
    reporter = reporter_for(sys.stderr, quiet=quiet)
    options = ReadOptions(
        format=form, delimiter=delimiter, fields=fields_of(definition), follow=follow, reread=reread
    )  # fmt: skip
    if not path.exists():
        Sources(sources, options, open_stream=open_stream)  # a mistyped source leaves no empty store behind
    stop = StopSignal()
    with Session.open(path, definition, retention=retention_of(retention)) as session:
        found = Sources(sources, options, session.positions, RealWaiting(stop.event), open_stream=open_stream)
        warm_up(reporter.report)
        with stop.on_signals(), reporter.running(found.total_bytes, stop.event.is_set):
            progress = _read(session, found, reporter, stop.event)
        reporter.finish(
            progress, session, found.done_files, stopped="" if stop.signal is None else _how_to_continue(found)
        )
    if any(finding.kind in _WRONG for finding in progress.findings):
        raise SystemExit(1)
    if stop.signal is not None and not follow:
        raise SystemExit(128 + stop.signal)


def _read(session: "Session", found: "Sources", reporter: "Reporter", stop: threading.Event) -> "RunProgress":
    """Fold the sources; a last error that only repeats a finding is left out. Raises SourceError and StoreError."""
    from oncefold.engine.run import RunProgress

    latest = RunProgress()

    def update(progress: RunProgress) -> None:
        nonlocal latest
        latest = progress
        reporter.update(progress)

    try:
        return session.run(found.blocks(), update, stop.set)
    except SourceError:
        if not any(finding.kind == "unreadable" for finding in latest.findings):
            raise
        return latest


def _how_to_continue(found: "Sources") -> str:
    """The last line of a run that was stopped."""
    command = _command(click.get_current_context())
    if len(command) > _LONG_COMMAND:
        command = "the same command"
    if any(item.is_pipe for item in found.inputs):
        return (
            f"stopped; what is committed stays. A pipe cannot go on: send its events again, each counts once: {command}"
        )
    return f"stopped; nothing is lost. To go on: {command}"


def _command(context: click.Context) -> str:
    """The command that was given, as it can be typed again."""
    arguments, options = ["oncefold", "run"], []
    for parameter in context.command.params:
        value = context.params[parameter.name or ""]
        if isinstance(parameter, click.Argument):
            arguments += [value] if isinstance(value, str) else value
        elif value:
            options += [parameter.opts[0]] if value is True else [parameter.opts[0], value]
    return shlex.join(arguments + options)


def retention_of(text: str | None) -> Retention | None:
    """The value of `--retention`. Raises OncefoldError for a text that is no length of time."""
    from oncefold.core.timestamps import duration

    if text is None:
        return None
    if text == "forever":
        return "forever"
    try:
        return duration(text)
    except ValueError as error:
        raise OncefoldError(f"--retention: {error}, or forever") from None


class StopSignal:
    """A signal of a user or a supervisor that ends a run."""

    def __init__(self) -> None:
        self.event = threading.Event()
        """Set when reading is to end."""
        self.signal: int | None = None
        """Number of the signal that was received."""

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within this, Ctrl-C and SIGTERM end the run after the current batch; a second signal ends it at once.

        Ending at once is safe too: the store holds whole commits only.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, _: Any) -> None:
        if self.signal is not None:
            show_cursor()
            os._exit(128 + number)
        self.signal = number
        self.event.set()
