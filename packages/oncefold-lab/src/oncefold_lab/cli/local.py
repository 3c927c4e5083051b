"""`oncefold aws local`: a pipeline's whole stack on this machine, and the demonstration."""

from __future__ import annotations

import shlex
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from oncefold.cli.aws.group import mode_option, names_of, new_stack_option
from oncefold.core.definition_toml import parse_toml
from oncefold.core.errors import OncefoldError
from oncefold.pipeline_file import load_pipeline
from oncefold.queries.render import formatting
from oncefold.queries.render.screen import Grid, Screen

if TYPE_CHECKING:
    from oncefold.aws.names import Names
    from oncefold.core.definition import Pipeline
    from oncefold.queries.model import Amounts
    from oncefold_lab.local.demo import Demo, LocalPipeline, Messages, View
    from oncefold_lab.local.emulator import Emulator

_SHOWN_DEPTH = 1
_WRONG = 1

_EPILOG = """\b
Examples:
  # 10,000 messages of the workshop's hard mode through the real functions, until every total is exact
  oncefold aws local --demo
\b
  # the same with messages made for your own pipeline
  oncefold aws local pipeline.toml --demo
\b
  # your own pipeline, for as long as you like; another terminal sends and queries
  oncefold aws local pipeline.toml
\b
  # more of it
  oncefold aws local --demo --events 50000 --shards 4

The stack is the one that `oncefold aws deploy` makes: the same template, and the functions from the same zip, run by
AWS's own runtime client. The emulator keeps everything in memory, and all of it ends with the command.

\b
Exit status: 0 the demonstration ended exact, or Ctrl-C; 1 a total is not what it must be, 2 it cannot run."""


@click.command(epilog=_EPILOG)
@click.argument("pipeline", required=False, type=click.Path(dir_okay=False, path_type=Path))
@new_stack_option
@click.option("--demo", is_flag=True, help="Send generated messages and watch the totals become exact; then end.")
@click.option(
    "--events", "-n", type=click.IntRange(1, 10_000_000), default=10_000, show_default=True, help="Messages of --demo."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of --demo's messages.")
@click.option("--shards", type=click.IntRange(1, 100), default=2, show_default=True, help="Shards of the stream.")
@mode_option
@click.option("--port", type=click.IntRange(1, 65_535), help="Port of the emulator.  [default: a free one]")
@click.pass_context
def local(  # noqa: PLR0913 - click passes what it was given
    context: click.Context,
    *,
    pipeline: Path | None,
    stack: str | None,
    demo: bool,
    events: int,
    seed: int,
    shards: int,
    mode: str | None,
    port: int | None,
) -> None:
    """Run the whole stack of PIPELINE on this machine, without an account; --demo needs no file."""
    from oncefold.cli.aws.deploy import StackProgress
    from oncefold.cli.definition import EXAMPLE
    from oncefold_lab.local.demo import LocalPipeline
    from oncefold_lab.local.emulator import Emulator

    if pipeline is None and not demo:
        raise OncefoldError("which pipeline? Name its file, or say --demo for an example")
    definition = parse_toml(EXAMPLE) if pipeline is None else load_pipeline(pipeline)
    names = names_of(stack, definition)
    messages = _messages(definition, events, seed, workshop=pipeline is None) if demo else None
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = {"ShardCount": str(shards), "DeletionProtection": "false"}
    with Emulator(port) as emulator, emulator.as_default():
        _say(f"the emulator runs at {emulator.endpoint}")
        _say(f"stack {names.stack}: deploying the template and the functions' zip ...")
        with LocalPipeline(definition, names, emulator, settings, StackProgress(()), mode) as running:
            _say("its functions are at work")
            if messages is None:
                _wait(emulator, names)
            elif not _demonstrate(names, running, messages):
                context.exit(_WRONG)


def _wait(emulator: Emulator, names: Names) -> None:
    """Say how to go on, and keep running until Ctrl-C."""
    screen = Screen()
    screen.line("In another terminal:")
    for name, value in emulator.environment.items():
        screen.line(f"  export {name}={shlex.quote(value)}")
    screen.line(f"  export ONCEFOLD_STACK={shlex.quote(names.stack)}")
    screen.line("  oncefold aws send events.jsonl")
    screen.line("  oncefold aws query")
    screen.line("Ctrl-C ends it all.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        _say("ended; what the emulator held is gone")


def _demonstrate(names: Names, running: LocalPipeline, messages: Messages) -> bool:
    """Whether every node became exact, and `verify` agrees."""
    from oncefold.aws.connect import client
    from oncefold.aws.reader import open_stack
    from oncefold_lab.local.demo import Demo

    _say(f"sending {messages.count:,} messages: duplicates, corrections, late ones and deletes among them")
    view = _watch(Demo(names, running.functions, client("kinesis"), messages))
    verified = open_stack(names.stack).verify()
    _show(view, Screen())
    screen = Screen()
    screen.line()
    if view.exact < len(view.nodes) or not verified.exact:
        screen.line(f"{len(view.nodes) - view.exact} of {len(view.nodes)} nodes are wrong.", "red")
        return False
    screen.line(
        f"All {len(view.nodes)} nodes are exact after {view.seconds:.1f} s: equal to what the generator says, and to "
        "what verify recomputes from the state of every key.",
        "green",
    )
    return True


def _messages(definition: Pipeline, events: int, seed: int, *, workshop: bool) -> Messages:
    """What is sent: messages of the workshop for its pipeline, else of the shape that the definition describes."""
    from oncefold.generate import Workload
    from oncefold_lab.local.demo import sample_messages, workshop_messages

    if not workshop:
        return sample_messages(definition, events, seed)
    return workshop_messages(
        definition,
        Workload(count=events, duplicates=0.125, modifications=0.05, out_of_order=0.02, deletes=0.01, seed=seed),
    )


def _watch(demo: Demo) -> View:
    """Report each view; the last one."""
    view = None
    for view in demo.views():
        root = view.nodes[0]
        _say(
            f"{view.seconds:6.1f} s  sent {view.sent:,} of {view.messages:,}; keys in the totals "
            f"{root.amounts.count:,} of {root.right.count:,}; {view.exact} of {len(view.nodes)} nodes exact"
        )
    assert view is not None, "there always is a last view"
    return view


def _show(view: View, screen: Screen) -> None:
    """The nodes at the top and those that are wrong, with what they must be."""
    measures = list(view.nodes[0].right.sums)
    rollups = len({node.rollup for node in view.nodes}) > 1
    expected = ["must be"] if len(measures) == 1 else []
    numbers = ["count", *measures, *expected]
    grid = Grid([*(["rollup"] if rollups else []), "node", *numbers, ""], frozenset(numbers))
    for node in view.nodes:
        if node.path.count("/") < _SHOWN_DEPTH or not node.exact:
            shown = (node.amounts, node.right) if expected else (node.amounts,)
            sums = [formatting.amount(amounts.sums[measure]) for amounts in shown for measure in measures]
            name = [node.rollup] if rollups else []
            verdict = "exact" if node.exact else f"WRONG: must be {_amounts_text(node.right)}"
            grid.add(*name, formatting.node(node.path), formatting.number(node.amounts.count), *sums, verdict)
    screen.grid(grid)


def _amounts_text(amounts: Amounts) -> str:
    sums = (f"{measure} {formatting.amount(value)}" for measure, value in amounts.sums.items())
    return ", ".join([formatting.many(amounts.count, "key"), *sums])


def _say(line: str) -> None:
    click.echo(f"oncefold: {line}", err=True)
