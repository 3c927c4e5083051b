"""Who can play: the workshop's pipelines in their forms, Oncefold, and others with the same interface."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Node
from oncefold_lab.local.settings import MappingSettings
from oncefold_lab.simulator.data_stream import ACCOUNT
from oncefold_lab.world.functions import Context, Handler
from oncefold_workshop.game.arena import SHARDS, TIMEOUT_SECONDS, Arena
from oncefold_workshop.game.audit import Account, Audit
from oncefold_workshop.game.expected import FLOATS, ExpectedTotals, Row, Wrong
from oncefold_workshop.game.oncefold_player import OncefoldPlayer
from oncefold_workshop.pipelines.deploy import make_tables
from oncefold_workshop.pipelines.handlers import (
    Form,
    FunctionEnvironment,
    Handle,
    after_fixes,
    before_fixes,
    of_the_blog,
    stateless,
)
from oncefold_workshop.pipelines.messages import MESSAGE_COUNT, SEPARATOR
from oncefold_workshop.pipelines.settings import (
    MAP_BATCH,
    MAP_WINDOW_SECONDS,
    REDUCE_BATCH,
    STATE_BATCH,
    STREAM,
    TABLES,
    ParameterTable,
    PipelineSettings,
)


class Player(Protocol):
    """A pipeline that plays. It is made for one game and deployed once.

    Its first mapping reads the stream that messages are put into. The others read streams of tables, and the last one
    feeds the totals.
    """

    @property
    def name(self) -> str:
        """In one word."""

    @property
    def stream(self) -> str:
        """The stream that messages are put into."""

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
        """What is to blame for a node that grew by a wrong amount. `touched`: keys that were sent in the round."""

    def end_round(self, expected: ExpectedTotals, touched: Iterable[str]) -> None:
        """The round is over: what is wrong now does not count in the next one."""

    def late(self) -> tuple[str, ...]:
        """What to say to a learner whose totals were right too late."""


STATE_LANES = 10
"""Batches of one of its shards under way at a time, as many as Lambda allows."""
STATE, MAP, REDUCE = "StateLambda", "MapLambda", "ReduceLambda"


class WorkshopPlayer:
    """Three functions of the workshop's shape, over its tables; or two, where there is no state."""

    stream = STREAM
    tolerance = FLOATS

    def __init__(self, name: str, form: Form) -> None:
        self.name = name
        self._form = form
        self._audit: Audit | None = None

    def deploy(self, arena: Arena) -> None:
        """See Player. The functions fail by themselves, at the percentages of ParameterTable."""
        self._arena = arena
        make_tables(TABLES, arena.dynamodb)
        arena.kinesis.create_stream(StreamName=self.stream, ShardCount=SHARDS)
        arena.parameters = ParameterTable(arena.dynamodb, TABLES.parameter)
        arena.failing_themselves = {STATE, MAP, REDUCE}
        random = arena.random("functions").random
        functions = self._form(
            PipelineSettings(), FunctionEnvironment(arena.client("dynamodb"), arena.scheduler.clock, random)
        )
        messages = arena.kinesis.describe_stream_summary(StreamName=self.stream)["StreamDescriptionSummary"]
        arn = messages["StreamARN"]
        if functions.state is None:
            self._add(MAP, functions.map, _settings(arn, MAP_BATCH))
        else:
            self._add(STATE, functions.state, _settings(arn, STATE_BATCH, lanes=STATE_LANES))
            window = _settings(self._stream_of(TABLES.state), MAP_BATCH, window=MAP_WINDOW_SECONDS)
            self._add(MAP, functions.map, window)
            self._audit = Audit(arena, TABLES, MAP, REDUCE)
            arena.watch = self._audit.wrote
        self._add(REDUCE, functions.reduce, _settings(self._stream_of(TABLES.reduce), REDUCE_BATCH))

    def _add(self, name: str, handle: Handle, settings: MappingSettings) -> None:
        self._arena.add_function(name, _handler(handle), TIMEOUT_SECONDS)
        self._arena.add_mapping(settings, name)

    def _stream_of(self, table: str) -> str:
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
        if self._audit is not None:
            self._audit.observe(number)

    def account(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Account:
        """See Player. Without a state events cannot be distinguished."""
        return Account.of(wrong.by, ()) if self._audit is None else self._audit.account(wrong, expected, touched)

    def end_round(self, expected: ExpectedTotals, touched: Iterable[str]) -> None:
        """See Player."""
        if self._audit is not None:
            self._audit.end_round(expected, touched)

    def late(self) -> tuple[str, ...]:
        """See Player: it is no learner."""
        return ()


def _handler(handle: Handle) -> Handler:
    def invoked(event: Mapping[str, Any], _: Context) -> None:
        handle(event)

    return invoked


def _settings(arn: str, batch: int, *, window: float = 0.0, lanes: int = 1) -> MappingSettings:
    """The workshop's mapping: no bisecting, no partial answers, retries without end."""
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:workshop"
    return MappingSettings(arn, function, batch_size=batch, window_seconds=window, parallelization=lanes)


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


def _blog(_: Pipeline) -> Player:
    return WorkshopPlayer("blog", of_the_blog)


def _stateless(_: Pipeline) -> Player:
    return WorkshopPlayer("stateless", stateless)


ENTRIES: Mapping[str, PlayerEntry] = {
    entry.name: entry
    for entry in (
        PlayerEntry("before", "the workshop as it is handed out", _before),
        PlayerEntry("after", "the workshop after its fixes", _after),
        PlayerEntry("blog", "the blog posts' code", _blog),
        PlayerEntry("stateless", "the blog posts' pipeline without a state", _stateless),
        PlayerEntry("oncefold", "Oncefold", OncefoldPlayer, any_pipeline=True),
    )
}
"""In the order in which they are shown."""


PLAYERS = ("before", "after", "oncefold")
"""Who plays by default."""


def choose(names: Sequence[str]) -> tuple[PlayerEntry, ...]:
    """The players of these names. Raises OncefoldError."""
    unknown = [name for name in names if name not in ENTRIES]
    if unknown or not names or len({*names}) < len(names):
        amiss = f"there is no player {unknown[0]!r}" if unknown else "a player has to be named, and only once"
        raise OncefoldError(f"--players: {amiss}; there are {', '.join(ENTRIES)}")
    return tuple(ENTRIES[name] for name in names)
