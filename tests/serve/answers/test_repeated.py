"""A query sent again and again is answered alike, and as of the newest commit."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serve.running import Running
from tests.serve.server.test_small_requests import EVENT, connected, one_answer
from tests.tools.sizes import full_only

CHANGING = re.compile(rb'(?:date|x-request-id|content-length|oncefold-lag-seconds): [^\r]*\r\n|"lag_seconds":[^,}]*')
PATHS = ["/totals/risk?depth=all", "/totals/risk/Delta", "/totals/risk?depth=1&form=csv", "/totals/risk?depth=0"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("questions")) as running:
        running.post(EVENT % b"first")
        yield running


def question(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def ask(connection: socket.socket, path: str, *headers: str) -> bytes:
    connection.sendall(question(path, *headers))
    return one_answer(connection)


def constant(answer: bytes) -> tuple[list[bytes], bytes]:
    head, _, body = CHANGING.sub(b"", answer).partition(b"\r\n\r\n")
    return sorted(head.split(b"\r\n")), body


def members(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [(), ("Accept: application/json",), ("X-Request-Id: mine",)])
def test_whole_and_cut_requests_are_answered_alike(server: Running, path: str, headers: tuple[str, ...]) -> None:
    with connected(server) as connection:
        answers = [constant(ask(connection, path, *headers)) for _ in range(3)]
        whole = question(path, *headers)
        connection.sendall(whole[:-1])
        server.get("/healthz")
        connection.sendall(whole[-1:])
        answers.append(constant(one_answer(connection)))
    assert answers == [answers[0]] * 4
    assert answers[0][0][0].startswith(b"HTTP/1.1 200") or b"HTTP/1.1 200 OK" in answers[0][0]


@full_only("4 s")
def test_who_is_told_of_a_commit_is_answered_as_of_it(server: Running) -> None:
    with connected(server) as connection:
        for number in range(200):
            commit = server.post(EVENT % b"now-%d" % number).document["commit"]
            found = members(ask(connection, "/totals/risk?depth=0"))
            assert found["commit"] >= commit
            assert found["rows"][0]["count"] == number + 2 or found["commit"] > commit


def test_an_entity_tag_of_the_newest_answer_is_told_so_however_often(server: Running) -> None:
    first = server.get("/totals/risk?depth=0")
    for _ in range(3):
        assert server.get("/totals/risk?depth=0", if_none_match=first.headers["etag"]).status == 304
        assert server.get("/totals/risk?depth=0").body[:12] == first.body[:12]
    server.post(EVENT % b"a tag grows old")
    assert server.get("/totals/risk?depth=0", if_none_match=first.headers["etag"]).status == 200


def test_questions_about_the_past_stay_there(server: Running) -> None:
    now = server.get("/totals/risk?depth=0").document
    server.post(EVENT % b"later")
    for _ in range(3):
        past = server.get(f"/totals/risk?depth=0&as_of={now['commit']}").document
        assert (past["commit"], past["rows"]) == (now["commit"], now["rows"])


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With tokens, and for the pages of another origin."""
    folder = tmp_path_factory.mktemp("guarded")
    tokens = folder / "tokens"
    tokens.write_text("ingest ingest-token-0123456789\nread read-token-0123456789ab\n")
    tokens.chmod(0o600)
    options = ("--token-file", tokens, "--cors-origin", "https://desk.example")
    with Running(folder, *options, token="read-token-0123456789ab") as running:
        yield running


def test_tokens_are_needed_every_time(guarded: Running) -> None:
    for _ in range(3):
        assert guarded.get("/totals/risk").status == 200
        with connected(guarded) as connection:
            assert ask(connection, "/totals/risk").startswith(b"HTTP/1.1 401")
            wrong = "Authorization: Bearer ingest-token-0123456789"
            assert ask(connection, "/totals/risk", wrong).startswith(b"HTTP/1.1 403")


def test_pages_of_allowed_origins_are_told_so_every_time(guarded: Running) -> None:
    for _ in range(3):
        mine = guarded.get("/totals/risk", origin="https://desk.example")
        assert mine.headers["access-control-allow-origin"] == "https://desk.example"
        other = guarded.get("/totals/risk")
        assert (other.status, other.headers.get("access-control-allow-origin")) == (200, None)
        assert "Origin" in other.headers["vary"]
