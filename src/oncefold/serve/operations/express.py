"""The express lane: a request that arrived in one piece and is short is served without a task of its own.

A task, its messages and its timers cost more than all else of a request with one event. The lane serves what is plain
and good, and decides of nothing that it is bad: whatever it does not take goes the ordinary way, which finds the words.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

Headers = list[tuple[bytes, bytes]]

_CLOSE: Final = b"connection: close\r\n"


class Lane(Protocol):
    """Serves whole requests."""

    def suits(self, method: bytes, url: bytes) -> bool:
        """Whether such requests may be for this lane; its body is waited for then, as far as it is here already."""

    def take(self, request: "WholeRequest") -> bool:
        """Serve a request, and answer it now or later; False if it goes the ordinary way."""


class Answers:
    """Answers that are ready, written one right after the other when the event loop has its next turn.

    Who has many connections is woken by the first, and is awake for the others. Waking it for each would cost more than
    everything else that is done for a small request.
    """

    def __init__(self) -> None:
        self._ready: list[WholeRequest] = []

    def add(self, request: "WholeRequest") -> None:
        """The answer of this request is ready."""
        if not self._ready:
            asyncio.get_running_loop().call_soon(self._send)
        self._ready.append(request)

    def _send(self) -> None:
        ready, self._ready = self._ready, []
        for request in ready:
            request.send()


class WholeRequest:
    """A request that is here with its body. While it is served it stands where uvicorn has its own such object."""

    __slots__ = (
        "_answer",
        "_answers",
        "_ended",
        "_write",
        "body",
        "client",
        "disconnected",
        "headers",
        "keep_alive",
        "response_complete",
        "url",
    )

    message_event: Final = asyncio.Event()
    """uvicorn sets it when the client leaves; nobody waits for it."""
    response_started: Final = False

    def __init__(
        self,
        url: bytes,
        headers: Headers,
        body: bytes,
        client: tuple[str, int] | None,
        answers: Answers,
        write: Callable[[bytes, bool], None],
        ended: Callable[[], None],
    ) -> None:
        """`write` sends an answer, and closes the connection unless it is to live on; `ended` is called after that."""
        self.url, self.headers, self.body, self.client = url, headers, body, client
        self._answers, self._write, self._ended = answers, write, ended
        self._answer = b""
        self.keep_alive = True
        """Whether the connection lasts longer than this answer; a server that ends takes this back."""
        self.response_complete = self.disconnected = False

    def answer(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Have the answer sent, its body's length added to the headers."""
        lines = [b"%b: %b\r\n" % header for header in headers]
        if _CLOSE in lines:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(_CLOSE)
        head = b"%b%bcontent-length: %d\r\n\r\n" % (STATUS_LINE[status], b"".join(lines), len(body))
        self._answer = head + body
        self._answers.add(self)

    def send(self) -> None:
        """Write the answer that is ready."""
        self._write(self._answer, self.keep_alive)
        self.response_complete = True
        self._ended()
