"""Connections that say too much, too little, or nothing: each ends, with an answer where one can be read.

What is held by the HTTP server's own settings, what by the application; docs/SERVE.md says which.
"""

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from oncefold.serve.http.request import Request
from oncefold.serve.http.response import Response
from oncefold.serve.http.routing import Route
from oncefold.serve.security.checks import MOST_HEAD_BYTES, MOST_URL_BYTES
from oncefold.serve.transport import granian
from oncefold.serve.transport.granian import connections_allowed
from tests.serve.application import METHODS, Parts
from tests.serve.transport.listening import Address, answer, connect, exchange, serving_in_thread, status
from tests.tools.waiting import until

GET = b"GET /x HTTP/1.1\r\nHost: localhost\r\n"
LAST = GET + b"Connection: close\r\n\r\n"
BIG = 8 * 2**20
CONNECTIONS = 24
HEAD_SECONDS = 1.0
PARTS = Parts()


async def handler(request: Request) -> Response:
    """Answers without reading bodies, but under /read; under /big with more than any buffer holds."""
    read = 0
    if request.path == "/read":
        while request.body.more:
            read += len(await request.body.next())
    if request.path == "/slow":
        await asyncio.sleep(1.5 * HEAD_SECONDS)
    if request.path == "/headers":
        return Response(200, (), b"\n".join(b"%b: %b" % header for header in request.headers.pairs))
    return Response(200, (), b"x" * BIG if request.path == "/big" else str(read).encode())


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    app = PARTS.guarded([Route("/{path*}", handler, METHODS)])
    with serving_in_thread(app, head_seconds=HEAD_SECONDS, max_connections=CONNECTIONS) as (port, _):
        yield "127.0.0.1", port


def problem(reply: bytes) -> dict[str, Any]:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    found: dict[str, Any] = json.loads(body)
    return found


def test_plain_requests_are_served_one_after_the_other_and_in_one_piece(address: Address) -> None:
    assert exchange(address, GET + b"\r\n" + GET + b"\r\n" + LAST).count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \x00\r\n\r\n",
        b"\x00" * 1_000,
    ],
)
def test_what_is_no_request_is_answered_once_and_ends_the_connection(address: Address, garbage: bytes) -> None:
    reply = exchange(address, garbage)
    assert status(reply) == 400
    assert reply.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in reply


def test_of_two_lengths_the_chunks_count_and_what_follows_them_is_the_next_request(address: Address) -> None:
    """RFC 9112, 6.3: a proxy that counts otherwise can smuggle nothing, since nginx refuses such requests."""
    start = b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    reply = exchange(address, start + b"3\r\nabc\r\n0\r\n\r\n" + LAST)
    assert reply.count(b"HTTP/1.1 200") in {1, 2}
    assert b"\r\n\r\n3" in reply


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"GET /" + b"a" * (MOST_URL_BYTES + 1) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (GET + b"X: " + b"a" * MOST_HEAD_BYTES + b"\r\n\r\n", 431),
    ],
)
def test_too_much_before_the_body_is_refused_in_words(address: Address, head: bytes, code: int) -> None:
    with connect(address) as connection:
        connection.sendall(head)
        reply = answer(connection)
    assert status(reply) == problem(reply)["status"] == code


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (GET + b"X: a\r\n" * 4_000 + b"\r\n", 431),
        (GET + b"X: " + b"a" * (2 * granian.BUFFER_BYTES), 431),
    ],
)
def test_far_too_much_is_refused_by_the_server_below(address: Address, head: bytes, code: int) -> None:
    with connect(address) as connection:
        try:
            connection.sendall(head)
        except OSError:
            return
        assert status(answer(connection)) in {0, code}


def test_as_much_as_is_allowed_passes(address: Address) -> None:
    path = b"/" + b"a" * (MOST_URL_BYTES - 1)
    head = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (MOST_HEAD_BYTES - 1_000) + b"\r\n"
    assert status(exchange(address, head + b"Connection: close\r\n\r\n")) == 200


def ended(connection: socket.socket, more: bytes) -> bool:
    """Whether the other side has ended a connection; if not, it is sent more."""
    try:
        return not connection.recv(65_536)
    except TimeoutError:
        connection.sendall(more)
    except OSError:
        return True
    return False


def test_a_head_that_does_not_end_is_given_up(address: Address) -> None:
    began, dripped = time.monotonic(), 0
    with connect(address) as dripping:
        dripping.settimeout(0.1)
        dripping.sendall(GET)
        while dripped < 200 and not ended(dripping, b"X: a\r\n"):
            dripped += 1
    assert dripped < 200
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("opening", [b"", GET + b"\r\n"])
def test_a_connection_that_says_nothing_more_is_closed_without_a_word(address: Address, opening: bytes) -> None:
    with connect(address) as silent:
        silent.sendall(opening)
        assert answer(silent).count(b"HTTP/1.1") == bool(opening)


