"""The server that is measured: a process of its own, as a user starts it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.definition import TEXT
from bench.runner import ROOT, MeasurementError

_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:([0-9]+)/")
_START_SECONDS: Final = 120.0
_END_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    store: Path

    def document(self, path: str) -> Any:
        """What it answers to a question."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
            return json.load(answer)


def environment_of(checkout: Path) -> dict[str, str]:
    """The environment in which the code of a checkout runs."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout / "src"), str(checkout)])}


@contextmanager
def serving(store: Path, checkout: Path = ROOT) -> Iterator[Server]:
    """A server of a checkout's code on a free port. Raises MeasurementError if it does not begin or end well."""
    definition, words = store.with_suffix(".toml"), store.with_suffix(".log")
    definition.write_text(TEXT, encoding="utf-8")
    options = ["--store", str(store), "--port", "0", "--log", "text"]
    command = [sys.executable, "-m", "oncefold", "serve", str(definition), *options]
    with words.open("wb") as log:
        process = subprocess.Popen(command, cwd=checkout, env=environment_of(checkout), stderr=log)
    try:
        yield Server(_port(process, words), store)
        process.send_signal(signal.SIGTERM)
        if process.wait(_END_SECONDS):
            raise MeasurementError(f"the server ended with status {process.returncode}:\n{words.read_text()}")
    finally:
        process.kill()
        process.wait()


def _port(process: "subprocess.Popen[bytes]", words: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while not (found := _ADDRESS.search(words.read_text(encoding="utf-8"))):
        if process.poll() is not None or time.monotonic() > deadline:
            raise MeasurementError(f"the server does not begin:\n{words.read_text(encoding='utf-8')}")
        time.sleep(_LOOK_SECONDS)
    return int(found[1])
