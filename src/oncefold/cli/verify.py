"""`oncefold verify`: every total recomputed and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oncefold.cli import words
from oncefold.cli.options import ask, format_options, store_option
from oncefold.cli.output import Reply
from oncefold.cli.screen import Grid, Screen

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.queries import Verification
    from oncefold.queries.answers import Amounts, WrongNode

_EPILOG = """\b
Examples:
  oncefold verify --store risk.db
\b
  # for a script or a monitor
  oncefold verify --store risk.db --format json

It reads the state of every key, adds up every node of every tree anew, and compares with the totals that the store
keeps. The store may be written meanwhile. To examine the file itself: oncefold check-store.

\b
Exit status: 0 every total is exact, 1 some are wrong, 2 the store cannot be read."""


@click.command(epilog=_EPILOG)
@store_option
@format_options("table", "json")
@click.pass_context
def verify(context: click.Context, store: Path, form: str | None, output: Path | None) -> None:
    """Recompute every total from the keys and compare; name the first wrong node."""
    from oncefold.queries import documents

    with ask(store) as questions:
        found = questions.verify()
    Reply(lambda screen: _show(found, screen), lambda: documents.verification(found)).write(form, output)
    if not found.exact:
        context.exit(1)


def _show(found: Verification, screen: Screen) -> None:
    compared = f"compared {words.many(found.nodes, 'node')} with {words.many(found.keys, 'key')}"
    screen.line(f"{compared} at {words.commit(found.commit)}")
    if found.exact:
        screen.line("exact", "green")
        return
    _show_wrong(found.rows[0], found, screen)
    if len(found) > 1:
        screen.line(f"and {words.many(len(found) - 1, 'more wrong node')}; --format json lists all")


def _show_wrong(wrong: WrongNode, found: Verification, screen: Screen) -> None:
    screen.line(f"WRONG: {words.node(wrong.path)} of {wrong.rollup}", "bold red")
    if wrong.fault:
        screen.line(f"the stored total is no number: {words.printable(wrong.fault)}")
    elif wrong.stored is None:
        screen.line("the store has no totals of this node")
    grid = Grid(["", "stored", "recomputed"], frozenset(["stored", "recomputed"]))
    was, now = (cells(amounts, len(found.scales)) for amounts in (wrong.stored, wrong.recomputed))
    for name, stored, recomputed in zip(["count", *found.scales], was, now, strict=True):
        grid.add(name, stored, recomputed)
    screen.grid(grid)


def cells(amounts: Amounts | None, measures: int) -> list[str]:
    """Count and sums for a row of a table; empty where there are none."""
    if amounts is None:
        return [""] * (1 + measures)
    return [words.number(amounts.count), *map(words.number, amounts.sums.values())]
