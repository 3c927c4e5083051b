"""Exactly-once aggregation of event streams: hierarchical running totals, exact decimals, one file.

import oncefold

with oncefold.open("orders.db", "orders.toml") as store:
    store.ingest(b'{"order": "A-1", "version": 1, "country": "DE", "channel": "web", "amount": 19.90}')
    for row in store.totals("DE"):
        print(row.path, row.count, row.sums["amount"])
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oncefold.core.definition import Delete, Level, Pipeline, Rollup, Time, Version
from oncefold.core.errors import (
    DefinitionError,
    InvalidQueryError,
    OncefoldError,
    QueryError,
    SourceError,
    StoreError,
    StoreLockedError,
)
from oncefold.core.fieldpath import FieldPath
from oncefold.core.fold import Outcome
from oncefold.core.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oncefold.commit import Reject
    from oncefold.core.expression import Expression
    from oncefold.engine.async_store import AsyncStore
    from oncefold.engine.decoding import EventData
    from oncefold.engine.redefinition import Redefined, RedefinitionProgress
    from oncefold.engine.server_session import ServerSession
    from oncefold.engine.session import Ingested, Session
    from oncefold.pipeline_file import load_pipeline, parse_pipeline
    from oncefold.queries.changes.model import Change, ChangedNode
    from oncefold.queries.changes.subscription import Changes
    from oncefold.queries.event_model import (
        Arrival,
        Conflicts,
        Contradiction,
        CountedKey,
        CurrentVersion,
        Explanation,
        History,
        RejectedEvent,
        Rejects,
        Side,
    )
    from oncefold.queries.http_client import UnreachableError
    from oncefold.queries.http_reader import HttpReader
    from oncefold.queries.model import (
        Amounts,
        Answer,
        AsOfCommit,
        AsOfTime,
        Commit,
        FoundKey,
        FoundNode,
        NodeTotal,
        Pending,
        Point,
        RollupShape,
        SearchResult,
        Series,
        Shape,
        Totals,
        Verification,
        WrongNode,
    )
    from oncefold.queries.protocol import Reader, UnsupportedQueryError
    from oncefold.queries.status_model import (
        CheckedStore,
        Count,
        FunctionState,
        MappingState,
        ServerLoad,
        SourceProgress,
        StackStatus,
        Status,
        StoreStatus,
        StreamState,
    )
    from oncefold.queries.store_reader import StoreReader
    from oncefold.store.retention import Retention

__version__ = "0.1.0"

__all__ = [
    "Amounts",
    "Answer",
    "Arrival",
    "AsOfCommit",
    "AsOfTime",
    "AsyncStore",
    "Change",
    "ChangedNode",
    "Changes",
    "CheckedStore",
    "Commit",
    "Conflicts",
    "Contradiction",
    "Count",
    "CountedKey",
    "CurrentVersion",
    "DefinitionError",
    "Delete",
    "EventData",
    "Explanation",
    "Expression",
    "FieldPath",
    "FoundKey",
    "FoundNode",
    "FunctionState",
    "History",
    "HttpReader",
    "Ingested",
    "InvalidQueryError",
    "Level",
    "MappingState",
    "Measure",
    "NodeTotal",
    "OncefoldError",
    "Outcome",
    "Pending",
    "Pipeline",
    "Point",
    "QueryError",
    "Reader",
    "Redefined",
    "RedefinitionProgress",
    "Reject",
    "RejectedEvent",
    "Rejects",
    "Retention",
    "Rollup",
    "RollupShape",
    "SearchResult",
    "Series",
    "ServerLoad",
    "ServerSession",
    "Session",
    "Shape",
    "Side",
    "SourceError",
    "SourceProgress",
    "StackStatus",
    "Status",
    "StoreError",
    "StoreLockedError",
    "StoreReader",
    "StoreStatus",
    "StreamState",
    "Time",
    "Totals",
    "UnreachableError",
    "UnsupportedQueryError",
    "Verification",
    "Version",
    "WrongNode",
    "__version__",
    "connect",
    "connect_async",
    "load_pipeline",
    "open",
    "open_async",
    "open_reader",
    "parse_pipeline",
]

_LATER = {
    "oncefold.commit": ("Reject",),
    "oncefold.engine.decoding": ("EventData",),
    "oncefold.engine.redefinition": ("Redefined", "RedefinitionProgress"),
    "oncefold.engine.async_store": ("AsyncStore",),
    "oncefold.engine.server_session": ("ServerSession",),
    "oncefold.engine.session": ("Ingested", "Session"),
    "oncefold.queries.changes.model": ("Change", "ChangedNode"),
    "oncefold.queries.changes.subscription": ("Changes",),
    "oncefold.core.expression": ("Expression",),
    "oncefold.pipeline_file": ("load_pipeline", "parse_pipeline"),
    "oncefold.queries.protocol": ("Reader", "UnsupportedQueryError"),
    "oncefold.queries.event_model": (
        "Arrival",
        "Conflicts",
        "Contradiction",
        "CountedKey",
        "CurrentVersion",
        "Explanation",
        "History",
        "RejectedEvent",
        "Rejects",
        "Side",
    ),
    "oncefold.queries.http_client": ("UnreachableError",),
    "oncefold.queries.http_reader": ("HttpReader",),
    "oncefold.queries.status_model": (
        "CheckedStore",
        "Count",
        "FunctionState",
        "MappingState",
        "ServerLoad",
        "SourceProgress",
        "StackStatus",
        "Status",
        "StoreStatus",
        "StreamState",
    ),
    "oncefold.queries.store_reader": ("StoreReader",),
    "oncefold.store.retention": ("Retention",),
}
"""What is imported when it is first used, so that `import oncefold` and the command line start at once; all others of
`__all__` that are not above are of `oncefold.queries.model`."""


def open(  # noqa: A001
    store: str | Path,
    pipeline: "str | Path | Mapping[str, Any] | Pipeline",
    *,
    retention: "Retention | None" = None,
) -> "Session":
    """Open a store for writing and querying; it is created if there is none. One process at a time can write a store.

    Args:
        store: The file.
        pipeline: A TOML file, TOML text, the same tables as a dictionary, or the definition as an object. An existing
            store accepts it if its totals keep their meaning.
        retention: How far back history and past totals can be queried, or `"forever"`. None keeps the store's own
            retention, or 30 days in a new store.

    Returns:
        The open store; close it, or use it in a `with` statement.

    Raises:
        DefinitionError: The definition is wrong, or would change the meaning of the store's totals.
        StoreLockedError: Another process writes the store.
        StoreError: The store cannot be opened.

    Example:
        >>> import oncefold
        >>> line = b'{"order": "A-1", "version": 1, "country": "DE", "channel": "web", "amount": 19.90}'
        >>> with oncefold.open("orders.db", "orders.toml") as store:
        ...     done = store.ingest(line)
        ...     totals = store.totals("DE")
        >>> done.commit, totals.node.count, str(totals.node.sums["amount"])
        (1, 1, '19.90')
        >>> definition = {"name": "visits", "event": {"key": "id"}, "rollups": {"by_page": ["page"]}}
        >>> with oncefold.open("visits.db", definition) as store:
        ...     done = store.ingest({"id": number, "page": "home"} for number in range(3))
        ...     store.query()
        <Totals by_page (root), 2 nodes, commit 1>
    """
    from oncefold.engine.session import Session
    from oncefold.pipeline_file import pipeline_of

    return Session.open(store, pipeline_of(pipeline), retention=retention)


def connect(url: str, token: str | None = None, *, retry_timeout: float = 60.0) -> "ServerSession":
    """Use a running server as a store is used, by the same methods; it is reached with the first call.

    Args:
        url: Where it is, as `http://127.0.0.1:8321`.
        token: For all that is asked of it. None takes `ONCEFOLD_READ_TOKEN`, `ONCEFOLD_INGEST_TOKEN` and
            `ONCEFOLD_ADMIN_TOKEN` from the environment, as far as they are there.
        retry_timeout: For how many seconds events are sent again to a server that does not answer.

    Returns:
        The server; close it, or use it in a `with` statement.

    Raises:
        OncefoldError: This is no URL of a server.

    Example:
        >>> import oncefold
        >>> server = oncefold.connect("http://127.0.0.1:8321")
        >>> server
        <ServerSession http://127.0.0.1:8321>
        >>> server.close()
    """
    from oncefold.engine.server_session import ServerSession

    return ServerSession(url, token, retry_timeout=retry_timeout)


def open_async(
    store: str | Path,
    pipeline: "str | Path | Mapping[str, Any] | Pipeline",
    *,
    retention: "Retention | None" = None,
) -> "AsyncStore":
    """Open a store for a program with an event loop: the same methods, to be awaited; see `oncefold.open`.

    Example:
        >>> import asyncio, oncefold
        >>> order = {"order": "A-1", "version": 1, "country": "DE", "channel": "web", "amount": "19.90"}
        >>> async def main():
        ...     async with oncefold.open_async("orders.db", "orders.toml") as store:
        ...         async with store.changes("DE") as changes:
        ...             await store.ingest(order)
        ...             async for change in changes:
        ...                 return str(change.rows[0].sums["amount"])
        >>> asyncio.run(main())
        '19.90'
    """
    from oncefold.engine.async_store import AsyncStore

    return AsyncStore(lambda: open(store, pipeline, retention=retention))


def connect_async(url: str, token: str | None = None, *, retry_timeout: float = 60.0) -> "AsyncStore":
    """Use a running server from a program with an event loop: the same methods, to be awaited; see `oncefold.connect`.

    Raises:
        OncefoldError: This is no URL of a server, with the first call.
    """
    from oncefold.engine.async_store import AsyncStore

    return AsyncStore(lambda: connect(url, token, retry_timeout=retry_timeout))


def open_reader(store: str | Path) -> "StoreReader":
    """Open a store for queries alone, whether or not a process writes it; each answer is as of one commit.

    Args:
        store: The file, which must exist.

    Returns:
        The reader; close it, or use it in a `with` statement.

    Raises:
        StoreError: There is no such store, or it cannot be read.

    Example:
        >>> import oncefold
        >>> order = {"order": "A-1", "version": 1, "country": "DE", "channel": "web", "amount": "19.90"}
        >>> with oncefold.open("orders.db", "orders.toml") as store:
        ...     done = store.ingest(order)
        >>> with oncefold.open_reader("orders.db") as reader:
        ...     for node in reader.query(depth=None):
        ...         print(node.path or "(root)", node.count, node.sums["amount"])
        ...     print(reader.verify().exact)
        (root) 1 19.90
        DE 1 19.90
        DE/web 1 19.90
        True
    """
    from oncefold.queries.store_reader import StoreReader

    return StoreReader.open(store)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import what is exported and was not used yet."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = next((module for module, names in _LATER.items() if name in names), "oncefold.queries.model")
        value = globals()[name] = getattr(import_module(home), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
