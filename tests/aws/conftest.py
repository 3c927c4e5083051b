"""One emulator per test process, a fresh stack's tables on it for each test, a reader and a shell for that stack."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import boto3
import pytest

from oncefold.aws.connect import client
from oncefold.aws.functions.guard import ECONOMY, STANDARD
from oncefold.aws.names import Names
from oncefold.aws.reader import StackReader, open_stack
from oncefold.aws.reader.reader import StackOptions
from oncefold.aws.reader.status import StatusClients
from oncefold.cli.main import main
from oncefold_lab.local.emulator import Emulator
from tests.aws.reader.stacks import NOW, Filled, fill
from tests.aws.tables import make_stream, make_tables
from tests.queries.stores import MONDAY, SHOP, TUESDAY, events, lines

Run = Callable[..., tuple[int, str, str]]
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def aws(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The emulator, with boto3 led to it."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "client", client_made_once)
    return emulator


_CLIENTS: dict[object, Any] = {}
_MAKE_CLIENT = boto3.client


def client_made_once(service: str, **options: Any) -> Any:
    """A boto3 client, which threads may share: hundreds of tests would take longer to make theirs than to use them."""
    if options.keys() - {"region_name", "config"}:
        return _MAKE_CLIENT(service, **options)
    variables = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    config = vars(options["config"]) if "config" in options else {}
    key = (service, options.get("region_name"), repr(config), *sorted(variables.items()))
    if key not in _CLIENTS:
        _CLIENTS[key] = _MAKE_CLIENT(service, **options)
    return _CLIENTS[key]


@pytest.fixture
def stack(aws: Emulator, request: pytest.FixtureRequest) -> Names:
    """A stack of empty tables and a stream of two shards, without functions; in the `mode` that a test is given."""
    mode = request.getfixturevalue("mode") if "mode" in request.fixturenames else STANDARD
    names = Names(f"test-{next(_NUMBERS)}")
    make_tables(names, client("dynamodb"), economy=mode == ECONOMY)
    make_stream(names.stream, client("kinesis"), shards=2)
    return names


@pytest.fixture
def shop_stack(stack: Names) -> Filled:
    """The shop of the guides after Monday and Tuesday."""
    return fill(stack, SHOP, events(SHOP, lines(MONDAY), lines(TUESDAY)))


@pytest.fixture
def open_reader(stack: Names) -> Callable[..., StackReader]:
    """Open the stack, perhaps with another client, or options; its clock is stopped."""

    def opened(dynamodb: object = None, clients: StatusClients | None = None, **options: Any) -> StackReader:
        tables = open_stack(stack.stack, dynamodb=dynamodb).stack
        return StackReader(tables, StackOptions(**options), clock=lambda: NOW, clients=clients)

    return opened


@pytest.fixture
def run(stack: Names, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `oncefold aws ...` on the stack: its exit status, output and errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        status = main(["aws", str(arguments[0]), *map(str, arguments[1:]), "--stack", stack.stack])
        shown = capsys.readouterr()
        return status, shown.out, shown.err

    return call
