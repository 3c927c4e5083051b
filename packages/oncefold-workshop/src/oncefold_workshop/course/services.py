"""boto3 as a learner's module gets it: one client, of the world's DynamoDB, that is watched."""

from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any, NoReturn, Protocol

import boto3
import boto3.session
import botocore.session
from botocore.exceptions import ClientError, ParamValidationError
from botocore.validate import ParamValidator

from oncefold_workshop.course.guarding import Guard, NotInTheLabError
from oncefold_workshop.course.standins import copied

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


class Visitor(Protocol):
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


class Client:
    """DynamoDB's client: requests are checked as boto3 checks them, and then made in the world."""

    def __init__(self, client: Any, visitor: Visitor, guard: Guard) -> None:
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


def boto3_modules(client: Client) -> dict[str, ModuleType]:
    """`boto3` and `boto3.session` as a learner's module imports them."""

    def make(service_name: str, *_: Any, **__: Any) -> Client:
        if service_name != "dynamodb":
            raise NotInTheLabError(
                f"the lab has no {service_name!r}: records come as a handler's event, and DynamoDB is the only "
                "service, by boto3.client('dynamodb')"
            )
        return client

    def resource(*_: Any, **__: Any) -> NoReturn:
        raise NotInTheLabError(
            "the lab has no boto3.resource: use boto3.client('dynamodb'), whose items are written as {'S': 'text'}"
        )

    class Session:
        """A session whose only service is the lab's DynamoDB."""

        def __init__(self, *_: Any, **__: Any) -> None:
            self.client = make
            self.resource = resource

    session = copied(boto3.session, Session=Session)
    replaced = {"client": make, "resource": resource, "Session": Session, "session": session}
    return {"boto3": copied(boto3, **replaced), "boto3.session": session}
