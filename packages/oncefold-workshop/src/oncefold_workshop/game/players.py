"""Who can play: the workshop's pipeline in its two forms, Oncefold, and others with the same interface."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from oncefold.aws.functions import layout
from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.event import DELETED, Content
from oncefold.core.fold import Node
from oncefold_lab.local.settings import MappingSettings
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import NAMES, SimulatedDeployment, StackShape
from oncefold_lab.simulator.data_stream import ACCOUNT
from oncefold_lab.world.functions import Context, Handler
from oncefold_workshop.game.arena import TIMEOUT_SECONDS, Arena
from oncefold_workshop.game.audit import Account, Audit, Blamed, Cause, What
from oncefold_workshop.game.expected import ExpectedTotals, Row, Wrong
from oncefold_workshop.pipelines.deploy import make_tables
from oncefold_workshop.pipelines.handlers import (
    FunctionEnvironment,
    Handle,
    PipelineFunctions,
    after_fixes,
    before_fixes,
)
from oncefold_workshop.pipelines.messages import MESSAGE_COUNT, SEPARATOR
from oncefold_workshop.pipelines.settings import (
    MAP_BATCH,
    MAP_WINDOW_SECONDS,
    REDUCE_BATCH,
    STATE_BATCH,
    PipelineSettings,
    TableNames,
)

FLOATS = Decimal("0.00001")
"""The workshop's own scoreboard takes a total for right when it is nearer than this."""
EXACT = Decimal(0)


