"""`oncefold aws export`: a store of the engine with the keys and totals of a stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oncefold.cli.aws.group import stack_option
from oncefold.cli.progress import ProgressLine
from oncefold.core.errors import OncefoldError
from oncefold.queries.render import formatting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oncefold.aws.names import Names
    from oncefold.aws.tables import Stack
    from oncefold.core.event import Event
    from oncefold.queries.protocol import Progress, Reader

_SIDE_FILES = ("", "-wal", "-shm", "-lock")

_EPILOG = """\b
Examples:
  oncefold aws export risk.db --stack oncefold-risk
  oncefold verify --store risk.db
  oncefold explain Delta/FXSpot --store risk.db
\b
  # and into another stack, which has had no event yet
  oncefold aws load risk.db --stack oncefold-risk-copy

The store has the definition of the stack, each key with its current version and content, deleted ones too, and the
totals that they make. It has no history, no rejects and no event times: a stack keeps none. Where events come
meanwhile each key is as of the moment when it was read; send these events into the store, too, or export again.

\b
Exit status: 0 its totals are those of the stack, 1 they were not when the keys were read, as events came, 2 the
stack cannot be read, or the file is there already."""


@click.command(epilog=_EPILOG)
@click.argument("store", type=click.Path(dir_okay=False, path_type=Path))
@stack_option
@click.pass_context
def export(context: click.Context, store: Path, names: Names) -> None:
    """Make a store of the keys of a stack."""
    from oncefold.aws.reader import open_stack

    if store.exists():
        raise OncefoldError(f"{store}: it is there already; name a new file")
    with ProgressLine() as progress:
        reader = open_stack(names.stack, exact=True, progress=progress)
        keys = _write(store, reader.stack, progress)
    click.echo(f"{formatting.many(keys, 'key')} in {store}")
    different = _difference(store, reader)
    if different:
        click.echo(different)
        context.exit(1)
    click.echo(f"its totals are those of stack {names.stack}")


def _write(store: Path, stack: Stack, progress: Progress) -> int:
    """Write a whole store, or none."""
    from oncefold.engine.session import Session

    part = store.with_name(store.name + ".part")
    pipeline = replace(stack.pipeline, keep_events=None)
    try:
        _remove(part)
        with Session.open(part, pipeline) as session:
            keys = session.ingest_events(_events(stack, progress))
        part.rename(store)
    finally:
        _remove(part)
    return keys


def _remove(path: Path) -> None:
    for suffix in _SIDE_FILES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _events(stack: Stack, progress: Progress) -> Iterator[Event]:
    """Every key's state as the event that it was."""
    from oncefold.aws.connect import aws_errors_explained
    from oncefold.aws.tables import read_states
    from oncefold.core.event import Event

    with aws_errors_explained(stack.names.stack):
        for key, stored in read_states(stack, progress):
            yield Event(key, stored.version, stored.content)


def _difference(store: Path, stack: Reader) -> str:
    """How the totals of a store and of a stack differ, as text; empty if they do not."""
    from oncefold.queries.store_reader import StoreReader

    different = 0
    with StoreReader.open(store) as reader:
        for rollup in reader.pipeline.rollups:
            try:
                found = _rows(stack, rollup.name)
            except OncefoldError as error:
                return f"the stack's totals cannot be compared: {error}"
            own = _rows(reader, rollup.name)
            different += sum(own.get(path) != found.get(path) for path in own.keys() | found.keys())
    if not different:
        return ""
    nodes = formatting.many(different, "node")
    return f"events came meanwhile: {nodes} of the stack differ now; export again in a quieter moment for equal totals"


def _rows(reader: Reader, rollup: str) -> dict[str, Any]:
    return {row.path: (row.count, row.sums) for row in reader.query(rollup=rollup, depth=None)}
