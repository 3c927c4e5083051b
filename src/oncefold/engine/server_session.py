"""A running server as a program uses a store: `oncefold.connect`."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import pyarrow as pa

from oncefold.commit import Reject
from oncefold.core.definition_text import to_toml
from oncefold.core.errors import QueryError
from oncefold.core.fold import Outcome
from oncefold.core.values import plain, to_json
from oncefold.engine.decoding import EventData, Piece, pieces_of
from oncefold.engine.redefinition import Redefined, root_totals
from oncefold.engine.session import Ingested
from oncefold.pipeline_file import pipeline_of
from oncefold.queries import parse
from oncefold.queries.changes.server_feed import RETRY_SECONDS, Backoff
from oncefold.queries.http_client import Client, UnreachableError, address_of
from oncefold.queries.http_reader import QUERY_SECONDS, HttpReader
from oncefold.queries.model import Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from oncefold.core.definition import Pipeline
    from oncefold.queries.model import Totals, Verification

_LINES, _ARROW = "application/x-ndjson", "application/vnd.apache.arrow.stream"


class ServerSession(HttpReader):
    """A running server: the queries of a store, and the methods that change it; `oncefold.connect` gives it.

    Use it in a `with` statement, or close it; by one thread at a time. What is sent is sent again when no answer came,
    which counts nothing twice.
    """

    def __init__(self, url: str, token: str | None = None, *, retry_timeout: float = RETRY_SECONDS) -> None:
        """See `oncefold.connect`."""
        address = address_of(url)
        super().__init__(Client(address, _token(token, "READ"), QUERY_SECONDS))
        self._ingesting = Client(address, _token(token, "INGEST"), QUERY_SECONDS)
        self._admin = Client(address, _token(token, "ADMIN"), QUERY_SECONDS)
        self._seconds = retry_timeout

    @classmethod
    def open(cls, url: str, token: str | None = None) -> Self:
        """Name a server; see `oncefold.connect`."""
        return cls(url, token)

    def ingest(self, data: EventData, *, source: str = "python") -> Ingested:
        """Send events; when it returns they are durable, each counted once.

        While the server cannot be reached, or asks to wait, the same events are sent again, for a minute if `connect`
        said nothing else. Where an answer was lost, events that counted the first time are duplicates in the counts.

        Args:
            data: What `Session.ingest` takes. An iterator is read as it is sent.
            source: The name under which rejects are kept.

        Returns:
            The last commit, how many events had which outcome, and the rejects, of very many of them the first.

        Raises:
            SourceError: The data is of another kind.
            UnreachableError: The server did not answer; send all of it again, none counts twice.
            OncefoldError: The server refused it.
        """
        self._check_open()
        counts: Counter[Outcome] = Counter()
        rejects: list[Reject] = []
        commit = 0
        for first, piece in pieces_of(data):
            body, kind, starts = _body_of(piece)
            found = self._send(f"/events?{urlencode({'source': source})}", body, kind)
            counts += _counts(found)
            commit = found["commit"]
            for one in found["rejects"]:
                at = one["position"] if starts is None else bisect_right(starts, one["position"]) - 1
                form = "json" if isinstance(piece, memoryview) else "item" if starts is not None else "table"
                rejects.append(Reject(source, first + at, one["reason"], one["raw"].encode(), form))
        return Ingested(commit or self.status().commit.number, counts, rejects)

    def redrive(self) -> Ingested:
        """Read every reject again, with the definition as it is now; those that can be read leave the list.

        Returns:
            The commit, and how many events had which outcome.

        Raises:
            OncefoldError: The server refused it; it needs a token with the admin scope.
        """
        self._check_open()
        found = self._admin.post("/rejects/redrive", b"", _LINES)
        return Ingested(found["commit"], _counts(found))

    def discard(self, ids: Iterable[int | str]) -> int:
        """Take rejects off the list for good, one after the other; they stay counted as rejected.

        Args:
            ids: Their ids, as `rejects()` gives them.

        Returns:
            How many were taken off.

        Raises:
            QueryError: One of them is not on the list; those before it were taken off.
            OncefoldError: The server refused it; it needs a token with the admin scope.
        """
        self._check_open()
        named = sorted(set(ids), key=str)
        for one in named:
            if not isinstance(one, int):
                raise QueryError(f"not on the reject list: {one}; see what `rejects list` shows")
            self._admin.delete(f"/rejects/{one}")
        return len(named)

    def redefine(self, pipeline: str | Path | Mapping[str, Any] | Pipeline, *, dry_run: bool = False) -> Redefined:
        """Replace the definition; see `Session.redefine`.

        Args:
            pipeline: The new definition: a TOML file, TOML text, the same tables as a dictionary, or an object.
            dry_run: Only say what would change.

        Raises:
            DefinitionError: The definition is wrong.
            OncefoldError: The server refused it: its totals cannot be made from what the store keeps, or the token has
                not the admin scope.
        """
        self._check_open()
        definition, before = pipeline_of(pipeline), self.shape
        target = f"/redefine?dry_run={'true' if dry_run else 'false'}"
        found = self._admin.post(target, to_toml(definition).encode(), "application/toml")
        self._shape = None
        return Redefined(
            changes=found["changes"],
            commit=found["commit"],
            events=found["events"],
            counts=_counts(found),
            rejected=[(kind["reason"], kind["events"]) for kind in found["rejected"]],
            before=root_totals(before, found["commit"], found["before"]),
            after=root_totals(Shape.of(definition), found["commit"], found["after"]),
            seconds=found["seconds"],
        )

    def verify(self) -> Verification:
        """Recompute every total from the keys and compare, in the server; it needs a token with the admin scope."""
        self._check_open()
        return parse.verification(self.shape, self._admin.get("/verify").document)

    def totals(
        self,
        node: str | tuple[str, ...] = "",
        *,
        rollup: str | None = None,
        depth: int | None = 1,
        as_of: int | str | datetime | None = None,
    ) -> Totals:
        """The totals of a node and of all at most `depth` levels below it; see `Session.totals`."""
        return self.query(node, rollup=rollup, depth=depth, as_of=as_of)

    def close(self) -> None:
        """Close the connections; without effect when closed."""
        super().close()
        self._ingesting.close()
        self._admin.close()

    def _send(self, target: str, body: bytes, kind: str) -> Any:
        """The answer to events, which are sent until there is one."""
        backoff = Backoff(self._seconds)
        while True:
            try:
                return self._ingesting.post(target, body, kind)
            except UnreachableError as error:
                backoff.wait(error)


def _token(given: str | None, scope: str) -> str | None:
    """The token that was given, or the environment's for this scope, or for all."""
    if given is not None:
        return given
    return os.environ.get(f"ONCEFOLD_{scope}_TOKEN") or os.environ.get("ONCEFOLD_ADMIN_TOKEN")


def _counts(found: Mapping[str, Any]) -> Counter[Outcome]:
    """Events by outcome, from the names that a document has."""
    return Counter({Outcome[name.upper()]: number for name, number in found["counts"].items()})


def _body_of(piece: Piece) -> tuple[bytes, str, list[int] | None]:
    """A piece as a body, its content type, and of items where each begins in it."""
    if isinstance(piece, memoryview):
        return bytes(piece), _LINES, None
    if isinstance(piece, list):
        lines = [to_json(plain(item)) + b"\n" for item in piece]
        return b"".join(lines), _LINES, list(accumulate(map(len, lines[:-1]), initial=0))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, piece.schema) as stream:
        stream.write_batch(piece)
    return sink.getvalue().to_pybytes(), _ARROW, None
