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
from oncefold_lab.simulator.data_stream import ACCOUNT
from oncefold_lab.simulator.values import Item
from oncefold_workshop.course.functions import HandlerPlace, LearnerFunctions, parse
from oncefold_workshop.course.hints import Hint, hints, late_hint, reached_lab
from oncefold_workshop.course.observer import MAP, REDUCE, STATE, SWEEP, FunctionObservation
from oncefold_workshop.course.policy import READ_STREAM
from oncefold_workshop.course.runner import Running
from oncefold_workshop.course.stack import StackFile, StackFunction, load_stack
from oncefold_workshop.game.arena import SHARDS, TIMEOUT_SECONDS, Arena
from oncefold_workshop.game.audit import Account, Audit, Blamed, Cause, What
from oncefold_workshop.game.expected import FLOATS, ExpectedTotals, Row, Wrong
from oncefold_workshop.game.players import STATE_LANES, PlayerEntry
from oncefold_workshop.pipelines.deploy import make_tables
from oncefold_workshop.pipelines.messages import MESSAGE_COUNT, SEPARATOR
from oncefold_workshop.pipelines.settings import (
    MAP_BATCH,
    MAP_WINDOW_SECONDS,
    REDUCE_BATCH,
    REDUCE_KEY,
    STATE_BATCH,
    STREAM,
    TABLES,
    ParameterTable,
)

WHY = "their sums are still in ReduceTable"
TOO_LATE = "their sums were added when their round was over"
NAME = "yours"
SWEEP_SECONDS = 60.0
HINTS = 2
"""Hints of a lost round, at most."""
_DROPPED = "StateLambda drops"
_ABSENT = "StateTable has nothing of them"
_UNREADABLE = (AttributeError, IndexError, InvalidOperation, KeyError, StopIteration, TypeError, ValueError)
"""What the audit raises for items of another form than the workshop's."""


@dataclass(frozen=True, slots=True)
class LearnerOptions:
    """How a learner plays."""

    hinted: bool = True
    stack: Path | None = None
    """A file that connects the functions; without one all are connected, and allowed everything."""
    logs: Path | None = None
    """The folder of the functions' logs."""


def entry(text: str, here: Path, options: LearnerOptions = LearnerOptions()) -> PlayerEntry:
    """The player whose handlers the option `--functions` names. Raises OncefoldError."""
    functions = parse(text, here)
    stack = None if options.stack is None else load_stack(here / options.stack)
    if stack is not None and (functions.map is None or functions.sweep is not None):
        raise OncefoldError("--stack connects StateLambda, MapLambda and ReduceLambda: name these, or leave it out")
    logs = None if options.logs is None else here / options.logs
    return PlayerEntry(NAME, text, partial(_make, functions, stack, replace(options, logs=logs)))


def _make(
    functions: LearnerFunctions, stack: StackFile | None, options: LearnerOptions, _: Pipeline
) -> "LearnersPlayer":
    return LearnersPlayer(functions, stack, options)


@dataclass(frozen=True, slots=True)
class _Deployed:
    """A function, and what invokes it."""

    name: str
    handler: HandlerPlace
    settings: MappingSettings


