"""Every request from its headers to its response: checked once, routed, counted, logged; errors as problems."""

import asyncio
from collections.abc import Iterable
from typing import Final

from oncefold.core.errors import InvalidQueryError, OncefoldError, QueryError, StoreError
from oncefold.serve.http.request import Disconnected, Header, Request
from oncefold.serve.http.response import RETRY_SOON, Problem, Response
from oncefold.serve.http.routing import CHANGES, Route, Router
from oncefold.serve.security.access import Access
from oncefold.serve.security.browsers import cors_headers, preflight
from oncefold.serve.security.checks import Checks
from oncefold.serve.server.operations import STARTING
from oncefold.serve.telemetry.access_log import AccessLog
from oncefold.serve.telemetry.counters import RequestCounters

_NO_SNIFFING: Final[Header] = (b"x-content-type-options", b"nosniff")
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
            response = await self._routed(request)
        except Problem as problem:
            response = problem.response(request.id)
        except OncefoldError as error:
            response = problem_of(error).response(request.id)
        except (Disconnected, asyncio.CancelledError):
            raise
        except Exception as error:
            self._log.failed(request.id, error)
            response = Problem(500, _MISTAKE, title="Internal error").response(request.id)
        own = ((b"x-request-id", request.id.encode("ascii")), _NO_SNIFFING)
        return response._replace(headers=(*response.headers, *own, *cors_headers(request.headers, self._access)))

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

    async def _routed(self, request: Request) -> Response:
        allowed = preflight(request, self._access)
        self._checks.require(request, is_preflight=allowed is not None)
        if allowed is not None:
            return Response(204, allowed)
        if self._router is not None:
            return await self._router.handle(request)
        try:
            return await self._opening.handle(request)
        except Problem as problem:
            if problem.status == 404:
                raise Problem(503, f"{STARTING}; send it again.", RETRY_SOON) from None
            raise


def problem_of(error: OncefoldError) -> Problem:
    """What an error of a query is over HTTP."""
    if isinstance(error, InvalidQueryError):
        return Problem(422, str(error))
    if isinstance(error, QueryError):
        return Problem(404, str(error))
    if isinstance(error, StoreError):
        return Problem(503, str(error), RETRY_SOON)
    return Problem(400, str(error))
