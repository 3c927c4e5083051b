"""The routing table: which handler answers a method and a path."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from oncefold.serve.http.request import Request
from oncefold.serve.http.response import Problem, Response

Handler = Callable[[Request], Awaitable[Response]]
"""Answers a request. May raise Problem, Disconnected, and OncefoldError."""

EVENTS: Final = "/events"
"""Where events are sent to."""
CHANGES: Final = "/changes"
"""The stream of what changes."""

_PARAMETER: Final = re.compile(r"\{([a-z_]+)(\*?)\}")
_SHOWN: Final = 200
"""Characters of a path that a message repeats."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path, its methods and its handler.

    `{name}` in a path is one segment, `{name*}` the rest of the path, whatever it holds; their texts are
    `request.parameters`. A path without parameters comes before one with them. GET includes HEAD.
    """

    path: str
    handler: Handler
    methods: tuple[str, ...] = ("GET",)


class Router:
    """Finds the handler of a request."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._literal: dict[str, dict[str, Handler]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Handler]]] = []
        self.add(routes)

    def add(self, routes: Iterable[Route]) -> None:
        """Add routes."""
        for route in routes:
            handlers = dict.fromkeys(route.methods, route.handler)
            if "GET" in handlers:
                handlers["HEAD"] = route.handler
            if _PARAMETER.search(route.path):
                self._patterns.append((_compiled(route.path), handlers))
            else:
                self._literal.setdefault(route.path, {}).update(handlers)

    def find(self, request: Request) -> tuple[Handler, Request]:
        """The route's handler, and the request with the parameters of its path. Raises Problem 404 and 405."""
        handlers = self._literal.get(request.path)
        if handlers is None:
            request, handlers = self._matched(request)
        handler = handlers.get(request.method)
        if handler is None:
            allowed = ", ".join(sorted(handlers))
            detail = f"{request.path[:_SHOWN]} does not take {request.method}; it takes {allowed}."
            raise Problem(405, detail, (b"allow", allowed.encode()))
        return handler, request

    def _matched(self, request: Request) -> tuple[Request, dict[str, Handler]]:
        for pattern, handlers in self._patterns:
            if found := pattern.fullmatch(request.path):
                return request._replace(parameters=found.groupdict()), handlers
        path = request.path[:_SHOWN]
        raise Problem(404, f"There is nothing at {path}; GET /openapi.json lists all there is.")


def _compiled(path: str) -> re.Pattern[str]:
    """The pattern of a path with parameters."""
    pieces, end = [], 0
    for found in _PARAMETER.finditer(path):
        pieces += [re.escape(path[end : found.start()]), f"(?P<{found[1]}>{'.*' if found[2] else '[^/]+'})"]
        end = found.end()
    return re.compile("".join([*pieces, re.escape(path[end:])]), re.DOTALL)
