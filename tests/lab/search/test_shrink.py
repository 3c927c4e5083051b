"""A failure is made small, and what is printed of it brings it back."""

from oncefold_lab.planted.reduce_bugs import TokenOnly
from oncefold_lab.planted.state_bugs import StaleAccepted
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import draw
from oncefold_lab.search.shrink import Cuts, Shrinker
from oncefold_lab.search.trial import run
from tests.tools.sizes import sized

FAILURES: list[tuple[type[Oncefold], int]] = sized([(StaleAccepted, 2)], [(StaleAccepted, 2), (TokenOnly, 4)])
"""What fails, and how many lines are left of it at most."""


def first_failure(build: type[Oncefold]) -> int:
    return next(seed for seed in range(100) if run(draw(seed), build).failure)


def test_the_smallest_failure_is_small_and_can_be_replayed() -> None:
    for build, most in FAILURES:
        seed = first_failure(build)
        reported: list[int] = []
        shrunk = Shrinker(draw(seed), build, reported.append).shrink()
        assert sum(len(send.lines) for send in shrunk.result.scenario.sends) <= most
        assert shrunk.runs == reported[-1]
        again = run(Cuts.parse(str(shrunk.cuts)).of(draw(seed)), build)
        assert again == shrunk.result
        assert again.failure
        assert run(again.scenario, Oncefold).failure is None


def test_shrinking_stays_within_its_runs() -> None:
    seed = first_failure(StaleAccepted)
    assert Shrinker(draw(seed), StaleAccepted, lambda _: None, runs=10).shrink().runs == 10
