"""The example of the reverse proxy, run: it passes the service on, and holds what the service alone does not."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serve.running import Client, Running
from tests.serve.transport.listening import answer, connect, exchange, status
from tests.serve.transport.test_abuse import event, head, memory
from tests.tools.programs import NGINX, need
from tests.tools.waiting import until

EXAMPLE = Path(__file__).parents[3] / "examples" / "serve" / "nginx.conf"
HOST = b"Host: localhost\r\n"


@dataclass
class Proxied:
    server: Running
    port: int

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port


def configuration(folder: Path, service: int, port: int) -> Path:
    """The example with the ports and places of a test, and times that a test can wait for."""
    text = EXAMPLE.read_text()
    for pattern, value in {
        r"127\.0\.0\.1:8321": f"127.0.0.1:{service}",
        r"listen 80;": f"listen 127.0.0.1:{port};",
        r"client_header_timeout \d+s": "client_header_timeout 1s",
        r"client_body_timeout \d+s": "client_body_timeout 2s",
        r"send_timeout \d+s": "send_timeout 1s",
    }.items():
        text, count = re.subn(pattern, value, text)
        assert count == 1, pattern
    paths = "".join(
        f"{name}_temp_path {folder / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("http {", f"http {{\naccess_log off;\n{paths}", 1)
    path = folder / "nginx.conf"
    path.write_text(f"daemon off;\npid {folder / 'nginx.pid'};\nerror_log {folder / 'error.log'};\n{text}")
    return path


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    program = need(NGINX)
    folder = tmp_path_factory.mktemp("proxied")
    with Running(folder) as server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        configured = configuration(folder, server.port, port)
        with subprocess.Popen([program, "-p", folder, "-c", configured, "-e", folder / "error.log"]) as nginx:
            try:
                until(lambda: accepts(port), "nginx to listen")
                yield Proxied(server, port)
            finally:
                nginx.terminate()
                nginx.wait(10)


def accepts(port: int) -> bool:
    with suppress(OSError):
        connect(("127.0.0.1", port)).close()
        return True
    return False


def test_everything_goes_through(proxied: Proxied) -> None:
    with Client(proxied.port) as client:
        assert client.post(event("through")).document["counts"] == {"inserted": 1}
        assert client.post(iter([event("chunk 1"), event("chunk 2")])).document["counts"] == {"inserted": 2}
        assert client.get("/totals/risk").document["rows"][0]["count"] == 3
        assert client.get("/").status == 200
        large = b"".join(event(f"large-{number}") for number in range(20_000))
        assert client.post(large).document["events"] == 20_000


def test_changes_come_as_they_happen(proxied: Proxied) -> None:
    with connect(proxied.address) as follower:
        follower.sendall(b"GET /changes HTTP/1.1\r\n" + HOST + b"\r\n")
        found = b""
        while b"event: hello" not in found:
            found += follower.recv(65_536)
        proxied.server.post(event("followed"))
        while b"event: commit" not in found:
            found += follower.recv(65_536)


def test_a_client_that_half_closes_is_answered(proxied: Proxied) -> None:
    body = event("half closed")
    with connect(proxied.address) as client:
        client.sendall(head(len(body), "Connection: close") + body)
        client.shutdown(socket.SHUT_WR)
        assert status(answer(client)) == 200


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
    ],
)
def test_a_body_whose_length_is_unclear_is_refused(proxied: Proxied, lengths: bytes) -> None:
    reply = exchange(proxied.address, b"POST /events HTTP/1.1\r\n" + HOST + lengths + b"\r\n0\r\n\r\n")
    assert status(reply) in {400, 501}
    assert reply.count(b"HTTP/1.1 ") == 1


def test_too_much_before_the_body_is_refused(proxied: Proxied) -> None:
    long = b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    large = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 40_000 + b"\r\n\r\n"
    assert status(exchange(proxied.address, long)) == 414
    assert status(exchange(proxied.address, large)) in {400, 431}


def test_heads_and_bodies_that_do_not_end_are_given_up(proxied: Proxied) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        dripping = []
        for opening in (b"GET / HT", head(1_000)[:-2], head(1_000), head(1_000) + event("drip")):
            dripping.append(stack.enter_context(connect(proxied.address)))
            dripping[-1].sendall(opening)
        for connection in dripping:
            assert status(answer(connection)) in {0, 408, 400}
    assert time.monotonic() - began < 20


def test_trailers_that_never_end_do_not_reach_the_service(proxied: Proxied) -> None:
    """nginx drops them as they come."""
    before, sent = memory(proxied.server, "VmRSS"), 0
    with connect(proxied.address, 5.0) as sender, suppress(OSError):
        sender.sendall(head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"3\r\n{}\n\r\n0\r\n")
        while sent < 2**26:
            sent += sender.send(b"X-A: " + b"b" * 10_000 + b"\r\n")
    assert memory(proxied.server, "VmRSS") - before < 32 * 2**20
    with Client(proxied.port) as client:
        assert client.post(event("after trailers")).status == 200


def test_a_client_that_takes_nothing_holds_nothing_in_the_service(proxied: Proxied) -> None:
    with connect(proxied.address) as deaf:
        deaf.sendall((b"GET /totals/risk?depth=all HTTP/1.1\r\n" + HOST + b"\r\n") * 200)
        time.sleep(0.2)
        with Client(proxied.port) as client:
            assert client.get("/readyz").status == 200
    gauge = re.compile(r"^oncefold_connections ([0-9.]+)$", re.MULTILINE)
    found = gauge.search(proxied.server.get("/metrics").body.decode())
    assert found
    assert float(found[1]) <= 64
