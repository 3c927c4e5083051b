"""The command `oncefold`: its sub-commands, and the exit status of errors."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from oncefold import __version__
from oncefold.cli.lazy import Lazy, LazyGroup, Section
from oncefold.core.errors import OncefoldError
from oncefold.garbage import leave_to_the_system, tune_gc
from oncefold.no_pandas import without_pandas

if TYPE_CHECKING:
    from collections.abc import Sequence

ERROR_STATUS = 2
INTERRUPT_STATUS = 130

SECTIONS = (
    Section(
        "Define",
        (
            Lazy("init", "oncefold.cli.definition:init", "Write a commented example of a pipeline file."),
            Lazy("check", "oncefold.cli.definition:check", "Say what a pipeline file means and how it reads events."),
        ),
    ),
    Section(
        "Run",
        (
            Lazy("run", "oncefold.cli.run:run", "Fold events into a store, each exactly once."),
            Lazy("serve", "oncefold.cli.serve:serve", "Take events over HTTP; totals, a dashboard and metrics."),
            Lazy(
                "redefine",
                "oncefold.cli.redefine:redefine",
                "Replace a definition, from the events that a store keeps.",
            ),
        ),
    ),
    Section(
        "Query",
        (
            Lazy("query", "oncefold.cli.queries:query", "Totals of a node and what lies below it, now or in the past."),
            Lazy("explain", "oncefold.cli.queries:explain", "The keys behind a total."),
            Lazy("history", "oncefold.cli.queries:history", "Everything that was accepted for a key."),
            Lazy("watch", "oncefold.cli.watch:watch", "Totals as they move: of a store, a server, a stack."),
            Lazy("status", "oncefold.cli.queries:status", "Positions, counts and freshness."),
            Lazy("rejects", "oncefold.cli.queries:rejects", "Events that could not be read: list, redrive, discard."),
            Lazy("conflicts", "oncefold.cli.queries:conflicts", "Events of one key and version that contradict."),
            Lazy("verify", "oncefold.cli.queries:verify", "Recompute every total and compare."),
        ),
    ),
    Section(
        "On AWS",
        (
            Lazy("aws", "oncefold.cli.aws.group:aws", "The same pipeline on Kinesis, Lambda and DynamoDB."),
            Lazy("once", "oncefold.cli.once:once", "Counters of your own functions, each record once."),
        ),
    ),
    Section(
        "Tools",
        (
            Lazy("check-store", "oncefold.cli.check_store:check_store", "Examine a store file for damage."),
            Lazy("generate", "oncefold.cli.generate:generate", "Write test events, and the totals they add up to."),
            Lazy("completion", "oncefold.cli.completion:completion", "Completion for bash, zsh or fish."),
            Lazy("lab", "oncefold.cli.lab:lab", "The lab: a simulated AWS in which everything goes wrong."),
            Lazy("workshop", "oncefold.cli.workshop:workshop", "The AWS workshop for a class: stacks, a scoreboard."),
        ),
    ),
)

_EPILOG = """\b
Examples:
  oncefold init                                  # a commented pipeline.toml
  oncefold generate events.jsonl                 # events to try it with
  oncefold run pipeline.toml events.jsonl --store risk.db
  oncefold query --store risk.db --depth all
  oncefold explain Delta/FXSpot --store risk.db
\b
Exit status: 0 all is well, 1 something was found wrong, 2 the command cannot be carried out,
130 interrupted."""


class _Root(LazyGroup):
    """The group of all commands."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Exit with 0 when the reader of the output closes it early (click would exit with 1)."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            _discard_stdout()
            raise click.exceptions.Exit(0) from None


@click.group(cls=_Root, sections=SECTIONS, epilog=_EPILOG, context_settings={"max_content_width": 110})
@click.version_option(__version__, message="%(prog)s %(version)s")
def oncefold() -> None:
    """Exactly-once aggregation of event streams: exact totals along a tree, in one file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status. Expected errors are one line on stderr, never a stack trace."""
    try:
        status = oncefold.main(args=arguments, prog_name="oncefold", standalone_mode=False)
    except OncefoldError as error:
        return _failed(str(error))
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPT_STATUS
    return status if isinstance(status, int) else 0


def program() -> int:
    """The program `oncefold`: the command line in a process of its own; the exit status.

    No command takes data frames, and none multiplies matrices, for which numpy's library would start threads.
    """
    tune_gc()
    without_pandas()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        return main()
    finally:
        leave_to_the_system()


def _failed(message: str) -> int:
    click.echo(f"oncefold: {message}", err=True)
    return ERROR_STATUS


def _discard_stdout() -> None:
    """Discard the interpreter's last flush after the reader of the pipe has closed it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
