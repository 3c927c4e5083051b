"""The clients, each a process: `python -m bench.serve.client KIND OPTIONS`; what was found is the last line.

What goes on until it is told to end writes a line when it has begun, and ends when its input does.
"""

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from bench.serve.quantile import quantile

_PAUSE_SECONDS: Final = 0.01
_LAST_SECONDS: Final = 5.0
_EVENT: Final = (
    '{"TradeID":"%s-%027d","Value":%d.%02d,"Version":1,"Timestamp":1616413258.8997,'
    '"Hierarchy":{"RiskType":"Delta","Region":"AMER","TradeDesk":"FXSpot"}}\n'
)


def send(port: int, files: list[str], connections: int) -> dict[str, Any]:
    """Send files one after the other, each in as many bodies side by side; the seconds until each is acknowledged."""
    found = [_send(port, file, connections) for file in files]
    return {
        "seconds": [seconds for seconds, _ in found],
        "failed": [answer for _, failed in found for answer in failed],
    }


def _send(port: int, file: str, connections: int) -> tuple[float, list[str]]:
    """Send a file, cut between lines; the time until the last body is acknowledged."""
    failed: list[bytes] = []
    parts = _parts(Path(file), connections)
    ready = threading.Barrier(len(parts) + 1)

    def one(start: int, length: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection, Path(file).open("rb") as stream:
            head = f"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            ready.wait()
            connection.sendall(head.encode())
            connection.sendfile(stream, start, length)
            answer = connection.makefile("rb").read()
            if not answer.startswith(b"HTTP/1.1 200"):
                failed.append(answer)

    threads = [threading.Thread(target=one, args=part) for part in parts]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, [answer.decode("utf-8", "replace") for answer in failed]


def _parts(file: Path, count: int) -> list[tuple[int, int]]:
    """Start and length of each part."""
    size = file.stat().st_size
    starts = [0]
    with file.open("rb") as stream:
        for number in range(1, count):
            stream.seek(size * number // count)
            stream.readline()
            starts.append(stream.tell())
    ends = [*starts[1:], size]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def single(port: int, connections: int, seconds: float, run: str) -> dict[str, Any]:
    """One event per request, over so many connections, each of which sends again as soon as it is answered."""
    return asyncio.run(_single(port, connections, seconds, run))


async def _single(port: int, connections: int, seconds: float, run: str) -> dict[str, Any]:
    times: list[float] = []
    errors = number = 0

    async def one(deadline: float) -> None:
        nonlocal errors, number
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < deadline:
            number += 1
            body = _EVENT % (run, number, number % 100_000, number % 100)
            writer.write(
                f"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            errors += not await _answered(reader)
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one(began + seconds) for _ in range(connections)))
    return {"answers": len(times), "errors": errors, "seconds": time.perf_counter() - began, **_quantiles(times)}


async def _answered(reader: asyncio.StreamReader) -> bool:
    """Read one answer; whether it is a good one."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return head.startswith(b"HTTP/1.1 200")


def read(port: int, path: str) -> dict[str, Any]:
    """Ask the same question again and again, with a pause after each answer.

    Over a plain socket: what an event loop of the client's own takes is no time of the server.
    """
    question = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    times: list[float] = []
    errors = 0
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answers:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ended = _begun()
        while not ended.is_set():
            began = time.perf_counter()
            connection.sendall(question)
            errors += not _read_answer(answers)
            times.append(time.perf_counter() - began)
            ended.wait(_PAUSE_SECONDS)
    return {"answers": len(times), "errors": errors, **_quantiles(times)}


def _read_answer(answers: BinaryIO) -> bool:
    """Read one answer; whether it is a good one."""
    good = answers.readline().startswith(b"HTTP/1.1 200")
    length = 0
    while (line := answers.readline().lower()) not in {b"\r\n", b""}:
        if line.startswith(b"content-length: "):
            length = int(line[16:])
    return len(answers.read(length)) == length and good


def subscribe(port: int, connections: int) -> dict[str, Any]:
    """Follow all changes over so many connections."""
    return asyncio.run(_subscribe(port, connections))


async def _subscribe(port: int, connections: int) -> dict[str, Any]:
    messages = [0] * connections
    streams = []
    for _ in range(connections):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /changes HTTP/1.1\r\nHost: localhost\r\n\r\n")
        streams.append((reader, writer))

    async def follow(index: int, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(2**16):
            messages[index] += data.count(b"event: commit")

    for reader, _ in streams:
        await reader.readuntil(b"event: hello")
    following = [asyncio.create_task(follow(index, reader)) for index, (reader, _) in enumerate(streams)]
    ended = _begun()
    while not ended.is_set():
        await asyncio.sleep(_PAUSE_SECONDS)
    deadline = time.monotonic() + _LAST_SECONDS
    while not all(messages) and time.monotonic() < deadline:  # the last commit is told a moment after its answer
        await asyncio.sleep(_PAUSE_SECONDS)
    for _, writer in streams:
        writer.close()
    await asyncio.gather(*following, return_exceptions=True)
    return {"messages": sum(messages), "fewest": min(messages, default=0)}


def _begun() -> threading.Event:
    """Say that it has begun; set when the input ends."""
    print("begun", flush=True)
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    return ended


def _quantiles(times: list[float]) -> dict[str, float]:
    return {"median": quantile(times, 0.5), "p99": quantile(times, 0.99)}


CLIENTS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "send": send,
    "single": single,
    "read": read,
    "subscribe": subscribe,
}


def main() -> int:
    kind, options = sys.argv[1:]
    print(json.dumps(CLIENTS[kind](**json.loads(options))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
