"""What a hostile or broken client can send to a running server: it answers in words, stays ready, exact and small."""

import gzip
import json
import random
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.serve.running import Running
from tests.serve.transport.listening import answer, connect, exchange, status
from tests.tools.sizes import full_only, in_full, sized
from tests.tools.waiting import until

MIB = 2**20
CONNECTIONS = 160
BOMB = sized(256, 1_024) * MIB
"""More than memory may grow by, anyway."""
SETTINGS = {"head_seconds": 1.0, "body_idle_seconds": 1.5, "max_connections": CONNECTIONS}
BIGGEST_GROWTH = 192 * MIB
"""Of the server's memory, however much is sent: what it holds for streams, four decoded blocks of each, and some."""
FORMS = {
    "jsonl": "application/x-ndjson",
    "json": "application/json",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all of it, which at the end has made no mistake and has every total right."""
    with Running(tmp_path_factory.mktemp("abused"), "--max-line", "1MiB", settings=SETTINGS) as running:
        assert running.post(event("warm")).status == 200
        yield running
        until(lambda: running.get("/readyz").status == 200, "the server to be ready")
        assert running.get("/verify").document["exact"]
        assert 'status="500"' not in running.get("/metrics").body.decode()
        assert "Traceback" not in running.words


@pytest.fixture(autouse=True)
def unharmed(server: Running) -> Iterator[None]:
    """After each test the server is ready, and counts what is sent exactly once."""
    yield
    until(lambda: is_ready(server), "the server to be ready")
    before = totals(server)
    key = f"after-{time.monotonic_ns()}"
    for counts in ({"inserted": 1}, {"duplicate": 1}):
        answered = server.post(event(key))
        assert (answered.status, answered.document["counts"]) == (200, counts)
    assert totals(server) == (before[0] + 1, before[1] + Decimal("1.25"))


def is_ready(server: Running) -> bool:
    try:
        return server.get("/readyz").status == 200
    except OSError:
        return False


def totals(server: Running) -> tuple[int, Decimal]:
    root = server.get("/totals/risk?depth=0").document["rows"][0]
    return root["count"], Decimal(root["measures"]["value"])


def event(key: str, value: str = "1.25") -> bytes:
    place = '{"RiskType":"PV","TradeDesk":"x","Region":"y"}'
    return f'{{"TradeID":"{key}","Version":1,"Value":{value},"Hierarchy":{place}}}\n'.encode()


def memory(server: Running, name: str = "VmHWM") -> int:
    """Bytes of memory: the most there ever were, if not told otherwise."""
    text = Path(f"/proc/{server.command.process.pid}/status").read_text()
    found = re.search(rf"{name}:\s+([0-9]+) kB", text)
    assert found
    return int(found[1]) * 1_024


def address(server: Running) -> tuple[str, int]:
    return "127.0.0.1", server.port


def head(length: int | str, *more: str, form: str = "jsonl", path: str = "/events") -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {FORMS[form]}",
        f"Content-Length: {length}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def random_bytes(size: int) -> bytes:
    return random.Random(7).randbytes(size)


# bodies


GARBAGE = {
    "nothing": b"",
    "one byte": b"\x00",
    "zeros": bytes(10_000),
    "random": random_bytes(100_000),
    "bad UTF-8": b'{"TradeID":"\xff\xfe","Version":1}\n' * 3,
    "a lone surrogate": b'{"TradeID":"\\ud800","Version":1}\n',
    "cut short": event("cut")[:-20],
    "brackets": b"[" * 200_000,
    "braces": b'{"a":' * 100_000,
    "nested and closed": b'{"TradeID":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n",
    "commas": b"," * 50_000,
    "quotes": b'"' * 50_001,
    "scalars": b'1\n"x"\nnull\ntrue\n',
    "huge number": b'{"TradeID":"n","Version":1,"Value":1' + b"0" * 100_000 + b"}\n",
    "huge exponent": event("exponent", "1e999999999"),
    "NaN": event("nan", "NaN"),
    "UTF-16": event("utf16").decode().encode("utf-16"),
    "line ends": b"\r\n" * 50_000,
    "one column": b"TradeID\n" * 1_000,
    "many columns": b",".join(b"c%d" % number for number in range(20_000)) + b"\n1\n",
    "the same column": b"TradeID,TradeID,TradeID\n1,2,3\n",
    "open quote": b'TradeID,Version\n"never closed,1\n' + b"a,2\n" * 50_000,
    "multipart": b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n{}\r\n--x--\r\n',
    "gzip magic": b"\x1f\x8b\x08\x00" + random_bytes(1_000),
    "arrow magic": b"ARROW1\x00\x00\xff\xff\xff\xff\x7f\xff\xff\xff" + random_bytes(1_000),
    "arrow size": b"\xff\xff\xff\xff\xff\xff\xff\x7f",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["", *in_full("as the others, 4 s", "gzip", "zstd")])
@pytest.mark.parametrize(
    "names", sized([[*GARBAGE]], [[name] for name in GARBAGE]), ids=sized(lambda _: "all", " ".join)
)
def test_garbage_is_refused_or_rejected_in_words(server: Running, form: str, encoding: str, names: list[str]) -> None:
    """In the full form the server is looked at after each; in the short form after all of one form."""
    for name in names:
        answered = server.post(GARBAGE[name], content_type=FORMS[form], content_encoding=encoding)
        assert answered.status in {200, 400}, name
        if answered.status == 400:
            assert answered.document["detail"], name
        else:
            counts = answered.document["counts"]
            assert counts.keys() <= {"rejected", "inserted", "duplicate"}, name
            assert all(reject["reason"] for reject in answered.document["rejects"]), name


def compressed(data: bytes, encoding: str) -> bytes:
    return gzip.compress(data) if encoding == "gzip" else pa.compress(data, "zstd", asbytes=True)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_compressed_body_that_is_damaged_is_refused_and_can_be_sent_again(
    server: Running, encoding: str, damage: str
) -> None:
    whole = compressed(b"".join(event(f"{encoding}-{damage}-{number}") for number in range(20_000)), encoding)
    middle = len(whole) // 2
    broken = whole[:middle] if damage == "cut" else whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    answered = server.post(broken, content_encoding=encoding)
    assert answered.status == 400
    assert answered.document["committed_events"] >= 0
    again = server.post(whole, content_encoding=encoding)
    assert again.status == 200
    assert again.document["events"] == 20_000


def zeros_in_gzip(size: int) -> Iterator[bytes]:
    """Very much nothing in very few bytes: one block that stands for a mebibyte, again and again."""
    piece, deflate, check = bytes(MIB), zlib.compressobj(9, zlib.DEFLATED, -15), 0
    block = deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH)
    yield b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    for _ in range(size // MIB):
        check = zlib.crc32(piece, check)
        yield block
    yield b"\x03\x00" + struct.pack("<II", check, size % 2**32)


def zeros_in_zstd(size: int) -> Iterator[bytes]:
    frame = pa.compress(bytes(64 * MIB), "zstd", asbytes=True)
    for _ in range(size // (64 * MIB)):
        yield frame


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bomb", [zeros_in_gzip, zeros_in_zstd])
def test_a_bomb_takes_little_memory(server: Running, form: str, bomb: Any) -> None:
    before = memory(server, "VmRSS")
    encoding = "gzip" if bomb is zeros_in_gzip else "zstd"
    body = b"".join(bomb(BOMB if form == "jsonl" else 256 * MIB))
    answered = server.post(body, content_type=FORMS[form], content_encoding=encoding)
    assert answered.status in {200, 400}
    assert memory(server) - before < BIGGEST_GROWTH


ANOTHER_LINE = full_only("another 100 MB")


def pieces(first: bytes, piece: bytes, size: int, last: bytes) -> Iterator[bytes]:
    yield first
    for _ in range(size // len(piece)):
        yield piece
    yield last


@pytest.mark.parametrize(
    ("form", "first", "last"),
    [
        ("jsonl", b'{"TradeID":"', b'"}\n'),
        pytest.param("json", b'[{"TradeID":"', b'"}]', marks=ANOTHER_LINE),
        pytest.param("json", b"[", b"]", marks=ANOTHER_LINE),
        pytest.param("csv", b"TradeID,Version,Value\n", b",1,1\n", marks=ANOTHER_LINE),
        pytest.param("csv", b'TradeID,Version,Value\n"', b"\n", marks=ANOTHER_LINE),
        pytest.param("csv", b"", b"\n", marks=ANOTHER_LINE),
    ],
)
def test_a_line_of_100_megabytes_takes_little_memory(server: Running, form: str, first: bytes, last: bytes) -> None:
    before = memory(server, "VmRSS")
    size = 100 * MIB
    try:
        answered = server.post(pieces(first, b"a" * MIB, size, last), content_type=FORMS[form])
    except OSError:  # it was refused while it was being sent
        pass
    else:
        assert answered.status in {200, 400, 413}
        if answered.status == 200:
            assert answered.document["counts"] == {"rejected": 1}
    assert memory(server) - before < BIGGEST_GROWTH


def test_an_event_after_a_line_that_is_too_long_counts(server: Running) -> None:
    body = pieces(b'{"TradeID":"', b"a" * MIB, 4 * MIB, b'"}\n' + event("behind the long one"))
    assert server.post(body).document["counts"] == {"rejected": 1, "inserted": 1}


# HTTP


def test_lengths_that_are_wrong_lose_and_double_nothing(server: Running) -> None:
    events = [event(f"length-{number}") for number in range(3)]
    body = b"".join(events)
    with connect(address(server)) as short:  # less comes than was said: nobody knows what the last line would be
        short.sendall(head(len(body) + 100) + body)
        short.shutdown(socket.SHUT_WR)
        answer(short)
    with connect(address(server)) as long:  # more comes than was said: the rest is no request
        long.sendall(head(len(events[0])) + body)
        reply = answer(long)
    assert status(reply) == 200
    assert reply.count(b"HTTP/1.1 200") == 1
    for length in ("-1", "1e3", "0x10", "99999999999999999999999", "1, 1"):
        assert status(exchange(address(server), head(length) + body)) == 400
    assert server.post(body).document["events"] == 3


def test_a_client_that_half_closes_may_send_again(server: Running) -> None:
    """Who says that it says no more is taken to have left; through the documented proxy it is answered."""
    body = event("half closed")
    with connect(address(server)) as client:
        client.sendall(head(len(body)) + body)
        client.shutdown(socket.SHUT_WR)
        assert status(answer(client)) in {0, 200}
    assert server.post(body).document["counts"] in ({"inserted": 1}, {"duplicate": 1})


def test_chunks_that_are_malformed_are_refused(server: Running) -> None:
    start = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    for chunks in (b"zz\r\n", b"-5\r\nhello\r\n", b"5\r\nhelloworld\r\n0\r\n\r\n", b"fffffffffffffffffff\r\n"):
        with connect(address(server)) as sender:
            sender.sendall(start + chunks)
            reply = answer(sender)
        assert status(reply) in {0, 400}


def test_requests_in_one_piece_are_answered_in_order(server: Running) -> None:
    many = sized(40, 150)
    requests = b"".join(head(len(event(f"pipe-{number}"))) + event(f"pipe-{number}") for number in range(many))
    with connect(address(server)) as sender:
        sender.sendall(requests + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        reply = answer(sender)
    assert reply.count(b"HTTP/1.1 200") == many + 1
    commits = [int(number) for number in re.findall(rb'"commit":([0-9]+)', reply)]
    assert commits == sorted(commits)
    assert reply.count(b'"inserted":1') == many


METHODS = (b"GET", b"POST", b"DELETE", b"HEAD", b"OPTIONS", b"PUT", b"PATCH", b"TRACE", b"FOO")


def test_mutated_requests_never_break_the_server(server: Running) -> None:
    chance = random.Random(11)
    body = event("mutated")
    whole = head(len(body), "X-Request-Id: abc", "Content-Encoding: identity", path="/events?source=x") + body
    paths = [b"/totals/risk/%2F%00%ff", b"/totals//", b"/history/%", b"/../../etc/passwd", b"/assets/..%2f..%2fpage.py",
             b"/explain/risk?limit=-1", b"/search?q=%00", b"/changes?path=%5C", b"*", b"/events/"]  # fmt: skip
    for path in paths:
        for method in sized(METHODS[::4], METHODS):
            request = (
                method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            if path.startswith(b"/changes") and method == b"GET":
                continue
            assert status(exchange(address(server), request)) in {200, 400, 404, 405, 422}, (method, path)
    for _ in range(sized(short=15, full=100)):
        mutated = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(mutated))
            mutated[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        assert status(exchange(address(server), bytes(mutated))) in {0, 200, 400, 403, 404, 405, 408, 415, 421, 422}


# time and number


def test_heads_and_bodies_that_drip_are_given_up_while_others_are_served(server: Running) -> None:
    openings = [b"POST /events HTT", head(1_000)[:-2], head(1_000), head(1_000) + event("drip"), b""]
    dripping = [connect(address(server)) for _ in range(100)]
    try:
        for number, connection in enumerate(dripping):
            connection.sendall(openings[number % len(openings)])
        latest = 0.0
        for number in range(20):
            began = time.monotonic()
            assert server.post(event(f"meanwhile-{number}")).status == 200
            latest = max(latest, time.monotonic() - began)
        assert latest < 20
        statuses = [status(answer(connection)) for connection in dripping]
    finally:
        for connection in dripping:
            connection.close()
    assert set(statuses) == {0, 408}
    assert statuses.count(408) == 40, "bodies are given up in words, heads without"


def test_thousands_of_connections_are_bounded_and_then_let_go_of(server: Running) -> None:
    before, crowd, refused = memory(server, "VmRSS"), [], 0
    try:
        for _ in range(2_000):
            try:
                crowd.append(connect(address(server)))
            except OSError:
                refused += 1
        gauge = re.compile(r"^oncefold_connections ([0-9.]+)$", re.MULTILINE)
        found = gauge.search(server.get("/metrics").body.decode())
        assert found
        assert float(found[1]) <= CONNECTIONS
        until(lambda: is_ready(server), "room for others", seconds=20)
    finally:
        for connection in crowd:
            connection.close()
    assert memory(server, "VmRSS") - before < 64 * MIB


def test_clients_that_vanish_in_the_midst_of_all_this_leave_nothing_behind(server: Running) -> None:
    def vanish(number: int) -> None:
        body = b"".join(event(f"vanish-{number}-{item}") for item in range(2_000))
        with connect(address(server)) as connection:
            connection.sendall(head(len(body)) + body[: len(body) * number // 20])
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # close with a reset, not an end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    threads = [threading.Thread(target=vanish, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def waiting() -> bool:
        text = server.get("/metrics").body.decode()
        return "oncefold_waiting_requests 0.0" in text and "oncefold_waiting_bytes 0.0" in text

    until(waiting, "nothing to be held for clients that are gone")
    whole = b"".join(event(f"vanish-19-{item}") for item in range(2_000))
    assert server.post(whole).document["events"] == 2_000


def test_problems_are_told_as_problems(server: Running) -> None:
    for path in ("/nothing", "/totals/none", "/history/none", "/totals/risk?depth=x"):
        answered = server.get(path)
        assert answered.headers["content-type"] == "application/problem+json"
        document = json.loads(answered.body)
        assert document["status"] == answered.status
        assert document["request_id"] == answered.headers["x-request-id"]
