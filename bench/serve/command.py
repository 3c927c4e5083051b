"""The command: measures the service, prints the table, and puts it where it belongs."""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.inputs import Inputs
from bench.machine import describe
from bench.runner import ROOT, MeasurementError
from bench.serve.cases import LARGE, SMALL, measure
from bench.serve.report import check_place, put, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and with --out put the table into a file; the exit status is 1 if a measurement failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.serve", description=__doc__)
    parser.add_argument("--small", action="store_true", help="sizes for a test: seconds, and no word about speed")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the generated inputs here")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="put the table between the markers of this file")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="measure the code there, too")
    options = parser.parse_args(arguments)
    if options.out is not None:
        try:
            check_place(options.out)
        except ValueError as error:
            parser.error(str(error))
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = options.keep or Path(tempfile.gettempdir()) / f"oncefold-bench-{user}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sizes = SMALL if options.small else LARGE
    checkouts, names = [ROOT], ["value"]
    if options.against is not None:
        checkouts, names = [options.against.resolve(), ROOT], [options.against.resolve().name, "this code"]
    with tempfile.TemporaryDirectory(prefix="serve-", dir=folder) as work:
        try:
            found = measure(sizes, Path(work).resolve(), Inputs(folder / "inputs", _say), checkouts)
        except MeasurementError as error:
            _say(str(error))
            return 1
        text = table(found, names, sizes, describe(folder), targets=not options.small)
    print(text)
    if options.out is not None:
        put(options.out, text)
    return 0


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
