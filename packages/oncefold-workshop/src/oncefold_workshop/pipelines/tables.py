"""The workshop's three tables: made, and read."""

from decimal import Decimal
from typing import Any

from oncefold_workshop.pipelines.settings import Tables


def make_tables(tables: Tables, dynamodb: Any) -> None:
    """Make the tables, and wait until they are there."""
    for table, images in (
        (tables.state, "NEW_AND_OLD_IMAGES"),
        (tables.reduce, "NEW_IMAGE"),
        (tables.aggregate, None),
    ):
        stream = {} if images is None else {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": images}}
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            **stream,
        )
        dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def read_items(table: str, dynamodb: Any) -> list[dict[str, Any]]:
    """Every item of a table."""
    items: list[dict[str, Any]] = []
    start: dict[str, Any] = {}
    while True:
        page = dynamodb.scan(TableName=table, ConsistentRead=True, **start)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def read_totals(tables: Tables, dynamodb: Any) -> dict[str, Decimal]:
    """What AggregateTable says of every node."""
    items = read_items(tables.aggregate, dynamodb)
    return {item["id"]["S"]: Decimal(item["Value"]["N"]) for item in items}
