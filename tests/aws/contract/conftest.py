"""The engines as a fixture: each test of the contract runs on every one."""

import os
from collections.abc import Iterator
from itertools import count

import pytest
from botocore.exceptions import ClientError

from tests.aws.contract import launch
from tests.aws.contract.deviations import DEVIATIONS, UNTESTED
from tests.aws.contract.engine import Engine

_ENGINES = ["simulator", "ministack", "dynoxide", *(["endpoint"] if launch.ENDPOINT in os.environ else [])]
_WITH_KINESIS = {"simulator", "ministack", "endpoint"}
_NUMBERS = count(1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test on each engine that has what it is about."""
    if "engine" in metafunc.fixturenames:
        engines = [name for name in _ENGINES if "kinesis" not in metafunc.fixturenames or name in _WITH_KINESIS]
        metafunc.parametrize("running", engines, indirect=True, scope="session")


@pytest.fixture(scope="session")
def running(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine with its tables, once per process."""
    if request.param == "ministack":
        start = launch.ministack(request.getfixturevalue("emulator"))
    else:
        start = {"simulator": launch.simulator, "dynoxide": launch.dynoxide, "endpoint": launch.endpoint}[
            request.param
        ]()
    with start as engine:
        yield engine


@pytest.fixture
def engine(running: Engine, request: pytest.FixtureRequest) -> Engine:
    """The engine; where it is known to deviate the test is expected to fail, and a mended engine is noticed."""
    test, name = request.function.__name__, request.node.callspec.params["running"]
    if test in UNTESTED.get(name, {}):
        pytest.skip(UNTESTED[name][test])
    if test in DEVIATIONS.get(name, {}):
        reason = DEVIATIONS[name][test]
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=(AssertionError, ClientError)))
    return running


@pytest.fixture
def kinesis(engine: Engine) -> Engine:
    """The engine, where it has Kinesis."""
    if engine.kinesis is None:
        pytest.skip("the engine has no Kinesis")
    return engine


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A text that no other test uses as a key, or as the beginning of one."""
    return f"{request.function.__name__}-{next(_NUMBERS)}"
