"""Counters on every engine at hand, and on a simulator with a clock to be moved."""

from collections.abc import Iterator
from itertools import count

import pytest

from tests.aws.conftest import emulator
from tests.aws.contract import launch
from tests.once.tools import Tables

__all__ = ["emulator"]

_ENGINES = ("simulator", "ministack", "dynoxide")
_NUMBERS = count(1)


@pytest.fixture(scope="session", params=_ENGINES)
def dynamodb(request: pytest.FixtureRequest) -> Iterator[object]:
    """A client of each engine."""
    if request.param == "ministack":
        start = launch.ministack(request.getfixturevalue("emulator"))
    else:
        start = {"simulator": launch.simulator, "dynoxide": launch.dynoxide}[request.param]()
    with start as engine:
        yield engine.dynamodb


@pytest.fixture
def tables(dynamodb: object) -> Tables:
    """A table of counters, keyed by `Identifier`, and a ledger, on every engine."""
    number = next(_NUMBERS)
    return Tables.made(dynamodb, f"Aggregate{number}", f"Ledger{number}", {"Identifier": "S"})
