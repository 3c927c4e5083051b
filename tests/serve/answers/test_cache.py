"""Kept answers: bounded, and never older than what is asked for."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from oncefold.queries.converters import Freshness
from oncefold.serve.answers import readers
from oncefold.serve.answers.declared import JSON, ROWS, Problem, accepted
from oncefold.serve.answers.readers import Answered, Cache

PUTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 400)), max_size=60)


@given(puts=PUTS, commit=st.integers(0, 9))
def test_an_answer_is_of_the_commit_or_later_and_all_are_bounded(puts: list[tuple[int, int, int]], commit: int) -> None:
    kept, newest = Cache(most_bytes=4_000), dict[int, int]()
    for question, of, size in puts:
        kept.put(question, Answered(Freshness(of), "text/csv", b"x" * size, document=False))
        newest[question] = max(of, newest.get(question, 0))
        assert kept.size <= 4_000
    for question, of in newest.items():
        found = kept.get(question, commit)
        assert found is None or commit <= found.fresh.commit <= of


def test_an_answer_that_is_too_long_is_not_kept() -> None:
    kept = Cache()
    kept.put("q", Answered(Freshness(1), "text/csv", b"x" * (readers.MOST_OF_ONE + 1), document=False))
    assert kept.get("q", 0) is None


@given(accept=st.text(st.sampled_from('abcdjson/*;,q=01. "x-text+'), max_size=40))
def test_whatever_accept_says_a_form_is_found_or_refused(accept: str) -> None:
    with suppress(Problem):
        assert accepted(accept, ROWS) in ROWS
    assert accepted("*/*", ROWS) is JSON
