"""Each mode and each trouble by itself: who falls, by which causes, and that these add up to the difference."""

import pytest

from oncefold_lab.planted.reduce_bugs import NoSweeper, OutboxUnconditioned
from oncefold_lab.planted.state_bugs import OldLeafStays
from oncefold_lab.search.oncefold import Oncefold
from oncefold_workshop.game.audit import What
from oncefold_workshop.game.generator import WORKSHOP
from oncefold_workshop.game.oncefold_player import OncefoldPlayer
from oncefold_workshop.game.rules import BatchCut, Mode, Trouble
from oncefold_workshop.game.stage import PlayedRound
from tests.tools.sizes import full_only, in_full
from tests.workshop.game.stages import made, rounds, through

DRIFT = 0.00001
TROUBLES = [
    *(BatchCut.HALVES, Trouble.ZOMBIE, Trouble.TRIM),
    *in_full("each a game, 1 s", *(cut for cut in BatchCut if cut is not BatchCut.HALVES), Trouble.REPLAY),
]


def lost(played: PlayedRound, what: What, message: str) -> None:
    """It is wrong, by what is said, and the causes add up to the difference."""
    assert played.wrong is not None
    assert played.account is not None
    assert abs(played.account.left) < DRIFT
    assert any(cause.what is what and message in cause.why for cause in played.account.causes)
    assert all(cause.sample and cause.events for cause in played.account.causes)


@pytest.mark.parametrize("name", ["oncefold", *in_full("as oncefold does, 1 s", "before", "after")])
def test_everybody_takes_easy_mode(name: str) -> None:
    for played, _ in through(made(name), rounds(Mode.EASY, Mode.EASY)):
        assert played.taken
        assert played.account is None


@pytest.mark.parametrize("name", ["after", *in_full("as the fixed pipeline does, 2 s", "oncefold")])
def test_hard_mode_is_taken_with_the_fixes(name: str) -> None:
    assert all(played.taken for played, _ in through(made(name), rounds(*[Mode.HARD] * 5)))


def test_hard_mode_is_lost_without_the_fixes() -> None:
    """Of so few messages a round may have neither an old version nor a failure, and then it is won."""
    found = [played for played, _ in through(made("before"), rounds(Mode.EASY, *[Mode.HARD] * 8))]
    assert found[0].taken
    assert sum(played.taken for played in found[1:]) < 6
    causes = [(played, cause) for played in found if played.account for cause in played.account.causes]
    stale = next(played for played, cause in causes if cause.what is What.STATE)
    lost(stale, What.STATE, "an older version replaced a newer one")
    doubled = next(played for played, cause in causes if cause.what is What.DOUBLED)
    lost(doubled, What.DOUBLED, "nothing shows that it was there")


def test_a_lost_round_leaves_the_next_one_as_it_is() -> None:
    first, second = through(made("after"), rounds(Trouble.TRIM, Mode.HARD))
    lost(first[0], What.LOST, "no invocation of MapLambda ever got them")
    assert second[0].taken


@pytest.mark.parametrize(("name", "wins"), [("blog", True), ("stateless", False)])
def test_the_blogs_pipelines_take_easy_mode_and_hard_mode_with_a_state_alone(name: str, wins: bool) -> None:
    easy, *hard = [played for played, _ in through(made(name), rounds(Mode.EASY, Mode.HARD, Mode.HARD))]
    assert easy.taken
    assert all(played.taken is wins for played in hard)


@full_only("six rounds, 2 s")
def test_state_fails_before_a_record_and_the_others_after_their_write() -> None:
    """In hard mode, by ParameterTable: a few of a hundred invocations."""
    found = [played for played, _ in through(made("after"), rounds(*[Mode.HARD] * 6))]
    counts = {
        name: (sum(one.invocations[name].failed for one in found), sum(one.invocations[name].all for one in found))
        for name in ("StateLambda", "MapLambda", "ReduceLambda")
    }
    failed, invocations = counts["StateLambda"]
    assert 0.01 < failed / invocations < 0.12
    assert all(failed < invocations for failed, invocations in counts.values())
    assert counts["MapLambda"][0] + counts["ReduceLambda"][0] > 0


@pytest.mark.parametrize(
    ("trouble", "what", "message"),
    [
        (BatchCut.HALVES, What.DOUBLED, "MapLambda got them in batches of other boundaries"),
        *in_full(
            "each a game, 1 s",
            (BatchCut.BACK, What.DOUBLED, "MapLambda got them in batches of other boundaries"),
            (Trouble.REPLAY, What.DOUBLED, "again after ten minutes"),
        ),
        (Trouble.ZOMBIE, What.DOUBLED, "again after ten minutes"),
        (Trouble.TRIM, What.LOST, "no invocation of MapLambda ever got them"),
    ],
)
def test_expert_mode_is_lost_with_the_fixes(trouble: Trouble | BatchCut, what: What, message: str) -> None:
    first, second, third = through(made("after"), rounds(Mode.HARD, trouble, Mode.HARD))
    assert first[0].taken
    assert not second[0].taken
    lost(second[0], what, message)
    assert third[0].taken, "hard mode does it no harm"


@full_only("a large round, 2 s")
def test_a_batch_that_grew_is_counted_again() -> None:
    """The first batch of MapLambda ends after three seconds, so this takes more messages than that."""
    played, _ = through(made("after"), rounds(BatchCut.GROWN, messages=4_000))[0]
    lost(played, What.DOUBLED, "MapLambda got them in batches of other boundaries")


@pytest.mark.parametrize("trouble", TROUBLES)
def test_expert_mode_is_taken_by_oncefold(trouble: Trouble | BatchCut) -> None:
    assert all(played.taken for played, _ in through(made("oncefold"), rounds(Mode.HARD, trouble, Mode.HARD)))


def test_a_lucky_moment_is_not_enough() -> None:
    """Right in time, and wrong again when the last batch comes once more: the round is lost."""
    played, samples = through(made("after"), rounds(Trouble.REPLAY))[0]
    assert played.right_after is not None
    assert any(sample.right for sample in samples)
    assert not samples[-1].right
    assert not played.taken


@full_only("three rounds, 1 s")
def test_what_is_older_than_a_day_does_not_come_again() -> None:
    first, _, third = through(made("after"), rounds(Trouble.REPLAY, Trouble.TRIM, Trouble.REPLAY))
    for played in (first[0], third[0]):
        assert played.account is not None
        again = [cause for cause in played.account.causes if cause.what is What.DOUBLED]
        assert again
        assert all(cause.why.count(" at ") == 2 for cause in again)


def test_time_that_passes_is_reported() -> None:
    _, samples = through(made("oncefold"), rounds(Trouble.TRIM))[0]
    assert [sample.skipped for sample in samples if sample.skipped] == [25 * 3600.0]


@pytest.mark.parametrize(
    ("system", "wanted", "what"),
    [
        (NoSweeper, [Trouble.TRIM], What.LOST),
        *in_full(
            "each a game, 1 s",
            (OldLeafStays, [Mode.EASY, *[Mode.HARD] * 4], None),
            (OutboxUnconditioned, [Trouble.ZOMBIE, Trouble.REPLAY], None),
        ),
    ],
)
def test_a_known_wrong_oncefold_falls_too(
    system: type[Oncefold], wanted: list[Mode | Trouble], what: What | None
) -> None:
    player = OncefoldPlayer(WORKSHOP)
    player.system = system
    played, _ = through(player, rounds(*wanted))[-1]
    assert played.wrong is not None
    assert not played.taken
    assert played.account is not None
    if what is not None:
        assert [cause.what for cause in played.account.causes] == [what]
        assert played.account.left == 0
