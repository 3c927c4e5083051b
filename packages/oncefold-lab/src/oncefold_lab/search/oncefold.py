"""Oncefold's own stack as a system under test: the functions that run in Lambda, unchanged."""

from collections.abc import Iterable, Mapping
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.deliveries import kinesis_record
from oncefold.aws.functions.epochs import EpochCache
from oncefold.aws.functions.guard import STANDARD, check_definition
from oncefold.aws.functions.reduce import Reduced, ReduceFunction
from oncefold.aws.functions.state import FoldResult, StateFunction
from oncefold.aws.functions.sweep import GRACE_SECONDS, Swept, sweep
from oncefold.core.fold import Node, Total
from oncefold.dynamodb.calls import Backoff, Dynamo, Meter
from oncefold_lab.search.oracle import Balance
from oncefold_lab.search.scenario import DRAIN_FUNCTION, NAMES, SimulatedDeployment
from oncefold_lab.search.workload import SentLine
from oncefold_lab.world.functions import CALLS_AT_ONCE, Context
from oncefold_lab.world.world import Violation, World

TABLES = (
    (NAMES.state_table, ("key",), None),
    (NAMES.reduce_table, ("id",), "NEW_IMAGE"),
    (NAMES.aggregate_table, ("path", "label"), None),
    (NAMES.reject_table, ("id",), None),
)
"""The tables: their keys, and what their streams show."""
_INSERTS = ('{"eventName":["INSERT"]}',)
_RESERVE_SECONDS = 0.25
_SWEEP_TIMEOUT_SECONDS = 60.0
_COLD_CHANCE = 0.1


