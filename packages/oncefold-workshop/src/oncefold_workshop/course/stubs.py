"""Stubs for the modules through which time, randomness, settings and AWS come in: they follow the simulated world.

Threads are refused. What is not listed in `stub_modules` is the real thing. So a learner's module sees virtual time and
seeded random numbers, whichever way it imports them, while nothing else in the process does.
"""

import _thread
import concurrent
import concurrent.futures
import datetime as dt
import os
import random
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, NoReturn, Protocol

import boto3
import boto3.session
import botocore.session
from botocore.exceptions import ClientError, ParamValidationError
from botocore.validate import ParamValidator

from oncefold_workshop.course.resource import DynamoDBResource
from oncefold_workshop.course.sandbox import THREADS, NotInTheLabError, SandboxGuard, refuse

_NANOSECONDS = 1_000_000_000
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an environment of a function gets from its world."""

    clock: Callable[[], float]
    """Seconds since 1970."""
    sleep: Callable[[float], None]
    random: random.Random
    """Of this environment alone."""
    variables: Mapping[str, str]
    """Environment variables beside those of the process."""


def copied(module: ModuleType, **replaced: Any) -> ModuleType:
    """A module with other things under some of its names."""
    copy = ModuleType(module.__name__, module.__doc__)
    vars(copy).update({**vars(module), **replaced})
    return copy


def stub_modules(around: Surroundings) -> dict[str, ModuleType]:
    """The modules by name."""
    return {
        "time": _time(around),
        "datetime": _datetime(around.clock),
        "random": _random(around.random),
        "secrets": _secrets(around.random),
        "uuid": _uuid(around.random),
        "os": _os(around),
        **_threads(),
    }


def _time(around: Surroundings) -> ModuleType:
    clock = around.clock

    def nanoseconds() -> int:
        return round(clock() * _NANOSECONDS)

    def utc(seconds: float | None = None) -> time.struct_time:
        return time.gmtime(clock() if seconds is None else seconds)

    counters = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
    return copied(
        time,
        **dict.fromkeys(counters, clock),
        **dict.fromkeys([f"{name}_ns" for name in counters], nanoseconds),
        sleep=around.sleep,
        gmtime=utc,
        localtime=utc,
        ctime=lambda seconds=None: time.asctime(utc(seconds)),
        asctime=lambda moment=None: time.asctime(moment or utc()),
        strftime=lambda form, moment=None: time.strftime(form, moment or utc()),
    )


def _datetime(clock: Callable[[], float]) -> ModuleType:
    class Moment(dt.datetime):
        """A datetime whose present is the world's; its local time is UTC, as in Lambda."""

        @classmethod
        def fromtimestamp(cls, timestamp: float, tz: dt.tzinfo | None = None) -> Any:
            """See datetime."""
            moment = super().fromtimestamp(timestamp, tz or dt.UTC)
            return moment if tz else moment.replace(tzinfo=None)

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            """See datetime."""
            return cls.fromtimestamp(clock(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            """See datetime."""
            return cls.fromtimestamp(clock())

        @classmethod
        def today(cls) -> Any:
            """See datetime."""
            return cls.fromtimestamp(clock())

    class Day(dt.date):
        """A date whose today is the world's."""

        @classmethod
        def today(cls) -> Any:
            """See date."""
            return cls.fromordinal(Moment.now().toordinal())

    Moment.__name__, Day.__name__ = "datetime", "date"
    return copied(dt, datetime=Moment, date=Day)


def _random(source: random.Random) -> ModuleType:
    class Seeded(random.Random):
        """A source that is seeded by the world where no seed is given."""

        def __init__(self, x: Any = None) -> None:
            super().__init__(source.getrandbits(64) if x is None else x)

    names = [name for name in random.__all__ if callable(getattr(source, name, None))]
    bound = {name: getattr(source, name) for name in names}
    Seeded.__name__ = "Random"
    return copied(random, **bound, Random=Seeded, SystemRandom=Seeded)


def _secrets(source: random.Random) -> ModuleType:
    def token_bytes(nbytes: int | None = None) -> bytes:
        return source.randbytes(_TOKEN_BYTES if nbytes is None else nbytes)

    return copied(
        secrets,
        choice=source.choice,
        randbelow=source.randrange,
        randbits=source.getrandbits,
        token_bytes=token_bytes,
        token_hex=lambda nbytes=None: token_bytes(nbytes).hex(),
        token_urlsafe=lambda nbytes=None: token_bytes(nbytes).hex(),
    )


def _uuid(source: random.Random) -> ModuleType:
    def drawn(version: int) -> uuid.UUID:
        return uuid.UUID(int=source.getrandbits(128), version=version)

    return copied(uuid, uuid1=lambda *_: drawn(1), uuid4=lambda: drawn(4))


def _os(around: Surroundings) -> ModuleType:
    environ = {**os.environ, **around.variables}
    return copied(os, environ=environ, getenv=environ.get, urandom=around.random.randbytes)


def _threads() -> dict[str, ModuleType]:
    """What starts threads, without threads."""

    class Refused:
        """A thread, a timer, a pool: none of them can be made."""

        def __init__(self, *_: Any, **__: Any) -> None:
            refuse(THREADS)

    def start(*_: Any, **__: Any) -> NoReturn:
        refuse(THREADS)

    futures = copied(concurrent.futures, ThreadPoolExecutor=Refused, ProcessPoolExecutor=Refused)
    return {
        "threading": copied(threading, Thread=Refused, Timer=Refused),
        "_thread": copied(_thread, start_new_thread=start),
        "concurrent": copied(concurrent, futures=futures),
        "concurrent.futures": futures,
    }


OPERATIONS = {
    "put_item": "PutItem",
    "update_item": "UpdateItem",
    "delete_item": "DeleteItem",
    "get_item": "GetItem",
    "batch_get_item": "BatchGetItem",
    "batch_write_item": "BatchWriteItem",
    "query": "Query",
    "scan": "Scan",
    "transact_write_items": "TransactWriteItems",
    "transact_get_items": "TransactGetItems",
}
"""What the client can do."""
_PAGED = ("query", "scan")


class ClientVisitor(Protocol):
    """Who calls: an invocation that is under way."""

    def calling(self, operation: str, request: dict[str, Any]) -> None:
        """A call is going to be made. Raises NotInTheLabError outside of an invocation."""

    def called(self, operation: str, request: dict[str, Any], refused: ClientError | None) -> None:
        """It was made, and refused or not."""


@cache
def _shape(operation: str) -> Any:
    """What AWS's own description of DynamoDB says of a request."""
    return _model().operation_model(OPERATIONS[operation]).input_shape


@cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("dynamodb")


class DynamoDBStub:
    """DynamoDB's client: requests are checked as boto3 checks them, and then made in the world."""

    def __init__(self, client: Any, visitor: ClientVisitor, guard: SandboxGuard) -> None:
        self._client = client
        self._visitor = visitor
        self._guard = guard
        self._validator = ParamValidator()
        self.exceptions = client.exceptions

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation not in OPERATIONS:
            raise AttributeError(f"the lab's DynamoDB client has no {operation}; it has {', '.join(OPERATIONS)}")

        def call(*positional: Any, **request: Any) -> Any:
            if positional:
                raise TypeError(f"{operation}() only accepts keyword arguments.")
            return self._made(operation, request)

        return call

    def get_paginator(self, operation: str) -> "Paginator":
        """Pages of a scan or a query."""
        if operation not in _PAGED:
            raise NotInTheLabError(f"the lab has no pages of {operation}; it has those of {' and '.join(_PAGED)}")
        return Paginator(getattr(self, operation))

    def _made(self, operation: str, request: dict[str, Any]) -> Any:
        report = self._validator.validate(request, _shape(operation))
        if report.has_errors():
            raise ParamValidationError(report=report.generate_report())
        self._visitor.calling(operation, request)
        try:
            with self._guard.outside():
                answer = getattr(self._client, operation)(**request)
        except ClientError as error:
            self._visitor.called(operation, request, error)
            raise
        self._visitor.called(operation, request, None)
        return answer


class Paginator:
    """One page after the other."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def paginate(self, **request: Any) -> Iterator[Any]:
        """The pages of a request."""
        while True:
            page = self._call(**request)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def boto3_modules(client: DynamoDBStub) -> dict[str, ModuleType]:
    """`boto3` and `boto3.session` as a learner's module imports them."""

    def make(service_name: str, *_: Any, **__: Any) -> DynamoDBStub:
        if service_name != "dynamodb":
            raise NotInTheLabError(
                f"the lab has no {service_name!r}: records come as a handler's event, and DynamoDB is the only service"
            )
        return client

    def resource(service_name: str, *_: Any, **__: Any) -> DynamoDBResource:
        return DynamoDBResource(make(service_name))

    class Session:
        """A session whose only service is the lab's DynamoDB."""

        def __init__(self, *_: Any, **__: Any) -> None:
            self.client = make
            self.resource = resource

    session = copied(boto3.session, Session=Session)
    replaced = {"client": make, "resource": resource, "Session": Session, "session": session}
    return {"boto3": copied(boto3, **replaced), "boto3.session": session}
