"""Whole commands as a person waits for them, from the start of the process to its end, and DuckDB's one query."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from bench.definition import TEXT
from bench.probes.common import read_through
from bench.totals import digest_of_store

_PEERS: Final = Path(__file__).parent.parent / "peers"
_FEW: Final = 5
_ADDED: Final = 100
"""One event in so many is added after the first run."""
_READY_SECONDS: Final = 30
_POLL_SECONDS: Final = 0.01


def measure(files: list[str], store: str, times: int) -> dict[str, Any]:
    """The seconds of each command, the fastest of so many times; None for a command that is not installed."""
    (file,) = files
    folder = Path(store).parent / f"{Path(store).stem}-commands"
    folder.mkdir()
    first, more, count = _parts(Path(file), folder)
    (folder / "pipeline.toml").write_text(TEXT)
    whole = folder / "whole.db"
    seconds: dict[str, float | None] = _starts(folder, first, times)
    read_through(str(first))
    seconds["run"] = _fastest(times, _run(first, whole), lambda: _remove(whole))
    python = _duckdb_python()
    query, sha256 = (None, None) if python is None else _duckdb(python, first, times)
    if sha256 not in {None, digest_of_store(whole)}:
        raise ValueError(f"DuckDB has other totals than the store: {sha256}")
    seconds["query by DuckDB"] = query
    seconds["command of DuckDB"] = None if python is None else _fastest(times, _duckdb_command(python, first))
    with first.open("ab") as out:
        out.write(more)
    kept = whole.read_bytes()
    seconds["run of 1 % more"] = _fastest(times, _run(first, whole), lambda: _restore(whole, kept))
    return {
        "events": count,
        "seconds": sum(value or 0 for value in seconds.values()),
        "commands": seconds,
        "sha256": digest_of_store(whole),
    }


def _parts(file: Path, folder: Path) -> tuple[Path, bytes, int]:
    """A copy of the events without the last of them, those, and how many there are."""
    lines = file.read_bytes().splitlines(keepends=True)
    last = len(lines) // (_ADDED + 1)
    first = folder / "events.jsonl"
    first.write_bytes(b"".join(lines[:-last]))
    return first, b"".join(lines[-last:]), len(lines)


def _starts(folder: Path, events: Path, times: int) -> dict[str, float | None]:
    """Commands whose work is next to nothing."""
    few, store = folder / "few.jsonl", folder / "few.db"
    with events.open("rb") as source:
        lines = [source.readline() for _ in range(_FEW)]
    few.write_bytes(b"".join(lines))
    key = json.loads(lines[0])["TradeID"]
    node = json.loads(lines[0])["Hierarchy"]["RiskType"]
    asked = ("--store", str(store))
    return {
        "--help": _fastest(times, _oncefold("--help")),
        "run of five events": _fastest(times, _run(few, store), lambda: _remove(store)),
        "query": _fastest(times, _oncefold("query", *asked)),
        "explain": _fastest(times, _oncefold("explain", node, *asked)),
        "history": _fastest(times, _oncefold("history", key, *asked)),
        "serve, until it is ready": min(_until_ready(folder, store) for _ in range(times)),
    }


def _run(events: Path, store: Path) -> Sequence[str]:
    return _oncefold("run", str(store.parent / "pipeline.toml"), str(events), "--store", str(store), "--quiet")


def _oncefold(*arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", "oncefold", *arguments)


def _fastest(times: int, command: Sequence[str], before: Callable[[], None] = lambda: None) -> float:
    return min(_timed(command, before)[0] for _ in range(times))


def _timed(command: Sequence[str], before: Callable[[], None] = lambda: None) -> tuple[float, str]:
    """The seconds of a command, and what it printed. Raises CalledProcessError."""
    before()
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - began, done.stdout


def _until_ready(folder: Path, store: Path) -> float:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = _oncefold("serve", str(folder / "pipeline.toml"), "--store", str(store), "--port", str(port))
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not _is_ready(port):
                if process.poll() is not None or time.perf_counter() - began > _READY_SECONDS:
                    raise ValueError("the server did not become ready")
                time.sleep(_POLL_SECONDS)
            return time.perf_counter() - began
        finally:
            process.terminate()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _duckdb(python: str, events: Path, times: int) -> tuple[float, str]:
    """The seconds of one query over the file, without the start of its process, and the hash of its totals."""
    command = (python, str(_PEERS / "duckdb_query.py"), str(events))
    results = [json.loads(_timed(command)[1]) for _ in range(times)]
    return min(result["seconds"] for result in results), results[0]["sha256"]


def _duckdb_python() -> str | None:
    """An interpreter that has DuckDB; None if there is none."""
    python = _PEERS / ".venv" / "bin" / "python"
    if python.exists():
        return str(python)
    return sys.executable if importlib.util.find_spec("duckdb") else None


def _duckdb_command(python: str, events: Path) -> Sequence[str]:
    """The same query as a process that does nothing else."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import duckdb_query; "
        "duckdb_query.fold(Path(sys.argv[2]), Path())"
    )
    return (python, "-c", code, str(_PEERS), str(events))


def _remove(store: Path) -> None:
    for name in ("", "-wal", "-shm", "-lock"):
        Path(f"{store}{name}").unlink(missing_ok=True)


def _restore(store: Path, content: bytes) -> None:
    _remove(store)
    store.write_bytes(content)
    os.sync()
