"""Who can play: the workshop's pipelines in their forms, Oncefold, and others with the same interface."""

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

FLOATS = Decimal("0.00001")
"""The workshop's own scoreboard takes a total for right when it is no farther off than this."""
EXACT = Decimal(0)


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


SHARDS = 2
"""Of the stream of messages."""
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


STATE_SHAPE = StackShape(500, 1.0, 1, max_retries=100, max_age_seconds=86_400, timeout_seconds=TIMEOUT_SECONDS)
REDUCE_SHAPE = StackShape(300, 1.0, 1, max_retries=20, max_age_seconds=3_600, timeout_seconds=TIMEOUT_SECONDS)
"""The template's defaults, but for the time that an invocation has, which is the same for all players."""


class OncefoldPlayer:
    """Oncefold's stack, for any pipeline."""

    name = "oncefold"
    stream = NAMES.stream
    tolerance = EXACT
    system: type[Oncefold] = Oncefold
    """A known-wrong variant can play in its place."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._round = 1
        self._stale: dict[str, tuple[Content, Content]] = {}
        """Keys whose state was not their latest version when the last round ended: what it was, what was wanted."""
        self._pending: dict[str, layout.Delta] = {}
        """Deltas that nobody had added when the last round ended."""

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

    def end_round(self, expected: ExpectedTotals, touched: Iterable[str]) -> None:
        """See Player."""
        found = {key: (self._content(key), expected.best[key].content) for key in {*touched, *self._stale}}
        self._stale = {key: pair for key, pair in found.items() if pair[0] != pair[1]}
        self._pending = self._deltas()

    def late(self) -> tuple[str, ...]:
        """See Player: it is no learner."""
        return ()

    def _states(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Iterator[Cause]:
        """Keys whose state is not their latest version, or has become it since the last round."""
        blamed: list[Blamed] = []
        for key in sorted({*touched, *self._stale}):
            amount = _mismatch(expected, (self._content(key), expected.best[key].content), wrong)
            amount -= _mismatch(expected, self._stale.get(key), wrong)
            if amount:
                blamed.append(Blamed(key, amount))
        if blamed:
            yield Cause.of(What.STATE, "StateTable has another version", self._round, blamed)

    def _content(self, key: str) -> Content:
        row = self._arena.rows(NAMES.state_table).get(layout.key_text(key))
        return DELETED if row is None else layout.parse_state(self._pipeline, row[0])[1].content

    def _deltas(self) -> dict[str, layout.Delta]:
        parsed = (layout.parse_delta(self._pipeline, item) for item in self._arena.items(NAMES.reduce_table))
        return {delta.id: delta for delta in parsed}

    def _outbox(self, wrong: Wrong, expected: ExpectedTotals) -> Iterator[Cause]:
        """Deltas that nobody has added, and those of earlier rounds that somebody has."""
        now = self._deltas()
        waiting = [_blamed(now[name], wrong, expected, -1) for name in now.keys() - self._pending.keys()]
        late = [_blamed(self._pending[name], wrong, expected, 1) for name in self._pending.keys() - now.keys()]
        for what, why, blamed in (
            (What.LOST, "their deltas are still in the outbox", waiting),
            (What.LATE, "their deltas were added when their round was over", late),
        ):
            found = [one for one in blamed if one.amount]
            if found:
                yield Cause.of(what, why, self._round, found)


def _blamed(delta: layout.Delta, wrong: Wrong, expected: ExpectedTotals, sign: int) -> Blamed:
    """What a delta adds to a node."""
    amount = Decimal(0)
    for node, total in delta.nodes:
        if node == wrong.node:
            amount += sign * (expected.row((total.count, *total.sums))[wrong.column] or Decimal(0))
    return Blamed(delta.id, amount)


def _mismatch(expected: ExpectedTotals, contents: tuple[Content, Content] | None, wrong: Wrong) -> Decimal:
    """By how much a state makes a node too great: what it is of against what it should be of."""
    if contents is None:
        return Decimal(0)
    return _under(expected, contents[0], wrong) - _under(expected, contents[1], wrong)


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
"""Who plays where nobody is named."""


def choose(names: Sequence[str]) -> tuple[PlayerEntry, ...]:
    """The players of these names. Raises OncefoldError."""
    unknown = [name for name in names if name not in ENTRIES]
    if unknown or not names or len({*names}) < len(names):
        amiss = f"there is no player {unknown[0]!r}" if unknown else "a player has to be named, and only once"
        raise OncefoldError(f"--players: {amiss}; there are {', '.join(ENTRIES)}")
    return tuple(ENTRIES[name] for name in names)
