"""Rebuilds under new definitions in the search: of each epoch the totals are those of its own definition."""

from oncefold_lab.search.search import run_seed
from tests.tools.sizes import is_full, sized

SEEDS = sized(2, 40)
IN_ECONOMY_MODE = sized(1, 5)
HAPPENED = {"new definition", "rebuild switched", "rebuild resumed", "incident: rollback", "totals read"}


def test_no_seed_fails_and_everything_happens() -> None:
    played = run_seed(range(SEEDS), "oncefold_lab.search.redefining:Redefining")
    assert played.failures == ()
    assert not is_full() or {name for name in HAPPENED if not played.coverage.get(name)} == set()


def test_in_economy_mode_too() -> None:
    system = "oncefold_lab.search.redefining:EconomyRedefining"
    assert run_seed(range(IN_ECONOMY_MODE), system).failures == ()
