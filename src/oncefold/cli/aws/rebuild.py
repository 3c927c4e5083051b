"""`oncefold aws rebuild`: all totals made anew from the keys, while events go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from oncefold.cli.aws.group import stack_option
from oncefold.cli.progress import ProgressLine
from oncefold.pipeline_file import load_pipeline
from oncefold.queries.render import formatting

if TYPE_CHECKING:
    from oncefold.aws.names import Names
    from oncefold.aws.operations.rebuild import Rebuilt
    from oncefold.aws.operations.rebuild_stack import RebuildOutlook
    from oncefold.aws.tables import Stack
    from oncefold.core.definition import Pipeline

_MOST_SEGMENTS = 64

_EPILOG = """\b
Examples:
  # what it would do, and what is under way
  oncefold aws rebuild --dry-run --stack oncefold-risk
\b
  # make the totals anew, or go on with a rebuild that was interrupted
  oncefold aws rebuild --stack oncefold-risk
  oncefold aws verify --stack oncefold-risk
\b
  # after tables were restored: whatever they say is under way is of the past
  oncefold aws rebuild --anew --stack oncefold-risk

\b
  # the totals of another definition: a further tree, or a measure, over what each key keeps
  oncefold aws rebuild --definition new.toml --dry-run --stack oncefold-risk
  oncefold aws rebuild --definition new.toml --stack oncefold-risk
  oncefold aws deploy new.toml --stack oncefold-risk

The totals are made anew from StateTable under an epoch of their own. Events go on meanwhile and count in both;
queries read the totals before until the new ones are whole and then, from one write on, those. The old ones are deleted
afterwards. Ctrl-C, or whatever else ends the command, loses nothing: run it again. docs/AWS_OPERATIONS.md shows it as
the last step of a restore.

With --definition the new totals are under that definition, and it is the stack's from the switch on. What it needs of a
key has to be among what the functions keep of each: labels of the same levels, numbers of the same measures.

\b
Exit status: 0 done, 2 another process is driving a rebuild, or AWS cannot or may not do it, 130 interrupted."""


@click.command(epilog=_EPILOG)
@stack_option
@click.option(
    "--segments",
    type=click.IntRange(1, _MOST_SEGMENTS),
    help="Parts of the tables that are worked on at once.  [default: 8; a rebuild keeps those it began with]",
)
@click.option(
    "--definition",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Make the totals of this definition, which replaces the stack's.",
)
@click.option("--anew", is_flag=True, help="Give up a rebuild that is under way, and begin another.")
@click.option("--abandon", is_flag=True, help="Give up the rebuild that is under way; the totals stay as they are.")
@click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
def rebuild(
    names: Names, segments: int | None, definition: Path | None, *, anew: bool, abandon: bool, dry_run: bool
) -> None:
    """Make all totals anew from the keys, while events go on."""
    from oncefold.aws.operations.rebuild_stack import StackRebuild
    from oncefold.aws.reader import open_stack

    if anew and abandon:
        raise click.UsageError("--anew gives a rebuild up and begins another, --abandon begins none: give one of them")
    if definition is not None and abandon:
        raise click.UsageError("--abandon gives a rebuild up, and makes no totals of a definition")
    stack = open_stack(names.stack).stack
    work = StackRebuild.of(stack, None if definition is None else load_pipeline(definition))
    if dry_run:
        if work.definition is not None:
            _show_definition(stack, work.definition)
        _show(work.outlook(), anew=anew, abandon=abandon)
        return
    try:
        with ProgressLine() as progress:
            rebuilt = work.run(progress, segments, anew=anew, abandon=abandon)
    except KeyboardInterrupt:
        click.echo("interrupted; nothing is lost: the same command goes on where it was", err=True)
        raise
    _report(names, rebuilt, abandon=abandon)
    if definition is not None and rebuilt.switched:
        click.echo(f"this is its definition now; give it to the functions, too: oncefold aws deploy {definition}")


def _show_definition(stack: Stack, definition: Pipeline) -> None:
    from oncefold.core.definition_changes import changes_of_meaning

    changes = changes_of_meaning(stack.pipeline, definition)
    click.echo("what each key keeps suffices for the definition" if changes else "the definition means the same")
    for change in changes:
        click.echo(f"  {change}")


def _report(names: Names, rebuilt: Rebuilt, *, abandon: bool) -> None:
    if rebuilt.resumed:
        click.echo("went on with the rebuild that was under way")
    if rebuilt.switched:
        keys = formatting.many(rebuilt.keys, "key")
        click.echo(f"the totals are made anew from {keys}, and live: epoch {rebuilt.epoch}")
    elif abandon:
        click.echo("the rebuild is given up; the totals are those from before it")
    click.echo(f"{formatting.many(rebuilt.deleted, 'node')} of other epochs deleted")
    if rebuilt.switched:
        click.echo(f"to compare every total with the keys: oncefold aws verify --stack {names.stack}")


def _show(outlook: RebuildOutlook, *, anew: bool, abandon: bool) -> None:
    """Say what would be done."""
    under = outlook.under_way
    if under is None:
        click.echo("no rebuild is under way")
    else:
        driver = "a process drives it, or did" if under.owner else "nobody drives it"
        click.echo(f"a rebuild is under way, in its phase `{under.phase}`, epoch {under.epoch}; {driver}")
    if abandon:
        click.echo("would give it up and delete its totals" if under else "there is none to give up")
        return
    if under is not None and not anew:
        click.echo("would go on with it")
        return
    click.echo(
        f"would bring about {formatting.many(outlook.keys, 'key')} into a new epoch: about {outlook.write_units:,} "
        "write units, and those of the deltas and nodes"
    )
    click.echo(
        f"would wait {outlook.grace_seconds:,.0f} s for functions that are under way before its last pass, and once "
        "more before it deletes the totals that are live now"
    )
    if outlook.timeout_unknown:
        click.echo(
            f"the timeout of StateLambda is not known, so Lambda's longest is assumed: {outlook.timeout_unknown}"
        )
