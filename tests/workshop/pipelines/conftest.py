"""A fresh workshop for each test: on the one emulator of the test process, or simulated with a clock to be moved."""

from itertools import count

import pytest

from oncefold.aws.connect import client
from oncefold_lab.local.emulator import Emulator
from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_workshop.pipelines.handlers import after_fixes, before_fixes, of_the_blog
from oncefold_workshop.pipelines.settings import TableNames
from tests.aws.conftest import aws, emulator
from tests.workshop.pipelines.rig import NOW, Forgetful, KinesisInbox, PlainInbox, Rig, Services

__all__ = ["aws", "emulator"]

_NUMBERS = count(1)


@pytest.fixture
def name(aws: Emulator) -> str:
    """What the parts of this test's workshop are called."""
    return f"workshop-{next(_NUMBERS)}"


@pytest.fixture
def tables(name: str) -> TableNames:
    return TableNames(*(f"{name}-{table}" for table in ("state", "reduce", "aggregate", "parameter")))


@pytest.fixture
def services(name: str) -> Services:
    """The emulator's."""
    return Services(Forgetful(client("dynamodb")), client("dynamodbstreams"), KinesisInbox(name))


@pytest.fixture
def before(tables: TableNames, services: Services) -> Rig:
    """The workshop before its fixes."""
    return Rig(before_fixes, tables, services)


@pytest.fixture
def after(tables: TableNames, services: Services) -> Rig:
    """The workshop after its fixes."""
    return Rig(after_fixes, tables, services)


@pytest.fixture
def blog(tables: TableNames, services: Services) -> Rig:
    """The blog posts' functions."""
    return Rig(of_the_blog, tables, services)


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self._now = NOW

    def __call__(self) -> float:
        return self._now

    def pass_by(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulated(clock: Clock) -> Rig:
    """The workshop after its fixes, with the simulator's DynamoDB and this test's clock."""
    dynamodb = DynamoDB(clock)
    return Rig(
        after_fixes,
        TableNames("state", "reduce", "aggregate", "parameter"),
        Services(dynamodb, dynamodb.streams(), PlainInbox(), clock),
    )
