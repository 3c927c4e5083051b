"""A learner's functions as a player of the game, over the workshop's tables."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path

from oncefold.core.definition import Pipeline
from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Node
from oncefold_lab.local.settings import MappingSettings
from oncefold_lab.search.scenario import NAMES
from oncefold_lab.simulator.data_stream import ACCOUNT
from oncefold_lab.simulator.values import Item
from oncefold_workshop.course.functions import LearnerFunctions, parse
from oncefold_workshop.course.hints import Hint, hints
from oncefold_workshop.course.observer import MAP, REDUCE, STATE, SWEEP, FunctionObservation
from oncefold_workshop.course.runner import Running
from oncefold_workshop.game.arena import TIMEOUT_SECONDS, Arena
from oncefold_workshop.game.audit import Account, Audit, Blamed, Cause, What
from oncefold_workshop.game.expected import ExpectedTotals, Row, Wrong
from oncefold_workshop.game.players import FLOATS, SHARDS, STATE_LANES, TABLES, PlayerEntry
from oncefold_workshop.pipelines.deploy import make_tables
from oncefold_workshop.pipelines.messages import MESSAGE_COUNT, SEPARATOR
from oncefold_workshop.pipelines.settings import MAP_BATCH, MAP_WINDOW_SECONDS, REDUCE_BATCH, STATE_BATCH

WHY = "their sums are still in ReduceTable"


def left_over(items: Iterable[Item], wrong: Wrong, number: int) -> Iterator[Cause]:
    """The items that would change a node, as a cause of this round. Raises KeyError and its like for other items."""
    name = SEPARATOR.join(wrong.node.labels)
    sums = {item["id"]["S"]: item["Sums"]["M"].get(name) for item in items}
    blamed = [Blamed(key, -Decimal(value["N"])) for key, value in sums.items() if value is not None]
    if blamed:
        yield Cause.of(What.LOST, WHY, number, blamed)


NAME = "yours"
SWEEP_SECONDS = 60.0
HINTS = 2
"""Hints of a lost round, at most."""
_DROPPED = "StateLambda drops"
_ABSENT = "StateTable has nothing of them"
_UNREADABLE = (AttributeError, IndexError, InvalidOperation, KeyError, StopIteration, TypeError, ValueError)
"""What the audit raises for items of another form than the workshop's."""


def entry(text: str, here: Path, *, hinted: bool) -> PlayerEntry:
    """The player whose handlers the option `--functions` names. Raises OncefoldError."""
    functions = parse(text, here)
    return PlayerEntry(NAME, text, partial(_make, functions, hinted))


def _make(functions: LearnerFunctions, hinted: bool, _: Pipeline) -> "LearnersPlayer":  # noqa: FBT001 - by partial
    return LearnersPlayer(functions, hinted=hinted)


@dataclass(frozen=True, slots=True)
class _Deployed:
    """A function that a stream invokes."""

    name: str
    handler: str
    settings: MappingSettings


