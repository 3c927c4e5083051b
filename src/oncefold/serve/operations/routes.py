"""The routes that those ask who operate a server."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from oncefold.serve.operations.health import Health
from oncefold.serve.operations.metrics import Metrics
from oncefold.serve.operations.problem import problem_document
from oncefold.serve.operations.request import request_id_of

_NO_STORE = {"cache-control": "no-store"}
_RETRY = {**_NO_STORE, "retry-after": "1"}


def routes(health: Health, metrics: Metrics) -> list[BaseRoute]:
    """`/healthz`, `/readyz` and `/metrics`."""

    async def healthz(_: Request) -> Response:
        """The process lives and answers."""
        return JSONResponse({"status": "ok"}, headers=_NO_STORE)

    async def readyz(request: Request) -> Response:
        """Events can be taken, or why not."""
        why = health.why_not
        if not why:
            return JSONResponse({"status": "ready"}, headers=_NO_STORE)
        body = problem_document(503, "Not ready", why, request_id_of(request.scope))
        return Response(body, 503, _RETRY, "application/problem+json")

    def scrape(request: Request) -> Response:
        """Called in a thread, since the store is asked."""
        body, content_type = metrics.text(request.headers.get("accept", ""))
        return Response(body, headers={**_NO_STORE, "content-type": content_type})

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", scrape)]
