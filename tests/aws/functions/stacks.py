"""A stack's tables under test: the functions run over any client of DynamoDB, and what the tables hold is looked at."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from oncefold.aws.connect import client
from oncefold.aws.functions import layout
from oncefold.aws.functions.direct import DirectStateFunction
from oncefold.aws.functions.epochs import EpochCache
from oncefold.aws.functions.guard import ECONOMY
from oncefold.aws.functions.layout import Delta
from oncefold.aws.functions.net import NetFunction, Netted
from oncefold.aws.functions.reduce import Reduced, ReduceFunction
from oncefold.aws.functions.state import FoldResult, StateFunction, StreamRecord
from oncefold.aws.functions.sweep import Swept, sweep
from oncefold.aws.functions.unread import ChangeStream
from oncefold.aws.names import Names
from oncefold.core.decimals import format_decimal
from oncefold.core.definition import Pipeline
from oncefold.core.definition_toml import parse_toml
from oncefold.core.event import Event
from oncefold.core.fold import Node, Stored, Total, net
from oncefold.dynamodb.calls import Backoff, Dynamo, Meter
from oncefold.dynamodb.items import Item
from tests.tools import reference

PIPELINE = parse_toml(
    """
    name = "risk"
    [event]
    key = "id"
    version = "v"
    delete = "gone"
    [rollups]
    risk = ["type", "desk"]
    desks = ["desk"]
    [measures]
    value = { sum = "value", scale = 2 }
    """
)

WORKSHOP = parse_toml(
    """
    name = "workshop"
    [event]
    key = "TradeID"
    version = "Version"
    delete = "Deleted"
    [rollups]
    risk = ["Hierarchy.RiskType", "Hierarchy.TradeDesk", "Hierarchy.Region"]
    [measures]
    value = { sum = "Value", scale = 2 }
    """
)


@dataclass
class Time:
    """Virtual seconds: a pause lets them pass."""

    now: float = 1_700_000_000.0
    pauses: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@dataclass
class Stack:
    """One stack's tables behind a client, and the functions over them."""

    client: Any
    names: Names
    pipeline: Pipeline = PIPELINE
    time: Time = field(default_factory=Time)

    def dynamo(self, client: Any = None, seconds: float = 3600.0) -> Dynamo:
        """Calls by `client`, or the stack's own, with so many seconds to the deadline."""
        backoff = Backoff(self.time.read, self.time.sleep, lambda: 0.5, self.time.now + seconds)
        return Dynamo(client or self.client, backoff, Meter())

    def fold(
        self, records: Sequence[StreamRecord], client: Any = None, seconds: float = 3600.0, reject_days: int = 0
    ) -> FoldResult:
        dynamo = self.dynamo(client, seconds)
        function = StateFunction(self.pipeline, self.names, dynamo, self.time.read, reject_days=reject_days)
        return function.handle(records)

    def reduce(self, client: Any = None, seconds: float = 3600.0, deltas: Iterable[Delta] | None = None) -> Reduced:
        """Apply what is in the outbox, or the deltas that are given."""
        some = self.outbox() if deltas is None else deltas
        return ReduceFunction(self.pipeline, self.names, self.dynamo(client, seconds)).apply(some)

    def sweep(self, client: Any = None, grace: float = 0.0, seconds: float = 3600.0) -> Swept:
        return sweep(self.pipeline, self.names, self.dynamo(client, seconds), self.time.read, grace)

    def settle(self) -> None:
        """Add everything that was folded to the totals."""
        self.reduce()

    def scan(self, table: str) -> list[Item]:
        return list(self.dynamo().scan(table))

    def states(self) -> dict[str, Stored]:
        return dict(layout.parse_state(self.pipeline, item) for item in self.scan(self.names.state_table))

    def outbox(self) -> list[Delta]:
        return [layout.parse_delta(self.pipeline, item) for item in self.scan(self.names.reduce_table)]

    def totals(self) -> dict[Node, Total]:
        items = [item for item in self.scan(self.names.aggregate_table) if item["path"]["S"].startswith("/")]
        totals = dict(layout.parse_node(self.pipeline, item) for item in items)
        return {node: total for node, total in totals.items() if total}

    def rejects(self, kind: str) -> list[Item]:
        return [item for item in self.scan(self.names.reject_table) if item["kind"]["S"] == kind]

    def check_balance(self) -> None:
        """Totals + outbox = states: what holds at every instant, whatever has happened."""
        sums = self.totals()
        for delta in self.outbox():
            for node, total in delta.nodes:
                sums[node] = sums[node] + total if node in sums else total
        states = net(self.pipeline, ((None, stored) for stored in self.states().values()))
        reference.assert_equal(states, sums, self.pipeline)

    def check_exact(self, events: Iterable[Event]) -> None:
        """Everything is applied, and the totals are those of the reference."""
        assert self.outbox() == []
        reference.assert_equal(reference.totals(self.pipeline, events), self.totals(), self.pipeline)


@dataclass
class EconomyStack(Stack):
    """The same in economy mode."""

    streams: Any = None
    """A client of DynamoDB's streams."""
    epochs: EpochCache | None = None

    def fold(
        self, records: Sequence[StreamRecord], client: Any = None, seconds: float = 3600.0, reject_days: int = 0
    ) -> FoldResult:
        dynamo = self.dynamo(client, seconds)
        function = DirectStateFunction(
            self.pipeline, self.names, dynamo, self.time.read, reject_days=reject_days, epochs=self.epochs
        )
        return function.handle(records)

    def settle(self) -> None:
        net_all(self, self.streams, self.epochs)
        self.reduce()


def stream_of(stack: Stack, streams: Any = None) -> ChangeStream:
    """The stream of a stack's states, by a client of DynamoDB's streams or the simulator's own."""
    described = stack.client.describe_table(TableName=stack.names.state_table)["Table"]
    return ChangeStream(streams or stack.client.streams(), described["LatestStreamArn"])


def net_all(stack: Stack, streams: Any = None, epochs: EpochCache | None = None, client: Any = None) -> list[Netted]:
    """What NetLambda makes of all changes that there are, those that it knows among them, shard by shard."""
    stream = stream_of(stack, streams)
    function = NetFunction(stack.pipeline, stack.names, stack.dynamo(client), stack.time.read, epochs)
    return [function.handle(shard, list(stream.after(shard, None))) for shard in stream.shards()]


def functions_of(names: Names, pipeline: Pipeline, mode: str) -> Stack:
    """The functions of a stack of a mode, by the standard clients."""
    if mode == ECONOMY:
        return EconomyStack(client("dynamodb"), names, pipeline, streams=client("dynamodbstreams"))
    return Stack(client("dynamodb"), names, pipeline)


class Interposed:
    """A client that calls `before` and `after` with the operation's name around every call."""

    def __init__(
        self,
        client: Any,
        before: Callable[[str], None] = lambda _: None,
        after: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._before = before
        self._after = after

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self._before(operation)
            answer = getattr(self._client, operation)(**request)
            self._after(operation)
            return answer

        return call


def lines(events: Iterable[str]) -> list[StreamRecord]:
    """A record of each line."""
    return [StreamRecord("shardId-0", str(number), 0.0, line.encode()) for number, line in enumerate(events)]


def written(event: Event) -> str:
    """An event of PIPELINE as a line."""
    document: dict[str, Any] = {"id": event.key, "v": event.version}
    if event.content.labels is None:
        document["gone"] = True
    else:
        document |= {"type": event.content.labels[0], "desk": event.content.labels[1]}
        document["value"] = format_decimal(event.content.measures[0], 2)
    return json.dumps(document)
