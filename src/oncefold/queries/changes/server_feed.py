"""The changes of a running server: its stream of server-sent events, begun again where it breaks off."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from oncefold.core.errors import OncefoldError
from oncefold.core.nodepath import join
from oncefold.queries import parse
from oncefold.queries.arguments import Node, labels_of_node
from oncefold.queries.changes.model import Change, change_of
from oncefold.queries.http_client import Client, EventStream, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oncefold.queries.model import Shape

RETRY_SECONDS = 60.0
"""How long a server may be away."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Backoff:
    """Waits longer and longer between tries of a server that is away, until a timeout."""

    def __init__(self, seconds: float, stopped: threading.Event | None = None) -> None:
        self._seconds = seconds
        self._stopped = threading.Event() if stopped is None else stopped
        self.reset()

    def reset(self) -> None:
        """It answered."""
        self._pause = _FIRST_PAUSE
        self._until: float | None = None

    def wait(self, error: UnreachableError, at_least: float = 0.0) -> None:
        """Wait before the next try. Raises the error if the server has been away for too long."""
        now = time.monotonic()
        self._until = now + self._seconds if self._until is None else self._until
        if now >= self._until:
            raise error
        self._stopped.wait(min(max(self._pause, at_least), max(self._until - now, 0.0)))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


class ServerFeed:
    """The changes of one server, through a client of its own; a server that is away is waited for."""

    def __init__(self, client: Client, target: str, since: int | None, retry_timeout: float = RETRY_SECONDS) -> None:
        """Begin after the commit `since`, or with the first call; `target` is what `target_of` gives."""
        self._client, self._target, self._since = client, target, since
        self._stopped = threading.Event()
        self._backoff = Backoff(retry_timeout, self._stopped)
        self._stream: EventStream | None = None
        self._shape: Shape | None = None

    def next(self) -> Change | None:
        """Wait for the next change; None after `stop`. Raises UnreachableError for a server that stays away."""
        while not self._stopped.is_set():
            try:
                event, id_, data = self._message()
            except UnreachableError as error:
                self._stream = None
                if not self._stopped.is_set():
                    self._backoff.wait(error)
                continue
            self._backoff.reset()
            self._since = int(id_)
            if event != "hello":
                assert self._shape is not None
                return self._change(self._shape, event, data)
        if self._stream is not None:
            self._stream.close()
        return None

    def stop(self) -> None:
        """End the waiting, and close the connection."""
        self._stopped.set()
        if self._stream is not None:
            self._stream.close()

    def _message(self) -> tuple[str, str, bytes]:
        if self._stream is None:
            self._shape = parse.shape_of(self._client.get("/status").document)
            self._client.close()
            self._stream = self._client.stream(self._target, None if self._since is None else str(self._since))
        return self._stream.next()

    def _change(self, shape: Shape, event: str, data: bytes) -> Change:
        try:
            return change_of(shape, event, json.loads(data))
        except (KeyError, TypeError, ValueError) as error:
            raise OncefoldError(f"{self._client.url}: a change cannot be read ({error!r}); is it newer?") from None


def target_of(nodes: Sequence[Node], rollup: str | None, depth: int | None) -> str:
    """The path and query of a subscription to these nodes and `depth` levels below (None: all); none are all nodes."""
    fields: list[tuple[str, str]] = [("path", join(labels_of_node(node))) for node in nodes]
    if rollup is not None:
        fields.append(("rollup", rollup))
    if nodes or depth is not None:
        fields.append(("depth", "all" if depth is None else str(depth)))
    return f"/changes?{urlencode(fields)}" if fields else "/changes"
