"""`oncefold generate`: write a stream of events with every kind of trouble, and its true totals."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from oncefold.generate import FORMATS, OutputFormat, Tally, Workload, WorkloadError, guess_format, open_sink, plan
from oncefold.generate.workload import DEFAULT_SPACING, DEFAULT_START, NANOS_PER_SECOND, TICKS_PER_SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from oncefold.generate import Sink

LONG_OUTPUT_EVENTS = 500_000
WRITES_PER_SECOND = 20
LONGEST_SLEEP_SECONDS = 0.2
LATEST_START_SECONDS = 10**12
USAGE_STATUS = 2
INTERRUPT_STATUS = 130

WORKSHOP = {"count": 10_000, "duplicates": 0.125, "modifications": 0.02, "out_of_order": 0.01}
"""The workshop's hard mode: 5 duplicates in each 40, 3 % changes of earlier trades, a third of them late."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """All that the command knows of real time."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class StopRequest:
    """Set by Ctrl-C; the run then ends after the piece in hand."""

    requested: bool = False


@dataclass(slots=True)
class RateLimit:
    """Holds a stream to so many events a second of a clock; no rate means as fast as can be."""

    rate: float | None
    clock: SystemClock
    began: float = field(init=False)

    def __post_init__(self) -> None:
        """Start the clock."""
        self.began = self.clock.monotonic()

    def piece(self, events: int) -> int:
        """Return how many of `events` to write at a time."""
        return events if self.rate is None else max(1, int(self.rate / WRITES_PER_SECOND))

    def wait(self, events: int, stop: StopRequest) -> None:
        """Return when the first `events` events are due, or when stopped."""
        if self.rate is None:
            return
        due = self.began + events / self.rate
        while not stop.requested and (left := due - self.clock.monotonic()) > 0:
            self.clock.sleep(min(left, LONGEST_SLEEP_SECONDS))


def run(tally: Tally, workload: Workload, sink: Sink, rate_limit: RateLimit, stop: StopRequest) -> Iterator[int]:
    """Write the stream piece by piece, yield the size of each, and stop between two of them when stopped."""
    for block in plan(workload):
        for events in block.parts(rate_limit.piece(len(block))):
            rate_limit.wait(tally.events + len(events), stop)
            if stop.requested:
                return
            sink.write(events)
            if rate_limit.rate is not None:
                sink.flush()
            tally.add(events)
            yield len(events)


@contextmanager
def stop_on_interrupt() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C into a wish to stop; a second one interrupts as usual."""
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    usual = signal.getsignal(signal.SIGINT)

    def request(_signal: int, _frame: Any) -> None:
        stop.requested = True
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, request)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, usual)


def start_ticks(text: str | None, clock: SystemClock) -> int:
    """Read `--start`: "now", seconds since 1970, or an ISO 8601 time (UTC unless it says otherwise)."""
    if text is None:
        return DEFAULT_START
    if text == "now":
        return int(clock.wall() * TICKS_PER_SECOND)
    with suppress(InvalidOperation):
        if -LATEST_START_SECONDS < (seconds := Decimal(text)) < LATEST_START_SECONDS:
            return int(seconds * TICKS_PER_SECOND)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Misuse(
            f"--start {text!r} is not a time: give seconds such as 1616413258.8997, "
            "a time such as 2021-03-22T11:40:58Z, or now"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    tick = timedelta(seconds=1) / TICKS_PER_SECOND
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // tick


class _Misuse(click.ClickException):
    """The options do not go together; the message is one line and says what to change."""

    exit_code = USAGE_STATUS


def _workload(options: dict[str, Any], *, workshop: bool) -> Workload:
    """Build the workload of the options given; the preset fills in what was not."""
    knobs: dict[str, Any] = dict(WORKSHOP) if workshop else {}
    if options["keys"] is not None:
        knobs.pop("count", None)
    knobs.update((name, value) for name, value in options.items() if value is not None)
    try:
        return Workload(**knobs)
    except WorkloadError as error:
        raise _Misuse(str(error)) from None


def _check_targets(output: Path, truth: Path | None, form: OutputFormat) -> None:
    if str(output) == "-" and form == "parquet" and sys.stdout.isatty():
        raise _Misuse("Parquet is not for a terminal: give a file name, or pipe the output")
    if truth is not None and truth.absolute() == output.absolute():
        raise _Misuse(f"--truth and OUTPUT are both {str(output)!r}: give the truth a file of its own")
    for path in (output, truth):
        if path is not None and not path.absolute().parent.is_dir():
            raise _Misuse(f"there is no directory {str(path.parent)!r}: make it first, or give another file name")


def _progress(workload: Workload, output: Path, rate_limit: RateLimit) -> AbstractContextManager[Any]:
    """Return a progress bar on stderr, for long outputs seen by a person."""
    events = workload.counts.events
    long = events >= LONG_OUTPUT_EVENTS or rate_limit.rate is not None
    between_lines = str(output) == "-" and sys.stdout.isatty()
    if not long or between_lines or not sys.stderr.isatty():
        return nullcontext()
    return click.progressbar(length=events, label="generate", show_pos=True, file=sys.stderr)


def _write(workload: Workload, output: Path, form: OutputFormat, rate_limit: RateLimit, stop: StopRequest) -> Tally:
    """Write the stream until its end or Ctrl-C, and return the tally of what was written."""
    tally = Tally(workload)
    target: Path | IO[bytes] = sys.stdout.buffer if str(output) == "-" else output
    with open_sink(workload, target, form) as sink, _progress(workload, output, rate_limit) as bar:
        for events in run(tally, workload, sink, rate_limit, stop):
            if bar is not None:
                bar.update(events)
    if not isinstance(target, Path):
        target.flush()
    return tally


def _write_truth(path: Path, tally: Tally) -> None:
    path.write_text(json.dumps(tally.truth(), indent=1) + "\n", encoding="utf-8")


def _discard_stdout() -> None:
    """Let the interpreter's last flush go nowhere once the reader of the pipe has left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_EPILOG = """\b
