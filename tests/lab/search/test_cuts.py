"""What is left out of a scenario: as text and back, and what remains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.core.decode import Decoder
from oncefold.core.errors import OncefoldError
from oncefold_lab.search.scenario import draw
from oncefold_lab.search.shrink import CUTTABLE, PARTS, Cuts, fewest

NUMBERS = st.none() | st.frozensets(st.integers(0, 300))


@given(st.builds(Cuts, st.integers(0, 50), NUMBERS, NUMBERS, st.frozensets(st.sampled_from(CUTTABLE))))
def test_cuts_are_read_as_they_are_written(cuts: Cuts) -> None:
    assert Cuts.parse(str(cuts)) == cuts


@pytest.mark.parametrize("text", ["lines=x", "luck=", "without=rain", "hail=1", "lines=1-2-3"])
def test_what_is_no_cut_is_refused(text: str) -> None:
    with pytest.raises(OncefoldError, match="give it as the search printed it"):
        Cuts.parse(text)


@pytest.mark.parametrize("seed", range(10))
def test_no_cuts_leave_all(seed: int) -> None:
    assert Cuts().of(draw(seed)) == draw(seed)


@pytest.mark.parametrize("seed", range(10))
def test_lines_are_kept_by_their_numbers(seed: int) -> None:
    scenario = draw(seed)
    lines = [line for send in scenario.sends for line in send.lines]
    left = Cuts(lines=frozenset([0, 3, len(lines) - 1])).of(scenario)
    assert [line for send in left.sends for line in send.lines] == [lines[0], lines[3], lines[-1]]
    assert all(send.records for send in left.sends)


@pytest.mark.parametrize("seed", range(10))
def test_the_plainest_form_of_everything(seed: int) -> None:
    left = Cuts(without=frozenset(CUTTABLE)).of(draw(seed))
    assert not left.incidents
    assert not left.world_settings.faults
    assert not left.world_settings.invocation_faults
    assert (left.deployment.shards, left.world_settings.stream_shards, left.world_settings.stream_lag) == (1, 1, 0.0)
    assert len(left.pipeline.rollups) == 1
    assert left.pipeline.measures == ()
    assert left.ends <= draw(seed).ends


@pytest.mark.parametrize("seed", range(10))
def test_lines_mean_their_events_in_every_form(seed: int) -> None:
    for without in (frozenset[str](), frozenset(PARTS)):
        scenario = Cuts(without=without).of(draw(seed))
        decoder = Decoder(scenario.pipeline)
        for line in (line for send in scenario.sends for line in send.lines if line.event):
            assert decoder.json(line.data) == line.event


@given(st.frozensets(st.integers(0, 40), max_size=4))
def test_the_fewest_things_that_still_fail_are_found(needed: frozenset[int]) -> None:
    assert fewest(range(41), lambda some: needed <= {*some}) == sorted(needed)
