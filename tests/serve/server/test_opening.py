"""A real server that is still opening: health is told, the rest shall come again, and then all of it works."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve import running
from tests.serve.running import Client, Running
from tests.tools.sizes import full_only
from tests.tools.waiting import until

EVENT = (
    b'{"TradeID":"a","Value":1.25,"Version":1,"Timestamp":1616413258,'
    b'"Hierarchy":{"RiskType":"Delta","Region":"AMER","TradeDesk":"FXSpot"}}\n'
)
_HELD = """
import asyncio
from pathlib import Path
from oncefold.serve.server.writer_client import WriterClient
start, go = WriterClient.start, Path(%r)
async def wait_and_start(self, *told):
    while not go.exists():
        await asyncio.sleep(0.002)
    await start(self, *told)
WriterClient.start = wait_and_start
"""


class Opening:
    """A server that goes on opening its store until it is let go on."""

    def __init__(self, folder: Path, server: Running, port: int) -> None:
        self.server, self.port, self._go = server, port, folder / "go"

    def client(self) -> Client:
        """A client, once somebody listens."""
        client = Client(self.port)
        until(lambda: self._is_up(client), "a server listens")
        return client

    def go_on(self) -> None:
        self._go.touch()

    def _is_up(self, client: Client) -> bool:
        assert self.server.command.running, self.server.words
        try:
            return client.get("/healthz").status == 200
        except OSError:
            return False


@pytest.fixture
def opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    monkeypatch.setattr(running, "_START", _HELD % str(tmp_path / "go") + running._START)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Running(tmp_path, "--port", port)
    with server.command:
        yield Opening(tmp_path, server, port)


def test_until_the_store_is_open_everything_shall_come_again_and_then_works(opening: Opening) -> None:
    with opening.client() as client:
        assert client.get("/healthz").document == {"status": "ok"}
        ready = client.get("/readyz")
        assert (ready.status, ready.headers["content-type"]) == (503, "application/problem+json")
        assert "starting: the store is being opened" in ready.document["detail"]
        assert "oncefold_ready 0" in client.get("/metrics").body.decode()
        asked = {path: client.get(path) for path in ("/totals/risk", "/totals/none", "/", "/openapi.json", "/changes")}
        asked["/events"] = client.post(EVENT)
        asked["/events in chunks"] = client.post(iter([EVENT[:20], EVENT[20:]]))
        for what, answer in asked.items():
            assert (answer.status, answer.headers["retry-after"]) == (503, "1"), what
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.document["status"] == 503
            assert "the store is being opened" in answer.document["detail"]
            assert answer.document["request_id"] == answer.headers["x-request-id"]

        opening.go_on()
        opening.server.until_ready()
        assert client.get("/readyz").document == {"status": "ready"}
        assert client.post(EVENT).document["counts"] == {"inserted": 1}, "none of those before was taken"
        assert client.get("/totals/risk").document["rows"][0]["count"] == 1
        assert client.get("/totals/none").status == 404
        assert client.get("/").status == 200
    opening.server.end()


@full_only("a server, 3 s")
def test_a_server_told_to_end_while_it_opens_ends_as_it_should(opening: Opening) -> None:
    with opening.client():
        pass
    opening.server.tell(signal.SIGTERM)
    opening.go_on()
    assert opening.server.command.wait() == 0, opening.server.words
    assert "Traceback" not in opening.server.words
