"""What the workshop hands out, before its fixes, is wrong as soon as anything comes twice or out of order."""

import pytest

from oncefold.generate import Workload
from oncefold_workshop.pipelines.settings import HARD_MODE, REDUCE_BATCH, STATE_BATCH, InducedFailure
from tests.tools.sizes import full_only
from tests.workshop.pipelines.rig import FAILS, Rig, deliver

PLAIN = Workload(count=150, modifications=0.2, seed=3)
"""Every event once, each version in its turn."""


def test_it_is_exact_when_everything_comes_once_and_in_order(before: Rig) -> None:
    before.take_in(PLAIN)
    before.aggregate()
    assert before.errors(PLAIN) == {}


@full_only("1 s")
def test_a_stale_version_overwrites_a_newer_one(before: Rig) -> None:
    stale = Workload(count=150, modifications=0.2, out_of_order=0.1, seed=3)
    before.take_in(stale)
    before.aggregate()
    assert before.errors(stale) != {}


def test_a_duplicate_of_an_old_version_overwrites_a_newer_one(before: Rig) -> None:
    twice = Workload(count=150, modifications=0.3, duplicates=0.3, seed=3)
    before.take_in(twice)
    before.aggregate()
    assert before.errors(twice) != {}


@full_only("1 s")
def test_a_batch_that_state_gets_again_later_brings_old_versions_back(before: Rig) -> None:
    """As a replay of the stream does, until it has come to its end."""
    before.send_workload(PLAIN)
    deliver(before.state, before.sent(), STATE_BATCH)
    deliver(before.state, before.sent()[:100], STATE_BATCH)
    before.aggregate()
    assert before.errors(PLAIN) != {}


def test_a_batch_that_map_gets_again_is_put_once(before: Rig) -> None:
    """MapLambda's put is conditional as it is handed out."""
    before.take_in(PLAIN)
    with pytest.raises(InducedFailure):
        before.functions(FAILS).map({"Records": before.changed()})
    before.functions().map({"Records": before.changed()})
    assert len(before.items(before.tables.reduce)) == 1
    deliver(before.functions().reduce, before.mapped(), REDUCE_BATCH)
    assert before.errors(PLAIN) == {}


def test_a_batch_that_reduce_gets_again_is_added_twice(before: Rig) -> None:
    before.take_in(PLAIN)
    deliver(before.functions().map, before.changed(), 50)
    with pytest.raises(InducedFailure):
        before.functions(FAILS).reduce({"Records": before.mapped()})
    before.functions().reduce({"Records": before.mapped()})
    assert before.errors(PLAIN) != {}


def test_hard_mode_is_lost(before: Rig) -> None:
    hard = Workload(count=300, duplicates=0.125, modifications=0.03, out_of_order=0.01, seed=5)
    before.send_workload(hard)
    deliver(before.state, before.sent(), STATE_BATCH)
    functions = before.functions(HARD_MODE)
    assert deliver(functions.map, before.changed(), 10) > 0
    deliver(functions.reduce, before.mapped(), 5)
    assert before.errors(hard) != {}