class Player(Protocol):
    """A pipeline that plays. It is made for one game and deployed once.

    Messages are put into the stream `NAMES.stream` of `search/deployment.py`; the first mapping reads it. The others
    read streams of tables, and the last one feeds the totals.
    """

    @property
    def name(self) -> str:
        """In one word."""

    @property
    def tolerance(self) -> Decimal:
        """How far a total may be off."""

    def deploy(self, arena: Arena) -> None:
        """Make its tables, stream, functions and mappings."""

    def kept(self, node: Node, row: Row) -> Row | None:
        """What of a node's expected row it keeps: None for a node that it has not, and in the row for a number."""

    def rows(self) -> dict[Node, Row]:
        """Its totals as they are now, without a call."""

    def observe(self, number: int) -> None:
        """Note what lies in its streams, in the round of this number, before it may be trimmed."""

    def account(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Account:
        """What is to blame for a node that is wrong. `touched`: keys that were sent since the last time."""


SHARDS = 2
"""Of the stream of messages."""
STATE_LANES = 10
"""Batches of one of its shards under way at a time, as many as Lambda allows."""
TABLES = TableNames("StateTable", "ReduceTable", "AggregateTable")
STATE, MAP, REDUCE = "StateLambda", "MapLambda", "ReduceLambda"

Form = Callable[[PipelineSettings, FunctionEnvironment], PipelineFunctions]


class WorkshopPlayer:
    """Three functions of the workshop's shape, over its three tables."""

    tolerance = FLOATS

    def __init__(self, name: str, form: Form) -> None:
        self.name = name
        self._form = form

    def deploy(self, arena: Arena) -> None:
        """See Player. The functions do not fail by themselves: the arena lets them, as it does every player's."""
        self._arena = arena
        make_tables(TABLES, arena.dynamodb)
        arena.kinesis.create_stream(StreamName=NAMES.stream, ShardCount=SHARDS)
        random = arena.random("functions").random
        functions = self._form(
            PipelineSettings(TABLES), FunctionEnvironment(arena.client("dynamodb"), arena.scheduler.clock, random)
        )
        messages = arena.kinesis.describe_stream_summary(StreamName=NAMES.stream)["StreamDescriptionSummary"]
        for name, handle, settings in (
            (STATE, functions.state, _settings(messages["StreamARN"], STATE_BATCH, lanes=STATE_LANES)),
            (MAP, functions.map, _settings(self._stream(TABLES.state), MAP_BATCH, window=MAP_WINDOW_SECONDS)),
            (REDUCE, functions.reduce, _settings(self._stream(TABLES.reduce), REDUCE_BATCH)),
        ):
            arena.add_function(name, _handler(handle), TIMEOUT_SECONDS)
            arena.add_mapping(settings, name)
        self._audit = Audit(arena, TABLES, MAP, REDUCE)
        arena.watch = self._audit.wrote

    def _stream(self, table: str) -> str:
        arn: str = self._arena.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        return arn

    def kept(self, node: Node, row: Row) -> Row | None:
        """See Player: there is no root, and no count of keys."""
        return (None, *row[1:]) if node.labels else None

    def rows(self) -> dict[Node, Row]:
        """See Player."""
        rows = self._arena.rows(TABLES.aggregate)
        return {
            Node(0, tuple(name.split(SEPARATOR))): (None, Decimal(row[0]["Value"]["N"]))
            for name, row in rows.items()
            if name != MESSAGE_COUNT
        }

    def observe(self, number: int) -> None:
        """See Player."""
        self._audit.observe(number)

    def account(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Account:
        """See Player."""
        return self._audit.account(wrong, expected, touched)


def _handler(handle: Handle) -> Handler:
    def invoked(event: Mapping[str, Any], _: Context) -> None:
        handle(event)

    return invoked


def _settings(arn: str, batch: int, *, window: float = 0.0, lanes: int = 1) -> MappingSettings:
    """The workshop's mapping: no bisecting, no partial answers, retries without end."""
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:workshop"
    return MappingSettings(arn, function, batch_size=batch, window_seconds=window, parallelization=lanes)


STATE_SHAPE = StackShape(500, 1.0, 1, max_retries=100, max_age_seconds=86_400, timeout_seconds=TIMEOUT_SECONDS)
REDUCE_SHAPE = StackShape(300, 1.0, 1, max_retries=20, max_age_seconds=3_600, timeout_seconds=TIMEOUT_SECONDS)
"""The template's defaults, but for the time that an invocation has, which is the same for all players."""


class OncefoldPlayer:
    """Oncefold's stack, for any pipeline."""

    name = "oncefold"
    tolerance = EXACT
    system: type[Oncefold] = Oncefold
    """A known-wrong variant can play in its place."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._round = 1
        self._stale: dict[str, int] = {}

    def deploy(self, arena: Arena) -> None:
        """See Player."""
        self._arena = arena
        self._system = self.system(SimulatedDeployment(self._pipeline, SHARDS, STATE_SHAPE, REDUCE_SHAPE), ())
        self._system.deploy(arena)

    def kept(self, node: Node, row: Row) -> Row | None:  # noqa: ARG002 - others keep less
        """See Player: it keeps all."""
        return row

    def rows(self) -> dict[Node, Row]:
        """See Player."""
        totals = self._system.totals()
        scales = [measure.scale for measure in self._pipeline.measures]
        return {
            node: (
                Decimal(total.count),
                *(Decimal(value).scaleb(-scale) for value, scale in zip(total.sums, scales, strict=True)),
            )
            for node, total in totals.items()
        }

    def observe(self, number: int) -> None:
        """See Player: its tables are enough."""
        self._round = number

    def account(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Account:
        """See Player."""
        causes = [*self._states(wrong, expected, touched), *self._outbox(wrong, expected)]
        return Account.of(wrong.by, causes)

    def _states(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Iterator[Cause]:
        """Keys whose state is not their latest version."""
        blamed: dict[int, list[Blamed]] = {}
        for key in sorted({*touched, *self._stale}):
            current, wanted = self._content(key), expected.best[key].content
            if current == wanted:
                self._stale.pop(key, None)
                continue
            number = self._stale.setdefault(key, self._round)
            amount = _under(expected, current, wrong) - _under(expected, wanted, wrong)
            if amount:
                blamed.setdefault(number, []).append(Blamed(key, amount))
        for number, some in blamed.items():
            yield Cause.of(What.STATE, "StateTable has another version", number, some)

    def _content(self, key: str) -> Content:
        row = self._arena.rows(NAMES.state_table).get(layout.key_text(key))
        return DELETED if row is None else layout.parse_state(self._pipeline, row[0])[1].content

    def _outbox(self, wrong: Wrong, expected: ExpectedTotals) -> Iterator[Cause]:
        """Deltas that nobody has added."""
        blamed = []
        for item in self._arena.items(NAMES.reduce_table):
            delta = layout.parse_delta(self._pipeline, item)
            for node, total in delta.nodes:
                if node == wrong.node:
                    amount = expected.row((total.count, *total.sums))[wrong.column]
                    assert amount is not None
                    blamed.append(Blamed(delta.id, -amount))
        if blamed:
            yield Cause.of(What.LOST, "their deltas are still in the outbox", self._round, blamed)


def _under(expected: ExpectedTotals, content: Content, wrong: Wrong) -> Decimal:
    """What a content adds to a node."""
    row = expected.amounts(content).get(wrong.node)
    amount = None if row is None else row[wrong.column]
    return Decimal(0) if amount is None else amount


@dataclass(frozen=True, slots=True)
class PlayerEntry:
    """A player as it can be chosen. Another process has to be able to get it, so `make` is a module's function."""

    name: str
    title: str
    make: Callable[[Pipeline], Player]
    any_pipeline: bool = False
    """Whether it can play with another pipeline than the workshop's."""


def _before(_: Pipeline) -> Player:
    return WorkshopPlayer("before", before_fixes)


def _after(_: Pipeline) -> Player:
    return WorkshopPlayer("after", after_fixes)


ENTRIES: Mapping[str, PlayerEntry] = {
    entry.name: entry
    for entry in (
        PlayerEntry("before", "the workshop before its fixes", _before),
        PlayerEntry("after", "the workshop after its fixes", _after),
        PlayerEntry("oncefold", "Oncefold", OncefoldPlayer, any_pipeline=True),
    )
}
"""In the order in which they are shown."""


def choose(names: Sequence[str]) -> tuple[PlayerEntry, ...]:
    """The players of these names. Raises OncefoldError."""
    unknown = [name for name in names if name not in ENTRIES]
    if unknown or not names or len({*names}) < len(names):
        amiss = f"there is no player {unknown[0]!r}" if unknown else "a player has to be named, and only once"
        raise OncefoldError(f"--players: {amiss}; there are {', '.join(ENTRIES)}")
    return tuple(ENTRIES[name] for name in names)
