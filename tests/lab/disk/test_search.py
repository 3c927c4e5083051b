"""The engine on failing disks, seed by seed; and that the search is repeatable, and makes small what it finds."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from oncefold.core.definition_toml import parse_toml
from oncefold.core.event import Event
from oncefold.store import opening, writer
from oncefold_lab.disk.faults import DiskFault, FaultKind, Operation, Survival
from oncefold_lab.embedded.case import Case, Ending, Life, draw
from oncefold_lab.embedded.inputs import Inputs
from oncefold_lab.embedded.oracle import totals
from oncefold_lab.embedded.search import DiskSearchResult, SearchOptions, search, shrink, try_seed
from oncefold_lab.embedded.trial import DiskTrialResult, attempt
from oncefold_lab.embedded.workload import pipeline_of
from tests.tools import reference
from tests.tools.sizes import full_only, is_full, sized

SEEDS = sized(4, 60)
LYING_SEEDS = sized(2, 12)


def searched(wanted: SearchOptions) -> DiskSearchResult:
    return search(wanted, lambda so_far: None)


def test_no_seed_fails_and_every_kind_of_fault_happens() -> None:
    found = searched(SearchOptions(0, SEEDS, None, jobs=1))
    assert found.failures == {}
    assert found.seeds == SEEDS
    faults = {f"{operation} error" for operation in Operation} - {"open error", "delete error", "access error"}
    faults |= {"write full", "write torn", "lock busy", "sync forgotten", "kill", "power"}
    faults |= {f"power lost, {survival} survived" for survival in Survival}
    outcomes = {"inserted", "corrected", "deleted", "conflict_won", "duplicate", "stale", "conflict_lost", "rejected"}
    assert found.commits > 8 * SEEDS
    if is_full():
        assert faults | outcomes <= {name for name, number in found.happened.items() if number}
        assert found.happened["commits forgotten by retention"] > SEEDS // 4


def test_what_a_lying_sync_loses_is_seen_to_be_lost() -> None:
    found = searched(SearchOptions(0, LYING_SEEDS, None, jobs=1, lies=True))
    assert found.failures == {}
    assert found.happened["sync lie"] > LYING_SEEDS


def _lied_to(seed: int) -> Case:
    """All syncs lie from the creation on, and then the power goes."""
    faults = (DiskFault(FaultKind.LIE, Operation.SYNC, 0, 10_000),)
    return replace(draw(seed), lives=(Life(faults, 100, Ending.POWER, Survival.SECTORS),))


def test_a_store_that_was_lied_to_all_along_is_lost_and_reported() -> None:
    result = attempt(_lied_to(4))
    assert result.failure == ""
    reported = [name for name in result.happened if name.startswith("after a lying sync") and "nothing" not in name]
    assert reported


def test_the_same_seed_takes_the_same_steps() -> None:
    for seed in sized((3,), (3, 11)):
        one, other = try_seed(seed, lies=False), try_seed(seed, lies=False)
        assert one == other
        assert one.steps > 100
    assert try_seed(3, lies=False).digest != try_seed(4, lies=False).digest


@full_only("2 s")
def test_the_same_seed_takes_the_same_steps_in_another_process() -> None:
    script = "from oncefold_lab.embedded.search import try_seed; print(try_seed(3, False).digest)"
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == try_seed(3, lies=False).digest


def test_the_truth_is_that_of_the_reference_model() -> None:
    for seed in range(20):
        case = draw(seed)
        pipeline = pipeline_of(case.definition)
        events: list[Event] = []
        for step in Inputs(pipeline, case.workload).steps:
            events += [event for event in step.events if event is not None]
        reference.assert_equal(reference.totals(pipeline, events), totals(pipeline, events), pipeline)


def test_the_shapes_are_valid_and_many() -> None:
    definitions = {draw(seed).definition for seed in range(200)}
    assert len(definitions) > 50
    assert all(parse_toml(definition).name == "lab" for definition in definitions)


def test_a_failure_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(connection: object, *rest: object) -> None:
        opening.prepare(connection, *rest)  # type: ignore[arg-type]
        connection.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]

    monkeypatch.setattr(writer, "prepare", prepare)
    case = draw(0)
    failed = attempt(case)
    assert failed.failure
    assert failed.log[-1] == f"WRONG: {failed.failure}"
    shrunk = shrink(case, failed, 60)
    assert shrunk.result.failure
    assert attempt(shrunk.case) == shrunk.result
    assert shrunk.case.faults <= 1 < case.faults
    assert shrunk.case.workload.records < case.workload.records
    assert len(shrunk.schedule) == len(shrunk.case.lives) + 3


def test_shrinking_takes_no_more_trials_than_it_may() -> None:
    tried: list[Case] = []

    def always(case: Case) -> DiskTrialResult:
        tried.append(case)
        return replace(failed, seed=case.seed)

    failed = replace(try_seed(3, lies=False), failure="as told")
    assert shrink(draw(3), failed, 7, attempt=always).trials == len(tried) == 7


def test_a_search_ends_when_its_time_is_up() -> None:
    times = iter(range(100))
    found = search(SearchOptions(0, None, 3.0, jobs=1), lambda so_far: None, monotonic=lambda: float(next(times)))
    assert 1 <= found.seeds <= 3


@full_only("3 s")
def test_processes_share_the_seeds() -> None:
    apart = searched(SearchOptions(20, 3, None, jobs=2))
    assert apart.happened == searched(SearchOptions(20, 3, None, jobs=1)).happened
