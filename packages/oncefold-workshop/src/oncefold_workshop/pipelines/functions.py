"""StateLambda, MapLambda and ReduceLambda in all their forms, and the map of the stateless pipeline.

The workshop hands out StateLambda without a condition and ReduceLambda without a token; its second lab adds both.
Afterwards the pipeline is exact while every batch that is delivered again has the boundaries it had, and comes within
ten minutes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from oncefold_workshop.pipelines import messages
from oncefold_workshop.pipelines.messages import (
    CONDITION_FAILED,
    TOKEN_MISMATCH,
    Item,
    Message,
    Sums,
    addition,
    batch_hash,
    batch_token,
    code,
    net_changes,
    net_messages,
    reduce_item,
    total_changes,
)
from oncefold_workshop.pipelines.settings import MAX_AGE_SECONDS, REDUCE_KEY, STATE_KEY, InducedFault

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StateLambda:
    """Updates StateTable with every message of a Kinesis batch; if `conditional`, with those that are newer."""

    dynamodb: Any
    table: str
    clock: Callable[[], float]
    fault: InducedFault
    conditional: bool

    def handle(self, event: Event) -> None:
        """Raises whatever a message or DynamoDB raises but a failed condition, and InducedFailure before a record."""
        records = event["Records"]
        share = self.fault.percentage() / len(records) if records else 0.0
        for record in records:
            self.fault.strike(share)
            for message in messages.of_record(record):
                if self.clock() - message.timestamp <= MAX_AGE_SECONDS:
                    self._update(message)

    def _update(self, message: Message) -> None:
        request = _update(self.table, message)
        if self.conditional:
            request["ConditionExpression"] = f"attribute_not_exists({STATE_KEY}) OR #Version < :Version"
        try:
            self.dynamodb.update_item(**request)
        except ClientError as error:
            if code(error) != CONDITION_FAILED:
                raise


def _update(table: str, message: Message) -> Item:
    """The UpdateItem that lets a message replace what there is of its trade."""
    item = messages.state_item(message)
    key = {STATE_KEY: item.pop(STATE_KEY)}
    return {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in item),
        "ExpressionAttributeNames": {f"#{name}": name for name in item},
        "ExpressionAttributeValues": {f":{name}": value for name, value in item.items()},
    }


@dataclass(frozen=True, slots=True)
class MapLambda:
    """Puts the sums of a batch of a stream into ReduceTable, once for each hash of a batch.

    `summed` gives the sums of a batch: those of StateTable's changes, or in the stateless pipeline those of messages.
    """

    dynamodb: Any
    table: str
    fault: InducedFault
    summed: Callable[[Event], Sums]

    def handle(self, event: Event) -> None:
        """Raises whatever DynamoDB raises but a failed condition, and InducedFailure after its write."""
        sums = self.summed(event)
        if not sums:
            return
        try:
            self.dynamodb.put_item(
                TableName=self.table,
                Item=reduce_item(batch_hash(event["Records"]), sums),
                ConditionExpression=f"attribute_not_exists({REDUCE_KEY})",
            )
        except ClientError as error:
            if code(error) != CONDITION_FAILED:
                raise
        self.fault.strike(self.fault.percentage())


def sums_of_changes(event: Event) -> Sums:
    """What a batch of StateTable's stream adds to each node."""
    return net_changes(event["Records"])


sums_of_messages = net_messages
"""What a batch of messages adds to each node, without a state."""


@dataclass(frozen=True, slots=True)
class ReduceLambda:
    """Adds a batch of ReduceTable's stream to AggregateTable in one transaction.

    With a token, once for each hash of a batch: DynamoDB remembers it for ten minutes. If `mismatch_is_done`, a token
    that DynamoDB knows for another request is taken for a batch that was added already.
    """

    dynamodb: Any
    table: str
    fault: InducedFault
    token: bool
    mismatch_is_done: bool = False

    def handle(self, event: Event) -> None:
        """Raises whatever DynamoDB raises, and InducedFailure after its write."""
        records = event["Records"]
        sums = total_changes(records)
        if not sums:
            return
        token = {"ClientRequestToken": batch_token(records)} if self.token else {}
        try:
            self.dynamodb.transact_write_items(
                TransactItems=[{"Update": addition(self.table, node, value)} for node, value in sums.items()], **token
            )
        except ClientError as error:
            if code(error) != TOKEN_MISMATCH or not self.mismatch_is_done:
                raise
            return
        self.fault.strike(self.fault.percentage())
