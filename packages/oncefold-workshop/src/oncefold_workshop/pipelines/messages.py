"""The workshop's messages, the tree that it sums along, and what a batch of stream records adds up to.

A node is named by its labels with colons between, as in `Delta:FXSpot:AMER`.

A value is a Python float from the moment it is read, and `Decimal(str(value))` when it is written: the workshop's way.

The hash covers every record as it was delivered, in order. So the same batch has the same hash, and the same records in
another batch have another one.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

LEVELS = ("RiskType", "TradeDesk", "Region")
SEPARATOR = ":"
MESSAGE_COUNT = "message_count"
"""The node that counts the changes of StateTable; the workshop's front end shows it."""

Leaf = tuple[str, ...]
"""One label a level."""
Sums = dict[str, float]
"""What to add to each node."""


def nodes(leaf: Leaf) -> list[str]:
    """The nodes above and at a leaf, from the top."""
    return [SEPARATOR.join(leaf[:depth]) for depth in range(1, len(leaf) + 1)]


def net_amounts(amounts: Iterable[tuple[Leaf, float]]) -> dict[Leaf, float]:
    """Floats added up by leaf, one after the other."""
    leaves: dict[Leaf, float] = {}
    for leaf, value in amounts:
        leaves[leaf] = leaves.get(leaf, 0.0) + value
    return leaves


def roll_up(leaves: Mapping[Leaf, float]) -> Sums:
    """Each leaf's float added to every node above and at it."""
    sums: Sums = {}
    for leaf, value in leaves.items():
        add_sums(sums, dict.fromkeys(nodes(leaf), value))
    return sums


def add_sums(sums: Sums, more: Mapping[str, float]) -> None:
    """Add to some of the nodes."""
    for node, value in more.items():
        sums[node] = sums.get(node, 0.0) + value


Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One version of one trade."""

    trade: str
    value: float
    version: int
    timestamp: float
    leaf: Leaf


def of_kinesis(event: Mapping[str, Any]) -> Iterator[Message]:
    """The messages of a batch, in order; a record holds one a line. Raises for what is no message."""
    for record in event["Records"]:
        for line in base64.b64decode(record["kinesis"]["data"]).splitlines():
            if line.strip():
                yield _parse(line)


def _parse(line: bytes) -> Message:
    fields = json.loads(line)
    hierarchy = fields["Hierarchy"]
    return Message(
        trade=fields["TradeID"],
        value=float(fields["Value"]),
        version=int(fields["Version"]),
        timestamp=float(fields["Timestamp"]),
        leaf=tuple(hierarchy[level] for level in LEVELS),
    )


def number(value: float) -> dict[str, str]:
    """A float as a DynamoDB number."""
    return {"N": str(Decimal(str(value)))}


def state_item(message: Message) -> Item:
    """The item of StateTable that holds a message."""
    return {
        "id": {"S": message.trade},
        "Value": number(message.value),
        "Version": {"N": str(message.version)},
        "Timestamp": number(message.timestamp),
        "Hierarchy": {"M": {level: {"S": label} for level, label in zip(LEVELS, message.leaf, strict=True)}},
    }


def amount(image: Item) -> tuple[Leaf, float]:
    """Where an image of StateTable counts, and how much."""
    hierarchy = image["Hierarchy"]["M"]
    return tuple(hierarchy[level]["S"] for level in LEVELS), float(image["Value"]["N"])


Record = Mapping[str, Any]

CONDITION_FAILED = "ConditionalCheckFailedException"
TOKEN_MISMATCH = "IdempotentParameterMismatchException"  # noqa: S105 - the name of an error


def batch_hash(records: Sequence[Record]) -> str:
    """The SHA-256 of a batch, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()


def net_changes(records: Sequence[Record]) -> Sums:
    """What a batch of StateTable's stream changes in every node: new images netted against old ones, by leaf."""
    sums = roll_up(net_amounts(_amounts(records)))
    sums[MESSAGE_COUNT] = float(len(records))
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
        add_sums(sums, {node: float(value["N"]) for node, value in image["Sums"]["M"].items()})
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
