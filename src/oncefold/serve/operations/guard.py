"""Around the whole application: the request's id, whether it may pass, and that it is counted and logged."""

from collections.abc import MutableMapping
from typing import Any

from oncefold.serve.operations.access import Access
from oncefold.serve.operations.bookkeeping import Asked, Bookkeeping
from oncefold.serve.operations.cors import cors_headers, preflight
from oncefold.serve.operations.handover import handover_of
from oncefold.serve.operations.judging import Header, Judge
from oncefold.serve.operations.problem import ASGIApp, Message, Receive, Send, problem_document, send_answer
from oncefold.serve.operations.request import STATE_NAME, Head, RequestIds
from oncefold.serve.operations.traffic import CHANGES, LEFT

ALWAYS: tuple[Header, ...] = ((b"x-content-type-options", b"nosniff"),)
"""Headers that every answer has."""
PROBLEM: Header = (b"content-type", b"application/problem+json")
_BROKEN = "The server made a mistake; its log says more under this request_id. Nothing that was committed is lost."


def broken_document(request_id: str) -> bytes:
    """The body of an answer with status 500."""
    return problem_document(500, "Internal error", _BROKEN, request_id)


class _Exchange:
    """One request and its answer: what went through, and the headers that every answer gets."""

    __slots__ = ("_headers", "_receive", "_send", "received", "sent", "status")

    def __init__(self, receive: Receive, send: Send, headers: tuple[Header, ...]) -> None:
        self._receive, self._send, self._headers = receive, send, headers
        self.status = 0
        self.received = self.sent = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
        else:
            self.sent += len(message.get("body", b""))
        await self._send(message)

    async def send_problem(self, status: int, title: str, detail: str, request_id: str, *headers: Header) -> None:
        body = problem_document(status, title, detail, request_id)
        await send_answer(self.send, status, [PROBLEM, *headers], body)


class Guard:
    """The application as it is reached from outside. Belongs to one event loop."""

    def __init__(self, app: ASGIApp, access: Access, ids: RequestIds, books: Bookkeeping) -> None:
        self._app, self._access, self._ids, self._books = app, access, ids, books
        self._judge = Judge(access)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._books.monotonic()
        head = Head(scope["headers"])
        asked = Asked(self._ids.of(head.request_id), scope["method"], scope["path"], scope.get("client"), began)
        scope.setdefault("state", {})[STATE_NAME] = asked.request_id
        own = (b"x-request-id", asked.request_id.encode("ascii"))
        exchange = _Exchange(receive, send, (own, *ALWAYS, *cors_headers(head, self._access)))
        try:
            await self._serve(scope, head, exchange, asked.request_id)
        except Exception as error:
            self._books.log.broke(asked.request_id, error)
            if not exchange.status:
                await send_answer(exchange.send, 500, [PROBLEM], broken_document(asked.request_id))
        finally:
            handover = handover_of(scope)
            received = exchange.received + (handover.received if handover else 0)
            self._books.ended(asked, exchange.status or LEFT, received, exchange.sent)

    async def _serve(self, scope: MutableMapping[str, Any], head: Head, exchange: _Exchange, request_id: str) -> None:
        method, path = scope["method"], scope["path"]
        asked = preflight(method, head, self._access)
        refusal = self._judge.refusal(
            method, path, head, http_1_1=scope["http_version"] != "1.0", is_preflight=asked is not None
        )
        if refusal is not None:
            await exchange.send_problem(refusal.status, refusal.title, refusal.detail, request_id, *refusal.headers)
        elif asked is not None:
            await send_answer(exchange.send, 204, asked)
        elif path == CHANGES:
            self._books.traffic.subscribers += 1
            try:
                await self._app(scope, exchange.receive, exchange.send)
            finally:
                self._books.traffic.subscribers -= 1
        else:
            await self._app(scope, exchange.receive, exchange.send)
