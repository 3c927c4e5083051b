"""A function of somebody's own with `oncefold.once` in it, as systems under test: one for each way to be once.

Two functions may read the stream with the same counters, so that two writers are at work on the same records. After
every write the counters equal what the ledger says that they should: by id and version what it keeps of the records,
by position what lies in the stream up to each shard's position.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from oncefold.core.errors import OncefoldError
from oncefold.core.event import Event
from oncefold.core.fold import Node, Total
from oncefold.dynamodb.items import mantissa
from oncefold.once import Batch, Counters, Runtime
from oncefold.once.counts import KeyLayout, counts_text, read_counts
from oncefold.once.ledger import Way
from oncefold_lab.local.settings import FOR_EVER
from oncefold_lab.search import scenario as scenarios
from oncefold_lab.search.oracle import Watched, contribution, plus
from oncefold_lab.search.scenario import MERGE, NAMES, PAUSE, REPLAY_EVENTS, SPLIT, Scenario, SimulatedDeployment
from oncefold_lab.search.workload import SentLine
from oncefold_lab.world.functions import Context
from oncefold_lab.world.world import Violation, World

LEDGER = "AggregateLedger"
COUNTERS = NAMES.aggregate_table
WRITERS = (NAMES.state_function, NAMES.reduce_function)
"""The functions; the second is there in about half of the seeds."""
_INCIDENTS = (SPLIT, MERGE, REPLAY_EVENTS, PAUSE)
_COLD_CHANCE = 0.3
_KEY = "Identifier"
_PLACES = 9

Numbers = tuple[int, ...]


class Counting:
    """A function that counts each record's events in the nodes of a tree, once. Subclasses say by which way."""

    way: ClassVar[Way]
    counters: ClassVar[type[Counters]] = Counters
    """A known-wrong variant puts its own here."""

    def __init__(self, deployment: SimulatedDeployment, lines: Iterable[SentLine]) -> None:
        """See Build."""
        self._deployment = deployment
        self.pipeline = deployment.pipeline
        self._lines = {line.data: line.event for line in lines}
        self._numbers = {data: number for number, data in enumerate(self._lines)}

    @classmethod
    def draw(cls, seed: int) -> Scenario:
        """The seed's scenario, with what there is of it for a stream and its function."""
        drawn = scenarios.draw(seed)
        incidents = tuple(incident for incident in drawn.incidents if incident.kind in _INCIDENTS)
        return replace(drawn, incidents=incidents)

    def deploy(self, world: World) -> None:
        """See System."""
        self._world = world
        client = world.dynamodb
        for table, key in ((COUNTERS, _KEY), (LEDGER, "id")):
            client.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            )
        world.kinesis.create_stream(StreamName=NAMES.stream, ShardCount=self._deployment.shards)
        world.queues.create_queue(NAMES.failure_queue)
        random = world.random("writers")
        self._partial = random.random() < 0.7
        described = world.kinesis.describe_stream_summary(StreamName=NAMES.stream)["StreamDescriptionSummary"]
        for name in WRITERS[: random.choice([1, 2])]:
            shape = self._deployment.state
            world.add_function(name, self.handler, shape.timeout_seconds)
            settings = shape.mapping(described["StreamARN"], report_failures=self._partial)
            world.add_mapping(settings, name)
        self._warm = self._new(world.random("counters").random)
        self._ledger = Watched(world.rows(LEDGER), self._kept)
        self._totals = Watched(world.rows(COUNTERS), self._counted)
        self._off: dict[Node, Numbers] = {}

    def _new(self, chance: Any) -> Counters:
        return self.counters(
            COUNTERS,
            LEDGER,
            self.way,
            places=_PLACES,
            partial=self._partial,
            client=self._world.client("dynamodb"),
            runtime=Runtime(self._world.scheduler.clock, self._world.tasks.sleep, chance),
        )

    def handler(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """What Lambda calls."""
        if context.random.random() < _COLD_CHANCE:
            self._warm = self._new(context.random.random)
        with self._warm.batch(context) as batch:
            for record in event["Records"]:
                for data in base64.b64decode(record["kinesis"]["data"]).split(b"\n"):
                    sent = self._lines[data]
                    if sent is not None:
                        self._add(batch, record, data, sent)
        for outcome, number in batch.outcomes.items():
            context.ledger.note(f"once: {outcome}", number)
        context.ledger.note("once: overtaken", batch.meter.conflicts)
        return batch.response

    def _add(self, batch: Batch, record: Mapping[str, Any], data: bytes, event: Event) -> None:
        raise NotImplementedError

    def counts(self, event: Event) -> dict[str, dict[str, int | Decimal]]:
        """What an event adds, as a handler would say it."""
        found: dict[str, dict[str, int | Decimal]] = {}
        for node, (count, *amounts) in contribution(self.pipeline, event.content).items():
            found[_name(node)] = {"count": count} | {
                amount.name: Decimal(value).scaleb(-amount.scale)
                for amount, value in zip(self.pipeline.amounts, amounts, strict=True)
            }
        return found

    def check(self) -> None:
        """See System: what the ledger says is what the counters hold."""
        try:
            for before, after in self._ledger.changes():
                self._balance(before, -1)
                self._balance(after, 1)
            for before, after in self._totals.changes():
                self._balance(before, 1)
                self._balance(after, -1)
        except (ArithmeticError, LookupError, OncefoldError, TypeError, ValueError) as error:
            raise Violation(f"a table holds what cannot be read: {error!r}") from error
        if self._off:
            node, numbers = next(iter(self._off.items()))
            raise Violation(f"the counters are not what the ledger says: {node.labels} is off by {numbers}")

    def _balance(self, numbers: Mapping[Node, Numbers] | None, sign: int) -> None:
        for node, row in (numbers or {}).items():
            total = plus(self._off.get(node), tuple(sign * number for number in row))
            if any(total):
                self._off[node] = total
            else:
                self._off.pop(node, None)

    def _kept(self, item: dict[str, Any]) -> dict[Node, Numbers]:
        """What an item of the ledger says that the counters hold."""
        if "counts" not in item:
            return {}
        return {
            _node(next(iter(key[_KEY].values()))): self._row({name: {"N": text} for name, text in amounts.items()})
            for key, amounts in json.loads(item["counts"]["S"])
        }

    def _counted(self, item: dict[str, Any]) -> dict[Node, Numbers]:
        return {_node(item[_KEY]["S"]): self._row(item)}

    def _row(self, item: Mapping[str, Any]) -> Numbers:
        measures = [mantissa(item.get(amount.name, {"N": "0"}), amount.scale) for amount in self.pipeline.amounts]
        return (int(item["count"]["N"]), *measures)

    def totals(self) -> dict[Node, Total]:
        """See System."""
        rows = [self._counted(item) for item in self._world.items(COUNTERS)]
        return {node: Total(count, tuple(rest)) for row in rows for node, (count, *rest) in row.items()}

    def expected(self) -> dict[Node, Total]:
        """The totals as they should be in the end, from all that was sent."""
        sums: dict[Node, Numbers] = {}
        for event in self._counting():
            for node, numbers in contribution(self.pipeline, event.content).items():
                sums[node] = plus(sums.get(node), numbers)
        return {node: Total(count, tuple(rest)) for node, (count, *rest) in sums.items()}

    def _counting(self) -> Iterable[Event]:
        """The events that count, each as often as it does."""
        raise NotImplementedError

    def is_complete(self) -> bool:
        """See System."""
        return True

    def check_end(self) -> None:
        """See System: the balance has said it all."""


class ById(Counting):
    """Every different line counts once, by an id of its own."""

    way = "id"

    def _add(self, batch: Batch, record: Mapping[str, Any], data: bytes, event: Event) -> None:
        batch.add(self.id_of(data), self.counts(event), record=record)

    def id_of(self, data: bytes) -> str:
        """A line's id. Those of neighbours have the same CRC-32, as ids of any business may."""
        number = self._numbers[data]
        return f"{('plumless', 'buckeroo')[number % 2]}-{number // 2}"

    def _counting(self) -> Iterable[Event]:
        return [event for event in self._lines.values() if event is not None]


class ByVersion(Counting):
    """Of every key the greatest version counts; of one version the greater text of its counts, nothing above all."""

    way = "version"

    def _add(self, batch: Batch, record: Mapping[str, Any], data: bytes, event: Event) -> None:  # noqa: ARG002
        batch.add(event.key, self.counts(event), version=event.version, record=record)

    def _counting(self) -> Iterable[Event]:
        best: dict[str, Event] = {}
        for event in self._lines.values():
            if event is not None and (event.key not in best or self._order(event) > self._order(best[event.key])):
                best[event.key] = event
        return best.values()

    def _order(self, event: Event) -> tuple[int, bool, bytes]:
        text = counts_text(read_counts(self.counts(event), _LAYOUT, _PLACES), _PLACES)
        return event.version, event.content.deleted, text.encode()


class ByPosition(Counting):
    """Every record of the stream counts once, also one that its sender put there twice."""

    way = "position"

    @classmethod
    def draw(cls, seed: int) -> Scenario:
        """One batch of a shard at a time, and none is given up: what this way asks for."""
        drawn = super().draw(seed)
        state = replace(drawn.deployment.state, parallelization=1, max_retries=FOR_EVER, max_age_seconds=FOR_EVER)
        return replace(drawn, deployment=replace(drawn.deployment, state=state))

    def deploy(self, world: World) -> None:
        """See System."""
        super().deploy(world)
        self._found: dict[str, dict[Node, Numbers]] = {}

    def _add(self, batch: Batch, record: Mapping[str, Any], data: bytes, event: Event) -> None:  # noqa: ARG002
        batch.add(record["eventID"], self.counts(event))

    def _counting(self) -> Iterable[Event]:
        return [event for _, _, event in self._stream()]

    def _stream(self) -> Iterable[tuple[str, int, Event]]:
        """Shard, position and event of all that is in the stream, without a call."""
        stream = self._world.kinesis._streams[NAMES.stream]  # noqa: SLF001 - read without a trace
        for shard in stream.shards():
            for entry in shard.entries:
                for data in entry.data.split(b"\n"):
                    event = self._lines[data]
                    if event is not None:
                        yield shard.id, entry.sequence, event

    def _kept(self, item: dict[str, Any]) -> dict[Node, Numbers]:
        kind, _, lane = item["id"]["S"].partition("/")
        if kind != self.way:
            return {}
        text, _, additions = item["position"]["S"].partition("+")
        last, left = int(text), int(additions or 0)
        sums: dict[Node, Numbers] = {}
        for shard, position, event in self._stream():
            if shard != lane or position > last:
                continue
            left -= position == last
            if position < last or not additions or left >= 0:
                for node, numbers in contribution(self.pipeline, event.content).items():
                    sums[node] = plus(sums.get(node), numbers)
        return sums


_LAYOUT = KeyLayout(((_KEY, "S"),))


def _name(node: Node) -> str:
    return json.dumps([node.rollup, *node.labels], ensure_ascii=False)


def _node(name: str) -> Node:
    rollup, *labels = json.loads(name)
    return Node(rollup, tuple(labels))
