"""Economy mode in the search: states written unread, their stream split, replayed, cut anew and late; none is wrong."""

from oncefold_lab.search.economy import Economy
from oncefold_lab.search.scenario import ECONOMY_INCIDENTS
from oncefold_lab.search.search import run_seed
from oncefold_lab.search.trial import draw_for, run
from tests.tools.sizes import is_full, sized

SEEDS = sized(6, 60)
REBUILDS = sized(1, 3)
SYSTEM = "oncefold_lab.search.economy:Economy"
HAPPENED = {
    *(f"incident: {kind}" for kind in ECONOMY_INCIDENTS),
    "batch cut anew",
    "batch delivered twice",
    "bisected",
    "changes netted before",
    "crash after a call",
    "crash before a call",
    "net out of time",
    "partial answer",
    "position overtaken",
    "replayed transactions",
    "state out of time",
    "timed out",
    "zombie's transaction done",
    *(f"outcome: {name}" for name in ("inserted", "corrected", "deleted", "conflict_won", "conflict_lost", "stale")),
}


def test_no_seed_fails_and_everything_happens() -> None:
    played = run_seed(range(SEEDS), SYSTEM)
    assert played.failures == ()
    assert not is_full() or {name for name in HAPPENED if not played.coverage.get(name)} == set()


def test_a_seed_does_the_same_twice() -> None:
    one, other = (run(draw_for(Economy, 3), Economy) for _ in range(2))
    assert one == other


def test_rebuilds_beside_it_are_right_too() -> None:
    assert run_seed(range(REBUILDS), "oncefold_lab.search.rebuilding:EconomyRebuilding").failures == ()
