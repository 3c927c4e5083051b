"""`oncefold aws send`: events from files and pipes into a stream, with progress, until they end or a user stops it."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, TextIO

import click

from oncefold.aws.names import Names
from oncefold.cli.backend import STACK_VARIABLE
from oncefold.cli.run import StopSignal
from oncefold.core.errors import OncefoldError
from oncefold.core.fieldpath import FieldPath
from oncefold.pipeline_file import load_pipeline
from oncefold.queries.render.formatting import many, printable, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oncefold.aws.stream.records import OversizeRecord
    from oncefold.aws.stream.send import Sent
    from oncefold.core.definition import Pipeline
    from oncefold.sources.blocks import Finding

_LINE_SECONDS = 5.0
"""Time between two plain lines."""
_REFRESH_SECONDS = 0.1
_SHOWN_OVERSIZE = 20
"""Records too large that are reported one by one; of more, only the number is."""

_EPILOG = """\b
Examples:
  oncefold aws send events/*.jsonl.gz --stack oncefold-risk
  oncefold generate - | oncefold aws send - --stack oncefold-risk
\b
  # faster and cheaper: many small lines in one record
  oncefold aws send events.jsonl --stack oncefold-risk --lines-per-record 50
\b
  # a stream by its own name: all events of a key through one shard, so that functions do not overtake each other
  oncefold aws send events.jsonl --stream trades --pipeline pipeline.toml
  oncefold aws send events.jsonl --stream trades --partition-by TradeID

Sending the same events again is harmless, also after Ctrl-C or an error: each counts once however often it comes.

Exit status: 0 everything is in the stream; 1 some lines are too long for it, or a source is not readable to its end;
2 sending cannot begin or go on; 130 Ctrl-C, or 143 SIGTERM, came before everything was sent."""


@click.command(epilog=_EPILOG, short_help="Send events into a stack's stream.")
@click.argument("files", nargs=-1, required=True)
@click.option("--stack", "-s", metavar="NAME", envvar=STACK_VARIABLE, show_envvar=True,
              help="The stack whose stream gets the events.")  # fmt: skip
@click.option("--stream", metavar="NAME", help="A stream by its own name, instead of a stack's.")
@click.option(
    "--pipeline", type=click.Path(dir_okay=False), help="A pipeline file: partition by its key. [default: the stack's]"
)
@click.option("--partition-by", "fields", metavar="FIELD", multiple=True,
              help="Partition by this field, a dotted path; several times for several.")  # fmt: skip
@click.option("--evenly", is_flag=True,
              help="Partition by all bytes of a record, whatever its key. [default for --stream]")  # fmt: skip
@click.option("--lines-per-record", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="Pack up to so many lines into one record.")  # fmt: skip
@click.option("--format", "form", metavar="jsonl", help="For names of files that do not say it.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
def send(  # noqa: PLR0913 - the options of the command
    *,
    files: tuple[str, ...],
    stack: str | None,
    stream: str | None,
    pipeline: str | None,
    fields: tuple[str, ...],
    evenly: bool,
    lines_per_record: int,
    form: str | None,
    quiet: bool,
) -> None:
    """Send the events of FILES into a Kinesis stream.

    Events of one key go to one shard where the key is known, which it is of a stack: what one function writes no other
    overtakes then.

    FILES are files, directories, globs, or - for standard input, of JSON Lines, also gzip or zstd. What Kinesis leaves
    out of a request is sent again, and nothing else is.
    """
    from oncefold.aws.connect import client

    name = _stream_name(stack, stream)
    kinesis = client("kinesis")

    from oncefold.aws.stream.calls import describe
    from oncefold.aws.stream.lines import open_lines, read_lines
    from oncefold.aws.stream.records import pack
    from oncefold.aws.stream.send import SendBackoff
    from oncefold.aws.stream.send import send as send_records
    from oncefold.sources.inputs import ReadOptions
    from oncefold.sources.waiting import RealWaiting

    key = _partitioned(pipeline, fields, None if stream is not None else stack, evenly=evenly)
    stop = StopSignal()
    sources = open_lines(files, ReadOptions(format=form), RealWaiting(stop.event))
    record_bytes = describe(kinesis, name).record_bytes
    reporter = _reporter(sys.stderr, name, record_bytes, sources.total_bytes, quiet=quiet)
    records = pack(
        read_lines(sources, reporter.read, reporter.finding),
        key=key,
        per_record=lines_per_record,
        record_bytes=record_bytes,
    )
    with stop.on_signals(), reporter.running(stop.event.is_set):
        sent = send_records(
            kinesis,
            name,
            records,
            record_bytes=record_bytes,
            backoff=SendBackoff(sleep=stop.event.wait, stopped=stop.event.is_set),
            on_progress=reporter.update,
            on_oversize=reporter.oversize,
        )
    reporter.finish(sent)
    if stop.signal is not None:
        raise SystemExit(128 + stop.signal)
    if sent.oversize or reporter.unreadable:
        raise SystemExit(1)


def _stream_name(stack: str | None, stream: str | None) -> str:
    if stream is not None:
        source = click.get_current_context().get_parameter_source("stack")
        if source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("Name the stack or the stream, not both.")
        return stream
    if stack is None:
        raise OncefoldError(
            f"which stream? Name a stack with --stack, or in the environment variable {STACK_VARIABLE}, "
            "or a stream with --stream"
        )
    from oncefold.aws.connect import aws_errors_explained, client
    from oncefold.aws.mappings import stream_name

    with aws_errors_explained(stack):
        return stream_name(Names(stack), client("lambda"))


def _partitioned(
    pipeline: str | None, fields: tuple[str, ...], stack: str | None, *, evenly: bool
) -> Callable[[bytes], str] | None:
    """What gives a line's partition key; None for all bytes of a record."""
    from oncefold.aws.stream.records import by_fields, by_key

    if (pipeline is not None) + bool(fields) + evenly > 1:
        raise click.UsageError("Say one of --pipeline, --partition-by and --evenly.")
    if pipeline is not None:
        return by_key(load_pipeline(pipeline))
    if fields:
        try:
            return by_fields([FieldPath.parse(field) for field in fields])
        except ValueError as error:
            raise OncefoldError(f"--partition-by: {error}") from None
    return None if stack is None or evenly else by_key(_deployed(stack))


def _deployed(stack: str) -> Pipeline:
    """The stack's definition. Raises OncefoldError where it cannot be read."""
    from oncefold.aws.connect import aws_errors_explained, client
    from oncefold.aws.tables import open_tables

    try:
        with aws_errors_explained(stack):
            return open_tables(Names(stack), client("dynamodb")).pipeline
    except OncefoldError as error:
        raise OncefoldError(
            f"the key to partition by: {error}. Or name it with --pipeline or --partition-by, or send --evenly"
        ) from None


class _Reporter:
    """Reports the progress of sending, line by line, on a text stream."""

    def __init__(
        self,
        out: TextIO,
        stream: str,
        record_bytes: int,
        *,
        quiet: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._stream, self._record_bytes, self._quiet = out, stream, record_bytes, quiet
        self._monotonic = monotonic
        self._began = self._last = monotonic()
        self._oversize = 0
        self._reported_throttling = self._reported_stop = False
        self._stopping: Callable[[], bool] = lambda: False
        self._read = 0
        self.unreadable = False
        """Whether some source could not be read to its end."""

    @contextlib.contextmanager
    def running(self, stopping: Callable[[], bool]) -> Iterator[None]:
        """While events are sent; `stopping` says whether to stop."""
        self._began = self._last = self._monotonic()
        self._stopping = stopping
        yield

    def read(self, stored_bytes: int) -> None:
        """So many more bytes of the sources were read."""
        self._read += stored_bytes

    def finding(self, finding: Finding) -> None:
        """Something about a source."""
        self.unreadable = True
        self._print(f"oncefold: {finding.message}")

    def oversize(self, record: OversizeRecord) -> None:
        """A record that is too large."""
        self._oversize += 1
        if self._oversize <= _SHOWN_OVERSIZE:
            self._print(
                f"oncefold: {printable(record.location)}: not sent: {record.size:,} bytes, and a record of "
                f"{self._stream} has at most {self._record_bytes:,}"
            )

    def update(self, sent: Sent) -> None:
        """Called many times a second."""
        if sent.throttled and not self._reported_throttling:
            self._reported_throttling = True
            self._say(
                f"{self._stream} takes less than is sent; the rest is sent again, more slowly. More shards take more, "
                "and so does --lines-per-record"
            )
        if self._stopping() and not self._reported_stop:
            self._reported_stop = True
            self._say("stopping: requests in flight end first (once more ends at once)")
        self._show(sent, self._monotonic())

    def _show(self, sent: Sent, now: float) -> None:
        if now - self._last >= _LINE_SECONDS:
            self._last = now
            self._say(self._facts(sent, now))

    def finish(self, sent: Sent) -> None:
        """The last lines."""
        if self._oversize > _SHOWN_OVERSIZE:
            self._print(f"oncefold: {self._oversize:,} records in all were too large and are not sent")
        self._say(self._facts(sent, self._monotonic()))
        if sent.stopped:
            self._say(
                f"stopped: {many(sent.lines, 'line')} are surely in {self._stream}. To go on send everything again: "
                "what is sent twice counts once"
            )

    def _facts(self, sent: Sent, now: float) -> str:
        seconds = max(now - self._began, 1e-3)
        again = f", {sent.retried:,} sent again" if sent.retried else ""
        oversize = f", {sent.oversize:,} too large" if sent.oversize else ""
        return (
            f"{many(sent.lines, 'line')} sent to {self._stream} in {many(sent.records, 'record')}, {size(sent.size)}"
            f"{again}{oversize}; {seconds:.1f} s, {sent.records / seconds:,.0f} records/s"
        )

    def _say(self, message: str) -> None:
        if not self._quiet:
            self._print(f"oncefold: {message}")

    def _print(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


class _TerminalReporter(_Reporter):
    """The same with a live bar: how much of the sources is read, and what is sent."""

    def __init__(self, out: TextIO, stream: str, record_bytes: int, total_bytes: int | None) -> None:
        super().__init__(out, stream, record_bytes)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = [BarColumn(bar_width=12), TextColumn("{task.description}")]
        self._bar = Progress(*columns, console=Console(file=out), auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", total=total_bytes)

    @contextlib.contextmanager
    def running(self, stopping: Callable[[], bool]) -> Iterator[None]:
        """Show the bar meanwhile."""
        with super().running(stopping), self._bar:
            yield

    def _show(self, sent: Sent, now: float) -> None:
        if now - self._last >= _REFRESH_SECONDS:
            self._last = now
            self._bar.update(self._task, completed=self._read, description=self._facts(sent, now))
            self._bar.refresh()

    def _print(self, line: str) -> None:
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _reporter(out: TextIO, stream: str, record_bytes: int, total_bytes: int | None, *, quiet: bool) -> _Reporter:
    if out.isatty() and not quiet:
        return _TerminalReporter(out, stream, record_bytes, total_bytes)
    return _Reporter(out, stream, record_bytes, quiet=quiet)
