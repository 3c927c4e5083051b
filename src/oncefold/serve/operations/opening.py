"""What stands in for the application while the store is opened: health is told, everything else shall come again."""

from collections.abc import MutableMapping, Sequence
from typing import Any

from starlette.routing import BaseRoute, Match

from oncefold.serve.operations.health import STARTING
from oncefold.serve.operations.problem import ASGIApp, Receive, Send, problem_document, send_answer
from oncefold.serve.operations.request import request_id_of

_HEADERS = ((b"content-type", b"application/problem+json"), (b"cache-control", b"no-store"), (b"retry-after", b"1"))

_READY = "/readyz"


class Opening:
    """The application of a server from its first moment on."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        """`routes` are answered from the beginning, but for the one that would say that events can be taken."""
        self._routes = tuple(routes)
        self._app: ASGIApp | None = None

    def opened(self, app: ASGIApp) -> None:
        """From now on this one answers."""
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._app is not None:
            await self._app(scope, receive, send)
            return
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL and scope["path"] != _READY:
                scope.update(found)
                await route.handle(scope, receive, send)
                return
        body = problem_document(503, "Not now", f"{STARTING}; ask again.", request_id_of(scope))
        await send_answer(send, 503, _HEADERS, body)
