"""All routes of questions, from their declarations."""

from starlette.routing import BaseRoute

from oncefold.queries.status_model import ServerLoad
from oncefold.serve.answers import keys, lists, nodes, overview
from oncefold.serve.answers.answering import Endpoint
from oncefold.serve.answers.asking import Asking
from oncefold.serve.answers.cache import Cache
from oncefold.serve.answers.changes.endpoint import ChangesEndpoint
from oncefold.serve.answers.changes.hub import Hub
from oncefold.serve.answers.declared import Route
from oncefold.serve.answers.express import Remember
from oncefold.serve.answers.mending import MendingEndpoint, Redriving, discard, redrive
from oncefold.serve.answers.openapi import DescriptionEndpoint, description
from oncefold.serve.answers.paths import WholeRoute

_PATTERNS = {"rollup": "[^/]+", "path": ".*", "key": ".*"}
_ID = r"(?!redrive\Z)[^/]+"


def routes(asking: Asking, ingest: Redriving, remember: Remember = lambda *_: None) -> list[BaseRoute]:
    """The routes of all questions, of live changes, of the reject list, and of `/openapi.json`.

    `remember` is told of questions that may be asked again in the same words.
    """
    declared = declarations(asking, ingest)
    cache = Cache()
    found: list[BaseRoute] = [
        WholeRoute(
            route.path,
            Endpoint(route, asking, cache, remember),
            route.methods,
            [_PATTERNS[parameter.name] for parameter in route.in_path],
        )
        for route in declared
    ]
    text = description(asking.pipeline, declared)
    return [
        *found,
        WholeRoute("/changes", ChangesEndpoint(asking, Hub(asking)), ("GET",), ()),
        WholeRoute("/rejects/redrive", MendingEndpoint(redrive(ingest)), ("POST",), ()),
        WholeRoute("/rejects/{id}", MendingEndpoint(discard(ingest)), ("DELETE",), (_ID,)),
        WholeRoute("/openapi.json", DescriptionEndpoint(text), ("GET",), ()),
    ]


def declarations(asking: Asking, ingest: Redriving) -> list[Route]:
    """The routes of questions as they are declared."""
    pipeline = asking.pipeline
    live = overview.routes(pipeline, lambda: ServerLoad(asking.rate.per_second(), ingest.waiting_requests))
    return [*nodes.routes(pipeline), *keys.routes(pipeline), *lists.routes(pipeline), *live]