class LearnersPlayer:
    """Two or three functions of a learner's: with a MapLambda, or with an outbox, and perhaps one that sweeps."""

    name = NAME
    stream = STREAM
    tolerance = FLOATS

    def __init__(self, functions: LearnerFunctions, stack: StackFile | None, options: LearnerOptions) -> None:
        self._functions = functions
        self._stack = stack
        self._options = options
        self._readable = True
        self._round = 1
        self._pending: dict[str, Item] = {}
        """Sums that were not added when the last round ended."""

    def deploy(self, arena: Arena) -> None:
        """See Player. Raises OncefoldError for functions that cannot be loaded, and triggers that cannot be added."""
        self._arena = arena
        make_tables(TABLES, arena.dynamodb)
        arena.kinesis.create_stream(StreamName=self.stream, ShardCount=SHARDS)
        arena.parameters = ParameterTable(arena.dynamodb, TABLES.parameter)
        self._running = Running(arena, TABLES, self._options.logs, quiet=self._functions.packaged)
        for one in self._deployed():
            self._deploy(one)
        if self._functions.sweep is not None:
            arena.add_function(SWEEP, self._running.handler(SWEEP, self._functions.sweep), TIMEOUT_SECONDS)
            arena.add_schedule(SWEEP, SWEEP_SECONDS)
        self._audit: Audit | None = None
        if self._functions.map is not None:
            self._audit = Audit(arena, TABLES, MAP, REDUCE)
            arena.watch = partial(self._read, self._audit.wrote)

    def _deploy(self, one: _Deployed) -> None:
        found = None if self._stack is None else self._stack.functions[one.name]
        handler = self._running.handler(one.name, one.handler, None if found is None else found.policy)
        function = self._arena.add_function(one.name, handler, TIMEOUT_SECONDS)
        if self._stack is None or found is None:
            self._arena.add_mapping(one.settings, one.name)
            return
        function.concurrency = found.concurrency
        if found.trigger is not None:
            self._arena.add_mapping(self._connected(self._stack, one, found), one.name)

    def _connected(self, stack: StackFile, one: _Deployed, found: StackFunction) -> MappingSettings:
        """The mapping of a function's trigger. Raises OncefoldError where its role may not read the stream."""
        trigger = found.trigger
        assert trigger is not None
        arn = self._messages() if trigger.source == STREAM else self._stream_of(trigger.source)
        missing = found.policy.missing(READ_STREAM[arn.split(":")[2]], arn)
        if missing:
            raise stack.error(
                one.name,
                f"the trigger cannot be added: the policy does not allow {', '.join(missing)} on {arn}; "
                "see docs/COURSE.md, lab 1, step 5",
            )
        lanes = STATE_LANES if trigger.source == STREAM else 1
        return replace(
            one.settings,
            source_arn=arn,
            batch_size=trigger.batch_size,
            window_seconds=trigger.window_seconds,
            parallelization=lanes,
        )

    def _deployed(self) -> Iterable[_Deployed]:
        """The functions that read streams, in the order of the pipeline; no bisecting, retries without end."""
        function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{NAME}"
        lanes = MappingSettings(self._messages(), function, batch_size=STATE_BATCH, parallelization=STATE_LANES)
        yield _Deployed(STATE, self._functions.state, lanes)
        if self._functions.map is not None:
            arn = self._stream_of(TABLES.state)
            window = MappingSettings(arn, function, batch_size=MAP_BATCH, window_seconds=MAP_WINDOW_SECONDS)
            yield _Deployed(MAP, self._functions.map, window)
        arn = self._stream_of(TABLES.reduce)
        yield _Deployed(REDUCE, self._functions.reduce, MappingSettings(arn, function, batch_size=REDUCE_BATCH))

    def _messages(self) -> str:
        summary = self._arena.kinesis.describe_stream_summary(StreamName=self.stream)["StreamDescriptionSummary"]
        arn: str = summary["StreamARN"]
        return arn

    def _stream_of(self, table: str) -> str:
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
                account = Account.of(wrong.by, self._left_over(wrong))
            elif self._readable:
                account = _reworded(self._audit.account(wrong, expected, touched))
        except _UNREADABLE:
            self._readable = False
        found = self._hints(account.causes) if self._options.hinted else ()
        return replace(account, hints=tuple(hint.text for hint in found))

    def end_round(self, expected: ExpectedTotals, touched: Iterable[str]) -> None:
        """See Player."""
        if self._audit is not None:
            self._read(partial(self._audit.end_round, expected, touched))
        elif self._readable:
            try:
                self._pending = self._waiting()
            except _UNREADABLE:
                self._readable = False

    def late(self) -> tuple[str, ...]:
        """See Player."""
        seen = self._running.observer.seen
        return (late_hint(seen).text,) if self._options.hinted and seen else ()

    def _waiting(self) -> dict[str, Item]:
        """The items of ReduceTable by name. Raises KeyError and its like for items of another form."""
        return {item[REDUCE_KEY]["S"]: item for item in self._arena.items(TABLES.reduce)}

    def _left_over(self, wrong: Wrong) -> Iterator[Cause]:
        """Items that are not added in this round, and those of earlier rounds that are by now."""
        now = self._waiting()
        waiting = {name: item for name, item in now.items() if name not in self._pending}
        late = {name: item for name, item in self._pending.items() if name not in now}
        name = SEPARATOR.join(wrong.node.labels)
        for what, why, items, sign in ((What.LOST, WHY, waiting, -1), (What.LATE, TOO_LATE, late, 1)):
            blamed = [_blamed(key, item, name, sign) for key, item in items.items()]
            found = [one for one in blamed if one.amount]
            if found:
                yield Cause.of(what, why, self._round, found)

    def _hints(self, causes: tuple[Cause, ...]) -> tuple[Hint, ...]:
        observer, mode = self._running.observer, self._arena.mode
        items = {table: len(self._arena.rows(table)) for table in (TABLES.state, TABLES.reduce, TABLES.aggregate)}
        stack = {} if self._stack is None else self._stack.functions
        observation = FunctionObservation(
            self._functions,
            observer.seen,
            items,
            causes,
            observer.places,
            reached_lab(mode, self._functions, observer.seen),
            tuple(name for name, function in stack.items() if function.trigger is None),
        )
        return hints(observation)[:HINTS]


def _blamed(key: str, item: Item, node: str, sign: int) -> Blamed:
    """What an item of ReduceTable adds to a node."""
    value = item["Sums"]["M"].get(node)
    return Blamed(key, Decimal(0) if value is None else sign * Decimal(value["N"]))


def _reworded(account: Account) -> Account:
    """The audit knows the workshop's own functions, which drop old messages; a learner's need not."""
    return replace(
        account,
        causes=tuple(
            replace(cause, what=What.LOST, why=_ABSENT) if cause.why.startswith(_DROPPED) else cause
            for cause in account.causes
        ),
    )
