"""`oncefold watch`: totals as they move, on a terminal, as lines, or as JSON for programs."""

from __future__ import annotations

import json
import select
import sys
import time
from contextlib import suppress
from io import UnsupportedOperation
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from oncefold.cli.options import STORE_VARIABLE, find_store, number_or_all
from oncefold.core.errors import OncefoldError

if TYPE_CHECKING:
    from collections.abc import Callable

    from oncefold.watch.looks import Look, Source, Watched
    from oncefold.watch.watching import Seen, Watching

_STACK_VARIABLE = "ONCEFOLD_STACK"

_EPILOG = """\b
Examples:
  # a store that a run is writing, or is about to make
  oncefold watch --store risk.db
\b
  # one node and its children, once a second
  oncefold watch Delta/FXSpot --depth 1 --every 1 --store risk.db
\b
  # a stack on AWS
  oncefold watch --aws oncefold-risk
\b
  # for a script: a JSON object for each of 20 looks at which totals had changed
  oncefold watch --json --looks 20 --store risk.db | jq '.rows[0].value'

NODE is labels joined by /, the root if left out. On a terminal the numbers that changed since the last look are
highlighted, and q or Ctrl-C ends it; elsewhere each look at which totals had changed is written as plain lines, nodes
that changed marked with *. Events per second are the mean of five seconds; on AWS nothing counts events exactly,
so keys and pending deltas are shown instead. A look at a store costs next to nothing while nothing is committed; a
look at a stack reads, and is paid for.

\b
Exit status: 0 ended by q, Ctrl-C or after --looks; 1 in all of --looks there was nothing to see yet;
2 the question is wrong, or the store or AWS cannot be read."""


@click.command(epilog=_EPILOG)
@click.argument("node", default="")
@click.option("--store", "-s", type=click.Path(path_type=Path), envvar=STORE_VARIABLE, show_envvar=True,
              help="The store file; it need not exist yet.  [default: the only *.db in this folder]")  # fmt: skip
@click.option("--aws", "stack", metavar="STACK", envvar=_STACK_VARIABLE, show_envvar=True,
              help="A stack on AWS instead.")  # fmt: skip
@click.option("--rollup", "-r", metavar="NAME", help="The tree; needed where there are several.")
@click.option("--depth", "-d", callback=number_or_all, metavar="N|all", default="all", show_default=True,
              help="How many levels below NODE to show.")  # fmt: skip
@click.option("--every", type=click.FloatRange(min=0.01), metavar="SECONDS", default=0.5, show_default=True,
              help="Time between two looks.")  # fmt: skip
@click.option("--looks", type=click.IntRange(min=1), metavar="N", help="End after so many looks.")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON object, a line each, where totals changed.")
def watch(
    node: str,
    store: Path | None,
    stack: str | None,
    rollup: str | None,
    depth: int | None,
    every: float,
    looks: int | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Watch the totals of NODE and of what lies below it move, while something else folds events."""
    from oncefold.watch.looks import Watched
    from oncefold.watch.watching import Watching

    source = _source(store, stack, Watched(node, rollup, depth))
    watching = Watching(source, time.monotonic)
    try:
        seen = _watch(watching, every, looks, as_json=as_json)
    except KeyboardInterrupt:
        return
    if looks is not None and seen.look is None:
        click.get_current_context().exit(1)


def _source(store: Path | None, stack: str | None, watched: Watched) -> Source:
    """What is meant: the option that was given, else what the environment names, else the only store here."""
    if store is not None and stack is not None:
        context = click.get_current_context()
        typed = [context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in ("store", "stack")]
        if typed[0] == typed[1]:
            named = "--store and --aws" if typed[0] else f"{STORE_VARIABLE} and {_STACK_VARIABLE} (environment)"
            raise OncefoldError(f"which? {named} name a store and a stack; give one of --store and --aws")
        store, stack = (store, None) if typed[0] else (None, stack)
    if stack is not None:
        return _stack_source(stack, watched)
    from oncefold.watch.store import StoreSource

    return StoreSource(find_store(store), watched)


def _stack_source(stack: str, watched: Watched) -> Source:
    from oncefold.aws.names import Names
    from oncefold.cli.aws.asking import ask
    from oncefold.watch.stack import StackSource

    names = Names(stack)
    return StackSource(lambda: ask(names), watched)


def _watch(watching: Watching, every: float, looks: int | None, *, as_json: bool) -> Seen:
    if as_json or not _has_screen():
        return _lines(watching, every, looks, _write_json if as_json else _write_block)
    from oncefold.cli.watch_screen import LiveScreen

    return LiveScreen(watching, every, time.monotonic).run(looks)


def _has_screen() -> bool:
    if not sys.stdout.isatty():
        return False
    from rich.console import Console

    return not Console().is_dumb_terminal


def _lines(watching: Watching, every: float, looks: int | None, write: Callable[[Seen, Look], None]) -> Seen:
    """Write each look at which totals had changed."""
    pause, trouble, taken, due = _pause(), "", 0, time.monotonic()
    while True:
        seen, taken = watching.look(), taken + 1
        if seen.moved and seen.look is not None:
            write(seen, seen.look)
            sys.stdout.flush()
        if seen.trouble and seen.trouble != trouble:
            click.echo(f"oncefold: waiting: {seen.trouble}", err=True)
        trouble = seen.trouble
        if taken == looks:
            return seen
        due = max(time.monotonic(), due + every)
        pause(due - time.monotonic())


def _write_block(seen: Seen, look: Look) -> None:
    from oncefold.cli.screen import Screen
    from oncefold.cli.watch_words import show_block

    show_block(seen, look, Screen(sys.stdout))


def _write_json(seen: Seen, look: Look) -> None:
    from oncefold.cli.watch_words import document

    click.echo(json.dumps(document(seen, look), ensure_ascii=False))


def _pause() -> Callable[[float], None]:
    """Sleep, but not longer than someone reads the output: raises BrokenPipeError then."""
    if not hasattr(select, "poll"):
        return lambda seconds: time.sleep(max(seconds, 0))
    poll = select.poll()
    with suppress(UnsupportedOperation):
        poll.register(sys.stdout.fileno(), 0)

    def pause(seconds: float) -> None:
        if poll.poll(max(seconds, 0) * 1_000):
            raise BrokenPipeError

    return pause
