"""Starting and stopping the engines."""

import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from oncefold_lab.local.emulator import HOST, REGION, Emulator, free_port
from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.kinesis import Kinesis
from tests.aws.contract.engine import Engine, tables, with_tables
from tests.tools.programs import DYNOXIDE, need
from tests.tools.waiting import until

ENDPOINT = "ONCEFOLD_CONTRACT_ENDPOINT"
"""The environment variable that names one more engine: the URL of an endpoint, or `aws` for the service itself."""

_WITH_PARENT = '"$0" "$@" & read -r _; kill -9 $!'
"""A shell command that runs another until its standard input ends, as it does when who started it is gone."""


class Clock:
    """Seconds since 1970 that pass as the machine's do, never go back, and pass at once on request."""

    def __init__(self) -> None:
        self._start = time.time() - time.monotonic()

    def read(self) -> float:
        return self._start + time.monotonic()

    def advance(self, seconds: float) -> None:
        self._start += seconds


@contextmanager
def simulator() -> Iterator[Engine]:
    """With all that DynamoDB leaves open about streams: several shards, records late and in an order of chance."""
    clock = Clock()
    dynamodb = DynamoDB(clock=clock.read, random=Random(1), stream_shards=4, stream_lag=0.02)
    kinesis = Kinesis(clock=clock.read, random=Random(1))
    engine = with_tables(Engine(dynamodb, dynamodb.streams(), kinesis, pass_seconds=clock.advance))
    make_stream(engine)
    yield engine


@contextmanager
def ministack(emulator: Emulator) -> Iterator[Engine]:
    with _clients(emulator.endpoint, "dynamodb", "dynamodbstreams", "kinesis") as clients:
        engine = with_tables(Engine(*clients))
        make_stream(engine)
        yield engine


@contextmanager
def dynoxide() -> Iterator[Engine]:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("npm has dynoxide's program for Linux on x86-64 only")
    program = need(DYNOXIDE)
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="oncefold-dynoxide-") as folder,
        _clients(f"http://{HOST}:{port}", "dynamodb", "dynamodbstreams") as clients,
    ):
        command = [program, "serve", "--host", HOST, "--port", str(port), "--db-path", Path(folder) / "db"]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _WITH_PARENT, *map(str, command)], stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        try:
            until(lambda: _answers(clients[0]), "dynoxide answers", seconds=30)
            yield with_tables(Engine(*clients))
        finally:
            process.communicate()


@contextmanager
def endpoint() -> Iterator[Engine]:
    """Credentials and region come from the environment, as everywhere. What is made is deleted."""
    url = os.environ[ENDPOINT]
    config = Config(retries={"mode": "standard", "total_max_attempts": 8}, parameter_validation=False)
    names = ("dynamodb", "dynamodbstreams", "kinesis")
    made = [boto3.client(name, endpoint_url=None if url == "aws" else url, config=config) for name in names]
    kinesis = made[2] if _has_kinesis(made[2]) else None
    engine = with_tables(Engine(made[0], made[1], kinesis))
    try:
        if kinesis is not None:
            make_stream(engine)
        yield engine
    finally:
        for table in tables(engine):
            engine.dynamodb.delete_table(TableName=table)
        if kinesis is not None:
            kinesis.delete_stream(StreamName=engine.stream, EnforceConsumerDeletion=True)
        for client in made:
            client.close()


def make_stream(engine: Engine) -> None:
    """A Kinesis stream of two shards."""
    engine.kinesis.create_stream(StreamName=engine.stream, ShardCount=2)
    engine.kinesis.get_waiter("stream_exists").wait(
        StreamName=engine.stream, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )


@contextmanager
def _clients(url: str, *services: str) -> Iterator[list[Any]]:
    """Clients of an emulator. They never call again by themselves, so that every answer is seen."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=60, parameter_validation=False)
    identity = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": REGION}
    session = boto3.Session(**identity)
    made = [session.client(service, endpoint_url=url, config=config) for service in services]
    try:
        yield made
    finally:
        for client in made:
            client.close()


def _answers(dynamodb: Any) -> bool:
    try:
        dynamodb.list_tables()
    except BotoCoreError:
        return False
    return True


def _has_kinesis(kinesis: Any) -> bool:
    try:
        kinesis.list_streams(Limit=1)
    except (BotoCoreError, ClientError):
        return False
    return True
