"""What is cheap to send is cheap to take: limits on what a store holds, and on the work that a body makes."""

import asyncio
import gzip
import re
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from oncefold.cli.definition import EXAMPLE
from oncefold.serve.writer import bodies, reading
from oncefold.serve.writer.capacity import CapacityLimits
from oncefold.store.reader import StoreFile
from tests.engine.records import NARROW, Record, json_lines
from tests.serve.running import Client, Running
from tests.serve.server.ingesting import Answer, ingesting
from tests.serve.server.test_two_processes import EVENT, live, writer
from tests.tools.sizes import full_only, in_full, sized


def records(first: int, count: int) -> bytes:
    """Events of so many keys, each with a leaf of its own."""
    return json_lines([Record(f"k{number}", 1, f"r{number}", "fx", 100, 1) for number in range(first, first + count)])


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (CapacityLimits(keys=3), "the store has --max-keys 3 keys"),
        (CapacityLimits(nodes=4), "the store has --max-nodes 4 nodes"),
    ],
)
def test_a_full_store_takes_no_more_and_says_which_limit(memory: Path, limits: CapacityLimits, reason: str) -> None:
    async def run() -> list[Answer]:
        async with ingesting(memory / "store.db", NARROW, capacity=limits) as server:
            found = [await server.post(records(0, 3))]
            while not server.writer.full:
                await asyncio.sleep(0.001)
            found.append(await server.post(records(3, 1)))
            found.append(await server.post(records(3, 3), content_type="application/json"))
            found.append(await server.post([records(3, 2_000)[:90_000], records(3, 2_000)[90_000:]]))
        return found

    first, *refused = asyncio.run(run())
    assert first.status == 200
    for answer in refused:
        assert (answer.status, answer.document["title"], answer.document["committed_events"]) == (507, "Store full", 0)
        assert reason in answer.document["detail"]
    with StoreFile.open(memory / "store.db") as reader:
        assert reader.status().keys == 3


def test_a_file_that_is_too_large_takes_no_more(memory: Path) -> None:
    async def run(most: int) -> Answer:
        async with ingesting(memory / "store.db", NARROW, capacity=CapacityLimits(store_bytes=most)) as server:
            return await server.post(records(0, 3))

    assert asyncio.run(run(2**30)).status == 200
    answer = asyncio.run(run(1_000))
    assert answer.status == 507
    assert "the store has --max-store-bytes 1,000 bytes" in answer.document["detail"]


