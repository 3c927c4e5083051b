"""Two hundred seeds, fewer in the short form: none fails, and everything that can happen has happened."""

from oncefold.core.fold import Node, Total
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import CALLED, INCIDENTS, draw
from oncefold_lab.search.search import run_seed, search
from oncefold_lab.search.trial import run
from oncefold_lab.world.faults import INVOCATION_FAULTS
from tests.tools.sizes import full_only, is_full, sized

SEEDS = sized(8, 200)
SYSTEM = "oncefold_lab.search.oncefold:Oncefold"
OUTCOMES = ["inserted", "corrected", "deleted", "conflict_won", "duplicate", "stale", "conflict_lost", "rejected"]
HAPPENED = {
    *(f"fault: {fault}" for fault in CALLED),
    *INVOCATION_FAULTS,
    *(f"incident: {kind}" for kind in INCIDENTS),
    *(f"outcome: {outcome}" for outcome in OUTCOMES),
    "bisected",
    "cancelled: ConditionalCheckFailed",
    "cancelled: TransactionConflict",
    "delta gone already",
    "discarded: RecordAgeExceeded",
    "discarded: RetryAttemptsExhausted",
    "drained by hand",
    "MergeShards",
    "overtaken state write",
    "partial answer",
    "redriven",
    "reduce out of time",
    "replayed transactions",
    "SplitShard",
    "state out of time",
    "stream replayed",
    "sweeper applied",
    "timed out",
    "token sent again after its life",
    "trimmed records",
    "zombie's transaction done",
}
"""Every kind of mishap, fault, incident and outcome, and every rare branch."""


def test_no_seed_fails_and_everything_happens() -> None:
    played = run_seed(range(SEEDS), SYSTEM)
    assert played.failures == ()
    assert played.seeds == SEEDS
    assert not is_full() or {name for name in HAPPENED if not played.coverage.get(name)} == set()


@full_only("3 s")
def test_processes_find_what_one_process_finds() -> None:
    one, several = (search(300, 12, None, jobs, SYSTEM, lambda _: None) for jobs in (1, 2))
    assert one == several
    assert one.seeds == 12


def test_a_search_ends_with_its_time() -> None:
    reported: list[int] = []
    found = search(0, None, 0.2, 1, SYSTEM, lambda so_far: reported.append(so_far.seeds))
    assert found.seeds == reported[-1]
    assert found.failures == {}


class Broken(Oncefold):
    """A system that cannot be asked."""

    def totals(self) -> dict[Node, Total]:
        raise KeyError("totals")


def test_what_breaks_a_run_is_a_failure_of_its_seed() -> None:
    assert run(draw(0), Broken).failure == "the run broke: KeyError('totals')"
