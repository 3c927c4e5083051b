"""Whatever is asked, the answer is an answer or a problem in words: never a failure of the server."""

import http.client
import json
import socket
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.queries.stores import MONDAY, SHOP, TUESDAY, lines
from tests.serve.answers.server import HOST, Server, serving
from tests.tools.sizes import examples

ROUTES = [
    "totals/place",
    "series/place",
    "explain/place",
    "totals",
    "history",
    "search",
    "rejects",
    "conflicts",
    "status",
    "changes",
    "openapi.json",
    "verify",
    "rejects/redrive",
]
NAMES = ["depth", "as_of", "form", "limit", "after", "points", "q", "every", "rollup", "path", "x", ""]
ODD = [
    *[
        "%00",
        "%",
        "%zz",
        "%ED%A0%80",
        "%FF",
        "%5C",
        "%5Ce",
        "%2F",
        "..",
        "//",
        "%0A",
        "+",
        "é",
        "%F0%9F%98%80",
        "-1",
        "1e9",
        "NaN",
        "all",
        "0",
        "18446744073709551616",
        "true",
    ],
    *[
        "2026-13-01",
        "0000-01-01",
        "9999-12-31T23:59:59Z",
        "A-1",
        "FR",
        "Paris",
        "json",
        "'",
        '"',
        ";",
        "&",
        "=",
        "?",
        "%3F",
    ],
    *("9" * 30, "a" * 3000),
]
PIECE = st.one_of(st.sampled_from(ODD), st.text(string.printable.replace("#", "").strip(), max_size=5))
TARGET = st.builds(
    lambda route, rest, query: "/" + route + rest + ("?" + "&".join(query) if query else ""),
    st.sampled_from(ROUTES),
    st.one_of(st.just(""), st.lists(PIECE, max_size=3).map(lambda pieces: "/" + "/".join(pieces))),
    st.lists(st.builds(lambda name, value: f"{name}={value}", st.sampled_from(NAMES), PIECE), max_size=3),
)
HEADERS = st.dictionaries(
    st.sampled_from(["Accept", "If-None-Match", "Last-Event-ID"]),
    st.one_of(st.sampled_from(["*/*", "text/*;q=x", ";;,,", '"', "W/", "1", "-1", "é", "9" * 400]), PIECE),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = Path(tmp_path_factory.mktemp("hostile")) / "s.db"
    with serving(path, SHOP, lines(MONDAY), lines(TUESDAY)) as running:
        yield running


@settings(max_examples=examples(300))
@given(target=TARGET, headers=HEADERS, method=st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "DELETE", "PATCH"]))
def test_no_question_fails_the_server(server: Server, target: str, headers: dict[str, str], method: str) -> None:
    with socket.create_connection((HOST, server.port), timeout=30) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        raw = target.encode("utf-8") if target.isascii() else target.encode("latin-1", "replace")
        connection.sendall(method.encode() + b" " + raw + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
        connection.sendall(head.encode("latin-1", "replace") + b"\r\n")
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        with answer:
            kind = answer.getheader("content-type", "")
            assert answer.status < 500, target
            if kind.startswith("text/event-stream"):
                return
            body = answer.read()
            if answer.status >= 400 and method != "HEAD" and kind == "application/problem+json":
                assert json.loads(body)["detail"]
            elif answer.status == 200 and method != "HEAD" and kind == "application/json":
                assert json.loads(body)
