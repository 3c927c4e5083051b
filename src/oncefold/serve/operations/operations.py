"""The parts of operating one server, put together."""

import logging
import time
from collections.abc import Callable

from starlette.routing import BaseRoute

from oncefold.serve.operations.access import Access
from oncefold.serve.operations.access_log import AccessLog, Summary
from oncefold.serve.operations.bookkeeping import Bookkeeping
from oncefold.serve.operations.commits import Commits
from oncefold.serve.operations.connections import Connections
from oncefold.serve.operations.guard import Guard
from oncefold.serve.operations.health import Health
from oncefold.serve.operations.logs import LOGGER
from oncefold.serve.operations.metrics import Gauges, Metrics
from oncefold.serve.operations.problem import ASGIApp
from oncefold.serve.operations.routes import routes
from oncefold.serve.operations.traffic import Traffic


class Operations:
    """What a server keeps of itself for those who operate it."""

    def __init__(
        self,
        access: Access,
        connections: Connections,
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.health = Health()
        """To be told when ingest begins, fails and ends."""
        self.commits = Commits()
        """A listener of commits."""
        self._access, self._connections, self._clock = access, connections, clock
        self._traffic = Traffic()
        logger = logging.getLogger(LOGGER)
        log = AccessLog(logger, monotonic)
        self.books = Bookkeeping(self._traffic, log, Summary(self._traffic, self.commits, log, logger), monotonic)
        """What is said of requests that have ended; the server calls its `sum_up` when it ends."""

    def routes(self, gauges: Gauges) -> list[BaseRoute]:
        """`/healthz`, `/readyz` and `/metrics`."""
        metrics = Metrics(self.commits, self._traffic, self._connections, self.health, gauges, self._clock)
        return routes(self.health, metrics)

    def guarded(self, app: ASGIApp) -> Guard:
        """The whole application with its guard."""
        return Guard(app, self._access, self._connections.ids, self.books)
