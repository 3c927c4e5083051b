"""Operations as they are seen from outside: a real process with tokens, its metrics, its log, its refusals to start."""

import json
import re
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from oncefold.cli.definition import EXAMPLE
from tests.serve.running import Running
from tests.serve.server.test_small_requests import asked, request
from tests.serve.transport.listening import answer, connect
from tests.tools.processes import COMMAND
from tests.tools.waiting import until

SECRETS = {scope: f"{scope}-token-0123456789" for scope in ("ingest", "read", "admin")}
WRONG = "wrong-token-9876543210"
PLACE = '{"RiskType":"PV","TradeDesk":"x","Region":"y"}'


def events(*keys: object) -> bytes:
    lines = (f'{{"TradeID":"{key}","Version":1,"Value":1.25,"Hierarchy":{PLACE}}}\n' for key in keys)
    return "".join(lines).encode()


def token_file(folder: Path) -> Path:
    path = folder / "tokens"
    path.write_text("".join(f"{scope} {secret}\n" for scope, secret in SECRETS.items()))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("served")
    with Running(folder, "--token-file", token_file(folder), "--log", "json", token=SECRETS["admin"]) as running:
        yield running


def metrics(server: Running) -> dict[tuple[str, ...], float]:
    text = server.get("/metrics").body.decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def log_of(server: Running) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.words.splitlines()]


def test_tokens_open_what_they_are_for_and_metrics_and_log_tell_of_it(server: Running) -> None:
    asked = [
        ("POST", "/events", {"ingest": 200, "read": 403, "admin": 200, "": 401, "wrong": 401}),
        ("GET", "/totals/risk", {"ingest": 403, "read": 200, "admin": 200, "": 401, "wrong": 401}),
        ("GET", "/verify", {"ingest": 403, "read": 403, "admin": 200, "": 401, "wrong": 401}),
        ("POST", "/rejects/redrive", {"ingest": 403, "read": 403, "admin": 200, "": 401, "wrong": 401}),
        ("GET", "/metrics", {"ingest": 403, "read": 200, "admin": 200, "": 401, "wrong": 401}),
        ("GET", "/healthz", dict.fromkeys([*SECRETS, "", "wrong"], 200)),
        ("GET", "/", dict.fromkeys([*SECRETS, "", "wrong"], 200)),
    ]
    before, sent = metrics(server), Counter[tuple[str, str]]()
    for method, path, statuses in asked:
        for holder, expected in statuses.items():
            with server.client(token={**SECRETS, "": "", "wrong": WRONG}[holder]) as client:
                body = events("a", "b", "c") if path == "/events" else None
                answered = client.ask(method, path, body, x_request_id=f"{path}-{holder}")
            assert answered.status == expected, (method, path, holder)
            assert answered.headers["x-request-id"] == f"{path}-{holder}"
            sent["/" + path[1:].partition("/")[0], str(expected)] += 1
    after = metrics(server)
    for (route, code), count in sent.items():
        name = ("oncefold_http_requests_total", route, code)
        assert after[name] - before.get(name, 0) == count + (route == "/metrics" and code == "200")
    for outcome in ("inserted", "duplicate"):
        assert after["oncefold_events_total", outcome] - before["oncefold_events_total", outcome] == 3
    assert after["oncefold_commit_seconds_count",] >= 2
    assert after["oncefold_keys",] == 3
    assert after["oncefold_waiting_requests",] == after["oncefold_waiting_bytes",] == 0
    assert after["oncefold_ready",] == 1

    told = {line["request_id"]: line for line in log_of(server) if "request_id" in line}
    assert told["/totals/risk-read"]["status"] == 200
    assert told["/events-read"]["status"] == 403
    assert "/events-ingest" not in told
    assert "/healthz-" not in told
    assert not any(secret in server.words for secret in [*SECRETS.values(), WRONG])


def test_tokens_are_needed_for_whole_and_cut_requests(server: Running) -> None:
    for in_one_piece in (True, False):
        statuses = [
            asked(server, request(b"{}\n", *headers), whole=in_one_piece).split(b" ")[1]
            for headers in (
                [f"Authorization: Bearer {SECRETS['ingest']}".encode()],
                [],
                [f"Authorization: Bearer {SECRETS['read']}".encode()],
                [f"Authorization: Bearer {WRONG}".encode()],
            )
        ]
        assert statuses == [b"200", b"401", b"403", b"401"]


def test_whoever_follows_changes_is_counted_while_it_does(server: Running) -> None:
    with connect(("127.0.0.1", server.port)) as follower:
        head = f"GET /changes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRETS['read']}\r\n\r\n"
        follower.sendall(head.encode())
        until(lambda: metrics(server)["oncefold_change_subscribers",] == 1, "it to be counted")
    until(lambda: metrics(server)["oncefold_change_subscribers",] == 0, "it to be counted no more")


def test_requests_for_others_and_from_other_pages_are_refused(server: Running) -> None:
    assert server.get("/status", host="evil.example").status == 421
    assert server.post(events("x"), origin="https://evil.example").status == 403
    assert server.get("/history/x").status == 404


def test_the_end_is_told_and_what_is_under_way_is_answered(tmp_path: Path) -> None:
    with Running(tmp_path, "--log", "json") as server, connect(("127.0.0.1", server.port)) as sender:
        body = events("last")
        sender.sendall(f"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        until(lambda: metrics(server)["oncefold_waiting_requests",] == 1, "the request to have begun")
        server.close()
        server.tell(signal.SIGTERM)
        until(lambda: cannot_connect(server.port), "the door to be shut")
        sender.sendall(body)
        assert b'"inserted":1' in answer(sender)
        assert server.command.wait() == 0
    assert {"ingest", "ended; everything that was acknowledged is committed"} <= {
        line["message"] for line in log_of(server)
    }


def cannot_connect(port: int) -> bool:
    try:
        connect(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


def refused(folder: Path, *options: object) -> str:
    """What a server says that does not start."""
    (folder / "pipeline.toml").write_text(EXAMPLE)
    command = [*COMMAND, "serve", "pipeline.toml", *map(str, options)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return re.sub(r"^\{.*\}\n", "", ended.stderr, flags=re.MULTILINE)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        said = refused(tmp_path, "--port", door.getsockname()[1])
    assert said.startswith("oncefold: cannot listen on 127.0.0.1, port ")
    assert "give another --host or --port" in said


def test_a_store_that_another_process_writes_is_told(tmp_path: Path, server: Running) -> None:
    said = refused(tmp_path, "--port", 0, "--store", server.store)
    assert said.count("\n") == 1
    assert str(server.store) in said


def test_a_server_for_others_does_not_start_without_a_token(tmp_path: Path) -> None:
    assert "there is no token" in refused(tmp_path, "--host", "0.0.0.0", "--port", 0)
