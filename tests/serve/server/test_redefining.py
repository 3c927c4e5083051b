"""The definition of a running server is replaced while events arrive: nothing that was acknowledged is lost."""

import http.client
import json
import random
import threading
from pathlib import Path

import pytest

from oncefold.cli.main import main
from oncefold.store.check import check_store
from oncefold.store.reader import StoreFile
from tests.serve.running import Client, Running
from tests.tools.sizes import full_only, sized
from tests.tools.waiting import until

OLD = """
name = "shop"
keep_events = true
[event]
key = "id"
version = "v"
[rollups]
by_kind = ["kind"]
[measures]
amount = { sum = "amount", scale = 2 }
"""
NEW = OLD.replace('["kind"]', '["kind", "place"]') + 'tax = { sum = "tax", scale = 1 }\n'
TOKENS = {scope: f"{scope}-token-of-a-test" for scope in ("ingest", "read", "admin")}


class Sender(threading.Thread):
    """Sends events, each until it is acknowledged; what was, by key, is the newest that was sent of it."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(daemon=True)
        self._port, self._name, self._rng = port, name, random.Random(name)
        self.stop = threading.Event()
        self.acknowledged: dict[str, int] = {}
        """Cents by key."""
        self.outcomes: dict[str, int] = {}
        self.refused = 0

    def run(self) -> None:
        version = 0
        while not self.stop.is_set():
            version += 1
            batch = {f"{self._name}-{self._rng.randrange(500)}": self._rng.randrange(10**4) for _ in range(20)}
            events = [
                {"id": key, "v": version, "kind": "xy"[cents % 2], "place": "pq"[cents % 3 == 0]}
                | {"amount": f"{cents / 100:.2f}", "tax": cents / 10}
                for key, cents in batch.items()
            ]
            body = "".join(json.dumps(event) + "\n" for event in events).encode()
            while not self._sent(body):
                if self.stop.wait(0.02):
                    return
            self.acknowledged |= batch

    def _sent(self, body: bytes) -> bool:
        try:
            with Client(self._port, token=TOKENS["ingest"]) as client:
                answer = client.post(body)
        except (OSError, http.client.HTTPException):
            self.refused += 1
            return False
        assert answer.status in {200, 503}, answer
        self.refused += answer.status == 503
        if answer.status == 200:
            for outcome, count in answer.document["counts"].items():
                self.outcomes[outcome] = self.outcomes.get(outcome, 0) + count
        return answer.status == 200


def test_the_definition_is_replaced_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("".join(f"{scope} {token}\n" for scope, token in TOKENS.items()))
    tokens.chmod(0o600)
    (tmp_path / "new.toml").write_text(NEW)
    (tmp_path / "old.toml").write_text(OLD)
    with Running(tmp_path, "--token-file", tokens, pipeline=OLD, token=TOKENS["admin"]) as server:
        address = f"http://127.0.0.1:{server.port}"
        senders = [Sender(server.port, name) for name in ("a", "b", "c")]
        for sender in senders:
            sender.start()
        try:
            for number in range(sized(1, 8)):
                until(lambda: all(len(sender.acknowledged) > 100 for sender in senders), "events are acknowledged")
                before = sum(sender.outcomes.get("inserted", 0) for sender in senders)
                target = ("new.toml", "old.toml")[number % 2]
                command = ["redefine", str(tmp_path / target), "--server", address, "--token-file", str(tokens)]
                capsys.readouterr()
                assert main([*command, "--dry-run", "--json"]) == 0
                assert json.loads(capsys.readouterr().out)["commit"] == 0
                assert main([*command, "--json"]) == 0
                made = json.loads(capsys.readouterr().out)
                assert made["events"] >= before
                node = server.get("/totals/by_kind").document["rows"][0]
                assert set(node["measures"]) == ({"amount", "tax"} if target == "new.toml" else {"amount"})
                sent = sum(sum(sender.outcomes.values()) for sender in senders)
                until(lambda: sum(sum(s.outcomes.values()) for s in senders) > sent, "events are taken again")  # noqa: B023
        finally:
            for sender in senders:
                sender.stop.set()
            for sender in senders:
                sender.join()
        assert server.get(f"/totals/by_kind?as_of={made['commit'] - 1}").status == 200
        assert server.get("/openapi.json").status == 200
        assert server.post(b"", "/redefine", content_type="application/toml").status == 400
        assert server.post(NEW.encode() + b"\n", "/redefine?dry_run=perhaps").status == 422
    expected = {key: cents for sender in senders for key, cents in sender.acknowledged.items()}
    with StoreFile.open(tmp_path / "store.db") as file:
        states = {state.key: state.measures[0] for state in file.explain(limit=10**6).states}
        unacknowledged = {key for key in states if states[key] != expected.get(key)}
        # A sender that was stopped may have sent one batch more than was acknowledged to it.
        assert len(unacknowledged) <= 20 * len(senders)
        assert set(expected) <= set(states)
    assert check_store(tmp_path / "store.db") == []


@full_only("a server, 4 s")
def test_what_cannot_be_replaced_leaves_the_server_as_it_was(tmp_path: Path) -> None:
    with Running(tmp_path, pipeline=OLD) as server:
        assert server.post(b'{"id": "1", "v": 1, "kind": "x", "amount": 1, "place": "p", "tax": 1}\n').status == 200
        other_key = NEW.replace('key = "id"', 'key = "place"')
        answer = server.post(other_key.encode(), "/redefine", content_type="application/toml")
        assert (answer.status, "has the key 1 and would have p" in answer.document["detail"]) == (400, True)
        answer = server.post(OLD.encode(), "/redefine", content_type="application/toml")
        assert (answer.status, "nothing to make anew" in answer.document["detail"]) == (400, True)
        assert server.post(b'{"id": "2", "v": 1, "kind": "x", "amount": 1, "place": "p", "tax": 1}\n').status == 200
        assert server.get("/status").document["keys"] == 2


@full_only("a server, 3 s")
def test_attached_sources_go_on(tmp_path: Path) -> None:
    source = tmp_path / "events.jsonl"
    source.write_bytes(b'{"id": "1", "v": 1, "kind": "x", "amount": 1, "place": "p", "tax": 1}\n')
    with Running(tmp_path, "--source", source, "--follow", pipeline=OLD) as server:
        until(lambda: server.get("/status").document["keys"] == 1, "the source is read")
        assert server.post(NEW.encode(), "/redefine", content_type="application/toml").status == 200
        with source.open("ab") as file:
            file.write(b'{"id": "2", "v": 1, "kind": "x", "amount": 1, "place": "p", "tax": 2}\n')
        until(lambda: server.get("/status").document["keys"] == 2, "the source is read on")
        measures = server.get("/totals/by_kind").document["rows"][0]["measures"]
        assert measures == {"amount": "2.00", "tax": "3.0"}