def test_a_body_that_was_answered_already_does_not_go_on_for_ever(address: Address) -> None:
    with connect(address) as sender:
        sender.sendall(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        with pytest.raises(ConnectionError):
            until(lambda: sender.send(b"x" * 1_000) == 0, "the server to end the connection", seconds=20)


def test_a_body_that_was_refused_and_is_short_leaves_the_connection_open(address: Address) -> None:
    chunked = b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert exchange(address, chunked + LAST).count(b"HTTP/1.1 200") == 2


def test_a_body_that_is_being_read_may_take_its_time(address: Address) -> None:
    pieces = 20
    with connect(address) as sender:
        head = f"POST /read HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {pieces * 5}\r\n\r\n"
        sender.sendall(head.encode())
        sender.settimeout(0.08)
        for _ in range(pieces - 1):
            sender.sendall(b"12345")
            with pytest.raises(TimeoutError):
                sender.recv(1)
        sender.settimeout(30)
        sender.sendall(b"12345")
        assert answer(sender).endswith(str(5 * pieces).encode())


def test_an_answer_that_takes_long_is_waited_for(address: Address) -> None:
    assert status(exchange(address, b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")) == 200


def test_trailers_are_no_headers(address: Address) -> None:
    """RFC 9110, 6.5.1."""
    start = b"POST /headers HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailers = b"Authorization: Bearer x\r\nContent-Encoding: gzip\r\nX-Request-Id: trailing\r\n"
    reply = exchange(address, start + b"3\r\nabc\r\n0\r\n" + trailers + b"\r\n").lower()
    assert status(reply.upper().replace(b"HTTP/1.1", b"HTTP/1.1")) == 200
    assert b"trailing" not in reply
    assert b"bearer" not in reply
    assert b"gzip" not in reply


def memory() -> int:
    found = re.search(r"VmRSS:\s+([0-9]+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1_024


@pytest.mark.parametrize(
    "endless", [b"X-A: " + b"b" * 10_000 + b"\r\n", b"b" * 10_000], ids=["many trailers", "one trailer"]
)
def test_trailers_that_never_end_take_no_memory(address: Address, endless: bytes) -> None:
    before, sent = memory(), 0
    with connect(address) as sender:
        sender.sendall(
            b"POST /read HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX:"
        )
        with suppress(OSError):
            while sent < 2**28:
                sent += sender.send(endless)
    assert sent < 2**26
    assert memory() - before < 64 * 2**20


def test_connections_beyond_the_most_wait_until_others_end(address: Address) -> None:
    crowd = [connect(address) for _ in range(CONNECTIONS + 6)]
    try:
        began = time.monotonic()
        crowd[-1].sendall(LAST)
        assert status(answer(crowd[-1])) == 200, "those that say nothing are closed, and make room"
        assert time.monotonic() - began < 20
    finally:
        for connection in crowd:
            connection.close()
    assert status(exchange(address, LAST)) == 200


def test_a_client_that_takes_nothing_is_let_go_of(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    from oncefold.serve.transport import asgi  # noqa: PLC0415

    monkeypatch.setattr(asgi, "SLOW_READER_SECONDS", 0.5)
    with connect(address) as deaf:
        deaf.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: PARTS.requests.ended["slow_reader"], "it to be let go of", seconds=20)


def test_a_wish_for_another_protocol_is_answered_in_this_one(address: Address) -> None:
    wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    reply = exchange(
        address, b"POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n" + wish + b"\r\n12345" + LAST
    )
    assert reply.count(b"HTTP/1.1 200") == 2
    assert b"\r\n\r\n5HTTP" in reply
    assert status(exchange(address, b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n")) in {0, 400, 421}


def test_a_body_that_breaks_off_is_not_answered_as_whole(address: Address) -> None:
    for framing, body in ((b"Content-Length: 9", b"123"), (b"Transfer-Encoding: chunked", b"3\r\n123\r\n")):
        with connect(address) as leaving:
            leaving.sendall(b"POST /read HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n" + body)
            leaving.shutdown(socket.SHUT_WR)
            assert status(answer(leaving)) in {0, 400}


def test_no_more_connections_than_files_are_allowed() -> None:
    assert connections_allowed(10) == 10
    assert 1 <= connections_allowed(2**40) < 2**40
