"""The client of DynamoDB: one of our own, a botocore or boto3 client as it is, or the client within a boto3 resource.

The client within a resource takes and gives Python's values in the place of `{"S": "text"}`, so it is translated.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from oncefold.dynamodb.invocation import new_client

_VALUES = ("ExpressionAttributeValues",)
_ITEMS = ("Key", "Item", "ExclusiveStartKey")


def client_of(given: Any) -> Any:
    """What takes calls in the form of the low-level API: `given` is None, a client or a resource."""
    if given is None:
        return new_client()
    within = getattr(getattr(given, "meta", None), "client", None)
    return given if within is None else _Translated(within)


class _Translated:
    """The client within a resource, with the calls that the counters make."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def describe_table(self, **request: Any) -> Any:
        return self._client.describe_table(**request)

    def transact_write_items(self, **request: Any) -> Any:
        writes = [{kind: _native(write) for kind, write in item.items()} for item in request["TransactItems"]]
        return self._client.transact_write_items(**{**request, "TransactItems": writes})

    def batch_get_item(self, **request: Any) -> Any:
        wanted = {
            table: {**some, "Keys": [_plain(key) for key in some["Keys"]]}
            for table, some in request["RequestItems"].items()
        }
        answer = self._client.batch_get_item(**{**request, "RequestItems": wanted})
        left = {
            table: {**some, "Keys": [_typed(key) for key in some["Keys"]]}
            for table, some in (answer.get("UnprocessedKeys") or {}).items()
        }
        found = {table: [_typed(item) for item in items] for table, items in answer["Responses"].items()}
        return {**answer, "Responses": found, "UnprocessedKeys": left}

    def batch_write_item(self, **request: Any) -> Any:
        answer = self._client.batch_write_item(**{**request, "RequestItems": _puts(request["RequestItems"], _plain)})
        return {**answer, "UnprocessedItems": _puts(answer.get("UnprocessedItems") or {}, _typed)}

    def scan(self, **request: Any) -> Any:
        page = self._client.scan(**_native(request))
        return {
            **page,
            "Items": [_typed(item) for item in page["Items"]],
            **({"LastEvaluatedKey": _typed(page["LastEvaluatedKey"])} if "LastEvaluatedKey" in page else {}),
        }


def _puts(tables: Mapping[str, Any], change: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
    return {
        table: [{"PutRequest": {"Item": change(put["PutRequest"]["Item"])}} for put in puts]
        for table, puts in tables.items()
    }


def _native(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request with Python's values for its items."""
    return {name: _plain(value) if name in {*_VALUES, *_ITEMS} else value for name, value in request.items()}


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Decimal(value["N"]) if "N" in value else value["S"] for name, value in item.items()}


def _typed(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item with the types that matter here: texts and numbers; the others have a type that nothing looks for."""
    return {name: _typed_value(value) for name, value in item.items()}


def _typed_value(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, Decimal):
        return {"N": format(value, "f")}
    return {"other": value}
