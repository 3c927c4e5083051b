"""A stack's tables on the simulator, which is quick and can fail, and on the emulator, which is real."""

from collections.abc import Iterator
from itertools import count

import pytest

from oncefold.aws.connect import client
from oncefold.aws.names import Names
from oncefold_lab.local.emulator import Emulator
from oncefold_lab.simulator.dynamodb import DynamoDB
from tests.aws.functions.stacks import Stack, Time
from tests.aws.tables import make_tables

_NUMBERS = count(1)


def simulated(*, economy: bool = False) -> Stack:
    """Empty tables in a simulator whose clock is the stack's."""
    time = Time()
    dynamodb = DynamoDB(clock=time.read)
    names = Names("sim")
    make_tables(names, dynamodb, economy=economy)
    return Stack(dynamodb, names, time=time)


def emulated() -> Stack:
    """Empty tables in the emulator that the environment leads to."""
    names = Names(f"fn-{next(_NUMBERS)}")
    dynamodb = client("dynamodb")
    make_tables(names, dynamodb)
    return Stack(dynamodb, names)


@pytest.fixture
def sim() -> Stack:
    return simulated()


@pytest.fixture(params=["simulator", "emulator"])
def tables(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The same test on both."""
    if request.param == "simulator":
        yield simulated()
    else:
        running: Emulator = request.getfixturevalue("aws")
        assert running.answers()
        yield emulated()
