"""`oncefold aws explain`: the keys behind a total."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oncefold.cli import words
from oncefold.cli.aws.asking import ask
from oncefold.cli.aws.counting import Counting
from oncefold.cli.aws.options import stack_option
from oncefold.cli.explain import left_out, show_keys
from oncefold.cli.options import FORMATS, format_options, limit_option
from oncefold.cli.output import Reply

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.aws.names import Names
    from oncefold.aws.reader.answers import StackExplanation
    from oncefold.cli.screen import Screen

_EPILOG = """\b
Examples:
  oncefold aws explain Delta/FXSpot/AMER --stack oncefold-risk
\b
  # every key, to a file
  oncefold aws explain Delta/FXSpot/AMER --limit all --output keys.csv --stack oncefold-risk
\b
  # the root of a pipeline with several trees
  oncefold aws explain '' --rollup by_region --stack oncefold-risk

Keys come in the order of their texts. All keys of the table are read, whatever the node, and that is paid for: a
read unit for each 4 KB; only those of the node are sent here. The sums are those of all keys of the node, also where
not all are listed, and are held against the node's total with the deltas that are pending.

\b
Exit status: 0 answered, 1 the keys do not add up to the total, 2 the question is wrong, or AWS cannot or may not
answer it."""


@click.command(epilog=_EPILOG)
@click.argument("node")
@stack_option
@click.option("--rollup", "-r", metavar="NAME", help="The tree; needed where there are several.")
@limit_option(20, "keys")
@format_options(*FORMATS)
@click.pass_context
def explain(
    context: click.Context,
    node: str,
    names: Names,
    rollup: str | None,
    limit: int | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Show the keys that count in NODE: how many, their sum, and each with its version, leaf and values."""
    questions = ask(names)
    with Counting() as counting:
        found = questions.explain(node, rollup=rollup, limit=limit, progress=counting)
    versions = questions.pipeline.version is not None
    rest = "" if found.complete else left_out(found)
    reply = Reply(lambda screen: _show(found, screen, versions=versions), lambda: _document(found), found, rest)
    reply.write(form, output)
    if not found.adds_up and not found.moved:
        context.exit(1)


def _show(found: StackExplanation, screen: Screen, *, versions: bool) -> None:
    screen.line(f"{words.node(found.path)} of {found.rollup}: {words.many(found.count, 'key')}", "bold")
    for measure, total in found.sums.items():
        screen.line(f"  {measure} {words.number(total)}")
    screen.line()
    if found.rows:
        show_keys(found, screen, versions=versions)
        screen.line()
    if not found.complete:
        screen.line(f"{left_out(found)}.")
    screen.line(_verdict(found))
    screen.line(f"stack {found.read.stack} at {found.read.time_text}", "dim")


def _verdict(found: StackExplanation) -> str:
    total = f"the total with {words.many(found.deltas, 'pending delta')}" if found.deltas else "the total"
    if found.adds_up:
        return f"The keys add up to {total} exactly." if found.count else "No keys count here."
    amounts = ", ".join(f"{measure} {words.number(value)}" for measure, value in found.node.sums.items())
    stated = f"{words.many(found.node.count, 'key')}{', ' if amounts else ''}{amounts}"
    if found.moved:
        return f"The node moved while its keys were read: {total} was then {stated}. Ask again."
    return f"The keys do NOT add up to {total}, which is {stated}; run: oncefold aws verify"


def _document(found: StackExplanation) -> dict[str, Any]:
    from oncefold.queries.forms import plain_rows

    return {
        "stack": found.read.stack,
        "time": found.read.time_text,
        "rollup": found.rollup,
        "path": found.path,
        "count": found.count,
        "sums": dict(found.sums),
        "total": {"count": found.node.count, "sums": dict(found.node.sums), "pending_deltas": found.deltas},
        "complete": found.complete,
        "adds_up": found.adds_up,
        "moved": found.moved,
        "rows": list(plain_rows(found)),
    }
