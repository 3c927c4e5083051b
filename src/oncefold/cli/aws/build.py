"""`oncefold aws package` and `oncefold aws template`: what a stack is made of, for those who deploy by other means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from oncefold.cli.aws.group import mode_option, names_of, new_stack_option, pipeline_argument
from oncefold.pipeline_file import load_pipeline

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGE_EPILOG = """\b
Examples:
  oncefold aws package pipeline.toml
  oncefold aws package pipeline.toml --output build/functions.zip

The zip holds the pipeline and the code that runs in Lambda, and nothing else: no numpy, no pyarrow, no numba. The same
pipeline gives the same bytes every time. `oncefold aws deploy` packages by itself; this is for those who deploy by
other means."""

_TEMPLATE_EPILOG = """\b
Examples:
  oncefold aws template pipeline.toml > template.json
  oncefold aws template pipeline.toml --stack risk-test > template.json
  oncefold aws template pipeline.toml --mode economy --yaml > template.yaml
\b
  # to read it
  oncefold aws template pipeline.toml --pretty | less

All names in it follow from the stack's name: deploy it under that one. It needs the zip of `oncefold aws package` in an
S3 bucket (parameters CodeBucket and CodeKey) and the capability CAPABILITY_IAM. `oncefold aws deploy` does all of that,
and keeps a changed definition away from tables that mean something else."""


@click.command(epilog=_PACKAGE_EPILOG)
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
    from oncefold.cli.output import write_package

    definition = load_pipeline(pipeline)
    check_fits(definition)
    built = build(definition)
    path = output or Path(f"oncefold-{definition.name}.zip")
    write_package(built, path)


@click.command(epilog=_TEMPLATE_EPILOG)
@pipeline_argument
@new_stack_option
@mode_option
@click.option("--pretty", is_flag=True, help="Indent it for people; it may be too large for a request then.")
@click.option("--yaml", is_flag=True, help="In fewer bytes: as YAML with short functions, as economy mode needs it.")
def template(pipeline: Path, stack: str | None, mode: str | None, *, pretty: bool, yaml: bool) -> None:
    """Print the CloudFormation template of the stack that PIPELINE runs in, as JSON.

    A request takes it up to 51,200 bytes. In standard mode it has fewer; in economy mode it has as --yaml, which is
    what `oncefold aws deploy` sends.
    """
    from oncefold.aws.deploy import template as templates
    from oncefold.aws.deploy import template_text
    from oncefold.aws.functions.guard import STANDARD

    definition = load_pipeline(pipeline)
    document = templates.template(definition, names_of(stack, definition), mode or STANDARD)
    if yaml:
        click.echo(template_text.as_yaml(document), nl=False)
        return
    text = template_text.as_json(document, indent=2 if pretty else None)
    click.echo(text)
    size = len(text.encode())
    if not pretty and size > template_text.MOST_BYTES:
        click.echo(f"oncefold: {size:,} bytes are too many for a request: give --yaml, or put it in S3", err=True)
