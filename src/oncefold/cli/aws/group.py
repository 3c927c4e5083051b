"""The group `oncefold aws`: the pipeline on Kinesis, Lambda and DynamoDB; and the options that its commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from oncefold.aws.names import Names
from oncefold.cli.backend import STACK_VARIABLE
from oncefold.cli.lazy import Lazy, LazyGroup, Section
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


def mode_option_saying(text: str) -> Callable[[Function], Function]:
    """`--mode`, with this help."""
    from oncefold.aws.functions.guard import MODES

    return click.option("--mode", type=click.Choice(MODES), help=text)


def mode_option(function: Function) -> Function:
    """`--mode` of a new stack."""
    return mode_option_saying(
        "How a new stack keeps its totals. economy writes each key once and unread, for less than half the cost; "
        "what its stream keeps unread for a day is lost, which is noticed, and needs a rebuild. "
        "[default: standard; a stack keeps the mode it has]"
    )(function)


def names_of(stack: str | None, pipeline: Pipeline) -> Names:
    """The names of a stack that was named, or that the pipeline names. Raises OncefoldError."""
    return Names.of_pipeline(pipeline.name) if stack is None else Names(stack)


def _command(name: str, summary: str, module: str = "") -> Lazy:
    return Lazy(name, f"oncefold.cli.aws.{module or name}:{name}", summary)


SECTIONS = (
    Section(
        "Deploy",
        (
            _command("package", "Write the functions' code as a zip, the same bytes every time.", "build"),
            _command("template", "Print the CloudFormation template of a pipeline.", "build"),
            _command("deploy", "Make or change a stack, after showing what would change."),
            _command("destroy", "Remove a stack, after showing what is kept.", "deploy"),
        ),
    ),
    Section(
        "Run",
        (
            _command("send", "Send events into a stack's stream."),
            _command("load", "Begin a stack with the keys and totals of a store."),
            _command("export", "Make a store of the keys of a stack."),
            _command("drain", "Apply the deltas that wait in the outbox, now.", "operate"),
            _command("redrive", "Send rejected events and failed batches again.", "operate"),
            _command("rebuild", "Make all totals anew from the keys, while events go on."),
        ),
    ),
    Section(
        "Query",
        (
            Lazy("query", "oncefold.cli.queries:aws_query", "Totals of a node and what lies below it."),
            Lazy("explain", "oncefold.cli.queries:aws_explain", "The keys behind a total."),
            Lazy("status", "oncefold.cli.queries:aws_status", "Lag, outbox, failures and counts of a stack."),
            Lazy("rejects", "oncefold.cli.queries:aws_rejects", "Events that could not be read."),
            Lazy("conflicts", "oncefold.cli.queries:aws_conflicts", "Events of one key and version that contradict."),
            Lazy("verify", "oncefold.cli.queries:aws_verify", "Recompute every total from the keys and compare."),
            _command("logs", "What the functions logged, with what to do about errors."),
            _command("cost", "What a run consumed, and what a million events cost."),
        ),
    ),
)

_EPILOG = """\b
Examples:
  oncefold aws local pipeline.toml --demo        # all of it on this machine, no account needed
  oncefold aws deploy pipeline.toml              # shows what it would make, and asks
  oncefold aws send events.jsonl --stack oncefold-risk
  oncefold aws query --stack oncefold-risk
  oncefold aws verify --stack oncefold-risk
\b
Credentials and region are those of the AWS command line (aws configure, AWS_PROFILE, AWS_REGION);
AWS_ENDPOINT_URL directs them to an emulator. The environment variable ONCEFOLD_STACK names a stack for all commands."""


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    plugins="aws",
    distributions={"local": "oncefold-lab"},
    epilog=_EPILOG,
    context_settings={"max_content_width": 110},
)
def aws() -> None:
    """The same pipeline on AWS: Kinesis, Lambda and DynamoDB, each event counted exactly once."""
