"""All routes of queries, of the store as a whole, of live changes and of the reject list."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from oncefold.core.definition import Pipeline
from oncefold.core.fold import Outcome
from oncefold.queries.model import Verification
from oncefold.queries.status_model import ServerLoad, StoreStatus
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers import schemas
from oncefold.serve.answers.changes.endpoint import ChangesEndpoint
from oncefold.serve.answers.changes.hub import Hub
from oncefold.serve.answers.declared import (
    MOST_DIGITS,
    DeclaredRoute,
    Described,
    Parameter,
    Problem,
    RouteQuery,
    Values,
    number,
    read_query,
    shown,
)
from oncefold.serve.answers.endpoint import Endpoint
from oncefold.serve.answers.keys import REASON, key_routes, list_routes
from oncefold.serve.answers.nodes import node_routes
from oncefold.serve.answers.openapi import DescriptionEndpoint, description
from oncefold.serve.answers.readers import Cache, StoreReaders
from oncefold.serve.answers.redefinition import REDEFINE, redefine_endpoint
from oncefold.serve.http import routing
from oncefold.serve.http.request import Request
from oncefold.serve.http.response import NO_STORE, Response, json_response
from oncefold.serve.http.routing import Handler


def overview_routes(pipeline: Pipeline, live: Callable[[], ServerLoad]) -> list[DeclaredRoute]:
    """The two routes; `live` says what the server is doing."""

    def status(reader: StoreReader, _: Values) -> StoreStatus:
        return replace(reader.status(), load=live())

    return [
        DeclaredRoute("/status", RouteQuery(status, lane="quick", kept=False), _status_described()),
        DeclaredRoute("/verify", RouteQuery(_verify, kept=False), _verify_described(pipeline), methods=("GET", "POST")),
    ]


def _status_described() -> Described:
    whole, text = schemas.COUNT, schemas.TEXT
    measure = schemas.object_of({"name": text, "kind": text, "scale": whole})
    rollup = schemas.object_of(
        {
            "name": text,
            "levels": schemas.array_of(text),
            "each": schemas.array_of(text),
            "windows": schemas.array_of(schemas.or_null(text)),
        },
        optional=("each", "windows"),
    )
    members = {
        **schemas.FRESH,
        "store": text,
        "pipeline": text,
        "fingerprint": text,
        "format": whole,
        "created": schemas.TIME,
        "file_bytes": whole,
        "behind_seconds": schemas.or_null(schemas.SECONDS),
        "keys": whole,
        "live": whole,
        "nodes": whole,
        "events": whole,
        "counts": schemas.object_of({outcome.name.lower(): whole for outcome in Outcome}),
        "rejects": whole,
        "discarded": whole,
        "conflicts": whole,
        "retention_seconds": schemas.or_null(schemas.SECONDS),
        "oldest_commit": whole,
        "oldest_commit_time": schemas.or_null(schemas.TIME),
        "sources": schemas.array_of({"type": "object", "required": ["source"], "properties": {"source": text}}),
        "version_type": schemas.or_null({"enum": ["integer", "timestamp", "text"]}),
        "rollups": schemas.array_of(rollup),
        "measures": schemas.array_of(measure),
        "events_per_second": schemas.SECONDS,
        "waiting_requests": whole,
    }
    return Described(
        summary="The store as a whole",
        description="Counts, positions, freshness, the rollups and measures there are, and how much is going on.",
        answer=schemas.object_of(members),
        errors=(406, 422, 503),
        operation_id="status",
    )


def _verify(reader: StoreReader, _: Values) -> Verification:
    return reader.verify()


def _verify_described(pipeline: Pipeline) -> Described:
    amounts = schemas.amounts(pipeline.measures)
    row = {
        "rollup": schemas.TEXT,
        "path": schemas.TEXT,
        "fault": schemas.or_null(schemas.TEXT),
        "stored": schemas.or_null(amounts),
        "recomputed": amounts,
    }
    members = {
        **schemas.FRESH,
        "exact": schemas.BOOLEAN,
        "nodes": schemas.COUNT,
        "keys": schemas.COUNT,
        "rows": schemas.array_of(schemas.object_of(row)),
        "undecided": schemas.array_of(schemas.TEXT),
        "tries": schemas.COUNT,
        "moved": schemas.BOOLEAN,
    }
    return Described(
        summary="Every total recomputed from the keys and compared",
        description="The rows are the wrong nodes. It reads the whole state, and needs the admin scope.",
        answer=schemas.object_of(members),
        errors=(406, 422, 503),
        tag="admin",
        operation_id="verify",
    )


_ID = re.compile(rf"[0-9]{{1,{MOST_DIGITS}}}", re.ASCII)


class Redriven(Protocol):
    """What became of rejected events that were read again."""

    @property
    def commit(self) -> int:
        """The commit that holds it."""
        ...

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Events by outcome."""
        ...