def test_a_body_that_fills_the_store_ends_there(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request alone must not go past the limit without bound; what was read of it is committed."""
    monkeypatch.setattr(reading, "BLOCK_BYTES", 2**16)  # many more than may be decoded and not folded
    many = sized(30_000, 100_000)

    async def run() -> Answer:
        async with ingesting(memory / "store.db", NARROW, capacity=CapacityLimits(keys=1_000)) as server:
            body = records(0, many)
            return await server.post([body[start : start + 200_000] for start in range(0, len(body), 200_000)])

    answer = asyncio.run(run())
    assert answer.status == 507
    with StoreFile.open(memory / "store.db") as reader:
        assert 1_000 <= reader.status().keys == answer.document["committed_events"] < many


def test_limits_are_options_and_metrics_of_a_server(tmp_path: Path) -> None:
    with Running(tmp_path, "--max-keys", 2, "--max-nodes", 1_000, "--max-store-bytes", "1GiB") as server:
        assert server.post(b"".join(EVENT % key for key in (b"a", b"b"))).status == 200
        refused = server.post(EVENT % b"c")
        assert refused.status == 507
        assert "the store has --max-keys 2 keys" in refused.document["detail"]
        told = server.get("/metrics").body.decode()
    assert re.search(r"^oncefold_full 1\.0$", told, re.MULTILINE)
    limits = re.findall(r'^oncefold_limit\{of="(\w+)"\} (\S+)$', told, re.MULTILINE)
    assert {name: float(most) for name, most in limits} == {"keys": 2, "nodes": 1_000, "store_bytes": 2**30}
    assert live(server.store) == 2


def test_a_body_of_which_most_cannot_be_read_is_given_up(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_REJECTS", 1_000)
    monkeypatch.setattr(reading, "MOST_ROWS", 512)

    async def run(body: bytes) -> Answer:
        async with ingesting(memory / "store.db", NARROW) as server:
            return await server.post([body[:70_000], body[70_000:]])

    answer = asyncio.run(run(b"{}\n" * 200_000))
    assert answer.status == 400
    assert "records cannot be read, and the rest is not tried" in answer.document["detail"]
    assert 1_000 < answer.document["committed_events"] < 20_000
    # As many rejects among as many good events are each listed.
    mixed = asyncio.run(run(b"".join(line + b"\n{}\n" for line in records(0, 2_000).splitlines())))
    assert (mixed.status, mixed.document["counts"]) == (200, {"inserted": 2_000, "rejected": 2_000})


@pytest.mark.parametrize("content_type", ["application/x-ndjson", *in_full("another form, 3 s", "application/json")])
def test_a_body_that_expands_without_bound_is_given_up(memory: Path, content_type: str) -> None:
    """300 kB that are 300 MiB of newlines; here less, in the same proportion."""
    small = gzip.compress(b"\n" * (64 * 2**20), 9)
    assert len(small) < 70_000

    async def run() -> Answer:
        async with ingesting(memory / "store.db", NARROW) as server:
            return await server.post(small, content_type=content_type, content_encoding="gzip")

    answer = asyncio.run(run())
    assert answer.status == 400
    assert "expands to more than 200 times its" in answer.document["detail"]


def test_what_is_well_compressed_is_read(memory: Path) -> None:
    """Below 16 MiB, and below the proportion, nothing is refused."""
    lines = records(0, 1) * 50_000

    async def run() -> Answer:
        async with ingesting(memory / "store.db", NARROW) as server:
            return await server.post(gzip.compress(lines, 9), content_encoding="gzip")

    answer = asyncio.run(run())
    assert (answer.status, answer.document["counts"]) == (200, {"inserted": 1, "duplicate": 49_999})


def test_lines_of_nothing_are_skipped_at_once_and_positions_stay(memory: Path) -> None:
    blank = b"\n" * (2 * reading.BLOCK_BYTES)
    body = records(0, 1) + blank + b"{}\n" + blank + records(1, 1)

    async def run() -> Answer:
        async with ingesting(memory / "store.db", NARROW) as server:
            return await server.post([body[start : start + 300_000] for start in range(0, len(body), 300_000)])

    answer = asyncio.run(run())
    assert answer.document["counts"] == {"inserted": 2, "rejected": 1}
    assert [reject["position"] for reject in answer.document["rejects"]] == [len(records(0, 1) + blank)]


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_store_that_was_removed_is_noticed_before_the_next_acknowledgement(memory: Path, how: str) -> None:
    ended = threading.Event()
    path, aside = memory / "store.db", memory / "aside.db"

    async def run() -> list[Answer]:
        async with ingesting(path, NARROW, end_server=ended.set) as server:
            found = [await server.post(records(0, 1))]
            path.rename(aside)
            if how == "replaced":
                path.write_bytes(aside.read_bytes())
            found.append(await server.post(records(1, 1)))
            while not ended.is_set():
                await asyncio.sleep(0.001)
            found.append(await server.post(records(2, 1)))
        return found

    first, *failed = asyncio.run(run())
    assert first.status == 200
    assert [answer.status for answer in failed] == [503, 503]
    assert all("removed or replaced while it was being written" in answer.document["detail"] for answer in failed)
    assert path.exists() == (how == "replaced"), "no empty store is begun in its place"


@full_only("a server, 3 s; the same without a process is in the short form")
def test_a_server_whose_store_was_removed_ends(tmp_path: Path) -> None:
    server = Running(tmp_path)
    with server.command:
        server.until_ready()
        assert server.post(EVENT % b"a").status == 200
        server.store.unlink()
        assert server.post(EVENT % b"b").status == 503
        server.close()
        assert server.command.wait() == 2
        assert "the file was removed or replaced" in server.words
        assert "Traceback" not in server.words
    assert not server.store.exists()


def _send_until_it_fails(server: Running, acknowledged: list[bytes]) -> None:
    """Distinct keys, many to a body, until there is no answer or none of success."""
    with Client(server.port) as client:
        for number in range(2_000):
            keys = [b"%d-%d" % (number, index) for index in range(5_000)]
            try:
                answer = client.post(b"".join(EVENT % key for key in keys))
            except OSError:
                return
            if answer.status != 200:
                assert answer.status == 503, answer
                return
            acknowledged.extend(keys)


@full_only("two servers, 6 s")
def test_a_server_without_memory_ends_and_loses_nothing(tmp_path: Path) -> None:
    server, acknowledged = Running(tmp_path), list[bytes]()
    with server.command:
        server.until_ready()
        assert server.post(EVENT % b"first").status == 200
        child = writer(server)
        [pages] = re.findall(r"^(\d+)", Path(f"/proc/{child}/statm").read_text())
        most = int(pages) * resource.getpagesize() + 96 * 2**20
        resource.prlimit(child, resource.RLIMIT_AS, (most, most))
        _send_until_it_fails(server, acknowledged)
        server.close()
        assert server.command.wait() == 2
        assert re.search("out of memory|cannot go on|ended unexpectedly", server.words), server.words
        assert "Traceback" not in server.words
    assert acknowledged
    assert live(server.store) >= len(acknowledged)
    with Running(tmp_path, store=server.store) as again:
        answer = again.post(b"".join(EVENT % key for key in acknowledged[-500:]))
    assert answer.document["counts"] == {"duplicate": 500}


def test_few_open_files_are_said_before_anything_else(tmp_path: Path) -> None:
    definition = tmp_path / "pipeline.toml"
    definition.write_text(EXAMPLE)

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))

    command = [sys.executable, "-m", "oncefold", "serve", str(definition), "--store", str(tmp_path / "store.db")]
    done = subprocess.run([*command, "--port", "0"], capture_output=True, text=True, preexec_fn=few, check=False)
    assert done.returncode == 2
    assert "this process may open 16 files" in done.stderr
    assert "ulimit -n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store.db").exists()
