"""A world with a stream of events and one function that notes what it gets."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from oncefold_lab.local.settings import MappingSettings
from oncefold_lab.world.functions import Context
from oncefold_lab.world.mapping import Mapping as EventSourceMapping
from oncefold_lab.world.scheduler import START
from oncefold_lab.world.world import World, WorldSettings

Batch = list[str]


def make_items(world: World, **more: Any) -> dict[str, Any]:
    """Make the table `items` of a key `id`; its description."""
    described: dict[str, Any] = world.dynamodb.create_table(
        TableName="items",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        **more,
    )["TableDescription"]
    return described


class Stage:
    """`handle` may be set; it gets the texts of a batch and the context, and gives the answer."""

    def __init__(
        self, shards: int = 1, world_settings: WorldSettings | None = None, timeout: float = 10.0, **settings: Any
    ) -> None:
        self.world = World(7, world_settings or WorldSettings())
        self.world.kinesis.create_stream(StreamName="events", ShardCount=shards)
        self.world.queues.create_queue("failures")
        self.batches: list[Batch] = []
        self.handle: Callable[[Batch, Context], Any] = lambda batch, context: None
        self.world.add_function("function", self._handler, timeout)
        stream = self.world.kinesis.describe_stream_summary(StreamName="events")["StreamDescriptionSummary"]
        self.mapping: EventSourceMapping = self.world.add_mapping(
            MappingSettings(stream["StreamARN"], "function", failure_queue_url="failures", **settings), "function"
        )

    def _handler(self, event: Mapping[str, Any], context: Context) -> Any:
        records = [record["kinesis"] for record in event["Records"]]
        batch = [base64.b64decode(record["data"]).decode() for record in records]
        self.batches.append(batch)
        failed = self.handle(batch, context)
        if failed is None:
            return None
        return {"batchItemFailures": [{"itemIdentifier": records[failed]["sequenceNumber"]}]}

    def put(self, *texts: str, key: str = "k") -> None:
        for text in texts:
            self.world.kinesis.put_record(StreamName="events", Data=text.encode(), PartitionKey=key)

    def run(self, seconds: float = 600.0) -> None:
        self.world.scheduler.run(self.world.scheduler.clock() + seconds, lambda: False)

    @property
    def now(self) -> float:
        return self.world.scheduler.clock() - START

    @property
    def texts(self) -> Batch:
        return [text for batch in self.batches for text in batch]