class LearnersPlayer:
    """Two or three functions of a learner's: with a MapLambda, or with an outbox, and perhaps one that sweeps."""

    name = NAME
    tolerance = FLOATS

    def __init__(self, functions: LearnerFunctions, *, hinted: bool) -> None:
        self._functions = functions
        self._hinted = hinted
        self._readable = True
        self._round = 1

    def deploy(self, arena: Arena) -> None:
        """See Player. Raises OncefoldError for functions that cannot be loaded."""
        self._arena = arena
        make_tables(TABLES, arena.dynamodb)
        arena.kinesis.create_stream(StreamName=NAMES.stream, ShardCount=SHARDS)
        self._running = Running(self._functions, arena, TABLES)
        for one in self._deployed():
            arena.add_function(one.name, self._running.handler(one.name, one.handler), TIMEOUT_SECONDS)
            arena.add_mapping(one.settings, one.name)
        if self._functions.sweep is not None:
            arena.add_function(SWEEP, self._running.handler(SWEEP, self._functions.sweep), TIMEOUT_SECONDS)
            arena.add_schedule(SWEEP, SWEEP_SECONDS)
        self._audit: Audit | None = None
        if self._functions.map is not None:
            self._audit = Audit(arena, TABLES, MAP, REDUCE)
            arena.watch = partial(self._read, self._audit.wrote)

    def _deployed(self) -> Iterable[_Deployed]:
        """The functions that read streams, in the order of the pipeline; no bisecting, retries without end."""
        client = self._arena.kinesis
        messages = client.describe_stream_summary(StreamName=NAMES.stream)["StreamDescriptionSummary"]["StreamARN"]
        function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{NAME}"
        lanes = MappingSettings(messages, function, batch_size=STATE_BATCH, parallelization=STATE_LANES)
        yield _Deployed(STATE, self._functions.state, lanes)
        if self._functions.map is not None:
            arn = self._stream(TABLES.state)
            window = MappingSettings(arn, function, batch_size=MAP_BATCH, window_seconds=MAP_WINDOW_SECONDS)
            yield _Deployed(MAP, self._functions.map, window)
        arn = self._stream(TABLES.reduce)
        yield _Deployed(REDUCE, self._functions.reduce, MappingSettings(arn, function, batch_size=REDUCE_BATCH))

    def _stream(self, table: str) -> str:
        arn: str = self._arena.dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        return arn

    def kept(self, node: Node, row: Row) -> Row | None:
        """See Player: there is no root, and no count of keys."""
        return (None, *row[1:]) if node.labels else None

    def rows(self) -> dict[Node, Row]:
        """See Player. Raises OncefoldError where the functions cannot go on, or their totals cannot be read."""
        if self._running.fatal is not None:
            raise self._running.fatal
        found: dict[Node, Row] = {}
        for name, (item, _) in self._arena.rows(TABLES.aggregate).items():
            if name != MESSAGE_COUNT:
                value = item.get("Value", {}).get("N")
                if value is None:
                    raise OncefoldError(
                        f"{TABLES.aggregate}: the item {name!r} has no number 'Value'; the game reads totals there"
                    )
                found[Node(0, tuple(name.split(SEPARATOR)))] = (None, Decimal(value))
        return found

    def observe(self, number: int) -> None:
        """See Player."""
        self._round = number
        if self._audit is not None:
            self._read(partial(self._audit.observe, number))

    def _read(self, action: Callable[[], object]) -> None:
        """Audit, as long as the tables' items have the form that the course gives them."""
        if self._readable:
            try:
                action()
            except _UNREADABLE:
                self._readable = False

    def account(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Account:
        """See Player; with hints, if they are wanted."""
        account = Account.of(wrong.by, ())
        try:
            if self._audit is None:
                account = Account.of(wrong.by, left_over(self._arena.items(TABLES.reduce), wrong, self._round))
            elif self._readable:
                account = _reworded(self._audit.account(wrong, expected, touched))
        except _UNREADABLE:
            self._readable = False
        recent = tuple(cause for cause in account.causes if cause.round == self._round)
        found = self._hints(recent or account.causes) if self._hinted else ()
        return replace(account, hints=tuple(hint.text for hint in found))

    def _hints(self, causes: tuple[Cause, ...]) -> tuple[Hint, ...]:
        observer = self._running.observer
        tables = (TABLES.state, TABLES.reduce, TABLES.aggregate)
        items = {table: len(self._arena.rows(table)) for table in tables}
        observation = FunctionObservation(self._functions, observer.seen, items, causes, observer.places)
        return hints(observation)[:HINTS]


def _reworded(account: Account) -> Account:
    """The audit knows the workshop's own functions, which drop old messages; a learner's need not."""
    return replace(
        account,
        causes=tuple(
            replace(cause, what=What.LOST, why=_ABSENT) if cause.why.startswith(_DROPPED) else cause
            for cause in account.causes
        ),
    )
