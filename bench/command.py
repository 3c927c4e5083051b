"""The command line: which cases, how large, and where the results go."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.cases import CASES, Bench, Found
from bench.inputs import Inputs
from bench.machine import describe
from bench.report import Report, Row, check_place, put
from bench.runner import MeasurementError, Result, Runner, start
from bench.sizes import LARGE, SMALL

SMALL_AT_ONCE: Final = 2
"""Cases side by side at the small size, whose times say nothing."""

_EPILOG: Final = """\
Inputs are generated once and kept in a folder under the system's temporary one, or in the one that --keep names,
where the stores then stay too. The large sizes need about 30 GB of disk and 6 GB of memory.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status is 1 if a measurement failed or totals were wrong."""
    options = _parse(arguments)
    with _folder(options.keep) as (folder, stores):
        if options.input is not None:
            return _one_input(options.input, stores, options.repeat, as_json=options.json)
        return _cases(options, folder, stores)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, epilog=_EPILOG)
    parser.add_argument("--small", action="store_true", help="sizes for a test: seconds, and nothing said about speed")
    parser.add_argument("--only", action="append", choices=CASES, metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--input", type=Path, metavar="FILE", help="the jsonl case alone, on a file of yours")
    parser.add_argument("--json", action="store_true", help="with --input: the result as JSON, as bench/peers has it")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="runs; the fastest counts (default: 1)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work here, and keep the stores")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="put the table between the markers of this file")
    options = parser.parse_args(arguments)
    if options.repeat < 1:
        parser.error("--repeat is 1 or more")
    if options.input is not None and not options.input.is_file():
        parser.error(f"{options.input}: no such file")
    if options.out is not None:
        try:
            check_place(options.out)
        except ValueError as error:
            parser.error(str(error))
    return options


@contextmanager
def _folder(kept: Path | None) -> Iterator[tuple[Path, Path]]:
    """The work folder, and one for the stores of this run."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = kept or Path(tempfile.gettempdir()) / f"oncefold-bench-{user}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stores = Path(tempfile.mkdtemp(prefix="stores-", dir=folder.resolve()))
    try:
        yield folder.resolve(), stores
    finally:
        if kept is None:
            shutil.rmtree(stores, ignore_errors=True)


def _say(text: str) -> None:
    # One write: the cases of a small run speak from two threads.
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _cases(options: argparse.Namespace, folder: Path, stores: Path) -> int:
    sizes = SMALL if options.small else LARGE
    bench = Bench(
        sizes, Inputs(folder / "inputs", _say), Runner(stores, options.repeat, _say, keep=options.keep is not None)
    )
    report = Report(describe(folder))
    with ThreadPoolExecutor(SMALL_AT_ONCE if options.small else 1) as pool:
        results = list(pool.map(lambda name: _case(name, bench), options.only or CASES))
    for found in results:
        report.rows.extend(found.rows)
        report.details.extend([found.details] if found.details else [])
    print(report.text(), end="")
    if options.out is not None:
        put(options.out, report.text())
    return 1 if any(found.failed for found in results) else 0


def _case(name: str, bench: Bench) -> Found:
    """What a case found, or a row that says that it failed."""
    _say(f"case {name}")
    try:
        return CASES[name](bench)
    except (MeasurementError, ValueError) as error:
        _say(f"{name}: {error}")
        return Found([Row(name, "failed")], failed=True)


def _one_input(file: Path, stores: Path, repeat: int, *, as_json: bool) -> int:
    """The jsonl case on a file without known totals: the caller compares them."""
    try:
        runs = [
            start("fold", {"files": [str(file.resolve())], "store": str(stores / f"{number}.db")})
            for number in range(repeat)
        ]
    except MeasurementError as error:
        _say(str(error))
        return 1
    result = min(runs, key=lambda run: float(run["seconds"]))
    if as_json:
        print(json.dumps(_as_peer(result)))
    else:
        print(f"{result['events'] / result['seconds']:,.0f} events/s, totals {result['sha256']}")
    return 0


def _as_peer(result: Result) -> Result:
    """What `bench/peers/compare.py` reads."""
    return {
        "peer": "oncefold",
        "version": version("oncefold"),
        "durable": True,
        "exact": True,
        "exactly_once_after_crash": "yes, because positions, state and totals are one transaction",
        "events": result["events"],
        "seconds": round(result["seconds"], 6),
        "sha256": result["sha256"],
    }
