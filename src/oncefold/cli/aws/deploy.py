"""`oncefold aws deploy` and `oncefold aws destroy`: make, change or remove a stack, and report the progress."""

from __future__ import annotations

import secrets
import shlex
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from oncefold.cli.aws.group import mode_option, names_of, new_stack_option, pipeline_argument, stack_option
from oncefold.pipeline_file import load_pipeline
from oncefold.queries.render import formatting
from oncefold.queries.render.screen import Grid, Screen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from oncefold.aws.deploy.cloudformation import ChangeSet, ResourceChange, StackEvent
    from oncefold.aws.deploy.deployment import Deployment, DeploymentPlan
    from oncefold.aws.deploy.removal import Inventory, Removal
    from oncefold.aws.names import Names

_DECLINED = 1
_SHOWN_OUTPUTS = ("StreamName", "StateTableName", "AggregateTableName", "FailureQueueUrl")

_DEPLOY_EPILOG = """\b
Examples:
  oncefold aws deploy pipeline.toml
\b
  # more shards, and alarms by mail; what is not named stays as it is
  oncefold aws deploy pipeline.toml --parameter ShardCount=4 --parameter AlarmEmail=you@example.com
\b
  # the tags that your account wants on everything
  oncefold aws deploy pipeline.toml --tag team=risk --tag stage=test
\b
  # for less than half the cost of DynamoDB, a second or so later: docs/AWS_ECONOMY.md
  oncefold aws deploy pipeline.toml --mode economy
\b
  # from a script
  oncefold aws deploy pipeline.toml --stack risk-test --yes

It shows what would change and asks. A definition that would change what the totals mean is refused; one that only
widens it (a meaning for a missing field, rounding) goes on with the tables. Tables that an earlier stack of the name
left are taken up again. All parameters: docs/AWS_DEPLOY.md.

\b
Exit status: 0 the stack is as the file says, 1 you said no, 2 it cannot be done."""

_UNDONE = 1
_TABLE = "AWS::DynamoDB::Table"
_BUCKET = "AWS::S3::Bucket"
"""That of failed batches, which the template retains."""

