"""The command: makes the input, runs each pipeline on it, asserts the totals, and writes the table."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tests.aws.tables import make_stream, make_tables

from bench.aws.cold_start import cold_starts
from bench.aws.contention import SEEDS, run_contention
from bench.aws.economy import run_units, units_table
from bench.aws.engines import engines
from bench.aws.pipelines import Result, run_oncefold, run_workshop
from bench.aws.report import cold_start_table, contention_table, table, write_between
from bench.aws.root import RootResult, run_root
from oncefold.aws.connect import client
from oncefold.generate import Workload, generate, truth

NAMES_STREAM = "bench-input"
EVENTS = 10_000
BATCHES = (100, 500)
"""Records of a batch of StateLambda: the workshop's, and the template's default."""
_PUT = 500
_DEFAULT_START_SECONDS = 1_616_413_258
_WINDOW_SECONDS = 59


def workload(events: int) -> Workload:
    """The workshop's hard mode: 5 duplicates in 40, 3 % modifications, some of them late; within its 60 seconds."""
    spacing = _WINDOW_SECONDS * 1_000_000_000 // events // 100_000 * 100_000
    return Workload(count=events, duplicates=0.125, modifications=0.03, out_of_order=0.01, spacing=spacing, seed=11)


def run(events: int) -> tuple[str, list[Result], list[RootResult]]:
    """The engine, all pipelines on it, and hot roots; raises AssertionError where totals are not what they must be."""
    load = workload(events)
    lines = b"".join(generate(load)).splitlines()
    right = {path: node["value"] for path, node in truth(load)["nodes"].items() if path}
    with engines() as engine:
        _send(lines)
        dynamodb = client("dynamodb")
        now = _DEFAULT_START_SECONDS + _WINDOW_SECONDS + 1.0
        results = [run_workshop(NAMES_STREAM, events, now)]
        results += [
            run_oncefold(NAMES_STREAM, events, batch, lambda names: make_tables(names, dynamodb)) for batch in BATCHES
        ]
        roots = [
            run_root(tree, events, leaves, reducers, lambda names: make_tables(names, dynamodb))
            for tree, leaves in (("12 leaves", 12), ("a leaf for each event", events))
            for reducers in (1, 4)
        ]
    for result in results:
        assert result.totals == right, f"{result.name}: the totals are wrong"
    return engine, results, roots


def _send(lines: Sequence[bytes]) -> None:
    kinesis = client("kinesis")
    make_stream(NAMES_STREAM, kinesis, shards=1)
    for start in range(0, len(lines), _PUT):
        records = [{"Data": line, "PartitionKey": "one"} for line in lines[start : start + _PUT]]
        assert kinesis.put_records(StreamName=NAMES_STREAM, Records=records)["FailedRecordCount"] == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and with --out put the table into a file."""
    parser = argparse.ArgumentParser(prog="python -m bench.aws", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="messages of the workshop's kind")
    parser.add_argument("--contention", action="store_true", help="hot keys on many shards, in virtual time, instead")
    parser.add_argument("--cold-start", action="store_true", help="what importing the functions' zip takes, instead")
    parser.add_argument("--units", action="store_true", help="what an event costs in both modes, instead")
    parser.add_argument("--out", type=Path, help="a Markdown file with the marks of this table")
    options = parser.parse_args(arguments)
    if options.cold_start:
        print(cold_start_table(cold_starts()))
        return 0
    if options.contention:
        print(
            contention_table([run_contention(by_key=by_key, seed=seed) for by_key in (False, True) for seed in SEEDS])
        )
        return 0
    if options.units:
        with engines() as engine:
            print(f"{options.events:,} events on {engine}, each a key of its own:\n")
            print(units_table(run_units(make_tables, options.events)))
        return 0
    text = table(*run(options.events))
    print(text)
    if options.out:
        write_between(options.out, text)
    return 0
