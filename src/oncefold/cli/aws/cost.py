"""`oncefold aws cost`: what a run consumed, and what a million events cost."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oncefold.cli.backend import STACK_VARIABLE
from oncefold.cli.options import format_options
from oncefold.cli.output import write_report
from oncefold.cli.progress import ProgressLine
from oncefold.core.errors import OncefoldError
from oncefold.queries.render import formatting
from oncefold.queries.render.screen import Grid, Screen

if TYPE_CHECKING:
    from oncefold.aws.operations.cost import Cost, Prices

_SPAN = re.compile(r"([0-9]+)(s|m|h|d)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NANOS = 10**9

_EPILOG = """\b
Examples:
  # the last hour of a stack
  oncefold aws cost --stack oncefold-risk
\b
  # a run whose times are known
  oncefold aws cost --from 2026-01-31T09:00:00Z --to 2026-01-31T09:20:00Z --stack oncefold-risk
\b
  # from logs that were kept in a file; the stream had two shards
  oncefold aws cost --logs functions.log --shards 2
\b
  # at your own prices: a TOML file with region, date and the prices that differ
  oncefold aws cost --prices eu-west-1.toml --stack oncefold-risk

Units are those that DynamoDB reported to the functions, added up from the line that each invocation logs. Durations
are those that Lambda bills, where its REPORT lines are among the logs, else as the functions measured them. An event
counts as often as it was delivered.

\b
Exit status: 0 answered, 2 there are no events to calculate with, or AWS cannot or may not answer."""


@dataclass(frozen=True, slots=True)
class _Span:
    """A time, in seconds since 1970."""

    start: float
    end: float


def parse_since(context: click.Context, parameter: click.Parameter, value: str) -> int:
    """A length of time in seconds, for an option."""
    found = _SPAN.fullmatch(value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no length of time; write 90s, 30m, 6h or 2d.", context, parameter)
    return int(found[1]) * _SECONDS[found[2]]


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    from oncefold.core.timestamps import parse_timestamp

    if value is None:
        return None
    try:
        return parse_timestamp(value) / _NANOS
    except ValueError as error:
        raise click.BadParameter(f"{error}.", context, parameter) from None


@click.command(epilog=_EPILOG)
@click.option("--stack", "-s", metavar="NAME", envvar=STACK_VARIABLE, show_envvar=True, help="The stack's name.")
@click.option("--since", callback=parse_since, default="1h", show_default=True, help="How far back: 90s, 30m, 6h, 2d.")
@click.option("--from", "start", callback=_moment, metavar="TIME", help="From this time (RFC 3339), not --since.")
@click.option("--to", "end", callback=_moment, metavar="TIME", help="Up to this time.  [default: now]")
@click.option(
    "--logs",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Read the functions' logs from this file (- is standard input) instead of those of a stack.",
)
@click.option("--shards", type=click.IntRange(1), help="With --logs: estimate a stream of so many shards.")
@click.option("--prices", "price_file", type=click.Path(dir_okay=False, path_type=Path), help="Other prices, as TOML.")
@format_options("table", "json")
def cost(  # noqa: PLR0913, PLR0917 - each is an option
    stack: str | None,
    since: int,
    start: float | None,
    end: float | None,
    logs: Path | None,
    shards: int | None,
    price_file: Path | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Show what a run consumed and, at a price table, what a million events cost."""
    from oncefold.aws.operations.cost import LIST_PRICES, read_prices

    prices = LIST_PRICES if price_file is None else read_prices(price_file)
    with ProgressLine() as progress:
        if logs is not None:
            found = _of_file(logs, shards, prices, progress)
        else:
            until = time.time() if end is None else end
            found = _of_stack(stack, _Span(until - since if start is None else start, until), prices, progress)
    if not found.events:
        raise OncefoldError("no events were delivered to the state function in these logs; choose another time")
    write_report(lambda screen: _show(found, screen), lambda: _document(found), form, output)


