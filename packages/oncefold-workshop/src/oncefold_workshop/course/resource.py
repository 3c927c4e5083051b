"""`boto3.resource("dynamodb")` over the lab's client: items are Python values, conditions Attr and Key objects."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from oncefold_workshop.course.sandbox import NotInTheLabError

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize

_ITEMS_SENT = ("Item", "Key", "ExpressionAttributeValues", "ExclusiveStartKey")
_ITEMS_ANSWERED = ("Item", "Attributes", "LastEvaluatedKey")
_CONDITIONS = {"ConditionExpression": False, "FilterExpression": False, "KeyConditionExpression": True}
"""Parameters that may be condition objects, and whether they are conditions of keys."""
_OPERATIONS = ("put_item", "get_item", "update_item", "delete_item", "query", "scan")
_BATCH = 25
"""Writes of one BatchWriteItem, at most."""

Request = dict[str, Any]


def _sent_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in item.items()}


def _answered_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _deserialize(value) for name, value in item.items()}


def _sent(request: Request) -> Request:
    """A request as the client takes it."""
    sent = {name: _sent_item(value) if name in _ITEMS_SENT else value for name, value in request.items()}
    builder = ConditionExpressionBuilder()
    for name, of_key in _CONDITIONS.items():
        condition = sent.get(name)
        if isinstance(condition, ConditionBase):
            built = builder.build_expression(condition, is_key_condition=of_key)
            sent[name] = built.condition_expression
            _add(sent, "ExpressionAttributeNames", built.attribute_name_placeholders)
            _add(sent, "ExpressionAttributeValues", _sent_item(built.attribute_value_placeholders))
    return sent


def _add(request: Request, name: str, placeholders: Mapping[str, Any]) -> None:
    if placeholders:
        request[name] = {**request.get(name, {}), **placeholders}


def _answered(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer with Python values."""
    found: dict[str, Any] = {**answer}
    found.update({name: _answered_item(found[name]) for name in _ITEMS_ANSWERED if name in found})
    if "Items" in found:
        found["Items"] = [_answered_item(item) for item in found["Items"]]
    return found


class TableResource:
    """A table, with the calls that read and write its items."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = self.table_name = name

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation not in _OPERATIONS:
            raise NotInTheLabError(f"the lab's Table has no {operation}; it has {', '.join(_OPERATIONS)}, batch_writer")

        def call(**request: Any) -> dict[str, Any]:
            return _answered(getattr(self._client, operation)(TableName=self.name, **_sent(request)))

        return call

    @contextmanager
    def batch_writer(self) -> Iterator["BatchWriter"]:
        """Collects puts and deletes, and sends them 25 at a time."""
        writer = BatchWriter(self._client, self.name)
        yield writer
        writer.flush()


class BatchWriter:
    """Puts and deletes that wait to be sent."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._waiting: list[dict[str, Any]] = []

    def put_item(self, Item: Mapping[str, Any]) -> None:  # noqa: N803 - boto3's names
        """See boto3."""
        self._take({"PutRequest": {"Item": _sent_item(Item)}})

    def delete_item(self, Key: Mapping[str, Any]) -> None:  # noqa: N803
        """See boto3."""
        self._take({"DeleteRequest": {"Key": _sent_item(Key)}})

    def _take(self, write: dict[str, Any]) -> None:
        self._waiting.append(write)
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Send what waits, until nothing of it is left unprocessed."""
        while self._waiting:
            some, rest = self._waiting[:_BATCH], self._waiting[_BATCH:]
            answer = self._client.batch_write_item(RequestItems={self._table: some})
            self._waiting = [*answer.get("UnprocessedItems", {}).get(self._table, []), *rest]


class DynamoDBResource:
    """The resource: tables by name."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def Table(self, name: str) -> TableResource:  # noqa: N802 - boto3's name
        """A table. No call is made."""
        return TableResource(self._client, name)

    def __getattr__(self, name: str) -> Any:
        raise NotInTheLabError(f"the lab's boto3.resource('dynamodb') has no {name}; it has Table")
