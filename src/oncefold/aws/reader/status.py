"""`status`: a stack as a whole. What is not there, or may not be read, is left out, and `unknown` says why."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from oncefold.aws.connect import client, plain_message
from oncefold.aws.functions.guard import ECONOMY
from oncefold.aws.functions.unread import WATCH_KEY, is_lost
from oncefold.aws.mappings import mappings_of, stream_name
from oncefold.aws.operations.rebuild_item import UnderWay
from oncefold.aws.reader.totals import outbox
from oncefold.aws.tables import Stack, only_kind, only_live_nodes, read_definition, scan_pages
from oncefold.queries.model import AsOfTime, Shape
from oncefold.queries.protocol import Progress
from oncefold.queries.status_model import Count, FunctionState, MappingState, StackStatus, StreamState

Fact = TypeVar("Fact")

LATELY = timedelta(minutes=15)
"""Metrics come a few minutes late; older ones say little of now."""
COUNTED_ROWS = 1_000
"""Rejects and conflicts are counted up to about here."""
_PERIOD_SECONDS = 60


@dataclass(frozen=True)
class StatusClients:
    """Clients of the services that are read beside DynamoDB."""

    kinesis: Any
    functions: Any
    metrics: Any
    queues: Any

    @classmethod
    def connect(cls) -> "StatusClients":
        """The standard clients. Raises OncefoldError."""
        return cls(client("kinesis"), client("lambda"), client("cloudwatch"), client("sqs"))


@dataclass
class Inspection:
    """Reads the state of one stack's parts."""

    stack: Stack
    clients: StatusClients
    clock: Callable[[], int]
    """Nanoseconds since 1970."""
    unknown: dict[str, str] = field(default_factory=dict)

    def status(self, as_of: AsOfTime, progress: Progress, *, counting: bool) -> StackStatus:
        """All of it; `counting` counts keys and nodes, which reads their tables."""
        names = self.stack.names
        pipeline = self.stack.pipeline
        keys, live = self._keys(progress, counting=counting)
        return StackStatus(
            as_of=as_of,
            shape=Shape.of(pipeline),
            rows=(),
            region=self.stack.dynamodb.meta.region_name,
            fingerprint=pipeline.fingerprint,
            accepted=len(self.stack.fingerprints),
            stream=self._learned("stream", self._stream),
            functions=tuple(
                self._function(function, as_of.time, fed=function != names.sweep_function)
                for function in self._names_of_functions()
            ),
            lately=LATELY,
            keys=keys,
            live=live,
            nodes=self._nodes(progress, counting=counting),
            outbox=outbox(self.stack, self.clock),
            rejects=self._listed("reject"),
            conflicts=self._listed("conflict"),
            failures=self._learned("failure queue", self._failures),
            unknown=self.unknown,
            rebuild=self._rebuild(),
            lost=self._lost(),
        )

    def _names_of_functions(self) -> tuple[str, ...]:
        names = self.stack.names
        economy = (names.net_function,) if self.stack.mode == ECONOMY else ()
        return (names.state_function, *economy, names.reduce_function, names.sweep_function)

    def _lost(self) -> bool:
        if self.stack.mode != ECONOMY:
            return False
        answer = self.stack.dynamodb.get_item(
            TableName=self.stack.names.aggregate_table, Key=WATCH_KEY, ConsistentRead=True
        )
        return is_lost(answer.get("Item"), self.stack.epoch)

    def _rebuild(self) -> str | None:
        under = UnderWay.of(read_definition(self.stack.names, self.stack.dynamodb))
        return None if under is None else under.phase

    def _learned(self, what: str, query: Callable[[], Fact]) -> Fact | None:
        """An answer, or None where there is none; then the reason is kept."""
        try:
            return query()
        except ClientError as error:
            self.unknown[what] = plain_message(error)
        except BotoCoreError as error:
            self.unknown[what] = str(error)
        return None

    def _stream(self) -> StreamState:
        name = stream_name(self.stack.names, self.clients.functions)
        summary = self.clients.kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        closed = ["EndingSequenceNumber" in shard["SequenceNumberRange"] for shard in self._shards(name)]
        return StreamState(
            name=name,
            status=summary["StreamStatus"],
            mode=summary.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED"),
            open_shards=closed.count(False),
            closed_shards=closed.count(True),
            retention=timedelta(hours=summary["RetentionPeriodHours"]),
        )

    def _shards(self, name: str) -> Iterator[Mapping[str, Any]]:
        which: dict[str, str] = {"StreamName": name}
        while True:
            page = self.clients.kinesis.list_shards(**which)
            yield from page["Shards"]
            if not page.get("NextToken"):
                return
            which = {"NextToken": page["NextToken"]}

    def _function(self, name: str, now: datetime, *, fed: bool) -> FunctionState:
        mappings = self._learned(f"mappings of {name}", lambda: self._mappings(name)) if fed else ()
        age = self._metric(name, "IteratorAge", "Maximum", now) if fed else None
        errors = self._metric(name, "Errors", "Sum", now)
        return FunctionState(
            name=name,
            mappings=mappings,
            age=timedelta(milliseconds=max(age)) if age else None,
            errors=None if errors is None else int(sum(errors)),
        )

    def _mappings(self, function: str) -> tuple[MappingState, ...]:
        return tuple(
            MappingState(mapping.get("State", "unknown"), mapping.get("LastProcessingResult", ""))
            for mapping in mappings_of(function, self.clients.functions)
        )

    def _metric(self, function: str, metric: str, statistic: str, now: datetime) -> Sequence[float] | None:
        def query() -> list[float]:
            points = self.clients.metrics.get_metric_statistics(
                Namespace="AWS/Lambda",
                MetricName=metric,
                Dimensions=[{"Name": "FunctionName", "Value": function}],
                StartTime=now - LATELY,
                EndTime=now,
                Period=_PERIOD_SECONDS,
                Statistics=[statistic],
            )["Datapoints"]
            return [float(point[statistic]) for point in points]

        return self._learned(f"{metric} of {function}", query)

    def _keys(self, progress: Progress, *, counting: bool) -> tuple[Count, Count | None]:
        table = self.stack.names.state_table
        if not counting:
            return self._described(table), None
        request = {"FilterExpression": "attribute_exists(#labels)", "ExpressionAttributeNames": {"#labels": "labels"}}
        keys = live = 0
        for page in scan_pages(self.stack, table, Select="COUNT", **request):
            keys += page["ScannedCount"]
            live += page["Count"]
            progress("keys", keys)
        return Count(keys), Count(live)

    def _nodes(self, progress: Progress, *, counting: bool) -> Count:
        table = self.stack.names.aggregate_table
        if not counting:
            held = self._described(table)
            return Count(max(0, held.number - 1), exact=False)
        nodes = 0
        for page in scan_pages(self.stack, table, Select="COUNT", **only_live_nodes(self.stack)):
            nodes += page["Count"]
            progress("nodes", nodes)
        return Count(nodes)

    def _described(self, table: str) -> Count:
        return Count(self.stack.dynamodb.describe_table(TableName=table)["Table"].get("ItemCount", 0), exact=False)

    def _listed(self, kind: str) -> Count:
        found = 0
        for page in scan_pages(self.stack, self.stack.names.reject_table, Select="COUNT", **only_kind(kind)):
            found += page["Count"]
            if found > COUNTED_ROWS:
                return Count(found, complete=False)
        return Count(found)

    def _failures(self) -> int:
        url = self.clients.queues.get_queue_url(QueueName=self.stack.names.failure_queue)["QueueUrl"]
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.clients.queues.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
        return sum(int(found[name]) for name in wanted)
