"""What MapLambda and ReduceLambda make of a batch of stream records: its sums, and a hash that stands for it.

The hash covers every record as it was delivered, in order. So the same batch has the same hash, and the same records in
another batch have another one.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from oncefold_workshop.pipelines import tree
from oncefold_workshop.pipelines.messages import Item, amount, number
from oncefold_workshop.pipelines.tree import Leaf, Sums

Record = Mapping[str, Any]

CONDITION_FAILED = "ConditionalCheckFailedException"
TOKEN_MISMATCH = "IdempotentParameterMismatchException"  # noqa: S105 - the name of an error


def batch_hash(records: Sequence[Record]) -> str:
    """The SHA-256 of a batch, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()


def net_changes(records: Sequence[Record]) -> Sums:
    """What a batch of StateTable's stream changes in every node: new images netted against old ones, by leaf."""
    sums = tree.roll_up(tree.net(_amounts(records)))
    sums[tree.MESSAGE_COUNT] = float(len(records))
    return sums


def _amounts(records: Sequence[Record]) -> Iterator[tuple[Leaf, float]]:
    for record in records:
        change = record["dynamodb"]
        if "OldImage" in change:
            leaf, value = amount(change["OldImage"])
            yield leaf, -value
        if "NewImage" in change:
            yield amount(change["NewImage"])


def reduce_item(name: str, sums: Sums) -> Item:
    """The item of ReduceTable that holds the sums of a batch."""
    return {"id": {"S": name}, "Sums": {"M": {node: number(value) for node, value in sums.items()}}}


def total_changes(records: Sequence[Record]) -> Sums:
    """The sums of a batch of ReduceTable's stream together."""
    sums: Sums = {}
    for record in records:
        image = record["dynamodb"]["NewImage"]
        tree.add(sums, {node: float(value["N"]) for node, value in image["Sums"]["M"].items()})
    return sums


def addition(table: str, node: str, value: float) -> Item:
    """The UpdateItem, or the update of a transaction, that adds to one node of AggregateTable."""
    return {
        "TableName": table,
        "Key": {"id": {"S": node}},
        "UpdateExpression": "ADD #value :value",
        "ExpressionAttributeNames": {"#value": "Value"},
        "ExpressionAttributeValues": {":value": number(value)},
    }


def code(error: ClientError) -> str:
    """The name of DynamoDB's error."""
    return str(error.response["Error"]["Code"])
