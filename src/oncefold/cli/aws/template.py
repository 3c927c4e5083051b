"""`oncefold aws template`: a pipeline's CloudFormation template."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from oncefold.cli.aws.options import names_of, new_stack_option, pipeline_argument
from oncefold.pipeline_file import load_pipeline

if TYPE_CHECKING:
    from pathlib import Path

_EPILOG = """\b
Examples:
  oncefold aws template pipeline.toml > template.json
  oncefold aws template pipeline.toml --stack risk-test > template.json

All names in it follow from the stack's name: deploy it under that one. It needs the zip of `oncefold aws package` in an
S3 bucket (parameters CodeBucket and CodeKey) and the capability CAPABILITY_IAM. `oncefold aws deploy` does all of that,
and keeps a changed definition away from tables that mean something else."""


@click.command(epilog=_EPILOG)
@pipeline_argument
@new_stack_option
def template(pipeline: Path, stack: str | None) -> None:
    """Print the CloudFormation template of the stack that PIPELINE runs in, as JSON."""
    from oncefold.aws.deploy import template as templates

    definition = load_pipeline(pipeline)
    document = templates.template(definition, names_of(stack, definition))
    click.echo(templates.text(document, indent=2))
