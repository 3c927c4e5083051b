"""`oncefold lab disk`: the embedded engine on a disk that fails in every way, seed by seed."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from oncefold.cli.progress import ProgressLine
from oncefold.queries.render import formatting

if TYPE_CHECKING:
    from oncefold_lab.embedded.search import DiskSearchResult, SearchOptions, ShrunkCase
    from oncefold_lab.embedded.trial import DiskTrialResult

_SEEDS = 200

_EPILOG = """\b
Examples:
  # two hundred seeds, on all cores
  oncefold lab disk
\b
  # as many as half an hour allows, from another beginning
  oncefold lab disk --first 100000 --minutes 30
\b
  # one seed again, life by life
  oncefold lab disk --replay 17
\b
  # disks that report a sync and do none: what they lose is seen to be lost
  oncefold lab disk --lying

A seed draws a pipeline, a few dozen events, the engine's limits, a disk and what goes wrong with it. After each life
of the process the store is read with the standard library's SQLite: it has to be whole commits, exactly, with
every one that was acknowledged. When faults have stopped, all of it has to be there. docs/LAB.md has the rest.

\b
Exit status: 0 no seed failed, 1 one did, 2 the search cannot be made."""


@click.command(epilog=_EPILOG)
@click.option("--seeds", type=click.IntRange(1), help=f"How many seeds.  [default: {_SEEDS}, or no end with --minutes]")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), help="Begin no other seed after so many minutes."
)
@click.option("--jobs", type=click.IntRange(1), help="How many processes.  [default: one for each core]")
@click.option("--lying", is_flag=True, help="Let syncs lie, too: report success and do nothing.")
@click.option("--replay", type=click.IntRange(0), metavar="SEED", help="Try this seed alone and show its lives.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
def disk(
    seeds: int | None,
    first: int,
    minutes: float | None,
    jobs: int | None,
    lying: bool,  # noqa: FBT001
    replay: int | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Search for a seed under which a failing disk leaves a store wrong."""
    from oncefold_lab.embedded.search import SearchOptions

    seconds = None if minutes is None else minutes * 60
    wanted = SearchOptions(first, seeds if seeds or minutes else _SEEDS, seconds, jobs or os.cpu_count() or 1, lying)
    if replay is not None:
        wanted = replace(wanted, first=replay, seeds=1, jobs=1)
    failed = _search(wanted, as_json=as_json) if replay is None else _replay(wanted, as_json=as_json)
    if failed:
        click.get_current_context().exit(1)


def _search(wanted: SearchOptions, *, as_json: bool) -> bool:
    from oncefold_lab.embedded.search import search, try_seed

    began = time.monotonic()
    with ProgressLine() as progress:
        found = search(wanted, lambda so_far: progress("seeds", so_far.seeds))
    took = time.monotonic() - began
    smaller = None
    if found.failures:
        smaller = _shrunk(try_seed(min(found.failures), wanted.lies), wanted)
    if as_json:
        click.echo(json.dumps(_document(found, wanted, took, smaller)))
    elif smaller is None:
        _show(found, wanted, took)
    else:
        _show_failure(smaller, found.failures[smaller.case.seed], wanted)
    return bool(found.failures)


def _replay(wanted: SearchOptions, *, as_json: bool) -> bool:
    from oncefold_lab.embedded.search import try_seed

    result = try_seed(wanted.first, wanted.lies)
    smaller = _shrunk(result, wanted) if result.failure else None
    if as_json:
        document = {"seed": result.seed, "failure": result.failure or None, "digest": result.digest}
        coverage = {"lives": list(result.log), "coverage": dict(sorted(result.happened.items()))}
        click.echo(json.dumps({**document, **coverage, "shrunk": _as_document(smaller)}))
        return bool(result.failure)
    _show_lives(result)
    if smaller is None:
        click.echo(f"seed {result.seed} is exact after {_work(result)}; digest of every step: {result.digest}")
    else:
        _show_failure(smaller, result.failure, wanted)
    return bool(result.failure)


def _shrunk(failed: DiskTrialResult, wanted: SearchOptions) -> ShrunkCase:
    from oncefold_lab.embedded.case import draw
    from oncefold_lab.embedded.search import shrink

    with ProgressLine() as progress:
        report = lambda trials: progress("smaller cases tried", trials)  # noqa: E731 - as short as it is
        return shrink(draw(failed.seed, lies=wanted.lies), failed, progress=report)


def _show(found: DiskSearchResult, wanted: SearchOptions, took: float) -> None:
    click.echo(f"{formatting.many(found.seeds, 'seed')} from {wanted.first:,} on in {took:,.1f} s, and none failed")
    click.echo(f"{_work(found)}; what happened:")
    for name, number in sorted(found.happened.items()):
        click.echo(f"  {number:>12,} {name}")


def _work(done: DiskSearchResult | DiskTrialResult) -> str:
    counted = ((done.lives, "life"), (done.commits, "commit"), (done.steps, "step"))
    return ", ".join(formatting.many(number, noun) for number, noun in counted).replace("lifes", "lives")


def _show_failure(smaller: ShrunkCase, failure: str, wanted: SearchOptions) -> None:
    seed = smaller.case.seed
    click.echo(f"seed {seed} FAILED: {formatting.printable(failure)}")
    click.echo(
        f"shrunk in {formatting.many(smaller.trials, 'trial')} to {formatting.many(smaller.case.faults, 'fault')}:"
    )
    for line in smaller.schedule:
        click.echo(f"  {formatting.printable(line)}")
    click.echo("what happens then:")
    _show_lives(smaller.result)
    click.echo(f"to replay it: {_command(seed, wanted)}")


def _show_lives(result: DiskTrialResult) -> None:
    for number, life in enumerate(result.log, 1):
        click.echo(f"{number:>3} {formatting.printable(life)}")


def _command(seed: int, wanted: SearchOptions) -> str:
    return f"oncefold lab disk --replay {seed}" + (" --lying" if wanted.lies else "")


def _document(
    found: DiskSearchResult, wanted: SearchOptions, took: float, smaller: ShrunkCase | None
) -> dict[str, Any]:
    return {
        "first": wanted.first,
        "seeds": found.seeds,
        "seconds": round(took, 3),
        "lives": found.lives,
        "commits": found.commits,
        "steps": found.steps,
        "failures": [
            {"seed": seed, "failure": failure, "replay": _command(seed, wanted)}
            for seed, failure in sorted(found.failures.items())
        ],
        "coverage": dict(sorted(found.happened.items())),
        "shrunk": _as_document(smaller),
    }


def _as_document(smaller: ShrunkCase | None) -> dict[str, Any] | None:
    if smaller is None:
        return None
    failure = {"seed": smaller.case.seed, "failure": smaller.result.failure, "trials": smaller.trials}
    return {**failure, "schedule": list(smaller.schedule), "lives": list(smaller.result.log)}