class Administration(Protocol):
    """The writer process, as far as its administrator deals with it."""

    @property
    def waiting_requests(self) -> int:
        """Requests that wait for their commit."""
        ...

    async def redrive(self) -> Redriven:
        """Read every rejected event again."""
        ...

    async def discard(self, ids: Sequence[int]) -> int:
        """Take these off the list; how many of them were on it."""
        ...

    def redefine(self, pipeline: Pipeline, *, dry_run: bool) -> Awaitable[dict[str, Any]]:
        """Replace the definition, or only say what that would change; what came of it, as a JSON document."""
        ...


def redrive(writer: Administration) -> Handler:
    """Read every rejected event again."""

    async def handler(request: Request) -> Response:
        read_query(request.query, ())
        found = await writer.redrive()
        counts = {outcome.name.lower(): count for outcome, count in found.counts.items() if count}
        return json_response({"commit": found.commit, "counts": counts}, NO_STORE)

    return handler


def discard(writer: Administration) -> Handler:
    """Take one rejected event off the list."""

    async def handler(request: Request) -> Response:
        read_query(request.query, ())
        text = request.parameters["id"]
        number = int(text) if _ID.fullmatch(text) else 0
        if not number or not await writer.discard([number]):
            raise Problem(404, f"no rejected event has the id {shown(text)}; GET /rejects lists those there are")
        return json_response({"discarded": number}, NO_STORE)

    return handler


UP_TO = Parameter("up_to", *number(1, 10**18 - 1), "the newest event that goes, by its id", required=True, example=1)
DISCARDED_REASON = replace(REASON, required=True, example="not JSON")


def discard_reason(readers: StoreReaders, writer: Administration) -> Handler:
    """Take every rejected event of a reason off the list, up to an id: what came later nobody has seen."""

    async def handler(request: Request) -> Response:
        values = read_query(request.query, (DISCARDED_REASON, UP_TO))
        ids = await readers.slow.run(lambda reader: reader.reject_ids(values["reason"], values["up_to"]))
        return json_response({"discarded": await writer.discard(ids) if ids else 0}, NO_STORE)

    return handler


_REST_OF_PATH = ("path", "key")
"""Parameters that may hold slashes."""


def routes(readers: StoreReaders, writer: Administration) -> list[routing.Route]:
    """The routes of all queries, of live changes, of the reject list, and of `/openapi.json`."""
    declared = declarations(readers, writer)
    cache = Cache()
    text = description(readers.pipeline, declared, (DISCARDED_REASON, UP_TO))
    return [
        *(_http_route(route, Endpoint(route, readers, cache)) for route in declared),
        routing.Route("/changes", ChangesEndpoint(readers, Hub(readers))),
        routing.Route("/rejects/redrive", redrive(writer), ("POST",)),
        routing.Route("/rejects/discard", discard_reason(readers, writer), ("POST",)),
        routing.Route("/rejects/{id}", discard(writer), ("DELETE",)),
        routing.Route(REDEFINE, redefine_endpoint(writer.redefine), ("POST",)),
        routing.Route("/openapi.json", DescriptionEndpoint(text)),
    ]


def _http_route(route: DeclaredRoute, endpoint: Endpoint) -> routing.Route:
    path = route.path
    for name in _REST_OF_PATH:
        path = path.replace(f"{{{name}}}", f"{{{name}*}}")
    return routing.Route(path, endpoint, tuple(route.methods))


def declarations(readers: StoreReaders, writer: Administration) -> list[DeclaredRoute]:
    """The routes of queries as they are declared."""
    pipeline = readers.pipeline
    live = overview_routes(pipeline, lambda: ServerLoad(readers.rate.per_second(), writer.waiting_requests))
    return [*node_routes(pipeline), *key_routes(pipeline), *list_routes(pipeline), *live]
