"""Options that the AWS commands share: which stack, and which pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from oncefold.aws.names import Names
from oncefold.cli.backend import STACK_VARIABLE
from oncefold.core.errors import OncefoldError

if TYPE_CHECKING:
    from collections.abc import Callable

    from oncefold.core.definition import Pipeline

    Function = TypeVar("Function", bound=Callable[..., Any])


def _named(context: click.Context, _parameter: click.Parameter, value: str | None) -> Names | None:
    if context.resilient_parsing:
        return None
    if value is None:
        raise OncefoldError(f"which stack? Name one with --stack, or in the environment variable {STACK_VARIABLE}")
    return Names(value)


def stack_option(function: Function) -> Function:
    """`--stack`: an existing stack, as its `Names`."""
    return click.option(
        "--stack",
        "-s",
        "names",
        metavar="NAME",
        envvar=STACK_VARIABLE,
        show_envvar=True,
        callback=_named,
        help="The stack's name.",
    )(function)


def new_stack_option(function: Function) -> Function:
    """`--stack` where a pipeline says what its stack is called if nobody does: see `names_of`."""
    return click.option(
        "--stack",
        "-s",
        "stack",
        metavar="NAME",
        envvar=STACK_VARIABLE,
        show_envvar=True,
        help="The stack's name.  [default: oncefold- and the pipeline's name]",
    )(function)


def pipeline_argument(function: Function) -> Function:
    """`PIPELINE`: a TOML file, as its path."""
    return click.argument("pipeline", type=click.Path(dir_okay=False, path_type=Path))(function)


def names_of(stack: str | None, pipeline: Pipeline) -> Names:
    """The names of a stack that was named, or that the pipeline names. Raises OncefoldError."""
    return Names.of_pipeline(pipeline.name) if stack is None else Names(stack)
