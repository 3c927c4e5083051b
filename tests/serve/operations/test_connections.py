"""Connections that say too much, too little, or nothing: each ends, with an answer where one can be read."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from oncefold.serve.operations import connections as limits
from oncefold.serve.operations.connections import MOST_HEAD_BYTES, MOST_URL_BYTES, Connections, connections_allowed
from oncefold.serve.operations.request import RequestIds
from tests.serve.operations.listening import Address, answer, connect, exchange, listening, status
from tests.tools.waiting import until

GET = b"GET /x HTTP/1.1\r\nHost: localhost\r\n"
LAST = GET + b"Connection: close\r\n\r\n"
BIG = 8 * 2**20


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers without reading bodies, but under /read; under /big with more than any buffer holds."""
    read = 0
    if scope["path"] == "/read":
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            read += len(message.get("body", b""))
    if scope["path"] == "/slow":
        await asyncio.sleep(2.5)
    body = b"x" * BIG if scope["path"] == "/big" else str(read).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def open_connections() -> Connections:
    return Connections(24, 0.5, RequestIds("test"))


@pytest.fixture(scope="module")
def address(open_connections: Connections) -> Iterator[Address]:
    with listening(application, open_connections) as found:
        yield found


def problem(reply: bytes) -> dict[str, Any]:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head
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
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        b"\x00" * 1_000,
    ],
)
def test_what_is_no_request_is_answered_once_and_ends_the_connection(address: Address, garbage: bytes) -> None:
    reply = exchange(address, garbage)
    assert status(reply) == 400
    assert reply.count(b"HTTP/1.1 400") == 1
    assert problem(reply)["status"] == 400


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"GET /" + b"a" * (MOST_URL_BYTES + 1) + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (GET + b"X: " + b"a" * MOST_HEAD_BYTES + b"\r\n\r\n", 431),
        (GET + b"X: a\r\n" * 4_000 + b"\r\n", 431),
        (GET + b"X: " + b"a" * (4 * MOST_HEAD_BYTES), 431),
    ],
)
def test_too_much_before_the_body_is_refused(address: Address, head: bytes, code: int) -> None:
    with connect(address) as connection:
        connection.sendall(head)
        reply = answer(connection)
    assert status(reply) == problem(reply)["status"] == code


def test_as_much_as_is_allowed_passes(address: Address) -> None:
    path = b"/" + b"a" * (MOST_URL_BYTES - 1)
    head = b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nX: " + b"a" * (MOST_HEAD_BYTES - 1_000) + b"\r\n"
    assert status(exchange(address, head + b"Connection: close\r\n\r\n")) == 200


def test_a_head_that_does_not_end_is_given_up(address: Address, open_connections: Connections) -> None:
    with connect(address) as dripping:
        reply, sent = b"", GET
        dripping.settimeout(0.1)
        dripping.sendall(GET)
        while not reply and len(sent) < 10_000:
            try:
                reply = dripping.recv(65_536)
            except TimeoutError:
                dripping.sendall(b"X: a\r\n")
                sent += b"X: a\r\n"
    assert status(reply) == 408
    assert open_connections.refused["slow_head"] >= 1


@pytest.mark.parametrize("opening", [b"", LAST.replace(b"Connection: close\r\n", b"") + b"\r\n\r\n"])
def test_a_connection_that_says_nothing_more_is_closed_without_a_word(address: Address, opening: bytes) -> None:
    with connect(address) as silent:
        silent.sendall(opening)
        assert answer(silent).count(b"HTTP/1.1") == bool(opening)


def test_a_body_that_was_answered_already_does_not_go_on_for_ever(address: Address) -> None:
    with connect(address) as sender:
        sender.sendall(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        with pytest.raises(ConnectionError):
            until(lambda: sender.send(b"x" * 1_000) == 0, "the server to end the connection", seconds=20)


def test_a_body_that_is_being_read_may_take_its_time(address: Address) -> None:
    pieces = 30
    with connect(address) as sender:
        head = f"POST /read HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {pieces * 5}\r\n\r\n"
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
    with connect(address) as asker:
        asker.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert status(answer(asker)) == 200


def test_too_many_connections_are_sent_away_and_room_is_given_again(
    address: Address, open_connections: Connections
) -> None:
    until(lambda: len(open_connections) == 0, "earlier connections to end")
    crowd = [connect(address) for _ in range(24)]
    try:
        until(lambda: len(open_connections) == 24, "all to be taken in")
        with connect(address) as late:
            reply = answer(late)
        assert status(reply) == 503
        assert "retry-after: 1" in reply.decode()
        assert len(open_connections) == 24
    finally:
        for connection in crowd:
            connection.close()
    until(lambda: len(open_connections) == 0, "the crowd to leave")
    assert status(exchange(address, LAST)) == 200


def test_a_client_that_takes_nothing_is_let_go_of(
    address: Address, open_connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SLOW_READER_SECONDS", 0.5)
    with connect(address) as deaf:
        deaf.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: open_connections.refused["slow_reader"], "it to be let go of", seconds=20)


def test_a_wish_for_another_protocol_is_answered_in_this_one(address: Address) -> None:
    wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    with connect(address) as asker:
        asker.sendall(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + wish + b"\r\n12345")
        asker.shutdown(socket.SHUT_WR)
        reply = answer(asker)
    assert status(reply) == 200
    assert reply.endswith(b"5")
    pair = b"GET /x HTTP/1.1\r\nHost: a\r\n" + wish + b"\r\n" + LAST
    assert exchange(address, pair).count(b"HTTP/1.1 200") == 2
    assert status(exchange(address, b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n")) == 400


def test_a_client_that_says_no_more_is_answered(address: Address) -> None:
    assert exchange(address, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").endswith(b"0")
    assert exchange(address, b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123") == b""


def test_no_more_connections_than_files_are_allowed() -> None:
    assert connections_allowed(10) == 10
    assert 1 <= connections_allowed(2**40) < 2**40