class Oncefold:
    """A stack of Oncefold. A variant overrides what it does otherwise: the functions, or the way they call DynamoDB."""

    mode = STANDARD
    state_function: type[StateFunction] = StateFunction
    reduce_function: type[ReduceFunction] = ReduceFunction
    dynamo: type[Dynamo] = Dynamo
    tables: tuple[tuple[str, tuple[str, ...], str | None], ...] = TABLES

    def __init__(self, deployment: SimulatedDeployment, lines: Iterable[SentLine]) -> None:
        """`lines` are all that are ever sent."""
        self._deployment = deployment
        self.pipeline = deployment.pipeline
        self._lines = list(lines)

    def deploy(self, world: World) -> None:
        """See System."""
        self._world = world
        self._client = world.client("dynamodb")
        for table, keys, view in self.tables:
            world.dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
                StreamSpecification={"StreamEnabled": True, "StreamViewType": view}
                if view
                else {"StreamEnabled": False},
            )
        world.kinesis.create_stream(StreamName=NAMES.stream, ShardCount=self._deployment.shards)
        world.queues.create_queue(NAMES.failure_queue)
        self._balance = self._new_balance(world, self._lines)
        self._deploy_functions(world)

    def _new_balance(self, world: World, lines: Iterable[SentLine]) -> Balance:
        events = (line.event for line in lines if line.event)
        return Balance(self.pipeline, world.rows, events, lambda: world.by_zombie)

    def _deploy_functions(self, world: World) -> None:
        state, reduce = self._deployment.state, self._deployment.reduce
        world.add_function(NAMES.state_function, self.state, state.timeout_seconds)
        world.add_function(NAMES.reduce_function, self.reduce, reduce.timeout_seconds)
        world.add_function(NAMES.sweep_function, self.sweep, _SWEEP_TIMEOUT_SECONDS)
        world.add_function(DRAIN_FUNCTION, self.drain, _SWEEP_TIMEOUT_SECONDS)
        events = world.kinesis.describe_stream_summary(StreamName=NAMES.stream)
        changes = world.dynamodb.describe_table(TableName=NAMES.reduce_table)
        arn: str = events["StreamDescriptionSummary"]["StreamARN"]
        world.add_mapping(state.mapping(arn), NAMES.state_function)
        arn = changes["Table"]["LatestStreamArn"]
        world.add_mapping(reduce.mapping(arn, filters=_INSERTS), NAMES.reduce_function)
        world.add_schedule(NAMES.sweep_function, self._deployment.sweep_seconds)

    def state(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """StateLambda's handler."""
        dynamo, meter = self._dynamo(context)
        records = [kinesis_record(item) for item in event["Records"]]
        spread = context.spread if context.random.random() < 0.5 else map
        function = self.state_function(
            self.pipeline, NAMES, dynamo, context.clock, spread, epochs=self.known_epochs(context)
        )
        folded = function.handle(records)
        _note_folded(context, folded, meter)
        return answer(None if folded.unfinished is None else records[folded.unfinished].sequence)

    def known_epochs(self, context: Context) -> EpochCache | None:  # noqa: ARG002
        """What this invocation's environment knows of the epochs; None in a stack that never is rebuilt."""
        return None

    def reducer_epochs(self, context: Context) -> EpochCache | None:  # noqa: ARG002
        """The same of a reducer's environment."""
        return None

    def reduce(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """ReduceLambda's handler."""
        dynamo, meter = self._dynamo(context)
        changes = [item["dynamodb"] for item in event["Records"] if item["eventName"] == "INSERT"]
        images = {change["SequenceNumber"]: change["NewImage"] for change in changes}
        reduce = self.reduce_function(self.pipeline, NAMES, dynamo, self.reducer_epochs(context))
        reduced = reduce.apply_items(images.values())
        _note_reduced(context, reduced, meter)
        return answer(next((sequence for sequence, image in images.items() if image["id"]["S"] in reduced.left), None))

    def sweep(self, event: Mapping[str, Any], context: Context) -> None:  # noqa: ARG002 - a schedule says nothing
        """The sweeper's handler."""
        dynamo, meter = self._dynamo(context)
        swept = self.swept(dynamo, context, GRACE_SECONDS)
        context.ledger.note("sweeper applied", swept.reduced.deltas)
        _note_reduced(context, swept.reduced, meter)

    def drain(self, event: Mapping[str, Any], context: Context) -> None:  # noqa: ARG002
        """What `oncefold aws drain` does."""
        dynamo, meter = self._dynamo(context)
        swept = self.swept(dynamo, context, 0.0)
        context.ledger.note("drained by hand", swept.reduced.deltas)
        _note_reduced(context, swept.reduced, meter)

    def swept(self, dynamo: Dynamo, context: Context, grace: float) -> Swept:
        """One sweep, of deltas that are older than `grace` seconds."""
        epochs = self.reducer_epochs(context)
        if context.random.random() < 0.5:
            return sweep(self.pipeline, NAMES, dynamo, context.clock, grace, epochs=epochs)
        return sweep(self.pipeline, NAMES, dynamo, context.clock, grace, context.spread, CALLS_AT_ONCE, epochs=epochs)

    def check(self) -> None:
        """See System."""
        self._balance.check()

    def totals(self) -> dict[Node, Total]:
        """See System."""
        items = self._world.items(NAMES.aggregate_table)
        return dict(layout.parse_node(self.pipeline, item) for item in items if item["path"]["S"].startswith("/"))

    def is_complete(self) -> bool:
        """See System."""
        return not self._world.rows(NAMES.reduce_table)

    def check_end(self) -> None:
        """Every line that is no event is in RejectTable, and nothing else is; conflicts are between what was sent."""
        kept = self._world.items(NAMES.reject_table)
        rejected = {item["raw"]["B"] for item in kept if item["kind"]["S"] == "reject"}
        sent = {line.data for line in self._lines if line.event is None}
        if rejected != sent:
            raise Violation(f"rejects are {sorted(rejected)} instead of {sorted(sent)}")
        noted = {
            (item["event_key"]["S"], int(item["version"]["N"])) for item in kept if item["kind"]["S"] == "conflict"
        }
        self._check_conflicts(noted)

    def _check_conflicts(self, noted: set[tuple[str, int]]) -> None:
        """Contradictions of the current version are always noticed; those of earlier ones perhaps never."""
        contents: dict[tuple[str, int], set[Any]] = {}
        last: dict[str, int] = {}
        for event in (line.event for line in self._lines if line.event):
            contents.setdefault((event.key, event.version), set()).add(event.content)
            last[event.key] = max(event.version, last.get(event.key, 0))
        contradictory = {place for place, found in contents.items() if len(found) > 1}
        standing = {(key, version) for key, version in contradictory if last[key] == version}
        if not standing <= noted <= contradictory:
            raise Violation(f"conflicts noted of {sorted(noted)}, of {sorted(standing)} at least there are some")

    def _dynamo(self, context: Context) -> tuple[Dynamo, Meter]:
        if context.random.random() < _COLD_CHANCE:
            check_definition(self.pipeline, NAMES, self._client, self.mode)
        meter = Meter()
        backoff = Backoff(context.clock, context.sleep, context.random.random, context.deadline - _RESERVE_SECONDS)
        return self.dynamo(self._client, backoff, meter), meter


def _note_folded(context: Context, folded: FoldResult, meter: Meter) -> None:
    for outcome, number in folded.outcomes.items():
        context.ledger.note(f"outcome: {outcome.name.lower()}", number)
    context.ledger.note("overtaken state write", meter.conflicts)
    context.ledger.note("state out of time", folded.unfinished is not None)


def _note_reduced(context: Context, reduced: Reduced, meter: Meter) -> None:
    context.ledger.note("delta gone already", meter.conflicts)
    context.ledger.note("reduce out of time", bool(reduced.left))


def answer(first_unfinished: str | None) -> dict[str, Any]:
    """A function's answer."""
    return {"batchItemFailures": [] if first_unfinished is None else [{"itemIdentifier": first_unfinished}]}
