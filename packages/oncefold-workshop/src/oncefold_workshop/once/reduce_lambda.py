"""The workshop's ReduceLambda, once by version: it reads StateTable's stream, and MapLambda is not needed.

docs/ONCE.md shows it. `sweep` does the same with all that is in StateTable, for what the stream has lost.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import botocore.session

from oncefold.once import Counters

counters = Counters("AggregateTable", ledger="AggregateLedger", way="version", partial=False)


def lambda_handler(event: Mapping[str, Any], context: Any, counters: Counters = counters) -> None:
    """A batch of StateTable's stream."""
    with counters.batch(context) as batch:
        for record in event["Records"]:
            image = record["dynamodb"]["NewImage"]
            hierarchy = json.loads(image["Hierarchy"]["S"])
            labels = [hierarchy[level] for level in ("RiskType", "TradeDesk", "Region")]
            nodes = [":".join(labels[:depth]) for depth in (1, 2, 3)]
            value = Decimal(image["Value"]["N"])
            batch.add(image["id"]["S"], {node: {"Value": value} for node in nodes}, version=int(image["Version"]["N"]))


def sweep(event: Mapping[str, Any], context: Any, counters: Counters = counters, dynamodb: Any = None) -> None:  # noqa: ARG001
    """All of StateTable, by a schedule."""
    dynamodb = dynamodb or botocore.session.get_session().create_client("dynamodb")
    start: dict[str, Any] = {}
    while True:
        page = dynamodb.scan(TableName="StateTable", ConsistentRead=True, **start)
        lambda_handler({"Records": [{"dynamodb": {"NewImage": item}} for item in page["Items"]]}, context, counters)
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
