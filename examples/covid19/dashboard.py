"""The dashboard on the demonstration's store: the real `oncefold serve`, asked over HTTP as a browser does."""

import json
import re
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from processes import Command, Running, wait_for

START_SECONDS = 120.0
"""For the server to listen."""

ANSWER_SECONDS = 60.0

SERVE = Command("serve", "pipeline.toml", "--store", "covid19.db", "--port", "0", "--log", "text")
"""Port 0 is one that is free; without `--host`, only this machine can ask."""

_ADDRESS = re.compile(r"http://127\.0\.0\.1:[0-9]+/")


class Dashboard:
    """A server that runs as long as the `with` block."""

    def __init__(self, folder: Path) -> None:
        """Start it and wait until it listens. Raises DemoError if it does not."""
        self.address = ""
        self._running = Running(SERVE, folder, self._hear)
        try:
            self._running.wait_for(lambda: bool(self.address), "the address of the server", START_SECONDS)
        except BaseException:
            self._running.kill()
            raise

    def _hear(self, line: str) -> None:
        found = _ADDRESS.search(line)
        if found and not self.address:
            self.address = found[0]

    def rows(self, node: str = "") -> list[dict[str, Any]]:
        """A node of the world and its children, as the page asks for them."""
        found: list[dict[str, Any]] = json.loads(self._get(f"totals/world/{urllib.parse.quote(node)}".rstrip("/")))[
            "rows"
        ]
        return found

    def title(self) -> str:
        """The title of the page itself."""
        return self._get("").decode().partition("<title>")[2].partition("</title>")[0]

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.address}{path}", timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - an http address
            body: bytes = answer.read()
        return body

    def stay(self) -> None:
        """Until Ctrl-C."""
        try:
            wait_for(lambda: not self._running.is_alive(), "the end", float("inf"))
        except KeyboardInterrupt:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._running.stop()
        else:
            self._running.kill()
