"""`oncefold lab model`: every state of small scenarios of the AWS protocol, and what must hold in them."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from oncefold.cli.progress import ProgressLine
from oncefold.core.errors import OncefoldError
from oncefold.queries.render import formatting
from oncefold.queries.render.screen import Grid, Screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oncefold_lab.model.explore import Checked, Refuted
    from oncefold_lab.model.protocol import ExpectedFailure

_EPILOG = """\b
Examples:
  # the scenarios, the false claims and the mutations; well below a minute
  oncefold lab model
\b
  # larger scenarios too: minutes, and half a gigabyte of memory
  oncefold lab model --large
\b
  # what happens if ReduceLambda deletes deltas without their condition
  oncefold lab model --mutation free-delete
\b
  # why there is an outbox in the equation
  oncefold lab model --claim no-outbox

Two keys, two shards, two invocations of each function at once: every interleaving, every crash, lost answers, zombies,
batches that come again and are cut anew, tokens that are forgotten, stream records that are lost; and in economy mode
states that are written unread, and their changes that are netted once. docs/MODEL.md says which step is which line of
the protocol.

\b
Exit status: 0 all is as it must be, 1 a claim does not hold or a mutation goes unnoticed, 2 there is no such name."""


@click.command(epilog=_EPILOG)
@click.option("--large", is_flag=True, help="Explore the large scenarios too.")
@click.option("--mutation", metavar="NAME", help="Show the shortest schedule by which this mutation goes wrong.")
@click.option("--claim", metavar="NAME", help="Show the shortest schedule that refutes this false claim.")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document.")
@click.pass_context
def model(context: click.Context, large: bool, mutation: str | None, claim: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Explore every state of the AWS protocol in small scenarios, and check what must hold."""
    from oncefold_lab.model.mutations import FALSE_CLAIMS, MUTATIONS

    if sum(map(bool, (large, mutation, claim))) > 1:
        raise click.UsageError("--large, --mutation and --claim exclude each other: give one at a time.")
    if mutation is None and claim is None:
        as_expected = _all(MUTATIONS, FALSE_CLAIMS, large=large, as_json=as_json)
    elif mutation is not None:
        as_expected = _one(_named(MUTATIONS, mutation, "mutation"), as_json=as_json)
    else:
        as_expected = _one(_named(FALSE_CLAIMS, claim or "", "false claim"), as_json=as_json)
    if not as_expected:
        context.exit(1)


def _named(trials: Sequence[ExpectedFailure], name: str, what: str) -> ExpectedFailure:
    for trial in trials:
        if trial.name == name:
            return trial
    raise OncefoldError(f"there is no {what} {name!r}; there are {', '.join(trial.name for trial in trials)}")


def _one(trial: ExpectedFailure, *, as_json: bool) -> bool:
    """Show one schedule; whether there was one."""
    from oncefold_lab.model.explore import attempt

    with ProgressLine() as progress:
        found = attempt(trial, time.process_time, lambda states: progress("states", states))
    if as_json:
        click.echo(json.dumps(_trial_document(trial, found), indent=2))
        return found.refuted is not None
    screen = Screen()
    screen.line(f"{trial.name}: {trial.description}", "bold")
    if found.refuted is None:
        screen.line(f"NOTHING goes wrong in {formatting.many(found.states, 'state')}", "bold red")
        return False
    _show_schedule(found, found.refuted, screen)
    return True


def _show_schedule(found: Checked, refuted: Refuted, screen: Screen) -> None:
    from oncefold_lab.model.report import shards

    screen.line(f"not so: {refuted.claim.description}", "yellow")
    screen.line(f"a shortest schedule, found in {formatting.many(found.states, 'state')}:")
    for line in shards(found.scenario):
        screen.line(f"    {line}")
    for number, line in enumerate(refuted.schedule, 1):
        screen.line(f"{number:>3} {line}")
    for line in refuted.aftermath:
        screen.line(f"    {line}")


