"""The server as a process under load: told to end, killed again and again, with sources beside; nothing lost or twice.

Clients, fifty in the full form, send events until each is acknowledged, and send again what was not.
ONCEFOLD_SERVE_KILLS sets how often the server is killed meanwhile, ONCEFOLD_SERVE_SEED repeats a run's choices; the
seed is printed.
"""

import http.client
import json
import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import oncefold
from oncefold.cli.definition import EXAMPLE
from oncefold.core.definition_toml import parse_toml
from oncefold.core.fold import Outcome
from oncefold.store.check import check_store
from oncefold.store.reader import StoreFile
from tests.serve.running import Client, Running
from tests.tools.sizes import full_only, sized
from tests.tools.waiting import until

CLIENTS = sized(12, 50)
KILLS = int(os.environ.get("ONCEFOLD_SERVE_KILLS") or sized(1, 4))
EVENTS_PER_KILL = sized(1_000, 2_500)
"""Events acknowledged between two kills, at least."""


def event(key: str, cents: int, version: int = 1) -> bytes:
    place = {"RiskType": "PV", "TradeDesk": f"desk {cents % 7}", "Region": "AMER"}
    fields = {"TradeID": key, "Version": version, "Timestamp": 1_616_413_258 + cents, "Hierarchy": place}
    return json.dumps(fields)[:-1].encode() + b', "Value": %d.%02d}\n' % divmod(cents, 100)


PAUSE_SECONDS = 0.05
"""Of a client that was not acknowledged, before it tries again."""


class Sender(threading.Thread):
    """One client: each of its events goes out, with the next few, until it is acknowledged."""

    def __init__(self, name: str, rng: random.Random, port: "Port") -> None:
        super().__init__(daemon=True)
        self.number = name
        self._rng, self._port = rng, port
        self.acknowledged: dict[str, int] = {}
        """Cents by key."""
        self.inserted = 0
        """Events that the answers call inserted."""
        self.sent = 0
        self.stop = threading.Event()
        self.refused: list[tuple[int, bytes]] = []

    def run(self) -> None:
        while not self.stop.is_set():
            count = self._rng.choice([1, 1, 1, 5, 600])
            batch = {f"{self.number}-{self.sent + index}": self._rng.randrange(10**6) for index in range(count)}
            self.sent += count
            self._deliver(batch, b"".join(event(key, cents) for key, cents in batch.items()))

    def _deliver(self, batch: dict[str, int], body: bytes) -> None:
        while True:
            try:
                with Client(self._port.now()) as client:
                    answer = client.post(body)
            except (OSError, http.client.HTTPException):
                if self.stop.wait(PAUSE_SECONDS):
                    return
                continue
            if answer.status == 200:
                assert answer.document["events"] == len(batch)
                self.inserted += answer.document["counts"].get("inserted", 0)
                self.acknowledged |= batch
                return
            if answer.status not in {429, 503}:
                self.refused.append((answer.status, answer.body))
            if self.stop.wait(PAUSE_SECONDS):
                return


class Port:
    """Where the server listens now."""

    def __init__(self) -> None:
        self._number = 0

    def now(self) -> int:
        return self._number

    def set(self, number: int) -> None:
        self._number = number


@contextmanager
def senders(seed: int, port: Port) -> Iterator[list[Sender]]:
    found = [Sender(str(number), random.Random(seed + number), port) for number in range(CLIENTS)]
    try:
        for sender in found:
            sender.start()
        yield found
    finally:
        for sender in found:
            sender.stop.set()
        for sender in found:
            sender.join(30)
        assert not any(sender.is_alive() for sender in found)
        assert [refused for sender in found for refused in sender.refused] == []


def assert_exact(store: Path, found: list[Sender]) -> None:
    """Every acknowledged event is in the totals once; beside them only such as were sent and not acknowledged."""
    acknowledged = {key: cents for sender in found for key, cents in sender.acknowledged.items()}
    sent = sum(sender.sent for sender in found)
    assert check_store(store) == []
    with StoreFile.open(store) as reader:
        assert reader.verify().differences == []
        status = reader.status()
        [root] = [row for row in reader.totals("risk").rows if not row.path]
        assert root.count == status.live == status.counts[Outcome.INSERTED]
        assert len(acknowledged) <= root.count <= sent
    with oncefold.open(store, parse_toml(EXAMPLE)) as session:
        again = session.ingest(b"".join(event(key, cents) for key, cents in acknowledged.items()))
        assert again.counts == {Outcome.DUPLICATE: len(acknowledged)}


