"""`oncefold rejects redrive` and `discard`: read rejected events again after a fix, or take them off the list."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from oncefold.cli.options import store_option
from oncefold.queries.render import formatting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oncefold.core.definition import Pipeline

_REDRIVE_EPILOG = """\b
Examples:
  # the measure now says missing = "zero"; read what was rejected for its lack
  oncefold rejects redrive pipeline.toml --store risk.db
"""


@click.command(epilog=_REDRIVE_EPILOG, short_help="Read rejected events again after a fix of the definition.")
@click.argument("pipeline", type=click.Path(dir_okay=False))
@click.option("--store", "-s", "store_path", envvar="ONCEFOLD_STORE", type=click.Path(dir_okay=False),
              help="The store file. [default: NAME.db by the pipeline's name]")  # fmt: skip
def redrive(pipeline: str, store_path: str | None) -> None:
    """Read every event on the reject list again under PIPELINE.

    Those that can be read now are folded and leave the list, in one commit; the others stay, with their reasons.
    Events that were too long to be kept whole stay, too: run their source again with --reread.
    """
    from oncefold.cli.progress import outcomes
    from oncefold.core.errors import StoreError
    from oncefold.engine.session import Session
    from oncefold.engine.warmup import warm_up
    from oncefold.pipeline_file import load_pipeline

    definition = load_pipeline(pipeline)
    path = Path(store_path or f"{definition.name}.db")
    if not path.exists():
        raise StoreError(f"{path}: no such store; name it with --store")
    warm_up(lambda words: click.echo(f"oncefold: {words}", err=True))
    with Session.open(path, definition) as session:
        result = session.redrive()
    click.echo(f"{formatting.many(result.events, 'event')} read again: {outcomes(result.counts)}")


_DISCARD_EPILOG = """\b
Examples:
  oncefold rejects discard 17 18 --store risk.db
\b
  # all of one source, without a prompt
  oncefold rejects discard --source old.jsonl --yes --store risk.db

The events stay counted as rejected; their texts are gone. To count them after a fix,
`oncefold rejects redrive` them instead.

Exit status: 0 discarded, or there was nothing to discard, 1 not agreed to, 2 the command or the store is wrong."""


@click.command(epilog=_DISCARD_EPILOG, short_help="Take rejected events off the list for good.")
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
    what = formatting.many(len(chosen), "rejected event")
    if not yes and not _agreed(f"Discard {what} of {store} for good?"):
        context.exit(1)
    number = _discarded(store, definition, chosen)
    click.echo(f"{formatting.many(number, 'rejected event')} discarded.")


def _chosen(store: Path, ids: Sequence[int], source: str | None) -> tuple[list[int], Pipeline]:
    from oncefold.queries.store_reader import StoreReader

    with StoreReader.open(store) as reader:
        if not ids:
            ids = [row.id for row in reader.file.rejects() if source in {None, row.reject.source}]
        return sorted(set(ids)), reader.pipeline


def _agreed(prompt: str) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("There is no terminal to ask on; say --yes.")
    return click.confirm(prompt, err=True)


def _discarded(store: Path, definition: Pipeline, ids: Sequence[int]) -> int:
    from oncefold.engine.session import Session

    with Session.open(store, definition) as session:
        return session.discard(ids)