def _all(
    mutations: Sequence[ExpectedFailure], falsehoods: Sequence[ExpectedFailure], *, large: bool, as_json: bool
) -> bool:
    """Explore everything; whether all is as it must be."""
    from oncefold_lab.model.explore import attempt, check
    from oncefold_lab.model.scenarios import LARGE, SMALL

    with ProgressLine() as progress:

        def report(name: str, states: int) -> None:
            progress(f"states of {name!r}", states)

        scenarios = [
            check(scenario, time.process_time, progress=partial(report, scenario.name))
            for scenario in (*SMALL, *(LARGE if large else ()))
        ]
        tried = {
            trial.name: attempt(trial, time.process_time, partial(report, trial.name))
            for trial in (*falsehoods, *mutations)
        }
    if as_json:
        click.echo(json.dumps(_document(scenarios, mutations, falsehoods, tried), indent=2))
    else:
        _show(scenarios, mutations, falsehoods, tried, Screen())
    holds = all(found.refuted is None for found in scenarios)
    return holds and all(found.refuted is not None for found in tried.values())


def _show(
    scenarios: Sequence[Checked],
    mutations: Sequence[ExpectedFailure],
    falsehoods: Sequence[ExpectedFailure],
    tried: dict[str, Checked],
    screen: Screen,
) -> None:
    from oncefold_lab.model.protocol import TRUE

    numbers = ["states", "steps", "depth", "ends", "CPU seconds"]
    grid = Grid(["scenario", *numbers], frozenset(numbers))
    for found in scenarios:
        sizes = (found.states, found.transitions, found.depth, found.ends)
        grid.add(found.scenario.name, *map(formatting.number, sizes), f"{found.seconds:.1f}")
    screen.grid(grid)
    wrong = [found for found in scenarios if found.refuted is not None]
    for found in wrong:
        assert found.refuted is not None
        screen.line(f"WRONG in the scenario {found.scenario.name!r}", "bold red")
        _show_schedule(found, found.refuted, screen)
    if not wrong:
        screen.line(f"in all {formatting.many(sum(found.states for found in scenarios), 'state')}:", "green")
        for claim in TRUE:
            screen.line(f"  {claim.name + ':':<12}{claim.description}")
    screen.line()
    _show_trials("false claim", falsehoods, tried, screen)
    screen.line()
    _show_trials("mutation", mutations, tried, screen)
    screen.line("to see a schedule: oncefold lab model --claim NAME, or --mutation NAME", "dim")


def _show_trials(what: str, trials: Sequence[ExpectedFailure], tried: dict[str, Checked], screen: Screen) -> None:
    grid = Grid([what, "schedule", "states", ""], frozenset(["schedule", "states"]))
    for trial in trials:
        found = tried[trial.name]
        steps = "NONE" if found.refuted is None else formatting.many(len(found.refuted.schedule), "step")
        breaks = "" if trial.claim.name == trial.name else f" (breaks: {trial.claim.name})"
        grid.add(trial.name, steps, formatting.number(found.states), trial.description + breaks)
    screen.grid(grid)


def _document(
    scenarios: Sequence[Checked],
    mutations: Sequence[ExpectedFailure],
    falsehoods: Sequence[ExpectedFailure],
    tried: dict[str, Checked],
) -> dict[str, Any]:
    from oncefold_lab.model.protocol import TRUE

    return {
        "claims": {claim.name: claim.description for claim in TRUE},
        "scenarios": [_scenario_document(found) for found in scenarios],
        "false_claims": [_trial_document(trial, tried[trial.name]) for trial in falsehoods],
        "mutations": [_trial_document(trial, tried[trial.name]) for trial in mutations],
    }


def _scenario_document(found: Checked) -> dict[str, Any]:
    return {
        "name": found.scenario.name,
        "about": found.scenario.about,
        "states": found.states,
        "transitions": found.transitions,
        "depth": found.depth,
        "ends": found.ends,
        "cpu_seconds": round(found.seconds, 3),
        "steps": {str(op): number for op, number in sorted(found.steps.items())},
        "refuted": _refuted_document(found.refuted),
    }


def _trial_document(trial: ExpectedFailure, found: Checked) -> dict[str, Any]:
    return {
        "name": trial.name,
        "about": trial.description,
        "scenario": trial.scenario.name,
        "states": found.states,
        "refuted": _refuted_document(found.refuted),
    }


def _refuted_document(refuted: Refuted | None) -> dict[str, Any] | None:
    if refuted is None:
        return None
    return {
        "claim": refuted.claim.description,
        "schedule": list(refuted.schedule),
        "aftermath": list(refuted.aftermath),
    }
