"""All routes of questions, from their declarations."""

from oncefold.queries.status_model import ServerLoad
from oncefold.serve.answers import keys, lists, nodes, overview
from oncefold.serve.answers.answering import Endpoint
from oncefold.serve.answers.asking import Asking
from oncefold.serve.answers.cache import Cache
from oncefold.serve.answers.changes.endpoint import ChangesEndpoint
from oncefold.serve.answers.changes.hub import Hub
from oncefold.serve.answers.declared import Route
from oncefold.serve.answers.openapi import DescriptionEndpoint, description
from oncefold.serve.answers.reject_administration import RejectAdministration, discard, redrive
from oncefold.serve.http import routing

_REST_OF_PATH = ("path", "key")
"""Parameters that may hold slashes."""


def routes(asking: Asking, writer: RejectAdministration) -> list[routing.Route]:
    """The routes of all questions, of live changes, of the reject list, and of `/openapi.json`."""
    declared = declarations(asking, writer)
    cache = Cache()
    text = description(asking.pipeline, declared)
    return [
        *(_http_route(route, Endpoint(route, asking, cache)) for route in declared),
        routing.Route("/changes", ChangesEndpoint(asking, Hub(asking))),
        routing.Route("/rejects/redrive", redrive(writer), ("POST",)),
        routing.Route("/rejects/{id}", discard(writer), ("DELETE",)),
        routing.Route("/openapi.json", DescriptionEndpoint(text)),
    ]


def _http_route(route: Route, endpoint: Endpoint) -> routing.Route:
    path = route.path
    for name in _REST_OF_PATH:
        path = path.replace(f"{{{name}}}", f"{{{name}*}}")
    return routing.Route(path, endpoint, tuple(route.methods))


def declarations(asking: Asking, writer: RejectAdministration) -> list[Route]:
    """The routes of questions as they are declared."""
    pipeline = asking.pipeline
    live = overview.routes(pipeline, lambda: ServerLoad(asking.rate.per_second(), writer.waiting_requests))
    return [*nodes.routes(pipeline), *keys.routes(pipeline), *lists.routes(pipeline), *live]
