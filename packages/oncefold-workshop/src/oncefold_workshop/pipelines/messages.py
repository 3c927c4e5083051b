"""The workshop's messages, the tree that it sums along, and what a batch of stream records adds up to.

A node is named by its labels with colons between, as in `Delta:FXSpot:AMER`. A value is a Python float from the moment
it is read, and `Decimal(str(value))` when it is written: the workshop's way.

The hash covers every record as it was delivered, in order. So the same batch has the same hash, and the same records in
another batch have another one.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError

from oncefold_workshop.pipelines.settings import AGGREGATE_KEY, REDUCE_KEY, STATE_KEY

LEVELS = ("RiskType", "TradeDesk", "Region")
SEPARATOR = ":"
MESSAGE_COUNT = "message_count"
"""The node that counts the changes of StateTable; the workshop's front end shows it."""
FIRST_SENT, MEAN_SENT = "timestamp_generator_first", "timestamp_generator_mean"
"""Entries of a batch's sums that are no nodes: the least and the mean timestamp of its messages."""

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


def of_record(record: Mapping[str, Any]) -> Iterator[Message]:
    """The messages of a Kinesis record: one, or several, one a line. Raises for what is no message."""
    for line in base64.b64decode(record["kinesis"]["data"]).splitlines():
        if line.strip():
            yield _parse(line)


def of_kinesis(event: Mapping[str, Any]) -> Iterator[Message]:
    """The messages of a batch, in order."""
    for record in event["Records"]:
        yield from of_record(record)


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
    """The item of StateTable that holds a message; its labels are JSON text, by name."""
    return {
        STATE_KEY: {"S": message.trade},
        "Value": number(message.value),
        "Version": {"N": str(message.version)},
        "Timestamp": number(message.timestamp),
        "Hierarchy": {"S": _hierarchy(message.leaf)},
    }


@lru_cache(maxsize=4_096)
def _hierarchy(leaf: Leaf) -> str:
    return json.dumps(dict(zip(LEVELS, leaf, strict=True)), sort_keys=True)


@lru_cache(maxsize=4_096)
def _leaf(hierarchy: str) -> Leaf:
    labels = json.loads(hierarchy)
    return tuple(labels[level] for level in LEVELS)


def leaf_of(image: Item) -> Leaf:
    """Where an image of StateTable counts."""
    return _leaf(image["Hierarchy"]["S"])


def amount(image: Item) -> tuple[Leaf, float]:
    """Where an image of StateTable counts, and how much."""
    return leaf_of(image), float(image["Value"]["N"])


Record = Mapping[str, Any]

CONDITION_FAILED = "ConditionalCheckFailedException"
TOKEN_MISMATCH = "IdempotentParameterMismatchException"  # noqa: S105 - the name of an error


def batch_hash(records: Sequence[Record]) -> str:
    """The SHA-256 of a batch, in hexadecimal digits."""
    return hashlib.sha256(str(records).encode()).hexdigest()


def batch_token(records: Sequence[Record]) -> str:
    """A token of all records of a batch, as long as DynamoDB takes."""
    return hashlib.md5(str(records).encode(), usedforsecurity=False).hexdigest()


def net_changes(records: Sequence[Record]) -> Sums:
    """What a batch of StateTable's stream changes in every node: new images netted against old ones, by leaf.

    Deletes are passed over. Nothing where there is no new image.
    """
    changes = [record["dynamodb"] for record in records if "NewImage" in record["dynamodb"]]
    times = [float(change["NewImage"]["Timestamp"]["N"]) for change in changes]
    return _summed(list(_amounts(changes)), times)


def net_messages(event: Mapping[str, Any]) -> Sums:
    """What the messages of a Kinesis batch add to every node, as if each were the first of its trade."""
    messages = list(of_kinesis(event))
    return _summed([(message.leaf, message.value) for message in messages], [message.timestamp for message in messages])


def _summed(amounts: list[tuple[Leaf, float]], times: list[float]) -> Sums:
    if not times:
        return {}
    marks = {MESSAGE_COUNT: float(len(times)), FIRST_SENT: min(times), MEAN_SENT: sum(times) / len(times)}
    return roll_up(net_amounts(amounts)) | marks


def _amounts(changes: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Leaf, float]]:
    for change in changes:
        yield amount(change["NewImage"])
        if "OldImage" in change:
            leaf, value = amount(change["OldImage"])
            yield leaf, -value


def reduce_item(name: str, sums: Sums) -> Item:
    """The item of ReduceTable that holds the sums of a batch, as JSON text."""
    return {REDUCE_KEY: {"S": name}, "Message": {"S": json.dumps(sums, sort_keys=True)}}


def total_changes(records: Sequence[Record]) -> Sums:
    """The sums of a batch of ReduceTable's stream together, by node."""
    sums: Sums = {}
    for record in records:
        image = record["dynamodb"].get("NewImage")
        if image is not None:
            add_sums(sums, json.loads(image["Message"]["S"]))
    return {node: value for node, value in sums.items() if node not in {FIRST_SENT, MEAN_SENT}}


def addition(table: str, node: str, value: float) -> Item:
    """The update of a transaction that adds to one node of AggregateTable."""
    return {
        "TableName": table,
        "Key": {AGGREGATE_KEY: {"S": node}},
        "UpdateExpression": "ADD #value :value",
        "ExpressionAttributeNames": {"#value": "Value"},
        "ExpressionAttributeValues": {":value": number(value)},
    }


def code(error: ClientError) -> str:
    """The name of DynamoDB's error."""
    return str(error.response["Error"]["Code"])
