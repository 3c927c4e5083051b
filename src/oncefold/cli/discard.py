"""`oncefold rejects discard`: take rejected events off the list for good."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from oncefold.cli import words
from oncefold.cli.options import ask, store_option

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oncefold.core.definition import Pipeline

_EPILOG = """\b
Examples:
  oncefold rejects discard 17 18 --store risk.db
\b
  # all of one source, without being asked
  oncefold rejects discard --source old.jsonl --yes --store risk.db

The events stay counted as rejected; their texts are gone. To count them after a fix,
`oncefold rejects redrive` them instead.

Exit status: 0 discarded, or there was nothing to discard, 1 not agreed to, 2 the question or the store is wrong."""


@click.command(epilog=_EPILOG, short_help="Take rejected events off the list for good.")
@click.argument("ids", type=click.IntRange(min=1), nargs=-1, metavar="[ID]...")
@click.option("--source", help="All events of this source, as `rejects list` names it.")
@click.option("--all", "everything", is_flag=True, help="All events on the list.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@store_option
@click.pass_context
def discard(
    context: click.Context,
    ids: tuple[int, ...],
    source: str | None,
    everything: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    store: Path,
) -> None:
    """Take the rejected events ID, or those of a source, or all, off the list for good, in one commit."""
    if bool(ids) + (source is not None) + everything != 1:
        raise click.UsageError("Name events by ID, or say --source NAME, or --all; one of these.")
    chosen, definition = _chosen(store, ids, source)
    if not chosen:
        click.echo("There is nothing to discard.")
        return
    what = words.many(len(chosen), "rejected event")
    if not yes and not _agreed(f"Discard {what} of {store} for good?"):
        context.exit(1)
    number = _discarded(store, definition, chosen)
    click.echo(f"{words.many(number, 'rejected event')} discarded.")


def _chosen(store: Path, ids: Sequence[int], source: str | None) -> tuple[list[int], Pipeline]:
    with ask(store) as questions:
        if not ids:
            ids = [row.id for row in questions.rejects(None) if source in {None, row.source}]
        return sorted(set(ids)), questions.pipeline


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask on; say --yes.")
    return click.confirm(question, err=True)


def _discarded(store: Path, definition: Pipeline, ids: Sequence[int]) -> int:
    from oncefold.engine.session import Session

    with Session.open(store, definition) as session:
        return session.discard(ids)
