"""`oncefold explain`: the keys behind a total."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from oncefold.cli import words
from oncefold.cli.options import FORMATS, ask, format_options, limit_option, store_option
from oncefold.cli.output import Reply
from oncefold.cli.screen import Grid, Screen

if TYPE_CHECKING:
    from pathlib import Path

    from oncefold.queries import Explanation
    from oncefold.queries.events import CountedKeys

_EPILOG = """\b
Examples:
  oncefold explain Delta/FXSpot/AMER --store risk.db
\b
  # every key, to a file; then the values add up to the total
  oncefold explain Delta/FXSpot/AMER --limit all --output keys.csv --store risk.db
\b
  # the root of a store with several trees
  oncefold explain '' --rollup by_region --store risk.db

Keys come in the order in which they first arrived. What happened to one of them: oncefold history KEY.

\b
Exit status: 0 answered, 1 all keys are listed and do not add up to the stored total, 2 the question or the store is
wrong."""


@click.command(epilog=_EPILOG)
@click.argument("node")
@store_option
@click.option("--rollup", "-r", metavar="NAME", help="The tree; needed where there are several.")
@limit_option(20, "keys")
@format_options(*FORMATS)
@click.pass_context
def explain(
    context: click.Context,
    node: str,
    store: Path,
    rollup: str | None,
    limit: int | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Show the keys that count in NODE: how many, their sum, and each with its version, leaf and values."""
    from oncefold.queries import documents

    with ask(store) as questions:
        found = questions.explain(node, rollup=rollup, limit=limit)
        versions = questions.pipeline.version is not None
    rest = "" if found.complete else left_out(found)
    document = partial(documents.explanation, found)
    reply = Reply(lambda screen: _show(found, screen, versions=versions), document, found, rest)
    reply.write(form, output)
    if found.complete and not found.adds_up:
        context.exit(1)


def _show(found: Explanation, screen: Screen, *, versions: bool) -> None:
    screen.line(f"{words.node(found.path)} of {found.rollup}: {words.many(found.count, 'key')}", "bold")
    for measure, total in found.sums.items():
        screen.line(f"  {measure} {words.number(total)}")
    screen.line()
    if found.rows:
        show_keys(found, screen, versions=versions)
        screen.line()
    screen.line(_verdict(found))
    screen.line(f"as of {words.commit(found.commit)}", "dim")


def show_keys(found: CountedKeys, screen: Screen, *, versions: bool) -> None:
    """Show the keys that are listed."""
    before = ["key", "version", "leaf"] if versions else ["key", "leaf"]
    numbers = ["version"] if versions and not found.version_is_time else []
    grid = Grid([*before, *found.scales], frozenset([*numbers, *found.scales]))
    for row in found:
        version = [row.version_text] if versions else []
        values = map(words.number, row.values.values())
        grid.add(words.printable(row.key), *version, words.node(row.leaf), *values)
    screen.grid(grid)


def _verdict(found: Explanation) -> str:
    if not found.count:
        return "No keys count here."
    if not found.complete:
        return f"{left_out(found)}."
    if not found.adds_up:
        return "The values listed do NOT add up to the stored total; run: oncefold verify"
    return "All keys are listed; their values add up to the total exactly."


def left_out(found: CountedKeys) -> str:
    """How many keys there are beyond those listed."""
    return f"{len(found):,} of {words.many(found.count, 'key')} are listed; --limit all lists every one"
