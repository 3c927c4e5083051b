"""`oncefold aws logs`: what the functions of a stack logged, for people, with what to do about it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from oncefold.cli.aws.cost import parse_since
from oncefold.cli.aws.group import stack_option
from oncefold.queries.render import formatting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oncefold.aws.names import Names
    from oncefold.aws.operations.tail import LogLine

_EPILOG = """\b
Examples:
  oncefold aws logs --stack oncefold-risk
\b
  # only what somebody should see, of StateLambda, as it comes
  oncefold aws logs --errors --function state --follow --stack oncefold-risk
\b
  # the lines as they are, for jq
  oncefold aws logs --raw --since 1d --stack oncefold-risk | jq -c 'select(.rejected > 0)'

An invocation is one line: its counts that are not 0, and how long it took. Below a line that asks for something stands
what to do, each advice once.

\b
Exit status: 0 answered, 1 with --errors there is something to see, 2 AWS cannot or may not answer, 130 Ctrl-C."""

_COUNTS = (
    "events", "inserted", "corrected", "deleted", "duplicate", "stale", "conflicts", "rejected", "filtered", "ignored",
    "deltas", "nodes", "OutboxItems", "OutboxAgeSeconds", "unfinished", "refused", "retries",
)  # fmt: skip
_ONE = {"events": "event", "conflicts": "conflict", "deltas": "delta", "nodes": "node", "retries": "retry"}
_NOISE = ("START RequestId", "END RequestId", "INIT_START", '{"time"')


@click.command(epilog=_EPILOG)
@stack_option
@click.option("--since", callback=parse_since, default="10m", show_default=True, help="How far back: 90s, 30m, 6h, 2d.")
@click.option("--function", "-f", "functions", type=click.Choice(["state", "net", "reduce", "sweep"]), multiple=True,
              help="Only this function; several times for several.")  # fmt: skip
@click.option("--errors", is_flag=True, help="Only lines that somebody should see.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--raw", is_flag=True, help="The lines as they were logged, and nothing else.")
@click.pass_context
def logs(
    context: click.Context,
    names: Names,
    since: int,
    functions: tuple[str, ...],
    errors: bool,  # noqa: FBT001 - click passes them by name
    follow: bool,  # noqa: FBT001
    raw: bool,  # noqa: FBT001
) -> None:
    """Show what the functions logged, with what to do about errors."""
    from oncefold.aws.connect import aws_errors_explained, client
    from oncefold.aws.operations import tail

    chosen = functions or tail.FUNCTIONS
    begin = time.time() - since
    with aws_errors_explained(names.stack):
        reader = client("logs")
        lines: Iterable[LogLine]
        if follow:
            lines = tail.follow(reader, names, chosen, begin, time.time, time.sleep)
        else:
            lines = [line for _, line in tail.log_events(reader, names, chosen, begin)]
        shown = 0
        for line in (line for line in lines if line.is_trouble) if errors else lines:
            shown += 1
            _show(line, raw=raw)
    if errors and shown:
        context.exit(1)
    if not shown and not raw:
        click.echo("nothing was logged" if not errors else "nothing that somebody should see")


_ADVISED = "oncefold.cli.aws.logs"


def _show(line: LogLine, *, raw: bool) -> None:
    if raw:
        click.echo(line.text)
        return
    if line.text.startswith(_NOISE) and not line.is_trouble:
        return
    at = datetime.fromtimestamp(line.time, UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    click.echo(f"{at}  {line.function:<6}  {_summary(line)}")
    given = click.get_current_context().meta.setdefault(_ADVISED, set())
    for advice in line.hints:
        if advice not in given:
            given.add(advice)
            click.echo(f"{'':>25}→ {advice}")


def _count(number: float, name: str) -> str:
    one = _ONE.get(name)
    return f"{number:,} {name}" if one is None or number != 1 else f"1 {one}"


def _summary(line: LogLine) -> str:
    """An invocation's counts; any other line as it is, several lines of it below each other."""
    document = line.document
    if "duration_ms" not in document:
        first, *more = line.text.replace("\r", "\n").splitlines() or [""]
        shown = [formatting.printable(first), *(f"{'':>33}{formatting.printable(rest)}" for rest in more)]
        return "\n".join(shown)
    counts = [_count(document[name], name) for name in _COUNTS if document.get(name)]
    return f"{', '.join(counts) or 'nothing to do'}; {document['duration_ms']:,.0f} ms"
