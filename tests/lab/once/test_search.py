"""Each way to be once under the search: no seed fails, and everything that can happen has happened."""

import pytest

from oncefold_lab.once.systems import ById, ByPosition, ByVersion, Counting
from oncefold_lab.search.scenario import CALLED, MERGE, PAUSE, REPLAY_EVENTS, SPLIT
from oncefold_lab.search.search import run_seed
from oncefold_lab.search.trial import draw_for, run
from oncefold_lab.world.faults import INVOCATION_FAULTS
from tests.tools.sizes import is_full, sized

SEEDS = sized(6, 80)
HAPPENED = {
    *(f"fault: {fault}" for fault in CALLED),
    *INVOCATION_FAULTS,
    *(f"incident: {kind}" for kind in (SPLIT, MERGE, REPLAY_EVENTS, PAUSE)),
    "cancelled: ConditionalCheckFailed",
    "cancelled: TransactionConflict",
    "once: counted",
    "once: overtaken",
    "once: repeated",
    "once: unfinished",
    "partial answer",
    "stream replayed",
    "timed out",
}
OF_EACH = {
    ById: {"bisected", "discarded: RetryAttemptsExhausted", "redriven", "zombie's transaction done"},
    ByVersion: {"bisected", "discarded: RetryAttemptsExhausted", "redriven", "once: corrected", "once: stale"},
    ByPosition: {"zombie's transaction done"},
}


@pytest.mark.parametrize("system", OF_EACH)
def test_no_seed_fails_and_everything_happens(system: type[Counting]) -> None:
    played = run_seed(range(SEEDS), f"{system.__module__}:{system.__name__}")
    assert played.failures == ()
    assert played.seeds == SEEDS
    missing = {name for name in HAPPENED | OF_EACH[system] if not played.coverage.get(name)}
    assert not is_full() or missing == set()


@pytest.mark.parametrize("system", OF_EACH)
def test_the_same_seed_does_the_same(system: type[Counting]) -> None:
    one, other = (run(draw_for(system, 5), system) for _ in range(2))
    assert one.trace() == other.trace()
