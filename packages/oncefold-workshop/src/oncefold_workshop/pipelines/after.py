"""The workshop's pipeline after its fixes: a condition on the version, and hashes of batches.

It is exact while every batch that is delivered again has the boundaries it had and comes within ten minutes.
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
    addition,
    batch_hash,
    code,
    net_changes,
    reduce_item,
    total_changes,
)
from oncefold_workshop.pipelines.settings import MAX_AGE_SECONDS, InducedFault

TOKEN_CHARS = 36
"""Characters of a ClientRequestToken, at most."""


@dataclass(frozen=True, slots=True)
class StateLambda:
    """Updates StateTable with every message of a Kinesis batch that is newer than what is there."""

    dynamodb: Any
    table: str
    clock: Callable[[], float]
    fault: InducedFault

    def handle(self, event: Mapping[str, Any]) -> None:
        """Raises whatever a message or DynamoDB raises but a failed condition, and InducedFailure."""
        oldest = self.clock() - MAX_AGE_SECONDS
        for message in messages.of_kinesis(event):
            if message.timestamp >= oldest:
                self._update(message)
        self.fault.strike()

    def _update(self, message: Message) -> None:
        try:
            self.dynamodb.update_item(**_newer(self.table, message))
        except ClientError as error:
            if code(error) != CONDITION_FAILED:
                raise


def _newer(table: str, message: Message) -> Item:
    """The UpdateItem that lets a greater version replace a lesser one, and nothing else."""
    item = messages.state_item(message)
    key = {"id": item.pop("id")}
    return {
        "TableName": table,
        "Key": key,
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in item),
        "ConditionExpression": "attribute_not_exists(id) OR #Version < :Version",
        "ExpressionAttributeNames": {f"#{name}": name for name in item},
        "ExpressionAttributeValues": {f":{name}": value for name, value in item.items()},
    }


@dataclass(frozen=True, slots=True)
class MapLambda:
    """Puts the sums of a batch of StateTable's stream into ReduceTable, once for each hash of a batch."""

    dynamodb: Any
    table: str
    fault: InducedFault

    def handle(self, event: Mapping[str, Any]) -> None:
        """Raises whatever DynamoDB raises but a failed condition, and InducedFailure."""
        records = event["Records"]
        item = reduce_item(batch_hash(records), net_changes(records))
        try:
            self.dynamodb.put_item(TableName=self.table, Item=item, ConditionExpression="attribute_not_exists(id)")
        except ClientError as error:
            if code(error) != CONDITION_FAILED:
                raise
        self.fault.strike()


@dataclass(frozen=True, slots=True)
class ReduceLambda:
    """Adds a batch of ReduceTable's stream to AggregateTable in one transaction, once for each hash of a batch.

    DynamoDB remembers the hash for ten minutes. A token that it knows for another request is taken for a batch that was
    added already.
    """

    dynamodb: Any
    table: str
    fault: InducedFault

    def handle(self, event: Mapping[str, Any]) -> None:
        """Raises whatever DynamoDB raises but a token's mismatch, and InducedFailure."""
        records = event["Records"]
        sums = total_changes(records)
        try:
            self.dynamodb.transact_write_items(
                TransactItems=[{"Update": addition(self.table, node, value)} for node, value in sums.items()],
                ClientRequestToken=batch_hash(records)[:TOKEN_CHARS],
            )
        except ClientError as error:
            if code(error) != TOKEN_MISMATCH:
                raise
        self.fault.strike()
