"""`oncefold aws verify`: every total recomputed from the keys and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from oncefold.cli import words
from oncefold.cli.aws.asking import ask
from oncefold.cli.aws.counting import Counting
from oncefold.cli.aws.options import stack_option
from oncefold.cli.options import format_options
from oncefold.cli.output import Reply
from oncefold.cli.screen import Grid, Screen
from oncefold.cli.verify import cells

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.aws.names import Names
    from oncefold.aws.reader import StackQuestions
    from oncefold.aws.reader.answers import StackVerification, WrongTotal

_SHOWN_UNDECIDED = 10

_EPILOG = """\b
Examples:
  oncefold aws verify --stack oncefold-risk
\b
  # first put all deltas that wait into the totals
  oncefold aws verify --drain --stack oncefold-risk
\b
  # for a script or a monitor
  oncefold aws verify --stack oncefold-risk --format json

It reads the state of every key in parallel, adds up every node of every tree anew, and compares with the totals and
the deltas that are pending. The pipeline may go on meanwhile, but then the tables are not read as of one moment: a
difference counts only where the node stood still, and while nodes differ that moved, all is read again. To verify
the last ones of a busy pipeline, stop sending for as long as a reading takes.

It reads whole tables, and that is paid for: a read unit for each 4 KB.

\b
Exit status: 0 every total is exact, 1 some are wrong, 2 AWS does not answer, or some nodes moved in every reading."""


@click.command(epilog=_EPILOG)
@stack_option
@click.option("--drain", "draining", is_flag=True, help="Apply the pending deltas first.")
@click.option(
    "--tries",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How often to read all while the pipeline moves.",
)
@format_options("table", "json")
@click.pass_context
def verify(
    context: click.Context,
    names: Names,
    draining: bool,  # noqa: FBT001
    tries: int,
    form: str | None,
    output: Path | None,
) -> None:
    """Recompute every total from the keys and compare; name the first wrong node."""
    questions = ask(names)
    with Counting() as counting:
        if draining:
            _drain(questions, counting)
        found = questions.verify(tries=tries, progress=counting)
    Reply(lambda screen: _show(found, screen), lambda: _document(found)).write(form, output)
    if not found.exact:
        context.exit(1 if found.rows else 2)


def _drain(questions: StackQuestions, counting: Counting) -> None:
    from oncefold.aws.operations.drain import Drain

    Drain.of(questions.stack).once(counting)


def _show(found: StackVerification, screen: Screen) -> None:
    compared = f"compared {words.many(found.nodes, 'node')} with {words.many(found.keys, 'key')}"
    pending = f", {words.many(found.deltas, 'pending delta')} accounted for" if found.deltas else ""
    screen.line(f"{compared}{pending}; stack {found.read.stack} at {found.read.time_text}")
    if found.tries > 1:
        screen.line(f"the pipeline moved meanwhile: all was read {found.tries} times", "dim")
    if found.exact:
        screen.line("exact", "green")
        return
    if found.rows:
        _show_wrong(found.rows[0], found, screen)
    if len(found) > 1:
        screen.line(f"and {words.many(len(found) - 1, 'more wrong node')}; --format json lists all")
    if found.undecided:
        _show_undecided(found, screen)


def _show_wrong(wrong: WrongTotal, found: StackVerification, screen: Screen) -> None:
    screen.line(f"WRONG: {words.node(wrong.path)} of {wrong.rollup}", "bold red")
    if wrong.fault:
        screen.line(f"the stored total is no number: {words.printable(wrong.fault)}")
    elif wrong.stored is None:
        screen.line("the table has no totals of this node")
    columns = ["stored", "pending", "recomputed"]
    grid = Grid(["", *columns], frozenset(columns))
    rows = [cells(amounts, len(found.scales)) for amounts in (wrong.stored, wrong.pending, wrong.recomputed)]
    for name, *row in zip(["count", *found.scales], *rows, strict=True):
        grid.add(name, *row)
    screen.grid(grid)


def _show_undecided(found: StackVerification, screen: Screen) -> None:
    known = "none of the others is wrong" if not found.rows else "besides"
    screen.line(f"UNDECIDED: {words.many(len(found.undecided), 'node')} moved in every reading; {known}", "bold yellow")
    for name in found.undecided[:_SHOWN_UNDECIDED]:
        screen.line(f"  {words.printable(name)}")
    if len(found.undecided) > _SHOWN_UNDECIDED:
        screen.line("  ...; --format json lists all")
    screen.line("stop sending for as long as a reading takes, or give more --tries")


def _document(found: StackVerification) -> dict[str, Any]:
    from oncefold.queries.documents import amounts

    return {
        "stack": found.read.stack,
        "time": found.read.time_text,
        "exact": found.exact,
        "nodes": found.nodes,
        "keys": found.keys,
        "pending_deltas": found.deltas,
        "tries": found.tries,
        "moved": found.moved,
        "wrong": [
            {
                "rollup": row.rollup,
                "path": row.path,
                "fault": row.fault or None,
                "stored": None if row.stored is None else amounts(row.stored),
                "pending": amounts(row.pending),
                "recomputed": amounts(row.recomputed),
            }
            for row in found
        ],
        "undecided": list(found.undecided),
    }
