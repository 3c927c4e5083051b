"""`oncefold aws drain` and `redrive`: apply the deltas in the outbox; send rejects and failed batches again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oncefold.cli.aws.group import stack_option
from oncefold.cli.progress import ProgressLine
from oncefold.queries.render import formatting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oncefold.aws.names import Names
    from oncefold.aws.operations.failures import FailedBatch, FailuresSent
    from oncefold.aws.operations.redrive import RejectsSent

_DRAIN_EPILOG = """\b
Examples:
  # apply what is pending now
  oncefold aws drain --stack oncefold-risk
\b
  # and what comes meanwhile, until nothing is pending, for five minutes at most
  oncefold aws drain --wait 300 --stack oncefold-risk

Deltas are applied by the same code as in the functions, which may run meanwhile: none is ever applied twice. Events
that are still in the stream are not waited for; `oncefold aws status` shows how far the functions have read it.

\b
Exit status: 0 nothing is left of what was pending, 1 something is, 2 AWS cannot or may not answer."""

_SHOWN_REASONS = 10

_REDRIVE_EPILOG = """\b
Examples:
  # the measure now says missing = "zero", and that is deployed: read what was rejected for its lack
  oncefold aws deploy pipeline.toml
  oncefold aws redrive --stack oncefold-risk
\b
  # what would be sent again
  oncefold aws redrive --dry-run --stack oncefold-risk

Rejected events are read under the definition that the stack was deployed with. Those that can be read now are sent
into the stream again and leave the list; the others stay. Events that were too long to be kept whole stay, too: send
their source again.

Of the batches that a function failed on for good, Lambda wrote into the failure queue where they are. Their records
are sent into the stream again as long as it keeps them; deltas are in the outbox still, and are applied. A stack with
a failure bucket (parameter FailureBucket) has them there whole, and they are sent again however old they are; an object
is deleted when its records are in the stream.

\b
Exit status: 0 done, 1 failed batches are left, 2 AWS cannot or may not answer."""


@click.command(epilog=_DRAIN_EPILOG)
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
    from oncefold.aws.operations.drain import Drain
    from oncefold.aws.reader import open_stack

    work = Drain.of(open_stack(names.stack).stack)
    with ProgressLine() as progress:
        drained = work.once(progress) if seconds is None else work.until_empty(progress, seconds)
    click.echo(f"{formatting.many(drained.applied, 'delta')} applied")
    for name, reason in drained.refused.items():
        click.echo(f"delta {name} is refused and stays pending: {formatting.printable(reason)}")
    if drained.left:
        click.echo(f"{formatting.many(drained.left, 'delta')} of the last pass may still be pending; run it again")
    if not drained.empty:
        context.exit(1)


@click.command(epilog=_REDRIVE_EPILOG)
@stack_option
@click.option("--dry-run", is_flag=True, help="Say what would be sent again, and change nothing.")
@click.option(
    "--bucket", metavar="NAME", help="A bucket that the stack kept failed batches in.  [default: the one that it has]"
)
@click.pass_context
def redrive(context: click.Context, names: Names, dry_run: bool, bucket: str | None) -> None:  # noqa: FBT001 - click
    """Send rejected events that can be read now, and failed batches, into the stream again."""
    from oncefold.aws.operations.redrive import StackRedrive
    from oncefold.aws.reader import open_stack

    work = StackRedrive.of(open_stack(names.stack).stack, bucket)
    if dry_run:
        with ProgressLine() as progress:
            rejects, batches = work.preview(progress)
        _report_rejects(rejects, "would be sent again")
        _show_batches(batches)
        return
    with ProgressLine() as progress:
        rejects = work.redrive_rejects(progress)
        failures = work.redrive_failures(progress)
    _report_rejects(rejects)
    _report_failures(failures)
    if failures.kept:
        context.exit(1)


def _show_batches(batches: Sequence[FailedBatch]) -> None:
    click.echo(f"{len(batches):,} failed {'batch' if len(batches) == 1 else 'batches'} would be sent again")
    for batch in batches:
        if batch.deltas:
            where = "deltas, which are in the outbox"
        else:
            where = "its records are in the bucket" if batch.records is not None else "if the stream keeps it still"
        size = formatting.many(batch.size, "record")
        click.echo(formatting.printable(f"  {batch.time} {batch.name}, {size}, {batch.condition}: {where}"))


def _report_rejects(found: RejectsSent, done: str = "sent again") -> None:
    click.echo(f"{formatting.many(found.sent, 'rejected event')} {done}")
    for reason, count in found.still.most_common(_SHOWN_REASONS):
        click.echo(f"  {count:,} cannot be read still: {formatting.printable(reason)}")
    rest = sum(count for _, count in found.still.most_common()[_SHOWN_REASONS:])
    if rest:
        click.echo(f"  {rest:,} for other reasons; see: oncefold aws rejects")
    if found.cut:
        click.echo(f"  {found.cut:,} were not kept whole; send their source again")


def _report_failures(found: FailuresSent) -> None:
    batches = f"{found.batches:,} failed {'batch' if found.batches == 1 else 'batches'} sent again"
    click.echo(f"{batches}, {formatting.many(found.records, 'record')}")
    if found.reduced:
        click.echo(f"{formatting.many(found.reduced, 'message')} about deltas deleted; those deltas are applied")
    for reason in found.kept:
        click.echo(f"left: {formatting.printable(reason)}")
