"""Large bodies are passed on piece by piece; to its client a request is no different from any other."""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.serve.running import Running
from tests.serve.server.test_small_requests import EVENT, connected, one_answer, request
from tests.tools.waiting import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("streams")) as running:
        yield running


def body(name: str, many: int = 2_000) -> bytes:
    return b"".join(EVENT % f"{name}-{number}".encode() for number in range(many))


def received(server: Running) -> float:
    found = re.search(r"oncefold_ingest_body_bytes_total ([0-9.e+]+)", server.get("/metrics").body.decode())
    assert found is not None
    return float(found[1])


def sent(connection: socket.socket, data: bytes, step: int) -> None:
    for start in range(0, len(data), step):
        connection.sendall(data[start : start + step])


@pytest.mark.parametrize("step", [1_000, 65_536, 10**9])
def test_requests_follow_each_other_on_one_connection(server: Running, step: int) -> None:
    events = body(f"follow-{step}")
    before = received(server)
    with connected(server) as connection:
        sent(connection, request(events) + request(events) + request(EVENT % b"small") + request(events), step)
        answers = [one_answer(connection) for _ in range(4)]
    assert [answer.split(b" ")[1] for answer in answers] == [b"200"] * 4
    assert b'"inserted":2000' in answers[0]
    assert b'"duplicate":2000' in answers[1]
    assert b'"duplicate":2000' in answers[3]
    assert received(server) - before == 3 * len(events) + len(EVENT % b"small")


def test_a_client_is_told_to_go_on(server: Running) -> None:
    events = body("expect")
    head, _, _ = request(events, b"Expect: 100-continue").partition(b"\r\n\r\n")
    with connected(server) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(events)
        assert b'"inserted":2000' in one_answer(connection)


def test_a_client_that_leaves_takes_no_place(server: Running) -> None:
    events = body("leaving")
    for left in (70_000, 200_000, len(events) - 1):
        with connected(server) as connection:
            connection.sendall(request(events)[:left])
    gauges = ("oncefold_waiting_requests 0.0", "oncefold_waiting_bytes 0.0")
    until(lambda: all(gauge in server.get("/metrics").body.decode() for gauge in gauges), "all are gone")


def test_a_body_that_cannot_be_read_ends_the_connection_with_the_reason(server: Running) -> None:
    events = b"[" + body("bad").replace(b"\n", b",") + b"]]" + bytes(4_000_000)
    with connected(server) as connection:
        with suppress(OSError):  # the connection ends before all is sent
            connection.sendall(request(events, b"Content-Type: application/json"))
        answer = one_answer(connection)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"connection: close" in answer
        with suppress(ConnectionError):
            assert connection.recv(1) == b""


def test_other_clients_are_answered_meanwhile(server: Running) -> None:
    events = body("meanwhile")
    whole = request(events)
    with connected(server) as connection:
        connection.sendall(whole[:-10])
        with server.client() as other:
            assert other.post(EVENT % b"other").status == 200
            assert other.get("/totals/risk").status == 200
        connection.sendall(whole[-10:])
        assert b'"inserted":2000' in one_answer(connection)
