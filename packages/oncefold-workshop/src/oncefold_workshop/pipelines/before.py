"""The workshop's pipeline before its fixes: no batch or message is recognized when it comes again.

A stale version overwrites a newer one, a batch that MapLambda sees twice is written twice under two names, and one that
ReduceLambda sees twice is added twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from oncefold_workshop.pipelines import messages
from oncefold_workshop.pipelines.messages import addition, net_changes, reduce_item, total_changes
from oncefold_workshop.pipelines.settings import MAX_AGE_SECONDS, InducedFault


@dataclass(frozen=True, slots=True)
class StateLambda:
    """Puts every message of a Kinesis batch into StateTable."""

    dynamodb: Any
    table: str
    clock: Callable[[], float]
    fault: InducedFault

    def handle(self, event: Mapping[str, Any]) -> None:
        """Raises whatever a message or DynamoDB raises, and InducedFailure."""
        oldest = self.clock() - MAX_AGE_SECONDS
        for message in messages.of_kinesis(event):
            if message.timestamp >= oldest:
                self.dynamodb.put_item(TableName=self.table, Item=messages.state_item(message))
        self.fault.strike()


@dataclass(frozen=True, slots=True)
class MapLambda:
    """Puts the sums of a batch of StateTable's stream into ReduceTable, under a name of time and a random number."""

    dynamodb: Any
    table: str
    clock: Callable[[], float]
    random: Callable[[], float]
    fault: InducedFault

    def handle(self, event: Mapping[str, Any]) -> None:
        """Raises whatever DynamoDB raises, and InducedFailure."""
        name = f"{self.clock():.6f}-{self.random():.16f}"
        self.dynamodb.put_item(TableName=self.table, Item=reduce_item(name, net_changes(event["Records"])))
        self.fault.strike()


@dataclass(frozen=True, slots=True)
class ReduceLambda:
    """Adds a batch of ReduceTable's stream to AggregateTable, node by node."""

    dynamodb: Any
    table: str
    fault: InducedFault

    def handle(self, event: Mapping[str, Any]) -> None:
        """Raises whatever DynamoDB raises, and InducedFailure."""
        for node, value in total_changes(event["Records"]).items():
            self.dynamodb.update_item(**addition(self.table, node, value))
        self.fault.strike()
