"""`oncefold query`: the totals of a node and of what lies below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oncefold.cli import words
from oncefold.cli.options import FORMATS, STATUS_WORDS, ask, depth_option, format_options, store_option
from oncefold.cli.output import Reply
from oncefold.cli.screen import Grid, Screen

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.queries import Totals
    from oncefold.queries.answers import Tree

_INDENT = "  "

_EPILOG = f"""\b
Examples:
  # the root and its children
  oncefold query --store risk.db
\b
  # a node and everything below it, as CSV
  oncefold query Delta/FXSpot --depth all --format csv --store risk.db
\b
  # another tree; and a node whose label holds a slash
  oncefold query --rollup by_region --store risk.db
  oncefold query 'US\\/Texas' --store risk.db
\b
  # as it was at commit 12, or at a time
  oncefold query --as-of 12 --store risk.db
  oncefold query --as-of 2026-01-31T09:30:00Z --output morning.parquet --store risk.db

NODE is labels joined by /, the root if left out. Inside a label \\/ is a slash, \\\\ a backslash, \\e an empty label.
Sums have every digit; in JSON they are text, so that no reader makes floats of them.

{STATUS_WORDS}"""


@click.command(epilog=_EPILOG)
@click.argument("node", default="")
@store_option
@click.option("--rollup", "-r", metavar="NAME", help="The tree; needed where there are several.")
@depth_option
@click.option("--as-of", metavar="COMMIT|TIME", help="As it was at this commit, or at this time (RFC 3339).")
@format_options(*FORMATS)
def query(
    node: str,
    store: Path,
    rollup: str | None,
    depth: int | None,
    as_of: str | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Show the exact totals of NODE and of what lies below it, now or at an earlier commit."""
    from oncefold.queries import documents

    with ask(store) as questions:
        totals = questions.query(node, rollup=rollup, depth=depth, as_of=as_of)
    Reply(lambda screen: show_tree(totals, _footer(totals), screen), lambda: documents.totals(totals), totals).write(
        form, output
    )


def show_tree(tree: Tree, footer: str, screen: Screen) -> None:
    """Show a node and what lies below it, each level indented."""
    grid = Grid([tree.rollup, "count", *tree.scales], frozenset(["count", *tree.scales]))
    for row in tree:
        name = words.node(row.path) if row is tree.node else words.label(row.label)
        indent = _INDENT * (row.depth - tree.node.depth)
        grid.add(indent + name, words.number(row.count), *map(words.number, row.sums.values()))
    screen.grid(grid)
    screen.line()
    if not tree.node.count:
        screen.line("No keys count here.")
    screen.line(footer, "dim")


def _footer(totals: Totals) -> str:
    footer = f"as of {words.commit(totals.commit)}"
    if totals.newest_event is None or totals.commit.time is None:
        return footer
    age = totals.commit.time - totals.newest_event
    relation = "before" if totals.newest_event <= totals.commit.time else "after"
    return f"{footer}; newest event {totals.newest_event_text}, {words.span(age)} {relation} it"
