"""Around the whole application: the request's id, whether it may pass, and that it is counted and logged."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

from oncefold.serve.operations.access import Access
from oncefold.serve.operations.access_log import SUMMARY_SECONDS, AccessLog, Answered, Summary, is_quiet
from oncefold.serve.operations.cors import cors_headers, preflight
from oncefold.serve.operations.judging import Header, Judge
from oncefold.serve.operations.problem import ASGIApp, Message, Receive, Send, problem_document, send_answer
from oncefold.serve.operations.request import STATE_NAME, Head, RequestIds
from oncefold.serve.operations.traffic import CHANGES, LEFT, Traffic

_ALWAYS: tuple[Header, ...] = ((b"x-content-type-options", b"nosniff"),)
_PROBLEM: Header = (b"content-type", b"application/problem+json")
_BROKEN = "The server made a mistake; its log says more under this request_id. Nothing that was committed is lost."


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
        await send_answer(self.send, status, [_PROBLEM, *headers], body)


class Guard:
    """The application as it is reached from outside. Belongs to one event loop."""

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        ids: RequestIds,
        traffic: Traffic,
        log: AccessLog,
        summary: Summary,
        monotonic: Callable[[], float],
    ) -> None:
        self._app, self._access, self._ids, self._monotonic = app, access, ids, monotonic
        self._traffic, self._log, self._summary = traffic, log, summary
        self._judge = Judge(access)
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._monotonic()
        head = Head(scope["headers"])
        request_id = self._ids.of(head.request_id)
        scope.setdefault("state", {})[STATE_NAME] = request_id
        own = (b"x-request-id", request_id.encode("ascii"))
        exchange = _Exchange(receive, send, (own, *_ALWAYS, *cors_headers(head, self._access)))
        try:
            await self._serve(scope, head, exchange, request_id)
        except Exception as error:
            self._log.broke(request_id, error)
            if not exchange.status:
                await exchange.send_problem(500, "Internal error", _BROKEN, request_id)
        finally:
            self._ended(scope, exchange, request_id, began)

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
            self._traffic.subscribers += 1
            try:
                await self._app(scope, exchange.receive, exchange.send)
            finally:
                self._traffic.subscribers -= 1
        else:
            await self._app(scope, exchange.receive, exchange.send)

    def _ended(self, scope: MutableMapping[str, Any], exchange: _Exchange, request_id: str, began: float) -> None:
        now = self._monotonic()
        status, path = exchange.status or LEFT, scope["path"]
        self._traffic.count(path, status, now - began, exchange.received)
        method = scope["method"]
        if not is_quiet(method, path, status):
            client = scope.get("client")
            who = client[0] if client else ""
            self._log.tell(Answered(request_id, method, path, status, now - began, exchange.sent, who))
        if self._timer is None:
            self._since = began
            self._timer = asyncio.get_running_loop().call_later(SUMMARY_SECONDS, self.sum_up)

    def sum_up(self) -> None:
        """Write what is left to be said of requests that got no line; the server calls this when it ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._summary.tell(self._monotonic() - self._since)