_DESTROY_EPILOG = """\b
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

_STACK = "AWS::CloudFormation::Stack"
_DONE = {
    "CREATE_COMPLETE": "created",
    "UPDATE_COMPLETE": "changed",
    "DELETE_COMPLETE": "deleted",
    "DELETE_SKIPPED": "kept",
    "IMPORT_COMPLETE": "taken up again",
}
"""Events that are reported; the beginnings of changes are not."""


@click.command(epilog=_DEPLOY_EPILOG)
@pipeline_argument
@new_stack_option
@click.option(
    "--parameter",
    "-p",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    help="Set a parameter of the template. Others stay as they are, or at their defaults.",
)
@click.option("--tag", "tags", metavar="NAME=VALUE", multiple=True,
              help="Tag the stack and its parts; give all of them, or none to leave them as they are.")  # fmt: skip
@mode_option
@click.option(
    "--bucket",
    metavar="NAME",
    help="S3 bucket for the functions' zip.  [default: the stack's, else oncefold-ACCOUNT-REGION, made if need be]",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_context
def deploy(
    context: click.Context,
    pipeline: Path,
    stack: str | None,
    settings: tuple[str, ...],
    tags: tuple[str, ...],
    mode: str | None,
    bucket: str | None,
    yes: bool,  # noqa: FBT001 - click passes it by name
) -> None:  # fmt: skip
    """Make the stack that PIPELINE runs in, or bring it to what the file says."""
    from oncefold.aws.deploy.cloudformation import Polling
    from oncefold.aws.deploy.deployment import DeployClients, Deployment
    from oncefold.aws.deploy.parameters import parse, parse_tags

    definition = load_pipeline(pipeline)
    names = names_of(stack, definition)
    given = _Given(parse(settings), parse_tags(tags), bucket)
    deployment = Deployment(definition, names, DeployClients.connect(), Polling(time.sleep), mode)
    if not _deploy(deployment, names, given, yes=yes):
        click.echo("oncefold: nothing was changed", err=True)
        context.exit(_DECLINED)


@dataclass(frozen=True, slots=True)
class _Given:
    """What is set of a stack beside its definition."""

    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    bucket: str | None


def _deploy(deployment: Deployment, names: Names, given: _Given, *, yes: bool) -> bool:
    """Plan, show, ask, apply; whether the stack is now as it should be."""
    from oncefold.aws.connect import aws_errors_explained

    with aws_errors_explained(names.stack):
        name = f"oncefold-{secrets.token_hex(8)}"
        plan = deployment.plan(given.parameters, given.bucket, name, given.tags or None)
        try:
            _show_plan(names, plan)
            agreed = plan.change_set is None or yes or click.confirm("Go on?", err=True)
        except BaseException:
            deployment.discard(plan)
            raise
        if not agreed:
            deployment.discard(plan)
            return False
        changes = () if plan.change_set is None else plan.change_set.changes
        with interrupt_explained():
            current = deployment.apply(plan, StackProgress(change.name for change in changes))
    screen = Screen()
    screen.line()
    screen.line(f"stack {names.stack} is {'ready' if plan.change_set else 'as the file says; nothing to change'}")
    for name in _SHOWN_OUTPUTS:
        screen.line(f"  {name:<20} {current.outputs.get(name, '')}")
    screen.line(f"to send events: oncefold aws send EVENTS --stack {shlex.quote(names.stack)}")
    return True


def _show_plan(names: Names, plan: DeploymentPlan) -> None:
    """What a plan would do."""
    from oncefold.aws.functions.guard import STANDARD

    screen = Screen()
    change_set = plan.change_set
    what = "stays as it is" if change_set is None else "would be made" if change_set.new else "would be changed"
    screen.line(f"stack {names.stack} in account {plan.account}, region {plan.region}: {what}", "bold")
    if plan.mode != STANDARD:
        screen.line(f"mode: {plan.mode}")
    if plan.definition:
        screen.line("definition: it widens, and the totals go on")
        for line in plan.definition:
            screen.line(f"  {formatting.printable(line)}", "green" if line.startswith("+") else "red")
    if change_set is None:
        return
    new_bucket = ", a bucket that would be made" if plan.bucket_is_new else ""
    screen.line(f"code: {formatting.size(len(plan.package.data))} in s3://{plan.bucket.name}{new_bucket}")
    if change_set.new and plan.deployed.table:
        screen.line("tables: those of an earlier stack are there, and would be taken up again")
    for change in plan.parameters:
        before = "" if change.before is None else f"{change.before or '(empty)'} → "
        screen.line(f"parameter {change.name}: {before}{change.after or '(empty)'}")
    screen.line()
    screen.grid(_grid(change_set))
    screen.line()


def _grid(change_set: ChangeSet) -> Grid:
    grid = Grid(["change", "resource", "type", "what"])
    for change in change_set.changes:
        grid.add(_action(change), change.name, change.type.removeprefix("AWS::"), ", ".join(change.properties))
    return grid


def _action(change: ResourceChange) -> str:
    if change.action == "Modify":
        return {"True": "REPLACE", "Conditional": "change (or replace)"}.get(change.replacement, "change")
    return {"Add": "add", "Remove": "REMOVE", "Import": "take up again"}.get(change.action, change.action.lower())


@click.command(epilog=_DESTROY_EPILOG)
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
    """Remove a stack: stream, functions, alarms; the tables only with --delete-data."""
    from oncefold.aws.connect import aws_errors_explained
    from oncefold.aws.deploy.cloudformation import Polling
    from oncefold.aws.deploy.deployment import DeployClients
    from oncefold.aws.deploy.removal import Removal

    removal = Removal(names, DeployClients.connect(), Polling(time.sleep))
    with aws_errors_explained(names.stack):
        inventory = removal.inventory()
        if inventory.current is None and not delete_data:
            _show_tables_alone(names, inventory)
            return
        _show_inventory(names, inventory, keep_data=not delete_data)
        if not yes and not _agreed(names):
            click.echo("oncefold: nothing was changed", err=True)
            context.exit(_UNDONE)
        if not _remove(removal, inventory, keep_data=not delete_data):
            context.exit(_UNDONE)


def _agreed(names: Names) -> bool:
    typed: str = click.prompt("Type the stack's name to go on", default="", show_default=False, err=True)
    return typed.strip() == names.stack


def _remove(removal: Removal, inventory: Inventory, *, keep_data: bool) -> bool:
    """Do it; whether the outcome is as it should be."""
    with interrupt_explained():
        removal.delete_stack(inventory, StackProgress(part.name for part in inventory.parts))
        if not keep_data:
            removal.delete_tables()
    left = removal.tables()
    lost = [table for table in inventory.tables if keep_data and table not in left]
    if lost:
        # Emulators know no DeletionPolicy.
        click.echo(f"oncefold: these tables should have stayed, but are gone: {', '.join(lost)}", err=True)
    else:
        click.echo("removed" + (f"; the tables stay: {', '.join(left)}" if left else ", with its tables"))
    return not lost


def _show_tables_alone(names: Names, inventory: Inventory) -> None:
    click.echo(f"there is no stack {names.stack} any more; its tables are there: {', '.join(inventory.tables)}")
    click.echo("to delete them: add --delete-data; to go on with them: oncefold aws deploy")


def _show_inventory(names: Names, inventory: Inventory, *, keep_data: bool) -> None:
    """What is deleted, and what is kept."""
    screen = Screen()
    screen.line(f"stack {names.stack} in account {inventory.account}, region {inventory.region}", "bold")
    grid = Grid(["", "type", "name"])
    for part in inventory.parts:
        if part.type != _TABLE:
            done = "kept" if part.type == _BUCKET else "deleted"
            grid.add(done, part.type.removeprefix("AWS::"), formatting.printable(part.physical_name or part.name))
    for table in inventory.tables:
        grid.add("kept" if keep_data else "DELETED, with all data", "DynamoDB::Table", table)
    if inventory.code is not None:
        grid.add("kept", "S3 object", inventory.code)
    screen.grid(grid)
    screen.line()
    if inventory.current is not None:
        screen.line("Events in the stream that are not folded yet are deleted with it; see: oncefold aws status")


class StackProgress:
    """Reports events of CloudFormation on stderr, as they come."""

    def __init__(self, resources: Iterable[str]) -> None:
        """`resources` are those that change; others are reported only if they fail."""
        self._resources = frozenset(resources)
        self._done: set[str] = set()

    def __call__(self, event: StackEvent) -> None:
        """Report an event, unless it is a beginning."""
        if event.type == _STACK:
            if "ROLLBACK" in event.status:
                self._print(f"the stack: {event.status}: {event.reason or 'no reason is given'}")
            return
        if event.failed:
            self._print(f"{event.resource}: FAILED: {event.reason}")
        elif event.status in _DONE and event.resource in self._resources:
            self._done.add(event.resource)
            self._print(f"{len(self._done):>3} of {len(self._resources)}  {event.resource} {_DONE[event.status]}")

    def _print(self, line: str) -> None:
        click.echo(f"oncefold: {formatting.printable(line)}", err=True)


@contextmanager
def interrupt_explained() -> Iterator[None]:
    """Says on an interrupt that CloudFormation continues the change."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("oncefold: CloudFormation continues; the same command shows the state of the stack", err=True)
        sys.stderr.flush()
        raise
