"""Run every peer on one file, hold their totals equal and write one table.

Each peer is a process of its own, one after the other. Of several runs the fastest counts, so that what else the
machine was doing weighs least. The exit status is 1 when a peer failed or its totals differ.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STDLIB_PEERS = (("plain_dict.py",), ("sqlite_upsert.py",))
PEERS = (
    ("duckdb_merge.py",),
    ("duckdb_query.py",),
    ("sqlite_upsert.py",),
    ("bytewax_flow.py",),
    ("bytewax_flow.py", "--recovery"),
    ("bytewax_flow.py", "--buckets"),
    ("bytewax_flow.py", "--buckets", "--recovery"),
    ("pathway_table.py",),
    ("pathway_table.py", "--persistence"),
    ("plain_dict.py", "--orjson"),
    ("plain_dict.py",),
)
BASELINES = ("oncefold", "dict")
"""What the ratios are relative to: the first of these that was measured."""
TIMEOUT_SECONDS = 3600

Result = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A peer that gave no result."""

    peer: str
    error: str


def main() -> int:
    options = parse()
    if not options.input.is_file():
        sys.exit(f"{options.input}: no such file; give events as JSON Lines")
    results, failures = collect(options.input, options.repeat)
    results = measured(options.measured) + results
    failures += disagreements(results)
    text = report(fastest(results), failures, options.repeat)
    print(text, end="")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 1 if failures else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input", type=Path, help="events as JSON Lines")
    parser.add_argument("--measured", type=Path, help="results already measured, one JSON object per line")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each peer, the fastest counts (default: 1)")
    parser.add_argument("--out", type=Path, help="write the table to this file too")
    return parser.parse_args()


def measured(path: Path | None) -> list[Result]:
    """Read results that something else printed."""
    if path is None:
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def collect(path: Path, repeat: int) -> tuple[list[Result], list[Failure]]:
    """Run every peer so many times; return all results and all failures."""
    results, failures = [], []
    for command in PEERS:
        print(f"running {' '.join(command)}", file=sys.stderr, flush=True)
        for _ in range(repeat):
            outcome = run(command, path)
            if isinstance(outcome, Failure):
                failures.append(outcome)
                break
            results.append(outcome)
    return results, failures


def run(command: tuple[str, ...], path: Path) -> Result | Failure:
    """Run one peer in a process of its own and return the line it printed."""
    script, *switches = command
    name = " ".join(command)
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / script), str(path), *switches],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Failure(name, f"no result after {TIMEOUT_SECONDS} s")
    if done.returncode:
        return Failure(name, portable(last_line(done.stderr)) or f"exit status {done.returncode}")
    try:
        result = json.loads(last_line(done.stdout))
    except ValueError:
        return Failure(name, "printed no result")
    return result if isinstance(result, dict) else Failure(name, "printed no result")


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def portable(error: str) -> str:
    """Leave the paths of this machine out of what is written to the table."""
    return error.replace(f"{HERE.resolve()}{os.sep}", "").replace(f"{HERE}{os.sep}", "")


def disagreements(results: list[Result]) -> list[Failure]:
    """Name the peers that read other events, or reached other totals, than the baseline."""
    expected = baseline(results)
    if expected is None:
        return []
    wrong: dict[str, Failure] = {}
    for result in results:
        peer = result["peer"]
        for what, field in (("events", "events"), ("totals", "sha256")):
            if result[field] != expected[field]:
                error = f"other {what} than {expected['peer']}: {result[field]}, not {expected[field]}"
                wrong.setdefault(peer, Failure(peer, error))
    return list(wrong.values())


def fastest(results: list[Result]) -> list[Result]:
    """Keep each peer's fastest run, the fastest peer first."""
    kept: dict[str, Result] = {}
    for result in sorted(results, key=rate, reverse=True):
        kept.setdefault(result["peer"], result)
    return list(kept.values())


def baseline(results: list[Result]) -> Result | None:
    """Return the result the others are compared with."""
    by_name = {result["peer"]: result for result in results}
    return next((by_name[name] for name in BASELINES if name in by_name), results[0] if results else None)


def report(results: list[Result], failures: list[Failure], repeat: int) -> str:
    """Return the comparison as markdown."""
    expected = baseline(results)
    lines = [*heading(expected, repeat), "", *table(results, failures, expected), ""]
    if any(not result["exact"] for result in results):
        lines += ["A peer that is not exact sums binary floats; its totals were rounded to cents to be compared.", ""]
    return "\n".join(lines)


def heading(expected: Result | None, repeat: int) -> list[str]:
    """Say what was measured, and on what."""
    machine = f"{cores()} cores ({cpu_model()}), {platform.system()}, Python {platform.python_version()}"
    if expected is None:
        return [f"No peer gave a result. {machine}."]
    runs = "one run" if repeat == 1 else f"the fastest of {repeat} runs"
    return [
        f"{expected['events']:,} events, {runs} each, on {machine}.",
        f"The SHA-256 of the totals is `{expected['sha256']}`.",
    ]


def table(results: list[Result], failures: list[Failure], expected: Result | None) -> list[str]:
    """Return one row per peer in the order given, the failures last."""
    name = expected["peer"] if expected else "baseline"
    base = rate(expected) if expected else 1.0
    failed = {failure.peer for failure in failures}
    rows = [
        f"| peer | version | events/s | times {name} | survives a power cut | exact | exactly once after a crash |",
        "|---|---|--:|--:|---|---|---|",
    ]
    rows += [
        f"| {result['peer']} | {result['version']} | {rate(result):,.0f} | {rate(result) / base:.2f} "
        f"| {yes(result['durable'])} | {yes(result['exact'])} | {result['exactly_once_after_crash']} |"
        for result in results
        if result["peer"] not in failed
    ]
    escaped = [(failure.peer, failure.error.replace("|", "\\|")) for failure in failures]
    return rows + [f"| {peer} | failed | | | | | {error} |" for peer, error in escaped]


def rate(result: Result) -> float:
    """Return events per second."""
    return float(result["events"]) / float(result["seconds"])


def yes(value: bool) -> str:  # noqa: FBT001
    return "yes" if value else "no"


def cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """Return the CPU's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
