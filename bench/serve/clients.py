"""Starts the clients and the engine, each in a process of its own, and takes what they found."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.runner import ROOT, MeasurementError
from bench.serve.server import environment_of

TIMEOUT_SECONDS: Final = 600
_LUA: Final = Path(__file__).with_name("one.lua")


def wrk() -> str | None:
    """The program, if it is installed."""
    return shutil.which("wrk")


def run(module: str, *arguments: str, checkout: Path = ROOT) -> dict[str, Any]:
    """Run a module of a checkout to its end. Raises MeasurementError if it fails."""
    return _result([sys.executable, "-m", module, *arguments], checkout)


def client(kind: str, **options: Any) -> dict[str, Any]:
    """Run a client to its end. Raises MeasurementError if it fails."""
    return run("bench.serve.client", kind, json.dumps(options))


def singles(port: int, connections: int, seconds: float, name: str) -> dict[str, Any]:
    """One event per request over so many connections: by wrk where there is one. `name` begins the keys."""
    program = wrk()
    if program is None:
        return client("single", port=port, connections=connections, seconds=seconds, run=name)
    many = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    return _result([program, *many, "-s", str(_LUA), f"http://127.0.0.1:{port}", "--", name])


@contextmanager
def beside(kind: str, **options: Any) -> Iterator[dict[str, Any]]:
    """A client that goes on meanwhile; after the block the value has what it found."""
    found: dict[str, Any] = {}
    command = [sys.executable, "-m", "bench.serve.client", kind, json.dumps(options)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "begun\n":
                raise MeasurementError(f"the client that should {kind} did not begin; its error stands above")
            yield found
            out, _ = process.communicate(timeout=TIMEOUT_SECONDS)
            if process.returncode:
                raise MeasurementError(f"the client that should {kind} failed; its error stands above")
            found.update(json.loads(out.splitlines()[-1]))
        finally:
            process.kill()


def _result(command: list[str], checkout: Path = ROOT) -> dict[str, Any]:
    try:
        done = subprocess.run(
            command,
            cwd=checkout,
            env=environment_of(checkout),
            stdout=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"{command[0]}: no result after {TIMEOUT_SECONDS} s") from None
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise MeasurementError(f"{command}: exit status {done.returncode}, its error stands above")
    found: dict[str, Any] = json.loads(lines[-1])
    return found
