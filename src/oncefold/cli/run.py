"""`oncefold run`: fold sources into a store, with progress, until they end or the user stops the run."""

import _thread
import contextlib
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oncefold.cli.options import reading_options
from oncefold.cli.progress import described, reporter_for, show_cursor
from oncefold.core.errors import OncefoldError, SourceError
from oncefold.core.fold import Outcome
from oncefold.pipeline_file import load_pipeline
from oncefold.queries.render.formatting import many
from oncefold.store.retention import Retention

if TYPE_CHECKING:
    from oncefold.cli.progress import Reporter
    from oncefold.core.definition import Pipeline
    from oncefold.engine.folding import Folding
    from oncefold.engine.run import RunProgress
    from oncefold.sources.inputs import ReadOptions
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
to its end, or lost records before they were read; 2 the run cannot begin or continue; 3 every event was rejected;
4 more events were rejected than --max-rejects allows; 130 Ctrl-C, or 143 SIGTERM, came before everything was read."""

ALL_REJECTED = 3
TOO_MANY_REJECTED = 4

_WRONG = frozenset(["truncated", "replaced", "trimmed", "unreadable"])
"""Findings that make a run end with status 1."""

_LIMIT = re.compile(r"(?P<number>[0-9]{1,18})|(?P<share>[0-9]{1,3}(\.[0-9]+)?)(?P<percent> ?%)", re.ASCII)

_LONG_COMMAND = 2_000
"""Characters of a command above which it is not repeated: a shell expanded a pattern into many names."""


@click.command(epilog=_EPILOG, short_help="Fold sources into a store, each event once.")
@click.argument("pipeline", type=click.Path(dir_okay=False))
@click.argument("sources", nargs=-1, required=True)
@click.option("--store", "-s", "store_path", envvar="ONCEFOLD_STORE", type=click.Path(dir_okay=False),
              help="The store file; made if there is none. [default: NAME.db by the pipeline's name]")  # fmt: skip
@reading_options
@click.option("--follow", "-f", is_flag=True, help="Go on reading as files, folders and streams grow.")
@click.option("--reread", is_flag=True,
              help="Read every source from its start; safe: an event counts once however often it comes.")  # fmt: skip
@click.option("--max-rejects", metavar="N|P%",
              help="End with status 4 once more than N events, or at the end P % of them, are rejected.")  # fmt: skip
@click.option("--retention", help="How long history and --as-of reach back: 12h, 30d, forever. [default: 30d]")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
def run(  # noqa: PLR0913
    *,
    pipeline: str,
    sources: tuple[str, ...],
    store_path: str | None,
    form: str | None,
    delimiter: str | None,
    encoding: str | None,
    follow: bool,
    reread: bool,
    max_rejects: str | None,
    retention: str | None,
    quiet: bool,
) -> None:
    """Fold SOURCES into a store under the definition PIPELINE.

    SOURCES are files, directories, globs, or - for standard input: JSON Lines, CSV (both also gzip or zstd), Parquet,
    Arrow; or kinesis://STREAM. Positions are committed with the totals: run the same command again after any
    interruption, and it continues exactly after the last commit. Ctrl-C and SIGTERM end a run after the current batch
    and its commit.
    """
    limit = reject_limit_of(max_rejects)
    reporter = reporter_for(sys.stderr, quiet=quiet)
    stop = StopSignal()
    stop.reading = False
    try:
        with stop.on_signals():
            definition = load_pipeline(pipeline)
            options = _options(definition, form, delimiter, encoding, follow=follow, reread=reread)
            progress = _run(definition, sources, store_path, options, retention_of(retention), reporter, stop, limit)
    except Interrupted as error:
        reporter.fail("stopped before anything was read; nothing was committed")
        raise SystemExit(128 + error.number) from None
    if any(finding.kind in _WRONG for finding in progress.findings):
        raise SystemExit(1)
    rejected = progress.counts[Outcome.REJECTED]
    if limit is not None and limit.exceeded_by(rejected, progress.events):
        reporter.fail(
            f"{rejected:,} of {many(progress.events, 'event')} rejected, more than --max-rejects {max_rejects} allows"
        )
        raise SystemExit(TOO_MANY_REJECTED)
    if rejected and rejected == progress.events:
        first = next(iter(progress.rejected.by_reason().values())).first
        reporter.fail(f"every event was rejected{f', the first: {described(first)}' if quiet else ''}")
        raise SystemExit(ALL_REJECTED)
    if stop.signal is not None and not follow and not stop.came_late:
        raise SystemExit(128 + stop.signal)


def _options(
    definition: "Pipeline", form: str | None, delimiter: str | None, encoding: str | None, *, follow: bool, reread: bool
) -> "ReadOptions":
    # Imported here, as below, so that `oncefold --help` does not load the engine.
    from oncefold.sources.inputs import ReadOptions

    return ReadOptions(
        format=form,
        delimiter=delimiter,
        encoding=encoding,
        fields=definition.fields,
        needed=definition.needed_fields,
        whole=bool(definition.keep_events),
        follow=follow,
        reread=reread,
    )


def _run(
    definition: "Pipeline",
    sources: tuple[str, ...],
    store_path: str | None,
    options: "ReadOptions",
    retention: Retention | None,
    reporter: "Reporter",
    stop: "StopSignal",
    limit: "RejectLimit | None",
) -> "RunProgress":
    """Open everything, fold the sources, and report."""
    from oncefold.aws.stream import open_stream
    from oncefold.engine.folding import Folding
    from oncefold.engine.warmup import warm_up
    from oncefold.sources.sources import Sources
    from oncefold.sources.waiting import RealWaiting

    path = Path(store_path or f"{definition.name}.db")
    if not path.exists():
        Sources(sources, options, open_stream=open_stream)  # a mistyped source leaves no empty store behind
    warm_up(reporter.report)
    with Folding.open(path, definition, retention=retention) as session:
        found = Sources(sources, options, session.positions, RealWaiting(stop.event), open_stream=open_stream)
        stop.reading = True
        with reporter.running(found.total_bytes, stop.event.is_set):
            progress = _read(session, found, reporter, stop, limit)
        stop.came_late = found.complete
        is_cut = stop.event.is_set() and not found.complete
        reporter.finish(progress, session, found.done_files, stopped=_how_to_continue(found) if is_cut else "")
    return progress


def _read(
    session: "Folding", found: "Sources", reporter: "Reporter", stop: "StopSignal", limit: "RejectLimit | None"
) -> "RunProgress":
    """Fold the sources; a last error that only repeats a finding is left out. Raises SourceError and StoreError."""
    from oncefold.engine.run import RunProgress

    latest = RunProgress()

    def update(progress: RunProgress) -> None:
        nonlocal latest
        latest = progress
        stop.last_commit = progress.last_commit
        if limit is not None and limit.number is not None and progress.counts[Outcome.REJECTED] > limit.number:
            stop.event.set()
        reporter.update(progress)

    try:
        return session.run(found.blocks(), update, stop.event.set)
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


@dataclass(frozen=True, slots=True)
class RejectLimit:
    """How many rejects a run may have: a number of them, or a share of all events at its end."""

    number: int | None
    percent: Decimal | None

    def exceeded_by(self, rejected: int, events: int) -> bool:
        """Whether these are more."""
        if self.number is not None:
            return rejected > self.number
        return rejected * 100 > (self.percent or 0) * events


def reject_limit_of(text: str | None) -> RejectLimit | None:
    """The value of `--max-rejects`. Raises OncefoldError for a text that is neither a number nor a percentage."""
    if text is None:
        return None
    match = _LIMIT.fullmatch(text)
    if match is None or (match["percent"] and Decimal(match["share"]) > 100):
        raise OncefoldError(f"--max-rejects: {text!r} is neither a number of events nor a percentage such as 0.5%")
    if match["percent"]:
        return RejectLimit(None, Decimal(match["share"]))
    return RejectLimit(int(match["number"]), None)


class Interrupted(KeyboardInterrupt):
    """A signal came before anything was read."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class StopSignal:
    """A signal of a user or a supervisor that ends a run."""

    def __init__(self) -> None:
        self.event = threading.Event()
        """Set when reading is to end."""
        self.signal: int | None = None
        """Number of the signal that was received."""
        self.reading = True
        """Whether a signal lets what is read be committed; before anything is read it ends everything at once."""
        self.came_late = False
        """Whether everything was read all the same."""
        self.last_commit = 0
        """Number of the last commit of this run that is surely durable."""

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within this, Ctrl-C and SIGTERM end the run after the current batch; a second signal ends it at once.

        Ending at once is safe too: the store holds whole commits only. Raises Interrupted for a signal that comes
        before `reading`.
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
            kept = (
                f"commit {self.last_commit} and all before it are kept"
                if self.last_commit
                else "whole commits are kept"
            )
            os.write(2, f"oncefold: ended at once; {kept}, the same command goes on after them\n".encode())
            show_cursor()
            os._exit(128 + number)
        self.signal = number
        # The interrupted code may hold the event's lock, which a handler that set it here would wait for.
        _thread.start_new_thread(self.event.set, ())
        if not self.reading:
            raise Interrupted(number)
