"""One emulator per test process, and a fresh stack's tables on it for each test."""

from collections.abc import Iterator
from itertools import count

import pytest

from oncefold.aws.connect import client
from oncefold.aws.names import Names
from oncefold_lab.local.emulator import Emulator
from tests.aws.tables import make_stream, make_tables

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
    return emulator


@pytest.fixture
def stack(aws: Emulator) -> Names:
    """A stack of empty tables and a stream of two shards, without functions."""
    names = Names(f"test-{next(_NUMBERS)}")
    make_tables(names, client("dynamodb"))
    make_stream(names.stream, client("kinesis"), shards=2)
    return names
