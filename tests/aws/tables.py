"""A stack's tables and stream, made by plain calls: what the template makes, as far as the data goes."""

from typing import Any

from oncefold.aws.names import Names


def make_tables(names: Names, dynamodb: Any, *, economy: bool = False) -> None:
    for table, keys, view in (
        (names.state_table, ("key",), "NEW_AND_OLD_IMAGES" if economy else None),
        (names.reduce_table, ("id",), "NEW_IMAGE"),
        (names.aggregate_table, ("path", "label"), None),
        (names.reject_table, ("id",), None),
    ):
        made = dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view} if view else {"StreamEnabled": False},
        )
        if made["TableDescription"]["TableStatus"] != "ACTIVE":
            dynamodb.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def make_stream(stream: str, kinesis: Any, shards: int) -> None:
    kinesis.create_stream(StreamName=stream, ShardCount=shards)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
