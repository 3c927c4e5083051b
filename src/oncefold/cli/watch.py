"""`oncefold watch`: totals of a store, a server or a stack as they move, on a terminal, as lines, or as JSON."""

from __future__ import annotations

import json
import os
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
_URL_VARIABLE = "ONCEFOLD_URL"
_TOKEN_VARIABLES = ("ONCEFOLD_READ_TOKEN", "ONCEFOLD_ADMIN_TOKEN")
_SCHEMES = ("http://", "https://")
_PLACES = {"store": ("--store", STORE_VARIABLE), "stack": ("--aws", _STACK_VARIABLE), "url": ("--url", _URL_VARIABLE)}
"""Where totals can be: the option and the environment variable that name it."""

_EPILOG = """\b
Examples:
  # a store that a run is writing, or is about to make
  oncefold watch --store risk.db
\b
  # one node and its children, once a second
  oncefold watch Delta/FXSpot --depth 1 --every 1 --store risk.db
\b
  # a server, and one node of it; it need not run yet, and may be started again
  oncefold watch http://127.0.0.1:8321 Delta/FXSpot
  oncefold watch https://totals.example.com --token-file token
\b
  # a stack on AWS
  oncefold watch --aws oncefold-risk
\b
  # for a script: a JSON object for each of 20 looks at which totals had changed
  oncefold watch --json --looks 20 --store risk.db | jq '.rows[0].value'

NODE is labels joined by /, the root if left out. On a terminal the numbers that changed since the last look are
highlighted, and q or Ctrl-C ends it; elsewhere each look at which totals had changed is written as plain lines, nodes
that changed marked with *. Events per second are the mean of five seconds; on AWS nothing counts events exactly,
so keys and pending deltas are shown instead. A look at a store or a server costs next to nothing while nothing is
committed; a look at a stack reads, and is paid for. A server's token comes from --token-file (a line with a token, or
the server's own file), ONCEFOLD_READ_TOKEN or ONCEFOLD_ADMIN_TOKEN.

\b
Exit status: 0 ended by q, Ctrl-C or after --looks; 1 in all of --looks there was nothing to see yet;
2 the question is wrong, or the store, the server or AWS cannot be read."""


@click.command(epilog=_EPILOG)
@click.argument("words", nargs=-1, metavar="[URL] [NODE]")
@click.option("--store", "-s", type=click.Path(path_type=Path), envvar=STORE_VARIABLE, show_envvar=True,
              help="The store file; it need not exist yet.  [default: the only *.db in this folder]")  # fmt: skip
@click.option("--aws", "stack", metavar="STACK", envvar=_STACK_VARIABLE, show_envvar=True,
              help="A stack on AWS instead.")  # fmt: skip
@click.option("--url", metavar="URL", envvar=_URL_VARIABLE, show_envvar=True,
              help="A server instead; the same as URL before NODE.")  # fmt: skip
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="The token for a server.")
@click.option("--rollup", "-r", metavar="NAME", help="The tree; needed where there are several.")
@click.option("--depth", "-d", callback=number_or_all, metavar="N|all", default="all", show_default=True,
              help="How many levels below NODE to show.")  # fmt: skip
@click.option("--every", type=click.FloatRange(min=0.01), metavar="SECONDS", default=0.5, show_default=True,
              help="Time between two looks.")  # fmt: skip
@click.option("--looks", type=click.IntRange(min=1), metavar="N", help="End after so many looks.")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON object, a line each, where totals changed.")
def watch(  # noqa: PLR0913 - an option each
    *,
    words: tuple[str, ...],
    store: Path | None,
    stack: str | None,
    url: str | None,
    token_file: Path | None,
    rollup: str | None,
    depth: int | None,
    every: float,
    looks: int | None,
    as_json: bool,
) -> None:
    """Watch the totals of NODE and of what lies below it move, while something else folds events."""
    from oncefold.watch.looks import Watched
    from oncefold.watch.watching import Watching

    typed_url, node = _url_and_node(words)
    place, where = _place({"store": store, "stack": stack, "url": typed_url or url}, typed_url)
    if token_file is not None and place != "url":
        raise OncefoldError("--token-file is for a server; name it by its URL")
    source = _source(place, where, Watched(node, rollup, depth), token_file)
    watching = Watching(source, time.monotonic)
    try:
        seen = _watch(watching, every, looks, as_json=as_json)
    except KeyboardInterrupt:
        return
    if looks is not None and seen.look is None:
        click.get_current_context().exit(1)


def _url_and_node(words: tuple[str, ...]) -> tuple[str | None, str]:
    """A URL is no node: between two slashes there would be a label."""
    url = words[0] if words and words[0].lower().startswith(_SCHEMES) else None
    nodes = words if url is None else words[1:]
    if len(nodes) > 1:
        raise click.UsageError(f"one NODE can be watched, and here are {len(nodes)}: {' '.join(nodes)}")
    return url, nodes[0] if nodes else ""


def _place(named: dict[str, Path | str | None], typed_url: str | None) -> tuple[str, Path | str | None]:
    """Where the totals are: what was typed, else what the environment names, else the only store here."""
    source_of = click.get_current_context().get_parameter_source
    given = [place for place, where in named.items() if where is not None]
    typed = [place for place in given if source_of(place) is ParameterSource.COMMANDLINE]
    if typed_url is not None and "url" not in typed:
        typed.append("url")
    meant = typed or given
    if len(meant) > 1:
        options = ", ".join(_PLACES[place][0 if typed else 1] for place in meant)
        environment = "" if typed else " (environment)"
        raise OncefoldError(f"which? {options}{environment} name several places; give one of --store, --aws and --url")
    return (meant[0], named[meant[0]]) if meant else ("store", None)


def _source(place: str, where: Path | str | None, watched: Watched, token_file: Path | None) -> Source:
    if place == "stack":
        return _stack_source(str(where), watched)
    if place == "url":
        return _server_source(str(where), watched, token_file)
    from oncefold.watch.store import StoreSource

    return StoreSource(find_store(None if where is None else Path(where)), watched)


def _server_source(url: str, watched: Watched, token_file: Path | None) -> Source:
    from oncefold.serve.operations.tokens import reading_token
    from oncefold.watch.client import Client, address_of
    from oncefold.watch.server import ServerSource

    variables = (os.environ.get(name) for name in _TOKEN_VARIABLES)
    token = reading_token(token_file) if token_file is not None else next(filter(None, variables), None)
    return ServerSource(Client(address_of(url), token), watched)


def _stack_source(stack: str, watched: Watched) -> Source:
    from oncefold.aws.reader import open_stack
    from oncefold.watch.stack import StackSource

    return StackSource(lambda: open_stack(stack), watched)


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
    from oncefold.cli.watch_words import show_block
    from oncefold.queries.render.screen import Screen

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
