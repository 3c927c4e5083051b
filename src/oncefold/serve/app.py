"""The application as a whole: events to their own endpoint, all else to the routes, every error a problem document."""

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import BaseRoute, Router

from oncefold.serve.operations.problem import ASGIApp, Receive, Send, problem_document, send_answer
from oncefold.serve.operations.request import request_id_of
from oncefold.serve.operations.scopes import EVENTS

_WORDS: Final = {
    404: ("Not found", "There is nothing at {path}; GET /openapi.json lists all there is."),
    405: ("Method not allowed", "{path} does not take {method}."),
}


class Application:
    """Sends each request where it belongs."""

    def __init__(self, events: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._events = events
        router = Router(routes, redirect_slashes=False)
        self._rest = ExceptionMiddleware(router, {HTTPException: _problem})

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"] != EVENTS:
            scope["app"] = self  # with it, routes raise what is wrong instead of answering it in plain text
            await self._rest(scope, receive, send)
        elif scope["method"] == "POST":
            await self._events(scope, receive, send)
        else:
            await _send_problem(scope, send, 405, "", {"allow": "POST"})


async def _send_problem(
    scope: MutableMapping[str, Any], send: Send, status: int, detail: str, headers: Mapping[str, str]
) -> None:
    title, words = _WORDS.get(status, ("Error", "{method} {path} failed."))
    if not detail or status in _WORDS:
        detail = words.format(path=scope["path"][:200], method=scope["method"])
    body = problem_document(status, title, detail, request_id_of(scope))
    lines = [(b"content-type", b"application/problem+json")]
    lines += [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send_answer(send, status, lines, body)


class _Problem:
    """What Starlette takes for a response."""

    def __init__(self, error: HTTPException) -> None:
        self._error = error

    async def __call__(self, scope: MutableMapping[str, Any], _: Receive, send: Send) -> None:
        await _send_problem(scope, send, self._error.status_code, self._error.detail, self._error.headers or {})


async def _problem(_: Any, error: Any) -> Any:
    return _Problem(error)
