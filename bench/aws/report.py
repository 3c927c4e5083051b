"""The table, with ratios to the workshop's pipeline in the same run."""

from collections.abc import Sequence
from pathlib import Path

from bench.aws.cold_start import ColdStart
from bench.aws.contention import Contention
from bench.aws.pipelines import Result
from bench.aws.root import RootResult
from bench.machine import cores, cpu_model

BEGIN, END = (
    "<!-- aws benchmark: written by `python -m bench.aws --out`, do not edit -->",
    "<!-- end of aws benchmark -->",
)


def table(engine: str, results: Sequence[Result], roots: Sequence[RootResult]) -> str:
    """One line a pipeline; the first one is what the others are compared with."""
    base = results[0]
    lines = [
        (
            f"{base.events:,} events of the workshop's hard mode, one run on {engine}, "
            f"{cores()} cores ({cpu_model()}). "
            "Units are per 1,000 events."
        ),
        "",
        "| pipeline | events per function-second | times the workshop | calls | units written, read | in functions |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for result in results:
        stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in result.seconds.items())
        lines.append(
            f"| {result.name}, {result.version} | {result.rate:,.0f} | {result.rate / base.rate:.1f} "
            f"| {result.calls:,} | {_per_thousand(result)} | {stages} |"
        )
    lines += [
        "",
        "An outbox worked off by reducers, all of which write the root:",
        "",
        "| tree | reducers at once | events/s | writes of the root per 1,000 events | overtaken or refused | retries |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {root.tree} | {root.reducers} | {root.events / root.seconds:,.0f} "
        f"| {root.root_writes / root.events * 1000:.2f} | {root.conflicts} | {root.retries} |"
        for root in roots
    ]
    return "\n".join(lines)


def contention_table(runs: Sequence[Contention]) -> str:
    """One line a run."""
    lines = [
        "| records go to shards | events | state writes tried | done | transactions refused |",
        "|---|--:|--:|--:|--:|",
    ]
    lines += [f"| {run.partition} | {run.events:,} | {run.tried:,} | {run.done:,} | {run.refused} |" for run in runs]
    return "\n".join(lines)


def cold_start_table(starts: Sequence[ColdStart]) -> str:
    """One line without the libraries that Lambda brings, and one with them."""
    lines = ["| import of the zip | processor time | elapsed |", "|---|--:|--:|"]
    lines += [
        f"| {start.libraries} | {start.processor_seconds * 1000:.0f} ms | {start.seconds * 1000:.0f} ms |"
        for start in starts
    ]
    return "\n".join(lines)


def _per_thousand(result: Result) -> str:
    written, read = (units / result.events * 1000 for units in (result.write_units, result.read_units))
    return f"{written:,.0f}, {read:,.0f}"


def write_between(path: Path, text: str) -> None:
    """Replace what is between the marks. Raises ValueError where there are none."""
    whole = path.read_text()
    before, _, rest = whole.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{path}: no marks for the table, which is between {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
