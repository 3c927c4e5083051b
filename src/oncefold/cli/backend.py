"""Where a command reads: a store file, a server, or a stack on AWS; one of them."""

from __future__ import annotations

import functools
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from click.core import ParameterSource

from oncefold.cli.options import STORE_VARIABLE, find_store
from oncefold.core.errors import OncefoldError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from oncefold.queries.protocol import Reader

    Function = TypeVar("Function", bound=Callable[..., Any])

Kind = Literal["store", "server", "stack"]

STACK_VARIABLE = "ONCEFOLD_STACK"
SERVER_VARIABLE = "ONCEFOLD_URL"
TOKEN_VARIABLES = ("ONCEFOLD_READ_TOKEN", "ONCEFOLD_ADMIN_TOKEN")
_VARIABLES: Mapping[Kind, str] = {"store": STORE_VARIABLE, "server": SERVER_VARIABLE, "stack": STACK_VARIABLE}
_STACK_OPTIONS = {"exact": "--exact", "count": "--count", "drain": "--drain", "tries": "--tries"}


@dataclass(frozen=True, slots=True)
class Backend:
    """What a command reads."""

    kind: Kind
    where: str
    """A file's path, a server's URL, a stack's name."""
    token_file: Path | None = None

    @contextmanager
    def open(self, **stack_options: Any) -> Iterator[Reader]:
        """Open it while the block runs; options that are not None are a stack's alone.

        Raises OncefoldError if it cannot be read, or is given an option that it does not have.
        """
        given = {name: value for name, value in stack_options.items() if value not in {None, False}}
        if given and self.kind != "stack":
            options = ", ".join(_STACK_OPTIONS[name] for name in given)
            raise OncefoldError(f"{options}: only for a stack, which is read with --stack NAME; leave it out here")
        with _OPENERS[self.kind](self, given) as reader:
            yield reader

    def open_unclosed(self) -> Reader:
        """Open a stack for as long as the caller wants, without reporting progress. Raises OncefoldError."""
        from oncefold.aws.reader import open_stack

        return open_stack(self.where)

    def token(self) -> str | None:
        """The token for a server, from the file or the environment. Raises OncefoldError if the file has none."""
        from oncefold.serve.security.tokens import reading_token

        if self.token_file is not None:
            return reading_token(self.token_file)
        return next(filter(None, (os.environ.get(name) for name in TOKEN_VARIABLES)), None)


@contextmanager
def _open_store(backend: Backend, _: Mapping[str, Any]) -> Iterator[Reader]:
    from oncefold.queries.store_reader import StoreReader

    with StoreReader.open(backend.where) as reader:
        yield reader


@contextmanager
def _open_server(backend: Backend, _: Mapping[str, Any]) -> Iterator[Reader]:
    from oncefold.queries.http_reader import HttpReader

    with HttpReader.open(backend.where, backend.token()) as reader:
        yield reader


@contextmanager
def _open_stack(backend: Backend, options: Mapping[str, Any]) -> Iterator[Reader]:
    from oncefold.aws.reader import open_stack
    from oncefold.cli.progress import ProgressLine

    with ProgressLine() as progress, open_stack(backend.where, progress=progress, **options) as reader:
        yield reader


_OPENERS = {"store": _open_store, "server": _open_server, "stack": _open_stack}
"""How each kind of backend is opened."""


def choose(named: Mapping[Kind, Path | str | None], token_file: Path | None = None) -> Backend:
    """The backend that was typed, else the one that the environment names, else the only store in this folder.

    Raises OncefoldError for several, or for a store that cannot be guessed.
    """
    source_of = click.get_current_context().get_parameter_source
    given = [kind for kind, where in named.items() if where is not None]
    typed = [kind for kind in given if source_of(kind) is not ParameterSource.ENVIRONMENT]
    meant = typed or given
    if len(meant) > 1:
        names = ", ".join(f"--{kind}" if typed else _VARIABLES[kind] for kind in meant)
        environment = "" if typed else " (environment)"
        raise OncefoldError(f"which? {names}{environment} name several; give one of --store, --server and --stack")
    kind: Kind = meant[0] if meant else "store"
    if token_file is not None and kind != "server":
        raise OncefoldError("--token-file is for a server; name it with --server URL")
    where = named[kind]
    path = find_store(None if where is None else Path(where)) if kind == "store" else where
    return Backend(kind, str(path), token_file)


_STORE = click.option(
    "--store",
    "-s",
    type=click.Path(path_type=Path),
    envvar=STORE_VARIABLE,
    show_envvar=True,
    help="The store file.  [default: the only *.db in this folder]",
)
_SERVER = click.option(
    "--server", metavar="URL", envvar=SERVER_VARIABLE, show_envvar=True, help="A server instead, by its address."
)
_TOKEN_FILE = click.option(
    "--token-file", type=click.Path(path_type=Path), metavar="FILE", help="The token for a server."
)
_STACK = click.option(
    "--stack", metavar="NAME", envvar=STACK_VARIABLE, show_envvar=True, help="A stack on AWS instead."
)


def backend_options(function: Function) -> Function:
    """`--store`, `--server`, `--token-file` and `--stack`; the function gets a `Backend` as `backend`."""

    @functools.wraps(function)
    def call(
        *arguments: Any,
        stack: str | None = None,
        store: Path | None = None,
        server: str | None = None,
        token_file: Path | None = None,
        **rest: Any,
    ) -> Any:
        backend = choose({"store": store, "server": server, "stack": stack}, token_file)
        return function(*arguments, backend=backend, **rest)

    for option in (_STACK, _TOKEN_FILE, _SERVER, _STORE):
        call = option(call)
    return call  # type: ignore[return-value]


def stack_alias(command: click.Command, examples: str, name: str | None = None) -> click.Command:
    """The same command under `oncefold aws`, where a stack alone can be named."""
    assert command.callback is not None
    callback = command.callback
    name = name or command.name

    @functools.wraps(callback)
    def call(*arguments: Any, stack: str | None, **rest: Any) -> Any:
        if stack is None:
            raise OncefoldError(f"which stack? Name one with --stack, or in the environment variable {STACK_VARIABLE}")
        return callback(*arguments, stack=stack, **rest)

    option = click.Option(
        ["--stack", "-s"], metavar="NAME", envvar=STACK_VARIABLE, show_envvar=True, help="The stack's name."
    )
    other = [param for param in command.params if param.name not in {"store", "server", "token_file", "stack"}]
    arguments = [param for param in other if isinstance(param, click.Argument)]
    options = [param for param in other if not isinstance(param, click.Argument)]
    return click.Command(
        name,
        callback=call,
        params=[*arguments, option, *options],
        help=command.help,
        short_help=command.short_help,
        epilog=f"\b\nExamples:\n{examples}\n\nThis is `oncefold {name} --stack NAME`; see there.",
    )
