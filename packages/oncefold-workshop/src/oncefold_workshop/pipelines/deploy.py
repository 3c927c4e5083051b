"""The workshop's tables, made and read, and the zip that Lambda runs, the same bytes every time."""

import io
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from oncefold_workshop.pipelines.settings import AGGREGATE_KEY, TableNames


def make_tables(tables: TableNames, dynamodb: Any) -> None:
    """Make the tables, and wait until they are there."""
    images = {tables.state: "NEW_AND_OLD_IMAGES", tables.reduce: "NEW_IMAGE"}
    for table, key in tables.keys.items():
        view = images.get(table)
        stream = {} if view is None else {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}}
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
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


def read_totals(tables: TableNames, dynamodb: Any) -> dict[str, Decimal]:
    """What AggregateTable says of every node."""
    items = read_items(tables.aggregate, dynamodb)
    return {item[AGGREGATE_KEY]["S"]: Decimal(item["Value"]["N"]) for item in items}


_HERE = Path(__file__).parent
_PACKAGE = "oncefold_workshop/pipelines"
_WHEN = (1980, 1, 1, 0, 0, 0)


def package() -> bytes:
    """The bytes of the zip; its handlers are `oncefold_workshop.pipelines.handlers.NAME`."""
    # The package around it is empty in the zip, so that nothing else is imported.
    files = {"oncefold_workshop/__init__.py": b""}
    files |= {f"{_PACKAGE}/{path.name}": path.read_bytes() for path in sorted(_HERE.glob("*.py"))}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, _WHEN)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()
