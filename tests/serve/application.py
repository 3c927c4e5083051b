"""Requests put to an application without a network, and applications to put them to."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from oncefold.serve.http.request import Request, RequestIds
from oncefold.serve.http.response import Response, json_response
from oncefold.serve.http.routing import Route
from oncefold.serve.security.access import Access
from oncefold.serve.server.application import Application
from oncefold.serve.server.operations import Health, operations_routes
from oncefold.serve.telemetry.access_log import AccessLog
from oncefold.serve.telemetry.counters import CommitCounters, RequestCounters
from oncefold.serve.telemetry.logs import LOGGER
from oncefold.serve.telemetry.metrics import Gauges, Metrics
from oncefold.serve.transport.asgi import AsgiAdapter

METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
LOCAL = {"host": "127.0.0.1:8321"}


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


async def send(
    app: Any, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", version: str = "1.1"
) -> Answer:
    """One request; without headers it has the Host of a program on this machine."""
    sent: list[Any] = []
    came = [{"type": "http.request", "body": body, "more_body": False}]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in (LOCAL if headers is None else headers).items()]
    if body:
        raw.append((b"content-length", str(len(body)).encode()))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": version,
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": raw,
        "client": ("127.0.0.9", 5),
        "server": ("127.0.0.1", 8321),
        "state": {},
    }

    async def receive() -> Any:
        return came.pop(0) if came else {"type": "http.disconnect"}

    async def take(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, take)
    start = next((message for message in sent if message["type"] == "http.response.start"), None)
    if start is None:
        return Answer(0, {}, b"")
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(message.get("body", b"") for message in sent))


def ask(
    app: Any, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", version: str = "1.1"
) -> Answer:
    return asyncio.run(send(app, method, path, headers, body, version))


def echo() -> list[Route]:
    """Reads the body, and answers every path and method with the request's id."""

    async def handler(request: Request) -> Response:
        if request.path == "/status" and request.headers.get(b"x-break"):
            raise RuntimeError("broken on purpose")
        while request.body.more:
            await request.body.next()
        status = int(request.headers.get(b"x-status") or b"200")
        return json_response({"path": request.path, "id": request.id}, status=status)

    return [Route("/{path*}", handler, METHODS)]


class Parts:
    """What a server keeps of itself, and applications around it."""

    def __init__(
        self,
        access: Access | None = None,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.health, self.commits, self.requests = Health(), CommitCounters(), RequestCounters()
        self.log = AccessLog(self.requests, self.commits, logging.getLogger(LOGGER), monotonic)
        self._access, self._clock, self._monotonic = access or Access(), clock, monotonic

    def routes(self, gauges: Gauges) -> list[Route]:
        """Those for operators."""
        return operations_routes(self.health, Metrics(self.commits, self.requests, gauges, self._clock))

    def application(self, always: Iterable[Route] = ()) -> Application:
        """One that still opens its store."""
        return Application(self._access, self.requests, self.log, always)

    def adapted(self, application: Application) -> AsgiAdapter:
        return AsgiAdapter(application, RequestIds("test"), self._monotonic)

    def guarded(self, routes: Iterable[Route]) -> AsgiAdapter:
        """One whose store is open."""
        application = self.application()
        application.opened(routes)
        return self.adapted(application)