def _of_file(path: Path, shards: int | None, prices: Prices, progress: ProgressLine) -> Cost:
    from oncefold.aws.operations.cost import Cost, assumed_stream, events_of, hours_between
    from oncefold.aws.operations.logs import read_lines

    try:
        with click.open_file(str(path), encoding="utf-8", errors="replace") as lines:
            usage = read_lines(lines, progress)
    except OSError as error:
        raise OncefoldError(f"{path}: cannot be read: {error.strerror or error}") from None
    functions = usage.functions()
    stream = None if shards is None else assumed_stream("PROVISIONED", shards, events_of(functions))
    return Cost(functions, hours_between(usage.first or 0.0, usage.last or 0.0), stream, usage.billed, prices)


def _of_stack(stack: str | None, span: _Span, prices: Prices, progress: ProgressLine) -> Cost:
    from oncefold.aws.names import Names
    from oncefold.aws.operations.cost import cost_of

    if stack is None:
        raise OncefoldError(f"which stack? Name one with --stack, or in {STACK_VARIABLE}; or give --logs FILE")
    if span.start >= span.end:
        raise OncefoldError("the time ends before it begins; see --since, --from and --to")
    return cost_of(Names(stack), span.start, span.end, prices, progress)


def _show(found: Cost, screen: Screen) -> None:
    invocations = sum(usage.invocations for usage in found.functions.values())
    delivered = f"{formatting.many(round(found.events), 'event')} in {formatting.many(invocations, 'invocation')}"
    screen.line(f"{delivered}, {found.hours:,.2f} hours", "bold")
    screen.line()
    grid = Grid(["function", "invocations", "GB-seconds", "write units", "read units"],
                frozenset(["invocations", "GB-seconds", "write units", "read units"]))  # fmt: skip
    for name, usage in found.functions.items():
        units = (f"{usage.counts.get(kind, 0.0):,.1f}" for kind in ("write_units", "read_units"))
        grid.add(name, formatting.number(usage.invocations), f"{usage.gb_seconds:,.3f}", *units)
    screen.grid(grid)
    screen.line()
    screen.grid(_bill(found))
    screen.line()
    for line in _remarks(found):
        screen.line(line, "dim")


def _bill(found: Cost) -> Grid:
    numbers = ["used", "USD", "USD per million events"]
    grid = Grid(["part", "used", "unit", "USD", "USD per million events"], frozenset(numbers))
    for part in found.parts():
        grid.add(part.name, f"{part.used:,.3f}", part.unit, f"{part.usd:,.6f}", f"{found.per_million(part.usd):,.4f}")
    grid.add("in all", "", "", f"{found.usd:,.6f}", f"{found.per_million(found.usd):,.4f}")
    return grid


def _remarks(found: Cost) -> list[str]:
    from oncefold.aws.operations.cost import LEFT_OUT

    remarks = [f"prices: {found.prices.region}, as of {found.prices.date}; --prices gives others"]
    if not found.billed:
        remarks.append("durations are as the functions measured them, without cold starts: there were no REPORT lines")
    if found.refused:
        remarks.append(
            f"{formatting.many(round(found.refused), 'write')} went into transactions that were refused, as others "
            "wrote the same keys; `oncefold aws send` brings all events of a key to one shard"
        )
    if found.stream is None:
        remarks.append("left out: the stream; --shards estimates one")
    elif not found.stream.measured:
        remarks.append("the stream is estimated at one record of up to 1 KB for each event; CloudWatch counted none")
    return [*remarks, f"left out: {LEFT_OUT}"]


def _document(found: Cost) -> dict[str, Any]:
    return {
        "events": round(found.events),
        "hours": found.hours,
        "functions": {
            name: {"invocations": usage.invocations, "gb_seconds": usage.gb_seconds, **usage.counts}
            for name, usage in found.functions.items()
        },
        "parts": [
            {
                "part": part.name,
                "used": part.used,
                "unit": part.unit,
                "usd": part.usd,
                "usd_per_million_events": found.per_million(part.usd),
            }
            for part in found.parts()
        ],
        "usd": found.usd,
        "usd_per_million_events": found.per_million(found.usd),
        "durations_as_billed": found.billed,
        "stream_measured": None if found.stream is None else found.stream.measured,
        "prices": {"region": found.prices.region, "date": found.prices.date},
        "remarks": _remarks(found),
    }
