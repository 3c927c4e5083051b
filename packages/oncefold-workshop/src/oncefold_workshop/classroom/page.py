"""The scoreboard as a page: on the loopback address alone, without a build, read again every two seconds."""

import json
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from oncefold.core.errors import OncefoldError
from oncefold_workshop.classroom.teams import Standing

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost")
"""What a browser on this machine may call it: another name belongs to another page."""

Standings = Callable[[], Sequence[Standing]]


def document(standings: Sequence[Standing]) -> dict[str, Any]:
    """The board as JSON."""
    return {
        "teams": [
            {
                "name": standing.name,
                "points": standing.scores.total,
                "rounds": list(standing.scores.rounds),
                "error": standing.error,
            }
            for standing in standings
        ]
    }


@contextmanager
def serve_page(port: int, standings: Standings) -> Iterator[str]:
    """Serve the page while the block runs; its address. Raises OncefoldError for a port that is taken."""
    try:
        server = ThreadingHTTPServer((HOST, port), _handler(standings))
    except OSError as error:
        raise OncefoldError(f"--port {port}: {HOST} cannot be listened on: {error.strerror}; name another") from None
    thread = threading.Thread(target=server.serve_forever, name="scoreboard", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(standings: Standings) -> type[BaseHTTPRequestHandler]:
    page = files("oncefold_workshop.classroom").joinpath("scoreboard.html").read_text(encoding="utf-8")

    class Handler(BaseHTTPRequestHandler):
        """GET / and GET /scores.json, from this machine."""

        def do_GET(self) -> None:
            """Answer."""
            host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host")
            if host not in _NAMES:
                self._answer(403, "text/plain", b"the scoreboard is for this machine alone\n")
            elif self.path == "/":
                nonce = secrets.token_urlsafe(16)
                policy = (
                    f"default-src 'none'; connect-src 'self'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'"
                )
                self._answer(200, "text/html; charset=utf-8", page.replace("{nonce}", nonce).encode(), policy)
            elif self.path == "/scores.json":
                self._answer(200, "application/json", json.dumps(document(standings())).encode())
            else:
                self._answer(404, "text/plain", b"there are / and /scores.json\n")

        def _answer(self, status: int, kind: str, body: bytes, policy: str = "default-src 'none'") -> None:
            self.send_response(status)
            for name, value in (
                ("Content-Type", kind),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", policy),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as http.server names it
            """Requests are not logged."""

    return Handler
