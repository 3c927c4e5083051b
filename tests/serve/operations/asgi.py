"""Requests put to an application without a network, and applications to put them to."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from oncefold.serve.operations.access import Access
from oncefold.serve.operations.connections import Connections
from oncefold.serve.operations.operations import Operations
from oncefold.serve.operations.request import RequestIds, request_id_of

METHODS = ["GET", "POST", "DELETE", "OPTIONS"]
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


async def _echo(request: Request) -> JSONResponse:
    if request.url.path == "/status" and request.headers.get("x-break"):
        raise RuntimeError("broken on purpose")
    await request.body()
    status = int(request.headers.get("x-status", "200"))
    return JSONResponse({"path": request.url.path, "id": request_id_of(request.scope)}, status)


def echo() -> Starlette:
    """Reads the body, and answers every path and method with the request's id."""
    return Starlette(routes=[Route("/{path:path}", _echo, methods=METHODS)])


def operations(access: Access | None = None, **options: Any) -> Operations:
    return Operations(access or Access(), Connections(100, 10.0, RequestIds("test")), **options)
