"""`oncefold aws load`: a stack begins with the keys and totals of a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from oncefold.cli.aws.group import mode_option_saying, stack_option
from oncefold.cli.progress import ProgressLine
from oncefold.core.errors import OncefoldError
from oncefold.queries.render import formatting

if TYPE_CHECKING:
    from oncefold.aws.names import Names
    from oncefold.aws.operations.load_items import LoadedStore
    from oncefold.aws.tables import Stack
    from oncefold.store.reader import StoreFile

_EPILOG = """\b
Examples:
  # all of history into a store on this machine; then what it would cost to load it
  oncefold run pipeline.toml history/*.parquet --store history.db
  oncefold aws deploy pipeline.toml --stack NAME --parameter MappingsEnabled=false
  oncefold aws load history.db --dry-run --stack NAME
\b
  # into the stack, and let its functions begin
  oncefold aws load history.db --stack NAME
  oncefold aws verify --stack NAME
  oncefold aws deploy pipeline.toml --stack NAME --parameter MappingsEnabled=true
\b
  # as files that DynamoDB imports from S3, before there is a stack: cheaper for many keys
  oncefold aws load history.db --files import --bucket BUCKET --stack NAME
  oncefold aws load history.db --files import --bucket BUCKET --stack NAME --mode economy

The stack has had no event yet, and its functions do not run. Afterwards it is as if it had read every event that the
store has: an older event counts nothing, a newer one corrects. Ctrl-C, or whatever else ends the command, loses
nothing: run it again.

\b
Exit status: 0 done, 2 stack or store are not as they have to be, or AWS cannot or may not do it, 130 interrupted."""


@click.command(epilog=_EPILOG)
@click.argument("store", type=click.Path(dir_okay=False, path_type=Path))
@stack_option
@click.option("--dry-run", is_flag=True, help="Say what it would write and cost, and write nothing.")
@click.option(
    "--files",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write files for DynamoDB's import from S3 into a new folder, and put nothing into a stack.",
)
@click.option("--bucket", metavar="NAME", help="With --files: the bucket that they are going to be in.")
@mode_option_saying("With --files: the mode of the stack that is to be deployed.  [default: standard]")
def load(store: Path, names: Names, files: Path | None, bucket: str | None, mode: str | None, *, dry_run: bool) -> None:
    """Begin a stack with the keys and totals of a store."""
    from oncefold.aws.functions.guard import STANDARD
    from oncefold.aws.operations.load_items import LoadedStore
    from oncefold.store.reader import StoreFile

    if (files is None) != (bucket is None):
        raise click.UsageError("--files and --bucket go together: the requests for the import name the bucket")
    if mode is not None and files is None:
        raise click.UsageError("--mode goes with --files; a stack that is there has its mode")
    with StoreFile.open(store) as reader, ProgressLine() as progress:
        _check_fits(reader)
        stack = None if files is not None else _stack_for(reader, names)
        loaded = LoadedStore.read(reader, progress, (mode or STANDARD) if stack is None else stack.mode)
        _show_sizes(loaded)
        if stack is not None:
            _put(loaded, stack, progress, dry_run=dry_run)
        elif files is not None and bucket is not None:
            _write_files(loaded, names, files, bucket, progress, dry_run=dry_run)


def _check_fits(reader: StoreFile) -> None:
    from oncefold.aws.functions.fits import check_fits

    check_fits(reader.pipeline)


def _show_sizes(loaded: LoadedStore) -> None:
    from oncefold.aws.operations.cost import LIST_PRICES

    sizes = loaded.sizes
    puts = sizes.units / 1e6 * LIST_PRICES.dynamodb_million_writes
    imported = sizes.line_bytes / 1e9 * LIST_PRICES.dynamodb_import_gb
    click.echo(f"{formatting.many(sizes.keys, 'key')}, {formatting.many(sizes.nodes, 'node')}")
    click.echo(
        f"put into a stack: {sizes.units:,} write units at most, ${puts:,.2f}; as files for an import: "
        f"{sizes.line_bytes:,} bytes, ${imported:,.2f} (list prices of {LIST_PRICES.region})"
    )


def _stack_for(store: StoreFile, names: Names) -> Stack:
    """The stack, which has the store's definition. Raises OncefoldError."""
    from oncefold.aws.operations.load import check_definition
    from oncefold.aws.reader import open_stack

    stack = open_stack(names.stack).stack
    check_definition(stack, store.pipeline)
    return stack


def _put(loaded: LoadedStore, stack: Stack, progress: ProgressLine, *, dry_run: bool) -> None:
    from oncefold.aws.operations.load import StackLoad

    name = stack.names.stack
    work = StackLoad.of(stack)
    if dry_run:
        click.echo("would go on with the load that is under way" if work.under_way() else "would load them")
        return
    try:
        done = work.run(loaded, progress)
    except KeyboardInterrupt:
        click.echo("interrupted; nothing is lost: the same command goes on where it was", err=True)
        raise
    if done.resumed:
        click.echo("went on with the load that was under way")
    click.echo(f"stack {name} has them; to compare every total: oncefold aws verify --stack {name}")
    click.echo("to let its functions begin: oncefold aws deploy PIPELINE.toml --parameter MappingsEnabled=true")


def _write_files(
    loaded: LoadedStore, names: Names, folder: Path, bucket: str, progress: ProgressLine, *, dry_run: bool
) -> None:
    from oncefold.aws.functions.guard import ECONOMY
    from oncefold.aws.operations.import_files import write_files

    if dry_run:
        click.echo(f"would write them below {folder}")
        return
    try:
        written = write_files(loaded, names, bucket, folder, progress)
    except OSError as error:
        raise OncefoldError(f"{folder}: {error.strerror or error}") from None
    for table in written:
        files = formatting.many(table.files, "file")
        click.echo(f"{table.table}: {formatting.many(table.items, 'item')} in {files}, {table.size:,} bytes")
    click.echo("to make the tables of them, then the stack:")
    click.echo(f"  aws s3 cp --recursive {folder} s3://{bucket}/{names.stack}")
    for table in written:
        click.echo(f"  aws dynamodb import-table --cli-input-json file://{table.request}")
    mode = ""
    if loaded.mode == ECONOMY:
        mode = f" --mode {ECONOMY}"
        click.echo(
            f"  aws dynamodb update-table --table-name {names.state_table} "
            "--stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES     # when both say COMPLETED"
        )
    click.echo(f"  oncefold aws deploy PIPELINE.toml --stack {names.stack}{mode}     # when both say COMPLETED")
