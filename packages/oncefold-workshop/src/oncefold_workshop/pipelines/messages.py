"""The workshop's messages: as they come from Kinesis, and as items and images of StateTable.

A value is a Python float from the moment it is read, and `Decimal(str(value))` when it is written: the workshop's way.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from oncefold_workshop.pipelines.tree import LEVELS, Leaf

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