Examples:
  # the workshop's hard mode: one burst of 10,000, and the right totals
  oncefold generate --workshop events.jsonl --truth truth.json
\b
  # 2 million events of 1 million keys, compressed
  oncefold generate --count 2_000_000 --keys 1_000_000 --duplicates 0.1 events.jsonl.zst
\b
  # every kind of trouble, over 100,000 leaves, as Parquet
  oncefold generate --count 500_000 --modifications 0.2 --out-of-order 0.05 \\
      --deletes 0.05 --leaves 100_000 events.parquet
\b
  # a live stream of 1,000 events a second into a pipe, until Ctrl-C
  oncefold generate --rate 1000 --count 1_000_000 --start now | oncefold run risk.toml -

Two of --count, --keys and --modifications fix the third. The same options and seed give the same bytes.
After Ctrl-C the output ends with a whole event and the truth is about the events written."""


@click.command(epilog=_EPILOG)
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path), default="-")
@click.option("--count", type=int, help="Events in all.  [default: 10,000, or from --keys]")
@click.option("--keys", type=int, help="Distinct keys.  [default: what the shares leave of --count]")
@click.option("--duplicates", type=float, metavar="SHARE", help="Share of events sent again unchanged.")
@click.option(
    "--modifications",
    type=float,
    metavar="SHARE",
    help="Share of events with a newer version of an earlier key.  [default: 0; with --keys, all that is left]",
)
@click.option("--moves", type=float, metavar="SHARE", help="Share of modifications to another leaf.  [default: 0.2]")
@click.option(
    "--out-of-order", type=float, metavar="SHARE", help="Share of events that come after a newer version of their key."
)
@click.option(
    "--deletes", type=float, metavar="SHARE", help='Share of events that delete an earlier key ("Deleted": true).'
)
@click.option("--leaves", type=int, help="Leaves of the tree; more invent trade desks.  [default: 12]")
@click.option("--seed", type=int, help="Another seed gives another stream.  [default: 0]")
@click.option("--start", metavar="TIME", help="Time of the first event: seconds since 1970, an ISO time, or now.")
@click.option(
    "--rate",
    type=click.FloatRange(0.001, 10_000_000),
    metavar="NUMBER",
    help="Write so many events a second, with timestamps to match.  [default: at once, 10,000 a minute]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Form of the output.  [default: from the name of OUTPUT, else jsonl]",
)
@click.option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="Also write the right totals, as JSON.")
@click.option("--workshop", is_flag=True, help="The workshop's hard mode, where other options do not say otherwise.")
@click.pass_context
def generate(
    context: click.Context,
    /,
    output: Path,
    start: str | None,
    rate: float | None,
    form: OutputFormat | None,
    truth: Path | None,
    workshop: bool,  # noqa: FBT001 - click passes it by name
    **knobs: Any,
) -> None:
    """Write test events, and the totals they must add up to.

    OUTPUT is a file, compressed when its name ends in .gz or .zst, or - for standard output. The events are
    those of the workshop's generator: trades with a value, a version, a time and a leaf of the tree
    RiskType > TradeDesk > Region. SHARE is a part of all events, such as 0.1 for 10 %.
    """
    clock = context.obj if isinstance(context.obj, SystemClock) else SystemClock()
    spacing = DEFAULT_SPACING if rate is None else round(NANOS_PER_SECOND / rate)
    workload = _workload({**knobs, "start": start_ticks(start, clock), "spacing": spacing}, workshop=workshop)
    chosen = form or guess_format(str(output))
    _check_targets(output, truth, chosen)
    rate_limit = RateLimit(rate, clock)
    try:
        with stop_on_interrupt() as stop:
            tally = _write(workload, output, chosen, rate_limit, stop)
            if truth is not None:
                _write_truth(truth, tally)
    except WorkloadError as error:
        raise _Misuse(str(error)) from None
    except BrokenPipeError:
        _discard_stdout()
        if truth is not None:
            raise click.ClickException("the reader left before the end: no truth was written") from None
        return
    except OSError as error:
        raise click.ClickException(f"the output stopped: {error}: free some space or give another file name") from None
    _report(output, tally, stop, clock.monotonic() - rate_limit.began)
    if stop.requested:
        context.exit(INTERRUPT_STATUS)


def _report(output: Path, tally: Tally, stop: StopRequest, seconds: float) -> None:
    """Say on stderr what was written; nothing when a whole stream went to standard output."""
    if stop.requested:
        click.echo(f"stopped: {tally.events:,} events written", err=True)
    elif str(output) != "-":
        click.echo(f"{tally.events:,} events in {seconds:.1f} s: {output}", err=True)
