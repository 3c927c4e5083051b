"""`oncefold aws drain`: put what waits in the outbox into the totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oncefold.cli import words
from oncefold.cli.aws.asking import ask
from oncefold.cli.aws.counting import Counting
from oncefold.cli.aws.options import stack_option

if TYPE_CHECKING:
    from oncefold.aws.names import Names

_EPILOG = """\b
Examples:
  # apply what is pending now
  oncefold aws drain --stack oncefold-risk
\b
  # and what comes meanwhile, until nothing is pending, for five minutes at most
  oncefold aws drain --wait 300 --stack oncefold-risk

Deltas are applied by the same code as in the functions, which may run meanwhile: none is ever applied twice. Events
that are still in the stream are not waited for; `oncefold aws status` tells how far the functions have read it.

\b
Exit status: 0 nothing is left of what was pending, 1 something is, 2 AWS cannot or may not answer."""


@click.command(epilog=_EPILOG)
@stack_option
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Go on until nothing is pending, for so long at most.",
)
@click.pass_context
def drain(context: click.Context, names: Names, seconds: float | None) -> None:
    """Apply all pending deltas to the totals now."""
    from oncefold.aws.reader.drain import Drain

    work = Drain.of(ask(names).stack)
    with Counting() as counting:
        drained = work.once(counting) if seconds is None else work.until_empty(counting, seconds)
    click.echo(f"{words.many(drained.applied, 'delta')} applied")
    for name, reason in drained.refused.items():
        click.echo(f"delta {name} is refused and stays pending: {words.printable(reason)}")
    if drained.left:
        click.echo(f"{words.many(drained.left, 'delta')} met last may still be pending; run it again")
    if not drained.empty:
        context.exit(1)
