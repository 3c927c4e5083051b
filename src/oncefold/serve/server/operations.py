"""For those who operate a server: whether it takes events, and the routes `/healthz`, `/readyz` and `/metrics`."""

import asyncio
from typing import Final

from oncefold.serve.http.request import Request
from oncefold.serve.http.response import NO_STORE, RETRY_SOON, Problem, Response, json_response
from oncefold.serve.http.routing import Route
from oncefold.serve.telemetry.metrics import Metrics

STARTING: Final = "starting: the store is being opened"
STOPPING: Final = "stopping: what was accepted is being committed"
_STATES: Final = {True: "reading", False: "read to their end"}


class SourcesHealth:
    """Which attached sources are not read any more, and why. Any thread may ask."""

    def __init__(self) -> None:
        self.attached = self.reading = False
        """Whether there are any, and whether some of them are being read."""
        self.failed: dict[str, str] = {}
        """Why, by source, of those that ended before their end."""

    def started(self) -> None:
        """They are read, or read again."""
        self.attached = self.reading = True
        self.failed = {}

    def ended(self, source: str, reason: str) -> None:
        """One of them is not read on, for this reason; without a reason all are read as far as they can be."""
        if reason:
            self.failed = {**self.failed, source: reason}
        else:
            self.reading = False

    @property
    def reason(self) -> str:
        """What is to be said of those that failed; empty if none did."""
        if not self.failed:
            return ""
        *_, last = self.failed.values()
        more = f"; and {len(self.failed) - 1} more" if len(self.failed) > 1 else ""
        return f"a source is not read any more: {last}{more}"


class Health:
    """Set by what starts, ingests and stops; read by whoever asks. Any thread may do either."""

    def __init__(self) -> None:
        self._reason: str = STARTING
        self._stopping = False
        self.sources = SourcesHealth()
        """Those that are attached. Events are taken all the same where one of them has failed."""

    @property
    def reason(self) -> str:
        """Why events cannot be taken now; empty if they can."""
        return STOPPING if self._stopping else self._reason

    def ready(self) -> None:
        """The writer runs and nothing is wrong with it, or not any more."""
        self._reason = ""

    def failed(self, reason: str) -> None:
        """The last commit failed, or the writer ended, for this reason."""
        self._reason = f"failing: {reason}"

    def stopping(self) -> None:
        """The server ends; it does not become ready again."""
        self._stopping = True


def operations_routes(health: Health, metrics: Metrics) -> list[Route]:
    """Answered from a server's first moment on."""

    async def healthz(_: Request) -> Response:
        """The process lives and answers."""
        return json_response({"status": "ok"}, NO_STORE)

    async def readyz(_: Request) -> Response:
        """Events can be taken and all sources are read, or why not."""
        if reason := health.reason or health.sources.reason:
            raise Problem(503, reason, RETRY_SOON, title="Not ready")
        sources = {} if not health.sources.attached else {"sources": _STATES[health.sources.reading]}
        return json_response({"status": "ready", **sources}, NO_STORE)

    async def scrape(request: Request) -> Response:
        """In a thread, since the store is read."""
        accept = request.headers.get(b"accept").decode("latin-1")
        body, content_type = await asyncio.to_thread(metrics.text, accept)
        return Response(200, (NO_STORE, (b"content-type", content_type.encode())), body)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", scrape)]
