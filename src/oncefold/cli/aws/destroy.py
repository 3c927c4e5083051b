"""`oncefold aws destroy`: remove a stack, with or without its tables."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from oncefold.cli import words
from oncefold.cli.aws.options import stack_option
from oncefold.cli.screen import Grid, Screen

if TYPE_CHECKING:
    from oncefold.aws.deploy.removal import Remains, Removal
    from oncefold.aws.names import Names

_UNDONE = 1
_TABLE = "AWS::DynamoDB::Table"

_EPILOG = """\b
Examples:
  # the tables stay, and a later `oncefold aws deploy` takes them up again
  oncefold aws destroy --stack oncefold-risk
\b
  # everything
  oncefold aws destroy --stack oncefold-risk --delete-data

The stream goes in either case, and with it the events that are not folded yet: run `oncefold aws drain` before. Events
that were folded may be sent again to a later stack; each counts once.

\b
Exit status: 0 it is removed, 1 you said no, or tables that should stay are gone, 2 it cannot be done."""


@click.command(epilog=_EPILOG)
@stack_option
@click.option("--delete-data/--keep-data", default=False, show_default=True, help="Whether the tables go, too.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_context
def destroy(
    context: click.Context,
    names: Names,
    delete_data: bool,  # noqa: FBT001 - click passes them by name
    yes: bool,  # noqa: FBT001
) -> None:
    """Remove a stack: stream, functions, alarms; the tables only when told so."""
    from oncefold.aws.deploy.deployment import Clients
    from oncefold.aws.deploy.events import Pace
    from oncefold.aws.deploy.removal import Removal
    from oncefold.aws.reader.service import explaining

    removal = Removal(names, Clients.connect(), Pace(time.sleep))
    with explaining(names.stack):
        remains = removal.remains()
        if remains.standing is None and not delete_data:
            _show_tables_alone(names, remains)
            return
        _show(names, remains, keep_data=not delete_data)
        if not yes and not _agreed(names):
            click.echo("oncefold: nothing was changed", err=True)
            context.exit(_UNDONE)
        if not _remove(removal, remains, keep_data=not delete_data):
            context.exit(_UNDONE)


def _agreed(names: Names) -> bool:
    typed: str = click.prompt("Type the stack's name to go on", default="", show_default=False, err=True)
    return typed.strip() == names.stack


def _remove(removal: Removal, remains: Remains, *, keep_data: bool) -> bool:
    """Do it; whether the outcome is as it should be."""
    from oncefold.cli.aws.progress import StackProgress, going_on_without_us

    with going_on_without_us():
        removal.delete_stack(remains, StackProgress(part.name for part in remains.parts))
        if not keep_data:
            removal.delete_tables()
    left = removal.tables()
    lost = [table for table in remains.tables if keep_data and table not in left]
    if lost:
        # Emulators know no DeletionPolicy.
        click.echo(f"oncefold: these tables should have stayed, but are gone: {', '.join(lost)}", err=True)
    else:
        click.echo("removed" + (f"; the tables stay: {', '.join(left)}" if left else ", with its tables"))
    return not lost


def _show_tables_alone(names: Names, remains: Remains) -> None:
    click.echo(f"there is no stack {names.stack} any more; its tables are there: {', '.join(remains.tables)}")
    click.echo("to delete them: add --delete-data; to go on with them: oncefold aws deploy")


def _show(names: Names, remains: Remains, *, keep_data: bool) -> None:
    """What goes, and what stays."""
    screen = Screen()
    screen.line(f"stack {names.stack} in account {remains.account}, region {remains.region}", "bold")
    grid = Grid(["", "type", "name"])
    for part in remains.parts:
        if part.type != _TABLE:
            grid.add("goes", part.type.removeprefix("AWS::"), words.printable(part.physical_name or part.name))
    for table in remains.tables:
        grid.add("stays" if keep_data else "GOES, with all data", "DynamoDB::Table", table)
    if remains.code is not None:
        grid.add("stays", "S3 object", remains.code)
    screen.grid(grid)
    screen.line()
    if remains.standing is not None:
        screen.line("Events in the stream that are not folded yet go with it; see: oncefold aws status")
