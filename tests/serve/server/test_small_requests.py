"""Small requests are answered alike in one piece and cut, are durable when answered, and are all counted."""

import asyncio
import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from oncefold.core.errors import QueryError
from oncefold.serve.channel.messages import Acknowledgement, BodyError, BodyFormat
from oncefold.serve.http.routing import Route
from oncefold.serve.server.admission import Admission
from oncefold.serve.server.ingest import EventsEndpoint
from oncefold.serve.settings import Limits
from oncefold.store.reader import StoreFile
from tests.serve.application import LOCAL, Parts, ask
from tests.serve.running import Running
from tests.tools.sizes import full_only
from tests.tools.waiting import until

EVENT = (
    b'{"TradeID":"%s","Value":1.25,"Version":1,"Timestamp":1616413258,'
    b'"Hierarchy":{"RiskType":"Delta","Region":"AMER","TradeDesk":"FXSpot"}}\n'
)
LENGTH = re.compile(rb"content-length: ([0-9]+)\r\n")
CHANGING = re.compile(rb"date: [^\r]*\r\n|x-request-id: [^\r]*\r\n|\"request_id\":\"[^\"]*\"|\"commit\":[0-9]+")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("small"), "--max-body", "4KiB") as running:
        yield running


def connected(server: Running) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(body: bytes, *headers: bytes, path: bytes = b"/events", host: bytes = b"localhost") -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"Host: %b" % host, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


def some(connection: socket.socket, most: int) -> bytes:
    """Bytes that came. Raises ConnectionError when the server has ended the connection."""
    if not (found := connection.recv(most)):
        raise ConnectionError("the connection has ended")
    return found


