"""The two processes of a real server: whichever dies, the other ends, and what was acknowledged is in the store."""

import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from oncefold.store.reader import StoreFile
from tests.serve.running import Client, Running
from tests.tools.sizes import full_only
from tests.tools.waiting import until

EVENT = (
    b'{"TradeID":"%s","Value":1.25,"Version":1,"Timestamp":1616413258,'
    b'"Hierarchy":{"RiskType":"Delta","Region":"AMER","TradeDesk":"FXSpot"}}\n'
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """For the tests that leave both processes as they were."""
    with Running(tmp_path_factory.mktemp("shared")) as running:
        yield running


def writer(server: Running) -> int:
    """The process id of the writer."""
    [child] = Path(f"/proc/{server.command.process.pid}/task/{server.command.process.pid}/children").read_text().split()
    assert "oncefold.serve.writer.process" in Path(f"/proc/{child}/cmdline").read_text()
    return int(child)


def runs(process: int) -> bool:
    """Whether it has not ended; who waits for it to be reaped has."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return re.search(r"^State:\s+[ZX]", status, re.MULTILINE) is None


def live(store: Path) -> int:
    with StoreFile.open(store) as reader:
        assert reader.verify().differences == []
        return reader.status().live


def test_a_server_whose_writer_process_is_killed_says_so_and_ends(tmp_path: Path) -> None:
    server = Running(tmp_path)
    with server.command:
        server.until_ready()
        acknowledged: list[bytes] = []

        def send(name: int) -> None:
            with Client(server.port) as client:
                for number in range(100_000):
                    key = b"%d-%d" % (name, number)
                    try:
                        answer = client.post(EVENT % key)
                    except OSError:
                        return
                    if answer.status != 200:
                        assert answer.status == 503, answer
                        return
                    acknowledged.append(key)

        threads = [threading.Thread(target=send, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: len(acknowledged) > 200, "some are acknowledged")
        server.close()
        os.kill(writer(server), signal.SIGKILL)
        for thread in threads:
            thread.join()
        assert server.command.wait() == 2
        assert "the writer process ended unexpectedly; start the server again" in server.words
        assert "Traceback" not in server.words
    assert live(server.store) >= len(acknowledged)
    with Running(tmp_path, store=server.store) as again:
        answers = [again.post(b"".join(EVENT % key for key in acknowledged[:500])).document["counts"]]
    assert answers == [{"duplicate": min(500, len(acknowledged))}]


@full_only("a server, 2 s")
def test_a_writer_process_ends_with_its_server(tmp_path: Path) -> None:
    server = Running(tmp_path)
    with server.command:
        server.until_ready()
        assert server.post(EVENT % b"a").status == 200
        child = writer(server)
        server.kill()
        until(lambda: not runs(child), "the writer process has ended")
    assert live(server.store) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@full_only("a server, 3 s")
def test_a_signal_to_all_processes_ends_them_as_one_to_the_server(tmp_path: Path, number: signal.Signals) -> None:
    """As a terminal sends Ctrl-C, and systemd its SIGTERM."""
    server = Running(tmp_path)
    with server.command:
        server.until_ready()
        child = writer(server)
        assert server.post(EVENT % b"a").status == 200
        server.close()
        os.kill(child, number)
        server.tell(number)
        assert server.command.wait() == 0, server.words
        assert not runs(child)
        assert "Traceback" not in server.words
    assert live(server.store) == 1


def test_its_memory_is_told_beside_the_servers(shared: Running) -> None:
    told = shared.get("/metrics").body.decode()
    found = [
        float(size)
        for size in re.findall(r"^(?:oncefold_folding_)?process_resident_memory_bytes (\S+)", told, re.MULTILINE)
    ]
    assert len(found) == 2
    assert all(size > 10 * 2**20 for size in found)


def test_the_writer_process_ignores_ctrl_c(shared: Running) -> None:
    os.kill(writer(shared), signal.SIGINT)
    assert shared.post(EVENT % b"a").status == 200


@full_only("a server, 2 s")
def test_a_writer_process_that_is_sent_sigterm_ends_the_server(tmp_path: Path) -> None:
    server = Running(tmp_path)
    with server.command:
        server.until_ready()
        assert server.post(EVENT % b"a").status == 200
        server.close()
        os.kill(writer(server), signal.SIGTERM)
        assert server.command.wait() == 0, server.words
        assert "everything that was acknowledged is committed" in server.words
    assert live(server.store) == 1


@full_only("a server, 4 s; test_served.py has such a one in the short form")
def test_a_store_that_another_process_writes_is_told_in_words(tmp_path: Path, shared: Running) -> None:
    second = Running(tmp_path, store=shared.store)
    with second.command:
        assert second.command.wait() == 2
        assert "Traceback" not in second.words
        assert f"process {writer(shared)} is writing this store" in second.words
    assert shared.post(EVENT % b"a").status == 200
