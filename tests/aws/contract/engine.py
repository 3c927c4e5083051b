"""An engine of DynamoDB under the contract: its clients, its tables, and what tests ask of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

Item = dict[str, Any]
Request = dict[str, Any]


@dataclass(frozen=True)
class Engine:
    """The clients, and the names of four tables that all tests share: each works with keys of its own."""

    dynamodb: Any
    streams: Any
    kinesis: Any = None
    """None where the engine has no Kinesis."""
    pass_seconds: Callable[[float], None] | None = None
    """Moves the engine's clock, where that can be done."""
    prefix: str = ""

    @property
    def items(self) -> str:
        """Keyed by `id`."""
        return f"{self.prefix}-items"

    @property
    def nodes(self) -> str:
        """Keyed by `path` and `label`."""
        return f"{self.prefix}-nodes"

    @property
    def large(self) -> str:
        """The same, for items too large to be scanned beside others."""
        return f"{self.prefix}-large"

    @property
    def outbox(self) -> str:
        """Keyed by `id`, with a stream of new images."""
        return f"{self.prefix}-outbox"

    @property
    def states(self) -> str:
        """Keyed by `key`, with a stream of new and old images."""
        return f"{self.prefix}-states"

    @property
    def stream(self) -> str:
        """The Kinesis stream."""
        return f"{self.prefix}-events"

    def put(self, table: str, item: Item, **more: Any) -> None:
        self.dynamodb.put_item(TableName=table, Item=item, **more)

    def get(self, table: str, key: Item) -> Item | None:
        """The item as it is now."""
        item: Item | None = self.dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        return item

    def transact(self, *writes: Request, **more: Any) -> Request:
        answer: Request = self.dynamodb.transact_write_items(TransactItems=list(writes), **more)
        return answer


def with_tables(engine: Engine) -> Engine:
    """The engine with new tables, empty and ready."""
    named = Engine(
        engine.dynamodb, engine.streams, engine.kinesis, engine.pass_seconds, f"oncefold-contract-{uuid4().hex[:12]}"
    )
    for table, keys in (
        (named.items, ("id",)),
        (named.nodes, ("path", "label")),
        (named.large, ("path", "label")),
        (named.outbox, ("id",)),
        (named.states, ("key",)),
    ):
        view = {named.outbox: "NEW_IMAGE", named.states: "NEW_AND_OLD_IMAGES"}.get(table)
        streamed = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}}
        named.dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            **(streamed if view else {}),
        )
    for table in tables(named):
        named.dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    return named


def tables(engine: Engine) -> tuple[str, ...]:
    return engine.items, engine.nodes, engine.large, engine.outbox, engine.states


def put(table: str, item: Item, condition: str | None = None, **more: Any) -> Request:
    """A put, for `put_item` or as part of a transaction; `more` as in `_request`."""
    return {"TableName": table, "Item": item, **_request(condition, **more)}


def delete(table: str, key: Item, condition: str | None = None, **more: Any) -> Request:
    """A delete, likewise."""
    return {"TableName": table, "Key": key, **_request(condition, **more)}


def add(table: str, key: Item, **amounts: str) -> Request:
    """An update that adds to attributes, by placeholders for names and values."""
    return {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "ADD " + ", ".join(f"#{index} :{index}" for index in range(len(amounts))),
        "ExpressionAttributeNames": {f"#{index}": name for index, name in enumerate(amounts)},
        "ExpressionAttributeValues": {f":{index}": {"N": amount} for index, amount in enumerate(amounts.values())},
    }


def _request(
    condition: str | None,
    *,
    names: Mapping[str, str] | None = None,
    values: Mapping[str, Item] | None = None,
    old: bool = False,
) -> Request:
    """A condition with its placeholders; `old` asks for the item that it failed on."""
    parts = {
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD" if old else None,
    }
    return {name: part for name, part in parts.items() if part is not None}


def refusal(call: Callable[..., Any], *arguments: Any, **request: Any) -> Request:
    """The error that a call is answered with."""
    try:
        call(*arguments, **request)
    except ClientError as error:
        response: Request = error.response
        return response
    raise AssertionError("it was not refused")


def code(response: Mapping[str, Any]) -> str:
    """The error's code."""
    name: str = response["Error"]["Code"]
    return name


def reasons(response: Mapping[str, Any]) -> list[str]:
    """The codes of a cancelled transaction's reasons, an item each."""
    assert code(response) == "TransactionCanceledException"
    return [reason["Code"] for reason in response["CancellationReasons"]]


def is_invalid(response: Mapping[str, Any]) -> bool:
    """Whether a request was refused as invalid, as a whole or for one of its items; AWS documents both."""
    if code(response) == "ValidationException":
        return True
    return "ValidationError" in reasons(response)


def text_key(name: str) -> Item:
    """A key of `items` or `outbox`."""
    return {"id": {"S": name}}


def node_key(path: str, label: str) -> Item:
    """A key of `nodes` or `large`."""
    return {"path": {"S": path}, "label": {"S": label}}


def numbers(item: Item | None, names: Iterable[str]) -> list[str | None]:
    """Some attributes of an item as the texts of their numbers."""
    assert item is not None
    return [item[name]["N"] if name in item else None for name in names]
