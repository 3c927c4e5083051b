"""What the lab's tests share: a clock by hand, faults by script, tables, and short words for requests."""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from botocore.exceptions import ClientError

from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.faults import POSSIBLE, Fault, Faults

START = 1_700_000_000.0


@dataclass
class ManualClock:
    """Seconds that pass when told."""

    seconds: float = START

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class ScriptedFaults(Faults):
    """The faults of the calls to come, one by one; afterwards none."""

    def __init__(self, *script: Fault | None, seed: int = 0) -> None:
        super().__init__(Random(seed), {})
        self.script = list(script)

    def draw(self, operation: str) -> Fault | None:
        return self.script.pop(0) if self.script and operation in POSSIBLE else None


def make_table(dynamodb: DynamoDB, name: str, *keys: str, kinds: str = "SS", view: str | None = None) -> None:
    """A table by its key attributes, hash first; `view` gives it a stream."""
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": key, "AttributeType": kind} for key, kind in zip(keys, kinds, strict=False)
        ],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view} if view else {"StreamEnabled": False},
    )


def simulated(*script: Fault | None, clock: ManualClock | None = None, **more: Any) -> DynamoDB:
    """A DynamoDB with scripted faults and two tables: `items` by `id`, `nodes` by `path` and `label`."""
    dynamodb = DynamoDB(clock or ManualClock(), faults=ScriptedFaults(*script), **more)
    make_table(dynamodb, "items", "id", view="NEW_AND_OLD_IMAGES")
    make_table(dynamodb, "nodes", "path", "label")
    return dynamodb


def put(dynamodb: DynamoDB, name: str, **attributes: Any) -> dict[str, Any]:
    """Put an item into `items`; numbers and texts become attributes."""
    return dynamodb.put_item(TableName="items", Item={"id": {"S": name}, **plain(attributes)})


def get(dynamodb: DynamoDB, name: str) -> dict[str, Any] | None:
    """An item of `items`."""
    return dynamodb.get_item(TableName="items", Key={"id": {"S": name}}, ConsistentRead=True).get("Item")


def plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes from Python's numbers and texts."""
    return {name: {"N": str(v)} if isinstance(v, int) else {"S": v} for name, v in attributes.items()}


def put_write(name: str, condition: str | None = None, table: str = "items", **attributes: Any) -> dict[str, Any]:
    """A put for a transaction."""
    write: dict[str, Any] = {"TableName": table, "Item": {"id": {"S": name}, **plain(attributes)}}
    return {"Put": write if condition is None else {**write, "ConditionExpression": condition}}


def add_write(name: str, amount: str = "1") -> dict[str, Any]:
    """An addition to the attribute `n`, for a transaction."""
    return {
        "Update": {
            "TableName": "items",
            "Key": {"id": {"S": name}},
            "UpdateExpression": "ADD n :n",
            "ExpressionAttributeValues": {":n": {"N": amount}},
        }
    }


def reasons(error: ClientError) -> list[str]:
    """The codes of a cancelled transaction's reasons."""
    return [reason["Code"] for reason in error.response["CancellationReasons"]]


def code(error: ClientError) -> str:
    found: str = error.response["Error"]["Code"]
    return found


def stream_arn(dynamodb: DynamoDB, table: str = "items") -> str:
    arn: str = dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    return arn


def shards(dynamodb: DynamoDB, table: str = "items") -> list[dict[str, Any]]:
    description = dynamodb.streams().describe_stream(StreamArn=stream_arn(dynamodb, table))["StreamDescription"]
    found: list[dict[str, Any]] = description["Shards"]
    return found


def iterator(dynamodb: DynamoDB, shard: str, kind: str = "TRIM_HORIZON", table: str = "items", **more: str) -> str:
    answer = dynamodb.streams().get_shard_iterator(
        StreamArn=stream_arn(dynamodb, table), ShardId=shard, ShardIteratorType=kind, **more
    )
    text: str = answer["ShardIterator"]
    return text


def read_shard(dynamodb: DynamoDB, shard: str, table: str = "items") -> list[dict[str, Any]]:
    """What is in a shard now."""
    position: str | None = iterator(dynamodb, shard, table=table)
    records: list[dict[str, Any]] = []
    while position is not None:
        answer = dynamodb.streams().get_records(ShardIterator=position)
        if not answer["Records"]:
            break
        records += answer["Records"]
        position = answer.get("NextShardIterator")
    return records


def read_stream(dynamodb: DynamoDB, table: str = "items") -> list[dict[str, Any]]:
    """What is in a stream now, shard by shard; parents come before their children."""
    return [record for shard in shards(dynamodb, table) for record in read_shard(dynamodb, shard["ShardId"], table)]


def names_of(records: Iterable[dict[str, Any]]) -> list[str]:
    """The ids of the items that stream records are about."""
    return [record["dynamodb"]["Keys"]["id"]["S"] for record in records]
