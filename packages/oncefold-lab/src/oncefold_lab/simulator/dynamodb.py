"""DynamoDB, simulated: a client with the calls of boto3's `client("dynamodb")` that Oncefold uses."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any

from oncefold_lab.simulator import batches, database, items, reads, transactions
from oncefold_lab.simulator.calls import DYNAMODB, STREAMS, Agenda, Caller, CallHook, Handler
from oncefold_lab.simulator.change_streams import STREAM_MANNERS, ChangeShards, DynamoDBStreams
from oncefold_lab.simulator.database import Database
from oncefold_lab.simulator.errors import INTERNAL, REQUEST_LIMIT, THROTTLED, THROUGHPUT
from oncefold_lab.simulator.faults import Faults, Manners, no_faults
from oncefold_lab.simulator.transactions import TransactionTokens
from oncefold_lab.simulator.values import Row

MANNERS = Manners(
    throttles=(
        ("ProvisionedThroughputExceededException", THROUGHPUT),
        ("ThrottlingException", THROTTLED),
        ("RequestLimitExceeded", REQUEST_LIMIT),
    ),
    failure=("InternalServerError", INTERNAL),
)


class DynamoDB:
    """One account's DynamoDB, empty at first, in the memory of this process. Calls must not overlap.

    A call may come within another one's hook, before or after the outer one's effect.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        random: Random | None = None,
        faults: Faults | None = None,
        stream_shards: int = 1,
        *,
        stream_lag: float = 0.0,
        calls: CallHook | None = None,
    ) -> None:
        """`clock` returns seconds since 1970 and never goes back.

        `random` orders what DynamoDB leaves unordered: without it, stream records come in the order of the requests and
        at once. With it, they come up to `stream_lag` seconds late.
        """
        faults = faults if faults is not None else no_faults()
        self.counts: Counter[str] = Counter()
        """Calls by operation, errors by code, and what else there is to count."""
        self._agenda = Agenda()
        self._caller = Caller(clock, faults, MANNERS, DYNAMODB, self._agenda, self.counts, calls)
        self._database = Database(self._caller, random, stream_shards, stream_lag)
        self._streams = DynamoDBStreams(
            Caller(clock, faults, STREAM_MANNERS, STREAMS, self._agenda, self.counts, calls), self._database.streams
        )
        self._tokens = tokens = TransactionTokens()
        self.exceptions = self._caller.errors
        self._put_item = self._handler(items.put_item)
        self._update_item = self._handler(items.update_item)
        self._delete_item = self._handler(items.delete_item)
        self._get_item = self._handler(items.get_item)
        self._batch_get_item = self._handler(batches.batch_get_item)
        self._batch_write_item = self._handler(batches.batch_write_item)
        self._query = self._handler(reads.query)
        self._scan = self._handler(reads.scan)
        self._transact_write_items: Handler = partial(transactions.transact_write_items, self._database, tokens)
        self._transact_get_items = self._handler(transactions.transact_get_items)

    def _handler(self, operation: Callable[..., dict[str, Any]]) -> Handler:
        return partial(operation, self._database)

    def create_table(self, **request: Any) -> dict[str, Any]:
        """CreateTable."""
        return self._caller.call("CreateTable", self._handler(database.create_table), request)

    def describe_table(self, **request: Any) -> dict[str, Any]:
        """DescribeTable."""
        return self._caller.call("DescribeTable", self._handler(database.describe_table), request)

    def delete_table(self, **request: Any) -> dict[str, Any]:
        """DeleteTable."""
        return self._caller.call("DeleteTable", self._handler(database.delete_table), request)

    def list_tables(self, **request: Any) -> dict[str, Any]:
        """ListTables."""
        return self._caller.call("ListTables", self._handler(database.list_tables), request)

    def put_item(self, **request: Any) -> dict[str, Any]:
        """PutItem."""
        return self._caller.call("PutItem", self._put_item, request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        """UpdateItem."""
        return self._caller.call("UpdateItem", self._update_item, request)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """DeleteItem."""
        return self._caller.call("DeleteItem", self._delete_item, request)

    def get_item(self, **request: Any) -> dict[str, Any]:
        """GetItem."""
        return self._caller.call("GetItem", self._get_item, request)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """BatchGetItem."""
        return self._caller.call("BatchGetItem", self._batch_get_item, request)

    def batch_write_item(self, **request: Any) -> dict[str, Any]:
        """BatchWriteItem."""
        return self._caller.call("BatchWriteItem", self._batch_write_item, request)

    def query(self, **request: Any) -> dict[str, Any]:
        """Query."""
        return self._caller.call("Query", self._query, request)

    def scan(self, **request: Any) -> dict[str, Any]:
        """Scan."""
        return self._caller.call("Scan", self._scan, request)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """TransactWriteItems."""
        return self._caller.call("TransactWriteItems", self._transact_write_items, request)

    def transact_get_items(self, **request: Any) -> dict[str, Any]:
        """TransactGetItems."""
        return self._caller.call("TransactGetItems", self._transact_get_items, request)

    def get_waiter(self, name: str) -> "TableWaiter":
        """The waiters for tables, which have nothing to wait for."""
        return TableWaiter(self, name)

    def streams(self) -> DynamoDBStreams:
        """The change streams of this DynamoDB's tables, as a client of their own."""
        return self._streams

    def roll_shard(self, table: str, shard: str) -> None:
        """Close a shard of a table's stream; another takes its place, as happens every few hours."""
        self._shards(table).roll(shard, self._caller.now())

    def split_shard(self, table: str, shard: str) -> None:
        """Close a shard of a table's stream; two others take its place, as happens when a partition is split."""
        self._shards(table).split(shard, self._caller.now())

    def _shards(self, table: str) -> ChangeShards:
        stream = self._database.tables[table].stream
        assert stream is not None, f"table {table} has no stream"
        return stream.shards

    def restore(self, tables: Mapping[str, Mapping[Any, Row]]) -> None:
        """Put tables back to rows that they had, each on its own, as if that took longer than tokens are remembered.

        A stream says nothing of it.
        """
        for name, rows in tables.items():
            self._database.tables[name].restore(rows)
        self._tokens.forget()

    def due(self) -> float | None:
        """When something is going to happen by itself next: a late effect, or a stream record coming out."""
        return self._agenda.due()

    def run_due(self) -> None:
        """Let what is due happen now, rather than with the next call."""
        self._agenda.run(self._caller.now())


class TableWaiter:
    """Waits for a table to be there, or gone: which it is at once, by the call that made it."""

    def __init__(self, dynamodb: DynamoDB, name: str) -> None:
        assert name in {"table_exists", "table_not_exists"}
        self._dynamodb = dynamodb if name == "table_exists" else None

    def wait(self, **request: Any) -> None:
        """Check once. Raises ClientError for a table that does not exist."""
        if self._dynamodb is not None:
            self._dynamodb.describe_table(TableName=request["TableName"])
