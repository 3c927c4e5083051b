"""`oncefold rejects redrive`: read rejected events again after a fix."""

from pathlib import Path

import click

from oncefold.cli.progress import outcomes
from oncefold.pipeline_file import load_pipeline

_EPILOG = """\b
Examples:
  # the measure now says missing = "zero"; read what was rejected for its lack
  oncefold rejects redrive pipeline.toml --store risk.db
"""


@click.command(epilog=_EPILOG, short_help="Read rejected events again after a fix of the definition.")
@click.argument("pipeline", type=click.Path(dir_okay=False))
@click.option("--store", "-s", "store_path", envvar="ONCEFOLD_STORE", type=click.Path(dir_okay=False),
              help="The store file. [default: NAME.db by the pipeline's name]")  # fmt: skip
def redrive(pipeline: str, store_path: str | None) -> None:
    """Read every event on the reject list again under PIPELINE.

    Those that can be read now are folded and leave the list, in one commit; the others stay, with their reasons.
    Events that were too long to be kept whole stay, too: run their source again with --reread.
    """
    from oncefold.core.errors import StoreError
    from oncefold.engine.session import Session
    from oncefold.engine.warmup import warm_up

    definition = load_pipeline(pipeline)
    path = Path(store_path or f"{definition.name}.db")
    if not path.exists():
        raise StoreError(f"{path}: no such store; name it with --store")
    with Session.open(path, definition) as session:
        warm_up(lambda words: click.echo(f"oncefold: {words}", err=True))
        result = session.redrive()
    click.echo(f"{result.events:,} read again: {outcomes(result.counts)}")
