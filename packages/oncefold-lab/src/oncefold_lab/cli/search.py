"""`oncefold lab search`: many seeds, each a stack with everything going wrong, and what came of it."""

from __future__ import annotations

import json
import os
import shlex
import time
from typing import TYPE_CHECKING, Any

import click

from oncefold.cli.progress import ProgressLine
from oncefold.core.errors import OncefoldError
from oncefold.queries.render import formatting

if TYPE_CHECKING:
    from oncefold_lab.search.search import FaultSearchResult
    from oncefold_lab.search.shrink import ShrunkScenario
    from oncefold_lab.search.trial import TrialResult

SYSTEM = "oncefold_lab.search.oncefold:Oncefold"
_SEEDS = 200

_EPILOG = """\b
Examples:
  # two hundred seeds, on all cores
  oncefold lab search
\b
  # as many as half an hour allows, from another beginning
  oncefold lab search --first 100000 --minutes 30
\b
  # one seed again, every step of it
  oncefold lab search --replay 17
\b
  # counters of your own functions, once by version (docs/ONCE.md)
  oncefold lab search --system oncefold_lab.once.systems:ByVersion
\b
  # a known-wrong variant: the search finds it, and makes it small
  oncefold lab search --system oncefold_lab.planted.reduce_bugs:TokenOnly

A seed draws a pipeline, its stack, a few dozen events and what goes wrong. After every write, totals and outbox are
compared with what the states contribute; when nothing goes wrong any more, all has to be exact within two virtual
hours. The same seed does the same, to the byte, on every machine; docs/LAB.md has the rest.

\b
Exit status: 0 no seed failed, 1 one did, 2 the search cannot be made."""


@click.command(epilog=_EPILOG)
@click.option("--seeds", type=click.IntRange(1), help=f"How many seeds.  [default: {_SEEDS}, or no end with --minutes]")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="Begin no other seed after so many minutes."
)
@click.option("--jobs", type=click.IntRange(1), help="How many processes.  [default: one for each core]")
@click.option("--replay", type=click.IntRange(0), metavar="SEED", help="Run this seed alone and show every step.")
@click.option("--shrunk", metavar="CUTS", default="", help="With --replay: what the search had left out.")
@click.option(
    "--system", metavar="MODULE:CLASS", default=SYSTEM, help="What is tested.  [default: Oncefold's own stack]"
)
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
def search(
    seeds: int | None,
    first: int,
    minutes: float | None,
    jobs: int | None,
    replay: int | None,
    shrunk: str,
    system: str,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Search for a seed under which a total is wrong."""
    if shrunk and replay is None:
        raise OncefoldError("--shrunk says what is left of a seed: give the seed with --replay")
    failed = (
        _search(seeds, first, minutes, jobs or os.cpu_count() or 1, system, as_json=as_json)
        if replay is None
        else _replay(replay, shrunk, system, as_json=as_json)
    )
    if failed:
        click.get_current_context().exit(1)


def _search(
    seeds: int | None, first: int, minutes: float | None, jobs: int, system: str, *, as_json: bool
) -> bool:  # fmt: skip
    from oncefold_lab.search.search import search as search_many

    began = time.monotonic()
    most = seeds if seeds or minutes else _SEEDS
    seconds = None if minutes is None else minutes * 60
    with ProgressLine() as progress:
        found = search_many(first, most, seconds, jobs, system, lambda so_far: progress("seeds", so_far.seeds))
    took = time.monotonic() - began
    smaller = _shrunk(min(found.failures), system) if found.failures else None
    if as_json:
        click.echo(json.dumps(_document(found, first, system, took, smaller)))
    elif smaller is None:
        click.echo(f"{formatting.many(found.seeds, 'seed')} from {first:,} on in {took:,.1f} s, and none failed")
        _show_coverage(found)
    else:
        _show_failure(smaller, found.failures[smaller.result.scenario.seed], system)
    return bool(found.failures)


def _shrunk(seed: int, system: str) -> ShrunkScenario:
    from oncefold_lab.search.search import load_system
    from oncefold_lab.search.shrink import Shrinker
    from oncefold_lab.search.trial import draw_for

    build = load_system(system)
    with ProgressLine() as progress:
        return Shrinker(draw_for(build, seed), build, lambda runs: progress("smaller runs tried", runs)).shrink()


def _show_coverage(found: FaultSearchResult) -> None:
    click.echo("what happened:")
    for name, number in sorted(found.coverage.items()):
        click.echo(f"  {number:>12,} {name}")


def _show_failure(smaller: ShrunkScenario, failure: str, system: str) -> None:
    result = smaller.result
    click.echo(f"seed {result.scenario.seed} FAILED: {formatting.printable(failure)}")
    click.echo(f"shrunk in {formatting.many(smaller.runs, 'run')} to {_size(result)}:")
    _show_steps(result)
    click.echo(f"to replay it: {_command(smaller, system)}")


def _size(result: TrialResult) -> str:
    scenario = result.scenario
    lines = sum(len(send.lines) for send in scenario.sends)
    parts = [formatting.many(lines, "line"), formatting.many(len(result.admitted), "fault")]
    return ", ".join([*parts, formatting.many(len(scenario.incidents), "incident")])


def _command(smaller: ShrunkScenario, system: str) -> str:
    parts = ["oncefold", "lab", "search", "--replay", str(smaller.result.scenario.seed)]
    parts += ["--shrunk", str(smaller.cuts)] if str(smaller.cuts) else []
    return shlex.join([*parts, *(["--system", system] if system != SYSTEM else [])])


def _replay(seed: int, shrunk: str, system: str, *, as_json: bool) -> bool:
    from oncefold_lab.search.search import load_system
    from oncefold_lab.search.shrink import Cuts
    from oncefold_lab.search.trial import draw_for, run

    build = load_system(system)
    result = run(Cuts.parse(shrunk).of(draw_for(build, seed)), build)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "seed": seed,
                    "shrunk": shrunk,
                    "failure": result.failure,
                    "virtual_seconds": result.seconds,
                    "coverage": result.coverage,
                    "trace": result.trace(),
                }
            )
        )
        return result.failure is not None
    _show_steps(result)
    if result.failure is None:
        click.echo(f"seed {seed} is exact after {result.seconds:,.0f} virtual seconds: {_size(result)}")
    else:
        click.echo(f"seed {seed} FAILED: {formatting.printable(result.failure)}")
    return result.failure is not None


def _show_steps(result: TrialResult) -> None:
    for send in result.scenario.sends:
        for key, lines in send.records:
            for line in lines:
                data = line.data.decode(errors="backslashreplace")
                click.echo(f"{send.at:12.6f} sent under {formatting.printable(key)!r}: {formatting.printable(data)}")
    for step in result.trace():
        click.echo(formatting.printable(step))


def _document(
    found: FaultSearchResult, first: int, system: str, took: float, smaller: ShrunkScenario | None
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "first": first,
        "seeds": found.seeds,
        "seconds": round(took, 3),
        "failures": [{"seed": seed, "failure": words_} for seed, words_ in sorted(found.failures.items())],
        "coverage": dict(sorted(found.coverage.items())),
    }
    if smaller is not None:
        document["shrunk"] = {
            "seed": smaller.result.scenario.seed,
            "cuts": str(smaller.cuts),
            "failure": smaller.result.failure,
            "runs": smaller.runs,
            "replay": _command(smaller, system),
            "trace": smaller.result.trace(),
        }
    return document
