"""`oncefold aws package`: the functions' code as a zip."""

from __future__ import annotations

from pathlib import Path

import click

from oncefold.cli.aws.options import pipeline_argument
from oncefold.core.errors import OncefoldError
from oncefold.pipeline_file import load_pipeline

_EPILOG = """\b
Examples:
  oncefold aws package pipeline.toml
  oncefold aws package pipeline.toml --output build/functions.zip

The zip holds the pipeline and the code that runs in Lambda, and nothing else: no numpy, no pyarrow, no numba. The same
pipeline gives the same bytes every time. `oncefold aws deploy` packages by itself; this is for those who deploy by
other means."""


@click.command(epilog=_EPILOG)
@pipeline_argument
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.  [default: oncefold-NAME.zip by the pipeline's name]",
)
def package(pipeline: Path, output: Path | None) -> None:
    """Write the functions' code for PIPELINE as a zip; print its size and SHA-256."""
    from oncefold.aws.deploy.package import build
    from oncefold.aws.functions.fits import check_fits

    definition = load_pipeline(pipeline)
    check_fits(definition)
    built = build(definition)
    path = output or Path(f"oncefold-{definition.name}.zip")
    try:
        path.write_bytes(built.data)
    except OSError as error:
        raise OncefoldError(f"{path}: cannot be written: {error.strerror}; name another file with --output") from None
    click.echo(f"{path}: {len(built.data):,} bytes, SHA-256 {built.sha256}")
