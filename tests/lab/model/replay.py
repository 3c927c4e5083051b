"""The model's schedules, carried out by the functions themselves over the simulator's DynamoDB.

After every step the tables must hold what the model says, and the invocation must wait for the very call that the
model has it make next. So the model's steps are the code's steps, in their order and with their effect.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError

from oncefold.aws.functions.reduce import ReduceFunction
from oncefold.aws.functions.state import StateFunction, StreamRecord
from oncefold.aws.functions.sweep import sweep
from oncefold.aws.names import Names
from oncefold.core.event import Event
from oncefold.core.fold import Stored
from oncefold.dynamodb.calls import Backoff, Dynamo, Meter
from oncefold_lab.model.encoding import Encoding
from oncefold_lab.model.protocol import Protocol
from oncefold_lab.model.scenario import PIPELINE, PROTOCOL, ModelScenario, ProtocolRules
from oncefold_lab.model.state import BEGINNINGS, DONE, UNREAD, Folding, ModelStep, Op, Reducing, Run
from oncefold_lab.simulator.dynamodb import DynamoDB
from oncefold_lab.simulator.transactions import TOKEN_SECONDS
from tests.aws.functions.stacks import Stack, Time
from tests.aws.tables import make_tables
from tests.lab.model.puppets import Call, Ended, Puppet

CREATED = 1_700_000_000.0
DEADLINE = 1e12
_TRANSACTIONS = frozenset([Op.WRITTEN, Op.UNHEARD, Op.REMEMBERED, Op.REFUSED, Op.APPLIED, Op.APPLIED_UNHEARD, Op.GONE])
_UNHEARD = frozenset([Op.UNHEARD, Op.APPLIED_UNHEARD])


@dataclass
class Running:
    """An invocation in the model, and the puppet that carries it out."""

    run: Run
    puppet: Puppet
    clock: Time
    items: list[Any] = field(default_factory=list)
    """What a call in parts, BatchGetItem or Scan, has read so far."""


class Replay:
    """One schedule of a scenario."""

    economy = False

    def __init__(self, scenario: ModelScenario, rules: ProtocolRules = PROTOCOL) -> None:
        self.protocol = Protocol(scenario, rules)
        self.state = self.protocol.first()
        time = Time()
        dynamodb = DynamoDB(clock=time.read)
        names = Names("model")
        make_tables(names, dynamodb, economy=self.economy)
        self.stack = Stack(dynamodb, names, PIPELINE, time)
        self._running: list[Running] = []
        self._tokens: dict[str, float] = {}

    def end(self) -> None:
        """Crash whatever is under way."""
        for running in self._running:
            running.puppet.end()

    def possible(self) -> list[ModelStep]:
        """The steps of the model that the code can take, where the model leaves more open than the code does."""
        return [step for step in self.protocol.steps(self.state) if self._possible(step)]

    def _possible(self, step: ModelStep) -> bool:
        if step.before is None or step.op in BEGINNINGS or step.before == 0:
            return True
        running = self._of(step.before)
        if isinstance(running.run, int):
            scanning = running.puppet.call.operation == "scan"
            return scanning or step.op is not Op.SEEN
        if step.op in _TRANSACTIONS and isinstance(running.run, Folding):
            request = running.puppet.call.request
            done = self._tokens.get(request["ClientRequestToken"])
            remembered = done is not None and self.stack.time.now < done + TOKEN_SECONDS
            return self._own(step, request) and (step.op is not Op.REMEMBERED or remembered)
        return True

    def _own(self, step: ModelStep, request: dict[str, Any]) -> bool:
        """Whether the chunk of a step is the one that is sent: the code sends them in their order here."""
        world = self.protocol.world
        keys = {world.keys[key] for key, _, _ in world.chunks[step.about.bit_length() - 1]}
        return keys == {put["key"]["S"] for put in self._puts(request, self.stack.names.state_table)}

    def _puts(self, request: dict[str, Any], table: str) -> list[dict[str, Any]]:
        puts = (write.get("Put", {}) for write in request["TransactItems"])
        return [put["Item"] for put in puts if put.get("TableName") == table]

    def _of(self, run: Run) -> Running:
        return next(running for running in self._running if running.run == run)

    def take(self, step: ModelStep) -> None:
        """Carry out a step and compare."""
        if step.before is not None:
            self._act(step, step.before)
        self.state = step.state
        self._compare()

    def _act(self, step: ModelStep, run: Run) -> None:
        running = self._begun(run) if step.op in BEGINNINGS or run == 0 else self._of(run)
        if step.op in _TRANSACTIONS:
            self._transact(step, running)
        elif step.op in {Op.DELIVERED, Op.REPEATED, Op.READ}:
            self._read(step, running)
        elif step.op is Op.SEEN:
            self._see(step, running)
        elif step.op is Op.NOTED:
            self._execute(running)
        elif step.op in {Op.CUT_SHORT, Op.LEFT}:
            running.clock.now = 2 * DEADLINE
            self._lose_answer(running)
            self._check_partial(step, running)
        elif step.op is Op.CRASHED:
            running.puppet.end()
        for other in self._running:
            self._pass_repeated_notes(other)
        if step.after is None:
            self._running.remove(running)
            assert isinstance(running.puppet.now, Ended), running.puppet.now
            if step.op not in {Op.CRASHED, Op.CUT_SHORT, Op.LEFT}:
                self._check_finished(running)
        else:
            running.run = step.after
            self._check_waiting(running)

    def _begun(self, run: Run) -> Running:
        clock = Time(0.0)
        running = Running(run, Puppet(lambda client: self._function(run)(self._dynamo(client, clock))), clock)
        self._running.append(running)
        return running

    def _dynamo(self, client: Any, clock: Time) -> Dynamo:
        return Dynamo(client, Backoff(clock.read, clock.sleep, lambda: 0.5, DEADLINE), Meter())

    def _function(self, run: Run) -> Callable[[Dynamo], Any]:
        names, world = self.stack.names, self.protocol.world
        if isinstance(run, int):
            return lambda dynamo: sweep(PIPELINE, names, dynamo, lambda: CREATED, grace=0)
        if isinstance(run, Reducing):
            deltas = [delta for place, delta in enumerate(world.deltas) if run.left >> place & 1]
            return lambda dynamo: ReduceFunction(PIPELINE, names, dynamo).apply(deltas)
        assert isinstance(run, Folding)
        records = stream_records(world, run.batch)
        return lambda dynamo: StateFunction(PIPELINE, names, dynamo, lambda: CREATED).handle(records)

    def _read(self, step: ModelStep, running: Running) -> None:
        """Read one key of a BatchGetItem at this moment; the call returns with the last one."""
        assert running.puppet.call.operation == "batch_get_item"
        (table,) = running.puppet.call.request["RequestItems"]
        keys = running.puppet.call.request["RequestItems"][table]["Keys"]
        wanted = {"key": {"S": self.protocol.world.keys[step.about]}}
        assert wanted in keys
        request = {table: {"Keys": [wanted], "ConsistentRead": True}}
        running.items.append(self.stack.client.batch_get_item(RequestItems=request)["Responses"][table])
        if len(running.items) == len(keys):
            found = [item for items in running.items for item in items]
            running.items.clear()
            running.puppet.answer(lambda: {"Responses": {table: found}, "UnprocessedKeys": {}})

    def _see(self, step: ModelStep, running: Running) -> None:
        """Meet one delta of a Scan at this moment; the call returns before the first transaction."""
        assert running.puppet.call.operation == "scan"
        wanted = self.protocol.world.deltas[step.about.bit_length() - 1].id
        running.items += [item for item in self.stack.scan(self.stack.names.reduce_table) if item["id"]["S"] == wanted]

    def _transact(self, step: ModelStep, running: Running) -> None:
        if running.puppet.call.operation == "scan":
            running.puppet.answer(lambda: {"Items": running.items})
        assert running.puppet.call.operation == "transact_write_items"
        token = running.puppet.call.request["ClientRequestToken"]
        if step.op is not Op.REMEMBERED and token in self._tokens:
            self.stack.time.now += TOKEN_SECONDS
        if step.op in _UNHEARD:
            self._call(running.puppet.call)
            self._lose_answer(running)
        else:
            self._execute(running)
        if step.op in {Op.WRITTEN, Op.APPLIED, *_UNHEARD}:
            self._tokens[token] = self.stack.time.now

    def _call(self, call: Call) -> Any:
        return getattr(self.stack.client, call.operation)(**call.request)

    def _execute(self, running: Running) -> None:
        """Let a call happen and be answered."""
        try:
            answer = self._call(running.puppet.call)
        except ClientError as error:
            running.puppet.fail(error)
        else:
            running.puppet.answer(lambda: answer)

    def _lose_answer(self, running: Running) -> None:
        running.puppet.fail(ConnectionClosedError(endpoint_url="https://dynamodb"))

    def _pass_repeated_notes(self, running: Running) -> None:
        """The code puts conflicts over themselves; the model leaves out steps that change nothing."""
        while isinstance(running.puppet.now, Call) and running.puppet.now.operation == "batch_write_item":
            (puts,) = running.puppet.now.request["RequestItems"].values()
            there = {item["id"]["S"] for item in self.stack.rejects("conflict")}
            if not {put["PutRequest"]["Item"]["id"]["S"] for put in puts} <= there:
                return
            self._execute(running)

    def _check_finished(self, running: Running) -> None:
        result = running.puppet.result
        if isinstance(running.run, Folding):
            assert result.unfinished is None
        elif isinstance(running.run, Reducing):
            assert not result.left
        else:
            assert not result.reduced.left

    def _check_partial(self, step: ModelStep, running: Running) -> None:
        result = running.puppet.result
        if isinstance(running.run, Folding):
            assert result.unfinished == step.about
        else:
            assert isinstance(running.run, Reducing)
            assert result.left == {delta.id for delta in self._deltas(running.run.left)}

    def _check_waiting(self, running: Running) -> None:
        """The invocation waits for the call that the model has it make next."""
        run, now = running.run, running.puppet.now
        if isinstance(run, Folding) and set(run.keys) == {DONE}:
            assert isinstance(now, Ended)
            return
        operation = running.puppet.call.operation
        if isinstance(run, Folding) and UNREAD in run.keys:
            assert operation == "batch_get_item"
        elif isinstance(run, Folding):
            assert operation in {"batch_write_item", "transact_write_items"}
        else:
            assert operation in {"scan", "transact_write_items"}

    def _compare(self) -> None:
        world, tables, stack = self.protocol.world, self.state.tables, self.stack
        stored = {
            name: ladder[place]
            for name, ladder, place in zip(world.keys, world.ladders, tables.stored, strict=True)
            if place
        }
        assert stack.states() == stored
        assert {delta.id: dict(delta.nodes) for delta in stack.outbox()} == {
            delta.id: dict(delta.nodes) for delta in self._deltas(tables.outbox)
        }
        assert stack.totals() == world.packing.unpack(tables.totals)
        assert {_conflict(item) for item in stack.rejects("conflict")} == {
            (key, frozenset(map(_content, pair)))
            for place, (key, pair) in enumerate(world.conflicts)
            if tables.notes >> place & 1
        }
        self._check_balance()

    def _check_balance(self) -> None:
        self.stack.check_balance()

    def _deltas(self, bits: int) -> list[Any]:
        return [delta for place, delta in enumerate(self.protocol.world.deltas) if bits >> place & 1]

    def check_exact(self) -> None:
        """All is done, and right."""
        assert self.protocol.quiet(self.state)
        events = [event for shard in self.protocol.world.scenario.shards for record in shard for event in record]
        self.stack.check_exact(events)


def stream_records(world: Encoding, number: int) -> list[StreamRecord]:
    """The records of a batch as they are delivered."""
    batch = world.batches.known[number]
    shard = world.scenario.shards[batch.shard]
    return [StreamRecord(f"shard-{batch.shard}", str(place), 0.0, _data(shard[place])) for place in batch.places]


def _data(record: tuple[Event, ...]) -> bytes:
    return "\n".join(map(_line, record)).encode()


def _line(event: Event) -> str:
    document: dict[str, Any] = {"key": event.key, "version": event.version}
    if event.content.labels is None:
        document["deleted"] = True
    else:
        document |= {"leaf": event.content.labels[0], "amount": event.content.measures[0]}
    return json.dumps(document)


def _content(stored: Stored) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    content = stored.content
    return stored.version, content.labels or (), tuple(map(str, content.measures))


def _conflict(item: dict[str, Any]) -> tuple[str, frozenset[Any]]:
    contents = (json.loads(item[side]["S"]) for side in ("standing", "other"))
    version = int(item["version"]["N"])
    return item["event_key"]["S"], frozenset(
        (version, tuple(content["labels"]), tuple(content["measures"])) for content in contents
    )
