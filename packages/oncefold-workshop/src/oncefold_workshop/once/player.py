"""The workshop's pipeline with a ReduceLambda that counts once, as a player."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from oncefold.core.fold import Node
from oncefold.once import Counters, Runtime
from oncefold_lab.local.settings import MappingSettings
from oncefold_lab.simulator.data_stream import ACCOUNT
from oncefold_lab.world.functions import Context
from oncefold_workshop.game.arena import SHARDS, TIMEOUT_SECONDS, Arena
from oncefold_workshop.game.audit import Account
from oncefold_workshop.game.expected import EXACT, ExpectedTotals, Row, Wrong
from oncefold_workshop.game.players import REDUCE, STATE, STATE_LANES
from oncefold_workshop.once import reduce_lambda
from oncefold_workshop.pipelines.deploy import make_tables
from oncefold_workshop.pipelines.handlers import FunctionEnvironment, after_fixes
from oncefold_workshop.pipelines.messages import SEPARATOR
from oncefold_workshop.pipelines.settings import (
    REDUCE_BATCH,
    STATE_BATCH,
    STREAM,
    TABLES,
    ParameterTable,
    PipelineSettings,
)

LEDGER = "AggregateLedger"
SWEEP = "SweepLambda"
_SWEEP_SECONDS = 3_600.0
_SWEEP_TIMEOUT_SECONDS = 120.0


class OncePlayer:
    """The workshop's StateLambda after its fix, and behind it a ReduceLambda that counts once by version.

    Every hour the same lines read StateTable itself, for what its stream has lost.
    """

    name = "once"
    stream = STREAM
    tolerance = EXACT

    def deploy(self, arena: Arena) -> None:
        """See Player."""
        self._arena = arena
        make_tables(TABLES, arena.dynamodb)
        arena.dynamodb.create_table(
            TableName=LEDGER,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        arena.kinesis.create_stream(StreamName=self.stream, ShardCount=SHARDS)
        arena.parameters = ParameterTable(arena.dynamodb, TABLES.parameter)
        arena.failing_themselves = {STATE}
        client, random = arena.client("dynamodb"), arena.random("functions").random
        clock, sleep = arena.scheduler.clock, arena.tasks.sleep
        state = after_fixes(PipelineSettings(), FunctionEnvironment(client, clock, random)).state
        assert state is not None
        counters = Counters(
            TABLES.aggregate, LEDGER, "version", partial=False, client=client, runtime=Runtime(clock, sleep, random)
        )

        def reduce(event: Mapping[str, Any], context: Context) -> None:
            reduce_lambda.lambda_handler(event, context, counters)

        def sweep(event: Mapping[str, Any], context: Context) -> None:
            reduce_lambda.sweep(event, context, counters, client)

        messages = arena.kinesis.describe_stream_summary(StreamName=self.stream)["StreamDescriptionSummary"]
        changes: str = arena.dynamodb.describe_table(TableName=TABLES.state)["Table"]["LatestStreamArn"]
        arena.add_function(STATE, lambda event, _: state(event), TIMEOUT_SECONDS)
        arena.add_mapping(_settings(messages["StreamARN"], STATE_BATCH, lanes=STATE_LANES), STATE)
        arena.add_function(REDUCE, reduce, TIMEOUT_SECONDS)
        arena.add_mapping(_settings(changes, REDUCE_BATCH), REDUCE)
        arena.add_function(SWEEP, sweep, _SWEEP_TIMEOUT_SECONDS)
        arena.add_schedule(SWEEP, _SWEEP_SECONDS)

    def kept(self, node: Node, row: Row) -> Row | None:
        """See Player: as in the workshop there is no root, and no count of keys."""
        return (None, *row[1:]) if node.labels else None

    def rows(self) -> dict[Node, Row]:
        """See Player."""
        rows = self._arena.rows(TABLES.aggregate)
        return {
            Node(0, tuple(name.split(SEPARATOR))): (None, Decimal(row[0]["Value"]["N"])) for name, row in rows.items()
        }

    def observe(self, number: int) -> None:
        """See Player: its tables are enough."""

    def account(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Account:  # noqa: ARG002
        """See Player: nothing is kept to find causes by."""
        return Account.of(wrong.by, ())

    def end_round(self, expected: ExpectedTotals, touched: Iterable[str]) -> None:
        """See Player: nothing is carried from round to round."""

    def late(self) -> tuple[str, ...]:
        """See Player: it is no learner."""
        return ()


def _settings(arn: str, batch: int, *, lanes: int = 1) -> MappingSettings:
    """The workshop's mapping: no bisecting, no partial answers, retries without end."""
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:workshop"
    return MappingSettings(arn, function, batch_size=batch, parallelization=lanes)