def _seed() -> int:
    seed = int(os.environ.get("ONCEFOLD_SERVE_SEED") or random.SystemRandom().getrandbits(32))
    print(f"ONCEFOLD_SERVE_SEED={seed}")
    return seed


def test_killed_under_load(tmp_path: Path) -> None:
    seed = _seed()
    rng, port = random.Random(seed), Port()
    with ExitStack() as stack:
        found: list[Sender] = []
        for _ in range(KILLS):
            server = Running(tmp_path)
            stack.callback(server.command.__exit__, None, None, None)
            server.until_ready()
            port.set(server.port)
            if not found:
                found = stack.enter_context(senders(seed, port))
            before = sum(len(sender.acknowledged) for sender in found)
            more = rng.randrange(EVENTS_PER_KILL // 5, EVENTS_PER_KILL)
            until(lambda: sum(len(sender.acknowledged) for sender in found) >= before + more, "acknowledgements")  # noqa: B023
            server.kill()
        with Running(tmp_path) as server:
            port.set(server.port)
            before = [len(sender.acknowledged) for sender in found]
            until(lambda: all(len(s.acknowledged) > n for s, n in zip(found, before, strict=True)), "every client")
            stack.close()
    assert_exact(server.store, found)


@full_only("a server under load, 4 s")
def test_told_to_end_under_load(tmp_path: Path) -> None:
    port = Port()
    server = Running(tmp_path)
    with server.command:
        server.until_ready()
        port.set(server.port)
        with senders(_seed(), port) as found:
            until(lambda: sum(len(sender.acknowledged) for sender in found) > 2_000, "acknowledgements")
            server.end()
        assert "everything that was acknowledged is committed" in server.words
    assert_exact(server.store, found)
    with StoreFile.open(server.store) as reader:
        inserted = sum(sender.inserted for sender in found)
        assert reader.status().counts[Outcome.INSERTED] == inserted


@full_only("a server, 4 s")
def test_a_body_under_way_is_finished_before_the_end(tmp_path: Path) -> None:
    ready, go_on = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield b"".join(event(f"a{n}", n) for n in range(2_000))
        ready.set()
        assert go_on.wait(30)
        yield event("last", 5)

    with Running(tmp_path) as server:
        answers = []
        with server.client() as client:
            thread = threading.Thread(target=lambda: answers.append(client.post(body())))
            thread.start()
            assert ready.wait(30)
            server.tell(signal.SIGTERM)
            until(lambda: not _accepts(server), "no new connection is accepted")
            go_on.set()
            thread.join(30)
        assert server.command.wait() == 0, server.words
    assert [(answer.status, answer.document["counts"]) for answer in answers] == [(200, {"inserted": 2_001})]


def _accepts(server: Running) -> bool:
    try:
        with server.client() as client:
            client.get("/healthz")
    except OSError:
        return False
    return True


@full_only("two servers, 7 s")
def test_sources_are_read_beside(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    file = folder / "one.jsonl"
    file.write_bytes(b"".join(event(f"file-{n}", n) for n in range(5_000)))
    arguments = ("--source", folder, "--follow")
    with Running(tmp_path, *arguments) as server:
        assert server.post(event("http", 1)).document["counts"] == {"inserted": 1}
        until(lambda: _live(server) == 5_001, "the file is read")
        server.kill()
    with file.open("ab") as more:
        more.write(event("file-0", 100, version=2) + event("late", 3))
    with Running(tmp_path, *arguments) as server:
        until(lambda: _live(server) == 5_002, "the file is read on")
        assert server.get("/readyz").document == {"status": "ready", "sources": "reading"}
        (folder / "two.csv").write_text("x,y\n1,2\n")
        until(lambda: server.get("/readyz").status == 503, "the file that cannot be read is reported")
        assert f"a source is not read any more: {folder}/two.csv" in server.get("/readyz").document["detail"]
        assert "oncefold_sources_failed 1.0" in server.get("/metrics").body.decode()
        assert f"{folder}/two.csv: its first line is not a CSV header" in "".join(server.words)
        assert server.post(event("late", 3)).document["counts"] == {"duplicate": 1}
    with StoreFile.open(server.store) as reader:
        counts = reader.status().counts
        assert {outcome.name: count for outcome, count in counts.items() if count} == {
            "INSERTED": 5_002,
            "CORRECTED": 1,
            "DUPLICATE": 1,
        }


def _live(server: Running) -> int:
    rows = server.get("/totals/risk").document["rows"]
    return int(rows[0]["count"])
