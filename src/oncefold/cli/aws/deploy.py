"""`oncefold aws deploy`: make a pipeline's stack, or change it."""

from __future__ import annotations

import secrets
import shlex
import time
from typing import TYPE_CHECKING

import click

from oncefold.cli import words
from oncefold.cli.aws.options import names_of, new_stack_option, pipeline_argument
from oncefold.cli.screen import Grid, Screen
from oncefold.pipeline_file import load_pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from oncefold.aws.deploy.deployment import Deployment, Plan
    from oncefold.aws.deploy.stack import ChangeSet, ResourceChange
    from oncefold.aws.names import Names

_DECLINED = 1
_SHOWN_OUTPUTS = ("StreamName", "StateTableName", "AggregateTableName", "FailureQueueUrl")

_EPILOG = """\b
Examples:
  oncefold aws deploy pipeline.toml
\b
  # more shards, and alarms by mail; what is not named stays as it is
  oncefold aws deploy pipeline.toml --parameter ShardCount=4 --parameter AlarmEmail=you@example.com
\b
  # from a script
  oncefold aws deploy pipeline.toml --stack risk-test --yes

It shows what would change and asks. A definition that would change what the totals mean is refused; one that only
widens it (a meaning for a missing field, rounding) goes on with the tables. Tables that an earlier stack of the name
left are taken up again. All parameters: docs/AWS_DEPLOY.md.

\b
Exit status: 0 the stack is as the file says, 1 you said no, 2 it cannot be done."""


@click.command(epilog=_EPILOG)
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
    bucket: str | None,
    yes: bool,  # noqa: FBT001 - click passes it by name
) -> None:  # fmt: skip
    """Make the stack that PIPELINE runs in, or bring it to what the file says."""
    from oncefold.aws.deploy.deployment import Clients, Deployment
    from oncefold.aws.deploy.events import Pace
    from oncefold.aws.deploy.parameters import parse

    definition = load_pipeline(pipeline)
    names = names_of(stack, definition)
    given = parse(settings)
    deployment = Deployment(definition, names, Clients.connect(), Pace(time.sleep))
    if not _deploy(deployment, names, given, bucket, yes=yes):
        click.echo("oncefold: nothing was changed", err=True)
        context.exit(_DECLINED)


def _deploy(deployment: Deployment, names: Names, given: Mapping[str, str], bucket: str | None, *, yes: bool) -> bool:
    """Plan, show, ask, carry out; whether the stack is now as it should be."""
    from oncefold.aws.reader.service import explaining
    from oncefold.cli.aws.progress import StackProgress, going_on_without_us

    with explaining(names.stack):
        plan = deployment.plan(given, bucket, ticket=f"oncefold-{secrets.token_hex(8)}")
        try:
            _show(names, plan)
            agreed = plan.change_set is None or yes or click.confirm("Go on?", err=True)
        except BaseException:
            deployment.discard(plan)
            raise
        if not agreed:
            deployment.discard(plan)
            return False
        changes = () if plan.change_set is None else plan.change_set.changes
        with going_on_without_us():
            standing = deployment.carry_out(plan, StackProgress(change.name for change in changes))
    screen = Screen()
    screen.line()
    screen.line(f"stack {names.stack} is {'ready' if plan.change_set else 'as the file says; nothing to change'}")
    for name in _SHOWN_OUTPUTS:
        screen.line(f"  {name:<20} {standing.outputs.get(name, '')}")
    screen.line(f"to send events: oncefold aws send EVENTS --stack {shlex.quote(names.stack)}")
    return True


def _show(names: Names, plan: Plan) -> None:
    """What a plan would do."""
    screen = Screen()
    change_set = plan.change_set
    what = "stays as it is" if change_set is None else "would be made" if change_set.new else "would be changed"
    screen.line(f"stack {names.stack} in account {plan.account}, region {plan.region}: {what}", "bold")
    if plan.definition:
        screen.line("definition: it widens, and the totals go on")
        for line in plan.definition:
            screen.line(f"  {words.printable(line)}", "green" if line.startswith("+") else "red")
    if change_set is None:
        return
    new_bucket = ", a bucket that would be made" if plan.bucket_is_new else ""
    screen.line(f"code: {words.size(len(plan.package.data))} in s3://{plan.bucket.name}{new_bucket}")
    if change_set.new and plan.in_force.table:
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
