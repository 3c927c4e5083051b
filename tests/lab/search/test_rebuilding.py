"""Rebuilds in the search: at any moment, ended at any call, after tables were rolled back apart; none is wrong."""

from oncefold_lab.search.rebuilding import Rebuilding
from oncefold_lab.search.scenario import REBUILD_INCIDENTS
from oncefold_lab.search.search import run_seed
from oncefold_lab.search.trial import draw_for, run
from tests.tools.sizes import is_full, sized

SEEDS = sized(2, 60)
SYSTEM = "oncefold_lab.search.rebuilding:Rebuilding"
HAPPENED = {
    *(f"incident: {kind}" for kind in REBUILD_INCIDENTS),
    "crash before a call",
    "crash after a call",
    "keys brought in",
    "nothing to give up",
    "rebuild resumed",
    "rebuild run again",
    "rebuild switched",
    "replayed transactions",
    "totals read",
    "totals not read",
    "zombie's transaction done",
}


def test_no_seed_fails_and_everything_happens() -> None:
    played = run_seed(range(SEEDS), SYSTEM)
    assert played.failures == ()
    assert not is_full() or {name for name in HAPPENED if not played.coverage.get(name)} == set()


def test_a_seed_does_the_same_twice() -> None:
    one, other = (run(draw_for(Rebuilding, 3), Rebuilding) for _ in range(2))
    assert one == other
