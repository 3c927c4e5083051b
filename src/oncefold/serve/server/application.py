"""Every request from its headers to its response: checked once, routed, counted, logged; errors as problems."""

import asyncio
from collections.abc import Iterable
from typing import Final

from oncefold.core.errors import InvalidQueryError, OncefoldError, QueryError, StoreError
from oncefold.serve.http.request import Disconnected, Header, Request
from oncefold.serve.http.response import RETRY_SOON, Problem, Response
from oncefold.serve.http.routing import CHANGES, Handler, Route, Router
from oncefold.serve.security.access import Access
from oncefold.serve.security.browsers import cors_headers, preflight
from oncefold.serve.security.checks import Checks
from oncefold.serve.server.operations import STARTING
from oncefold.serve.telemetry.access_log import AccessLog
from oncefold.serve.telemetry.counters import RequestCounters

_NO_SNIFFING: Final[Header] = (b"x-content-type-options", b"nosniff")
_SAME_ORIGIN: Final[Header] = (b"cross-origin-resource-policy", b"same-origin")
"""A page of another origin cannot embed an answer; pages that are let in by CORS read it as ever."""
_MISTAKE: Final = (
    "The server made a mistake; its log says more under this request_id. Nothing that was committed is lost."
)


class Application:
    """Answers requests. Belongs to one event loop."""

    def __init__(self, access: Access, counters: RequestCounters, log: AccessLog, routes: Iterable[Route] = ()) -> None:
        """`routes` are answered from the beginning; every other path once the store is open."""
        self._access, self._counters, self._log = access, counters, log
        self._checks = Checks(access)
        self._always = list(routes)
        self._router: Router | None = None
        self._opening = Router(self._always)

    def opened(self, routes: Iterable[Route]) -> None:
        """From now on these routes are answered too."""
        self._router = Router([*self._always, *routes])

    async def respond(self, request: Request) -> Response:
        """The response to a request. Raises Disconnected if nobody waits for it."""
        if request.path == CHANGES:
            self._counters.subscribers += 1
        try:
            handler, routed = self._find(request)
            response = await handler(routed)
        except Problem as problem:
            response = problem.response(request.id)
        except OncefoldError as error:
            response = problem_of(error).response(request.id)
        except (Disconnected, asyncio.CancelledError):
            raise
        except Exception as error:
            self._log.failed(request.id, error)
            response = Problem(500, _MISTAKE, title="Internal error").response(request.id)
        status, headers, body, stream = response
        own: tuple[Header, ...] = ((b"x-request-id", request.id.encode("ascii")), _NO_SNIFFING, _SAME_ORIGIN)
        if self._access.cors_origins:
            own += cors_headers(request.headers, self._access)
        return Response(status, headers + own, body, stream)

    def ended(self, request: Request, status: int, seconds: float, received: int, sent: int) -> None:
        """A request has ended; `received` and `sent` are the bytes of its body and of its response's."""
        if request.path == CHANGES:
            self._counters.subscribers -= 1
        self._counters.count(request.path, status, seconds, received)
        self._log.ended(request, status, seconds, sent)

    def broke(self, request: Request, error: Exception) -> None:
        """A response that had begun could not be made to its end."""
        self._log.failed(request.id, error)

    def connection_ended(self, reason: str) -> None:
        """The server gave a connection up."""
        self._counters.ended[reason] += 1

    def _find(self, request: Request) -> tuple[Handler, Request]:
        """What answers a request, once it is checked. Raises Problem."""
        allowed = preflight(request, self._access)
        self._checks.require(request, is_preflight=allowed is not None)
        if allowed is not None:
            return _answered(Response(204, allowed)), request
        if self._router is not None:
            return self._router.find(request)
        try:
            return self._opening.find(request)
        except Problem as problem:
            if problem.status == 404:
                raise Problem(503, f"{STARTING}; send it again.", RETRY_SOON) from None
            raise


def _answered(response: Response) -> Handler:
    async def handler(_: Request) -> Response:
        return response

    return handler


def problem_of(error: OncefoldError) -> Problem:
    """What an error of a query is over HTTP."""
    if isinstance(error, InvalidQueryError):
        return Problem(422, str(error))
    if isinstance(error, QueryError):
        return Problem(404, str(error))
    if isinstance(error, StoreError):
        return Problem(503, str(error), RETRY_SOON)
    return Problem(400, str(error))
