"""The workshop's pipeline as a player, in either of its forms, or any other three functions of its shape."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from oncefold.core.fold import Node
from oncefold_lab.local.mapping_settings import MappingSettings
from oncefold_lab.search.deployment import NAMES
from oncefold_lab.simulator.data_stream import ACCOUNT
from oncefold_lab.world.functions import Context, Handler
from oncefold_workshop.game.accounts import Account
from oncefold_workshop.game.arena import TIMEOUT_SECONDS, Arena
from oncefold_workshop.game.books import Books
from oncefold_workshop.game.players import FLOATS
from oncefold_workshop.game.truth import Row, Truth, Wrong
from oncefold_workshop.pipelines.forms import Functions, Handle, World
from oncefold_workshop.pipelines.settings import (
    MAP_BATCH,
    MAP_WINDOW_SECONDS,
    REDUCE_BATCH,
    STATE_BATCH,
    Settings,
    Tables,
)
from oncefold_workshop.pipelines.tables import make_tables
from oncefold_workshop.pipelines.tree import MESSAGE_COUNT, SEPARATOR

SHARDS = 2
"""Of the stream of messages."""
STATE_LANES = 10
"""Batches of one of its shards under way at a time, as many as Lambda allows."""
TABLES = Tables("StateTable", "ReduceTable", "AggregateTable")
STATE, MAP, REDUCE = "StateLambda", "MapLambda", "ReduceLambda"

Form = Callable[[Settings, World], Functions]


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
        chance = arena.random("functions").random
        functions = self._form(Settings(TABLES), World(arena.client("dynamodb"), arena.scheduler.clock, chance))
        messages = arena.kinesis.describe_stream_summary(StreamName=NAMES.stream)["StreamDescriptionSummary"]
        for name, handle, settings in (
            (STATE, functions.state, _settings(messages["StreamARN"], STATE_BATCH, lanes=STATE_LANES)),
            (MAP, functions.map, _settings(self._stream(TABLES.state), MAP_BATCH, window=MAP_WINDOW_SECONDS)),
            (REDUCE, functions.reduce, _settings(self._stream(TABLES.reduce), REDUCE_BATCH)),
        ):
            arena.add_function(name, _handler(handle), TIMEOUT_SECONDS)
            arena.add_mapping(settings, name)
        self._books = Books(arena, TABLES, MAP, REDUCE)
        arena.watch = self._books.wrote

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

    def look(self, number: int) -> None:
        """See Player."""
        self._books.look(number)

    def account(self, wrong: Wrong, truth: Truth, touched: Iterable[str]) -> Account:
        """See Player."""
        return self._books.account(wrong, truth, touched)


def _handler(handle: Handle) -> Handler:
    def invoked(event: Mapping[str, Any], _: Context) -> None:
        handle(event)

    return invoked


def _settings(arn: str, batch: int, *, window: float = 0.0, lanes: int = 1) -> MappingSettings:
    """The workshop's mapping: no bisecting, no partial answers, retries without end."""
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:workshop"
    return MappingSettings(arn, function, batch_size=batch, window_seconds=window, parallelization=lanes)
