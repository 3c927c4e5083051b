"""Starts measurements, each in a fresh interpreter, and holds their totals against what they must be."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from typing import Any, Final

from bench.inputs import Input

ROOT: Final = Path(__file__).parent.parent
TIMEOUT_SECONDS: Final = 3600

Result = dict[str, Any]
"""What a probe measured: always `events`, `seconds`, the `sha256` of the totals and the path of the `store`."""


class MeasurementError(Exception):
    """A measurement failed, or reached wrong totals."""


class Runner:
    """Runs probes for the cases, in any thread; a measurement that several cases need is made once."""

    def __init__(self, stores: Path, repeat: int, say: Callable[[str], None], *, keep: bool = False) -> None:
        """`keep` leaves every store where it is; otherwise only those of `once` stay."""
        self._stores, self._repeat, self._say, self._keep = stores, repeat, say, keep
        self._made: dict[str, Future[Result]] = {}
        self._lock = threading.Lock()
        self._numbers = count(1)

    def fastest(self, probe: str, given: Input | None, **options: Any) -> Result:
        """The fastest of as many runs as were wanted."""
        runs = [self._measured(probe, given, options, run, keep=self._keep) for run in range(1, self._repeat + 1)]
        return min(runs, key=lambda result: float(result["seconds"]))

    def once(self, probe: str, given: Input | None, **options: Any) -> Result:
        """One run; its store stays in `result["store"]`."""
        return self._measured(probe, given, options, 1, keep=True)

    def _measured(self, probe: str, given: Input | None, options: dict[str, Any], run: int, *, keep: bool) -> Result:
        files = {} if given is None else {"files": [str(file) for file in given.files]}
        known = json.dumps([probe, files, options, run], sort_keys=True)
        with self._lock:
            to_make = known not in self._made
            future = self._made.setdefault(known, Future())
        if to_make:
            self._say(f"measuring {probe}, run {run}")
            try:
                future.set_result(self._measure(probe, given, {**files, **options}, keep=keep))
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    def _measure(self, probe: str, given: Input | None, options: dict[str, Any], *, keep: bool) -> Result:
        """Raises MeasurementError if the probe fails or its totals are not those of `given`."""
        store = self._stores / f"{next(self._numbers)}.db"
        result = {"store": str(store), **start(probe, {"store": str(store), **options})}
        if not keep:
            store.unlink(missing_ok=True)
        if given is not None and result["sha256"] != given.sha256:
            raise MeasurementError(f"{probe}: wrong totals: {result['sha256']}, not {given.sha256}")
        return result


def start(probe: str, options: dict[str, Any]) -> Result:
    """Run one probe in a fresh interpreter. Raises MeasurementError if it fails."""
    command = [sys.executable, "-m", "bench.child", probe, json.dumps(options)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"{probe}: no result after {TIMEOUT_SECONDS:,} s") from None
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise MeasurementError(f"{probe}: exit status {done.returncode}, its error is above")
    result: Result = json.loads(lines[-1])
    return result