def one_answer(connection: socket.socket) -> bytes:
    """The next answer with a length, as it came."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += some(connection, 1)
    length = re.search(rb"content-length: ([0-9]+)", found)
    assert length is not None, found
    wanted = len(found) + int(length[1])
    while len(found) < wanted:
        found += some(connection, wanted - len(found))
    return found


def constant(answer: bytes) -> tuple[list[bytes], Any]:
    """What two answers to the same must share: all but dates, ids, commits and the order of headers.

    Ids and commits grow, and lengths with them; each length is right for its own answer.
    """
    assert [int(length) for length in LENGTH.findall(answer)] == [len(answer.partition(b"\r\n\r\n")[2])]
    head, _, body = LENGTH.sub(b"", CHANGING.sub(b"", answer)).partition(b"\r\n\r\n")
    return sorted(head.split(b"\r\n")), body


def asked(server: Running, sent: bytes, *, whole: bool) -> bytes:
    with connected(server) as connection:
        if whole:
            connection.sendall(sent)
        else:
            connection.sendall(sent[:-1])
            server.get("/healthz")  # the server has seen the first piece
            with suppress(OSError):  # it may have been refused by its head
                connection.sendall(sent[-1:])
        return one_answer(connection)


REQUESTS = {
    "lines": request(EVENT % b"a" + EVENT % b"b"),
    "typed": request(EVENT % b"c", b"Content-Type: application/x-ndjson; charset=utf-8"),
    "document": request(b"[" + (EVENT % b"d").strip() + b"]", b"Content-Type: application/json"),
    "not terminated": request((EVENT % b"e").strip()),
    "empty": request(b""),
    "rejects": request(b"{}\nnot json\n" + EVENT % b"f"),
    "id of its own": request(EVENT % b"g", b"X-Request-Id: mine"),
    "chunked": b"POST /events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT % b"h"), EVENT % b"h"),
    "close": request(EVENT % b"i", b"Connection: close"),
    "csv": request(b"TradeID,Version\nj,1\n", b"Content-Type: text/csv"),
    "bad csv": request(b"x\n1\n", b"Content-Type: text/csv"),
    "bad document": request(b"[", b"Content-Type: application/json"),
    "unknown type": request(EVENT % b"k", b"Content-Type: image/png"),
    "unknown encoding": request(EVENT % b"l", b"Content-Encoding: br"),
    "query": request(EVENT % b"m", path=b"/events?source=desk"),
    "bad query": request(EVENT % b"n", path=b"/events?sauce=desk"),
    "too large": request(EVENT % b"o" * 40),
    "foreign page": request(EVENT % b"p", b"Origin: https://evil.example"),
    "foreign host": request(EVENT % b"q", host=b"evil.example"),
    "two hosts": request(EVENT % b"r", b"Host: localhost"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_whole_and_cut_requests_are_answered_alike(server: Running, name: str) -> None:
    whole = REQUESTS[name]
    asked(server, whole, whole=True)  # from now on its events are duplicates
    answers = [asked(server, whole, whole=in_one_piece) for in_one_piece in (True, False, True)]
    assert len({str(constant(answer)) for answer in answers}) == 1, answers
    assert (b"x-request-id: mine\r\n" in answers[0]) == (name == "id of its own")


def test_whole_requests_cut_anywhere_are_answered_once_and_in_order(server: Running) -> None:
    names = ["lines", "rejects", "document", "unknown type", "id of its own", "query", "empty"]
    stream = b"".join(REQUESTS[name] for name in names)
    for name in names:
        asked(server, REQUESTS[name], whole=True)  # from now on their events are duplicates
    expected = [constant(asked(server, REQUESTS[name], whole=True)) for name in names]
    for step in (1, 7, 64, 333, len(stream)):
        with connected(server) as connection:
            for start in range(0, len(stream), step):
                connection.sendall(stream[start : start + step])
            assert [constant(one_answer(connection)) for _ in names] == expected, step


def test_an_answer_is_durable_when_it_is_given(server: Running) -> None:
    answer = asked(server, request(EVENT % b"durable"), whole=True)
    document = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert document["counts"] == {"inserted": 1}
    with StoreFile.open(server.store) as reader:
        assert reader.history("durable").arrivals
        assert reader.status().last.seq >= document["commit"]


def test_clients_that_leave_take_no_place(server: Running) -> None:
    for number in range(50):
        with connected(server) as connection:
            connection.sendall(request(EVENT % b"left %d" % number))
    gauges = ("oncefold_waiting_requests 0.0", "oncefold_waiting_bytes 0.0")
    until(lambda: all(gauge in server.get("/metrics").body.decode() for gauge in gauges), "all are gone")
    for number in range(50):  # nobody acknowledged them: they are sent again, and count once
        assert server.post(EVENT % b"left %d" % number).status == 200
    with StoreFile.open(server.store) as reader:
        assert all(_has(reader, f"left {number}") for number in range(50))


def _has(reader: StoreFile, key: str) -> bool:
    try:
        return bool(reader.history(key).arrivals)
    except QueryError:  # not there yet
        return False


def test_requests_are_counted(server: Running) -> None:
    def counted() -> float:
        found = re.search(
            r'oncefold_http_requests_total\{route="/events",status="200"\} ([0-9.]+)',
            server.get("/metrics").body.decode(),
        )
        return float(found[1]) if found else 0.0

    before = counted()
    for in_one_piece in (True, False, True):
        asked(server, request(EVENT % b"counted"), whole=in_one_piece)
    assert counted() == before + 3


@full_only("a server, 3 s")
def test_a_server_that_ends_answers_what_it_has_taken(tmp_path: Path) -> None:
    acknowledged: list[bytes] = []
    with Running(tmp_path) as server:
        ended = threading.Event()

        def send(name: int) -> None:
            with connected(server) as connection:
                for number in range(100_000):
                    key = b"%d-%d" % (name, number)
                    try:
                        connection.sendall(request(EVENT % key))
                        answer = one_answer(connection)
                    except (OSError, AssertionError):
                        break
                    if not answer.startswith(b"HTTP/1.1 200"):
                        assert answer.startswith(b"HTTP/1.1 503"), answer
                        break
                    acknowledged.append(key)
                    if b"connection: close" in answer:
                        assert connection.recv(1) == b""
                        break
                ended.set()

        threads = [threading.Thread(target=send, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: len(acknowledged) > 200, "some are acknowledged")
        server.tell(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert server.command.wait() == 0
    with StoreFile.open(tmp_path / "store.db") as reader:
        assert reader.status().live >= len(acknowledged)
        assert all(_has(reader, key.decode()) for key in acknowledged)


def test_a_mistake_of_ours_fails_its_own_request_alone(caplog: pytest.LogCaptureFixture) -> None:
    """It comes from the other process as the text of its trace."""
    acknowledgements = [
        Acknowledgement(error=BodyError("mistake", "Traceback: something of ours")),
        Acknowledgement(commit=7, counts=((0, 1),)),
    ]

    class Writer:
        def submit(self, _: BodyFormat, __: bytes) -> asyncio.Future[Acknowledgement]:
            future = asyncio.get_running_loop().create_future()
            future.set_result(acknowledgements.pop(0))
            return future

    limits = Limits()
    endpoint = EventsEndpoint(Writer(), Admission(limits, lambda: ""), limits)  # type: ignore[arg-type]
    app = Parts().guarded([Route("/events", endpoint, ("POST",))])
    answers = [ask(app, "POST", "/events", {**LOCAL, "x-request-id": "mine"}, b"{}") for _ in range(2)]
    assert [answer.status for answer in answers] == [500, 200]
    assert answers[0].document["request_id"] == "mine"
    assert b"something of ours" not in answers[0].body
    assert "Traceback: something of ours" in caplog.text
