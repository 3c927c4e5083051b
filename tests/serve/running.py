"""A real server in a process of its own on a free port of the loopback, and a small client for it.

    with Running(tmp_path, "--max-line", "1MiB") as server:
        answer = server.post(b'{"id": "a", ...}', content_type="application/json")
        assert answer.status == 200, answer
        server.get("/totals/risk").document

The server is asked for `/readyz` before the block begins, told to end after it, and must then end with status 0. What
it wrote is shown when it does not.
"""

import http.client
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from oncefold.cli.definition import EXAMPLE
from tests.tools.processes import Command
from tests.tools.waiting import until

_START = """
import json, sys
from dataclasses import replace
from oncefold.cli.main import main
from oncefold.serve.server import service as server
serve, told = server.serve, json.loads(sys.argv[1])
server.serve = lambda settings: serve(replace(settings, **told))
sys.exit(main(["serve", *sys.argv[2:]]))
"""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:([0-9]+)/")

Body = bytes | Iterable[bytes] | None


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


_IDLE_SECONDS = 1.0
"""A connection that was not used for so long is opened anew: servers of tests close idle ones soon."""


class Client:
    """One connection, opened anew when the server has closed it."""

    def __init__(self, port: int, *, token: str = "", seconds: float = 60.0) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
        self._token = token
        self._used = 0.0

    def ask(self, method: str, path: str, body: Body = None, **headers: str) -> Answer:
        """One request; `content_type=...` is the header Content-Type. An iterable is sent in chunks."""
        named = {name.replace("_", "-"): value for name, value in headers.items() if value}
        if time.monotonic() - self._used > _IDLE_SECONDS:  # the server may have closed it
            self.close()
        if self._token:
            named["Authorization"] = f"Bearer {self._token}"
        try:
            self._connection.request(method, path, body, named)
            response = self._connection.getresponse()
            content = response.read()
        except BaseException:
            self.close()
            raise
        self._used = time.monotonic()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, body: Body, path: str = "/events", **headers: str) -> Answer:
        """Send events, as JSON Lines if not told otherwise."""
        return self.ask("POST", path, body, **{"content_type": "application/x-ndjson", **headers})

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Running(Client):
    """A server, and a client of it. `settings` replaces fields of Settings that have no option."""

    def __init__(
        self,
        folder: Path,
        *arguments: object,
        pipeline: str = EXAMPLE,
        store: Path | None = None,
        token: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin to start; `store` is made in the folder if none is named."""
        self.store = store or folder / "store.db"
        self.definition = folder / "pipeline.toml"
        self.definition.write_text(pipeline)
        self._token_given = token
        told = json.dumps(dict(settings or {}))
        options = (self.definition, "--store", self.store, "--port", 0, "--log", "text", *arguments)
        self.command = Command(folder, told, *options, command=(sys.executable, "-c", _START))
        self.port = 0

    @property
    def words(self) -> str:
        """All that the server has written."""
        return self.command.words

    def until_ready(self) -> Self:
        """Wait until it takes events."""
        self.port = until(self._look_for_port, "a server listens")
        super().__init__(self.port, token=self._token_given)
        until(lambda: self._answers(lambda: self.get("/readyz").status == 200), "a server is ready")
        return self

    def client(self, **options: Any) -> Client:
        """Another connection."""
        return Client(self.port, **options)

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        self.command.send(number)

    def end(self) -> None:
        """Tell the server to end, and require that it does so as it should."""
        self.close()
        self.tell(signal.SIGTERM)
        status = self.command.wait()
        assert status == 0, f"status {status}:\n{self.words}"

    def kill(self) -> None:
        """kill -9."""
        self.close()
        self.tell(signal.SIGKILL)
        self.command.wait()

    def _look_for_port(self) -> int:
        assert self.command.running, self.words
        found = _ADDRESS.search(self.words)
        return int(found[1]) if found else 0

    def _answers(self, fact: Callable[[], bool]) -> bool:
        assert self.command.running, self.words
        try:
            return fact()
        except OSError:
            return False

    def __enter__(self) -> Self:
        try:
            return self.until_ready()
        except BaseException:
            self.command.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        with self.command:
            self.close()
            if kind is not None:
                print(self.words)
            elif self.command.running:
                self.end()
