"""A server that is looked at while it takes events, is stopped, and is started again."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oncefold.core.errors import OncefoldError, QueryError
from oncefold.queries.http_client import Client, address_of
from oncefold.queries.store_reader import StoreReader
from oncefold.watch.sources import ServerSource, StoreSource
from oncefold.watch.watching import Look, NotYetError, Watched, Watching
from tests.queries.stores import MONDAY, TUESDAY, lines
from tests.serve.running import Running
from tests.tools.processes import COMMAND
from tests.tools.sizes import full_only
from tests.watch.looks import Clock

SHOP_TOML = """
name = "shop"
[event]
key = "order"
version = { field = "updated", type = "timestamp" }
time = "updated"
delete = "cancelled"
[rollups]
place = ["country", "city"]
kind = ["country"]
[measures]
amount = { sum = "amount", scale = 2 }
children = { sum = "amount", scale = 2 }
"""
TOKEN = "watching-token-0123456789"
ROOM = 24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("server")
    tokens = folder / "tokens"
    tokens.write_text(f"read {TOKEN}\nadmin {TOKEN}-admin\n")
    tokens.chmod(0o600)
    with Running(folder, "--token-file", tokens, pipeline=SHOP_TOML, token=f"{TOKEN}-admin") as running:
        assert running.post(lines(MONDAY)).status == 200
        yield running


class Counting(Client):
    """A client that counts what it is answered."""

    def __init__(self, url: str, token: str | None = TOKEN) -> None:
        super().__init__(address_of(url), token)
        self.statuses: list[int] = []

    def get(self, target: str, etag: str | None = None):  # type: ignore[no-untyped-def]
        reply = super().get(target, etag)
        self.statuses.append(reply.status)
        return reply


Looking = Callable[..., ServerSource]


@pytest.fixture
def looking() -> Iterator[Looking]:
    """Makes sources, and closes them."""
    made: list[ServerSource] = []

    def make(client: Client, watched: Watched) -> ServerSource:
        made.append(ServerSource(client, watched))
        return made[-1]

    yield make
    for source in made:
        source.close()


@pytest.fixture
def source(server: Running, looking: Looking) -> Callable[..., ServerSource]:
    """Makes sources of looks at the server."""

    def make(node: str = "", rollup: str | None = "place", depth: int | None = None) -> ServerSource:
        return looking(Counting(url_of(server)), Watched(node, rollup, depth))

    return make


def url_of(server: Running) -> str:
    return f"http://127.0.0.1:{server.port}"


def commit_of(look: Look) -> int:
    return look.totals.commit.number


@pytest.mark.parametrize("room", [None, 1, 2, 3, 5, 6, ROOM])
@pytest.mark.parametrize("depth", [None, 0, 1, 2, 9])
@pytest.mark.parametrize("node", ["", "FR", "US/St. Louis\\/MO"])
def test_a_look_at_a_server_is_the_look_at_its_store(
    server: Running, source: Looking, node: str, depth: int | None, room: int | None
) -> None:
    look = source(node, depth=depth).look(room)
    stored = StoreSource(server.store, Watched(node, "place", depth)).look(room)
    assert look.totals.rows == stored.totals.rows
    assert (look.cut, look.totals.shape, look.totals.rollup) == (stored.cut, stored.totals.shape, stored.totals.rollup)
    assert (look.totals.as_of, look.events) == (stored.totals.as_of, stored.events)
    assert look.where == url_of(server)


def test_while_nothing_is_committed_a_look_is_one_small_answer(server: Running, looking: Looking) -> None:
    client = Counting(url_of(server))
    watched = looking(client, Watched("", "place"))
    first = watched.look(ROOM)
    client.statuses.clear()
    assert watched.look(ROOM) is first
    assert watched.look(ROOM) is first
    assert client.statuses == [304, 304]
    assert watched.look(None).totals == first.totals
    assert server.post(lines(MONDAY)).status == 200
    assert commit_of(watched.look(None)) == commit_of(first) + 1


def test_changes_are_seen_as_they_are_committed(server: Running, source: Looking) -> None:
    watching = Watching(source(), Clock())
    watching.look(ROOM)
    assert not watching.look(ROOM).moved
    server.post(
        b'{"order": "N-%d", "updated": "2026-03-05T00:00:00Z", "country": "FR", "city": "Nice", "amount": 1}' % 1
    )
    seen = watching.look(ROOM)
    assert seen.moved
    assert seen.changed["FR/Nice"] == {"count", "measure_amount", "measure_children"}
    assert seen.changed["FR"] == {"count", "measure_amount", "measure_children"}


@pytest.mark.parametrize(
    ("node", "rollup", "words"),
    [
        ("FR", "by_type", "no rollup 'by_type'"),
        ("FR", None, "several rollups: place, kind"),
        ("a/b/c", "place", "has 2 levels"),
    ],
)
def test_what_can_never_be_there_is_refused(source: Looking, node: str, rollup: str | None, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        source(node, rollup).look(ROOM)


def test_a_node_that_is_not_there_is_waited_for(source: Looking) -> None:
    with pytest.raises(NotYetError, match="ES"):
        source("ES").look(ROOM)


@pytest.mark.parametrize("token", [None, "not-the-token-of-this-server"])
def test_a_wrong_token_is_told_with_the_way_to_give_one(server: Running, token: str | None) -> None:
    with pytest.raises(OncefoldError, match=r"--token-file FILE or set ONCEFOLD_READ_TOKEN"):
        ServerSource(Counting(url_of(server), token), Watched()).look(ROOM)


@full_only("two servers, 5 s")
def test_a_server_is_waited_for_before_it_is_there_and_while_it_restarts(tmp_path: Path, looking: Looking) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    watching = Watching(looking(Counting(f"http://127.0.0.1:{port}", None), Watched("", "place")), Clock())
    assert "no server answers there" in watching.look(ROOM).trouble
    store = tmp_path / "shop.db"
    with Running(tmp_path, "--port", port, pipeline=SHOP_TOML, store=store) as server:
        server.post(lines(MONDAY))
        seen = watching.look(ROOM)
        assert seen.look is not None
        assert commit_of(seen.look) == 1
        server.kill()
    assert watching.look(ROOM).trouble
    with Running(tmp_path, "--port", port, pipeline=SHOP_TOML, store=store) as server:
        assert not watching.look(ROOM).trouble
        server.post(lines(TUESDAY))
        seen = watching.look(ROOM)
        assert seen.look is not None
        with StoreReader.open(store) as ask:
            assert seen.look.totals.rows == ask.query(rollup="place", depth=None).rows


def test_what_is_no_server_of_ours_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            for reply in (b"HTTP/1.0 200 OK\r\n\r\n<html>", b"HTTP/1.0 500 Oops\r\n\r\n", b"SSH-2.0-OpenSSH\r\n"):
                connection, _ = door.accept()
                with connection:
                    connection.recv(1_000)
                    connection.sendall(reply)

        threading.Thread(target=answer, daemon=True).start()
        client = Client(address_of(f"http://127.0.0.1:{door.getsockname()[1]}"), None)
        for words in ("no JSON object", "it answers 500 Oops", "cannot be queried"):
            with pytest.raises(OncefoldError, match=words):
                client.get("/status")


@pytest.mark.parametrize(
    "url", ["ftp://a", "http://", "http://user:secret@a", "http://a:x", "http://a/?token=x", "http://a/#b"]
)
def test_urls_that_cannot_be_a_servers_are_refused(url: str) -> None:
    with pytest.raises(OncefoldError) as told:
        address_of(url)
    assert "secret" not in str(told.value)


def test_a_server_may_be_below_a_path() -> None:
    address = address_of("https://totals.example.com:8443/oncefold/")
    assert (address.secure, address.host, address.port) == (True, "totals.example.com", 8443)
    assert address.prefix == "/oncefold"


def test_the_command_shows_a_server_as_json(server: Running, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    options = ["--rollup", "place", "--depth", "0", "--json", "--every", "0.02", "--token-file", str(token)]
    with subprocess.Popen(
        [*COMMAND, "watch", url_of(server), "FR", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        try:
            first = json.loads(watch.stdout.readline())
            server.post(
                b'{"order": "C-1", "updated": "2026-03-06T00:00:00Z", "country": "FR", "city": "A", "amount": 2}'
            )
            second = json.loads(watch.stdout.readline())
        finally:
            watch.send_signal(signal.SIGINT)
            assert watch.stderr.read() == ""
        assert watch.wait() == 0
    assert second["commit"] == first["commit"] + 1
    assert second["rows"][0]["count"] == first["rows"][0]["count"] + 1
    assert second["changed"] == {"FR": ["count", "measure_amount", "measure_children"]}
