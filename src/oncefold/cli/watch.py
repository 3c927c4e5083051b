"""`oncefold watch`: totals of a store, a server or a stack as they move, on a terminal, as lines, or as JSON."""

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

from oncefold.cli.backend import SERVER_VARIABLE, STACK_VARIABLE, Backend, Kind, choose
from oncefold.cli.options import STORE_VARIABLE, number_or_all
from oncefold.core.errors import OncefoldError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from oncefold.watch.watching import Look, Seen, Source, Watched, Watching

_SCHEMES = ("http://", "https://")

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
  oncefold watch --stack oncefold-risk
\b
  # for a script: a JSON object for each of 20 looks at which totals had changed
  oncefold watch --json --looks 20 --store risk.db | jq '.rows[0].measures.value'

NODE is labels joined by /, the root if left out. On a terminal the numbers that changed since the last look are
highlighted, and q or Ctrl-C ends it; elsewhere each look at which totals had changed is written as plain lines, nodes
that changed marked with *. Events per second are the mean of five seconds; on AWS nothing counts events exactly,
so keys and pending deltas are shown instead. A look at a store or a server costs next to nothing while nothing is
committed; a look at a stack reads, and is paid for. A server's token comes from --token-file (a line with a token, or
the server's own file), ONCEFOLD_READ_TOKEN or ONCEFOLD_ADMIN_TOKEN.

\b
Exit status: 0 ended by q, Ctrl-C or after --looks; 1 in all of --looks there was nothing to see yet;
2 the query is wrong, or the store, the server or AWS cannot be read."""


@click.command(epilog=_EPILOG)
@click.argument("words", nargs=-1, metavar="[URL] [NODE]")
@click.option("--store", "-s", type=click.Path(path_type=Path), envvar=STORE_VARIABLE, show_envvar=True,
              help="The store file; it need not exist yet.  [default: the only *.db in this folder]")  # fmt: skip
@click.option("--server", "--url", metavar="URL", envvar=SERVER_VARIABLE, show_envvar=True,
              help="A server instead; the same as URL before NODE.")  # fmt: skip
@click.option("--token-file", type=click.Path(path_type=Path), metavar="FILE", help="The token for a server.")
@click.option("--stack", "--aws", metavar="NAME", envvar=STACK_VARIABLE, show_envvar=True,
              help="A stack on AWS instead.")  # fmt: skip
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
    server: str | None,
    token_file: Path | None,
    rollup: str | None,
    depth: int | None,
    every: float,
    looks: int | None,
    as_json: bool,
) -> None:
    """Watch the totals of NODE and of what lies below it move, while something else folds events."""
    from oncefold.watch.watching import Watched, Watching

    url, node = _url_and_node(words)
    named: dict[Kind, Path | str | None] = {"store": store, "server": server, "stack": stack}
    if url is not None:
        named = _with_url(url, named)
    source = _source(choose(named, token_file), Watched(node, rollup, depth))
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


def _with_url(url: str, named: Mapping[Kind, Path | str | None]) -> dict[Kind, Path | str | None]:
    """The URL before NODE is what was typed; the environment names nothing then. Raises OncefoldError for several."""
    source_of = click.get_current_context().get_parameter_source
    typed = [kind for kind in named if source_of(kind) is ParameterSource.COMMANDLINE]
    if typed:
        options = ", ".join(f"--{kind}" for kind in typed)
        raise OncefoldError(f"which? {url} and {options} name several; give one of --store, --server and --stack")
    return {"server": url}


def _source(backend: Backend, watched: Watched) -> Source:
    from oncefold.watch.sources import ServerSource, StackSource, StoreSource

    if backend.kind == "stack":
        return StackSource(backend.open_unclosed, watched)
    if backend.kind == "server":
        from oncefold.queries.http_client import Client, address_of

        return ServerSource(Client(address_of(backend.where), backend.token()), watched)
    return StoreSource(Path(backend.where), watched)


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
    from oncefold.cli.watch_text import show_block
    from oncefold.queries.render.screen import Screen

    show_block(seen, look, Screen(sys.stdout))


def _write_json(seen: Seen, look: Look) -> None:
    from oncefold.cli.watch_text import document

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
