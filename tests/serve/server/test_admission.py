"""How much memory requests hold that are under way: the first large bodies more, and all together never too much."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.serve.http.response import Problem
from oncefold.serve.server.admission import Admission
from oncefold.serve.settings import MOST_SHARES, STREAM_BYTES, Limits


def admission(most: int) -> Admission:
    return Admission(Limits(max_inflight_bytes=most), lambda: "")


def test_the_first_bodies_take_many_shares_and_the_others_one() -> None:
    found = admission(16 * STREAM_BYTES)
    with ExitStack() as stack:
        assert [stack.enter_context(found.admit()).hold_stream() for _ in range(10)] == [MOST_SHARES] * 2 + [1] * 8
        with found.admit() as one_more, pytest.raises(Problem, match="as many events as it may"):
            one_more.hold_stream()
    assert (found.requests, found.bytes) == (0, 0)
    with found.admit() as again:
        assert again.hold_stream() == MOST_SHARES


@given(st.integers(1, 40), st.lists(st.integers(0, 40), max_size=40))
def test_no_more_is_held_than_may_be_but_for_a_single_request(shares: int, ends: list[int]) -> None:
    """Whatever begins and ends: a body that is first is taken, however little may be held."""
    found = admission(shares * STREAM_BYTES)
    under_way: list[ExitStack] = []
    for end in ends:
        with ExitStack() as stack:
            try:
                stack.enter_context(found.admit()).hold_stream()
            except Problem:
                assert found.bytes + STREAM_BYTES > shares * STREAM_BYTES
            else:
                under_way.append(stack.pop_all())
        assert found.bytes <= shares * STREAM_BYTES
        if end < len(under_way):
            under_way.pop(end).close()
    for left in under_way:
        left.close()
    assert (found.requests, found.bytes) == (0, 0)
