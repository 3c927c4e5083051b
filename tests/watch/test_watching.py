"""What changed between looks, how fast events come, and which troubles are waited for."""

import pytest

from oncefold.core.errors import QueryError, StoreError
from oncefold.watch.watching import (
    FAILURE_SECONDS,
    WINDOW_SECONDS,
    Look,
    MovingRate,
    NotYetError,
    Watching,
    changed,
    fitting,
    moved,
)
from tests.watch.looks import Clock, Scripted, look, row

FIRST = {"": (3, "6.00"), "FR": (2, "5.00"), "US": (1, "1.00")}


def test_nothing_changed_in_a_first_look_but_all_of_it_is_news() -> None:
    assert changed(None, look(FIRST)) == {}
    assert moved(None, look(FIRST))


def test_each_value_that_is_another_is_named() -> None:
    then = look({"": (3, "7.00"), "FR": (3, "6.00"), "US": (1, "1.00")})
    assert changed(look(FIRST), then) == {"": {"measure_amount"}, "FR": {"count", "measure_amount"}}
    assert moved(look(FIRST), then)
    assert not moved(then, then)
    assert changed(then, then) == {}


def test_equal_numbers_did_not_change() -> None:
    assert not moved(look(FIRST, events=3), look(FIRST, events=9))


def test_a_new_node_changed_altogether() -> None:
    assert changed(look(FIRST), look({**FIRST, "ES": (0, "0.00")})) == {"ES": {"count", "measure_amount"}}


def test_a_node_that_was_left_out_before_is_not_known_to_have_changed() -> None:
    assert changed(look(FIRST, cut=True), look({**FIRST, "ES": (1, "1.00")})) == {}


def test_a_node_that_is_gone_is_news() -> None:
    left = dict(list(FIRST.items())[:2])
    assert moved(look(FIRST), look(left))
    assert changed(look(FIRST), look(left)) == {}


TREE = [row(path, 1, "1") for path in ("", "a", "a/x", "a/y", "b", "b/x", "c")]


@pytest.mark.parametrize(
    ("room", "paths", "cut"),
    [
        (None, ["", "a", "a/x", "a/y", "b", "b/x", "c"], False),
        (7, ["", "a", "a/x", "a/y", "b", "b/x", "c"], False),
        (6, ["", "a", "b", "c"], True),
        (4, ["", "a", "b", "c"], True),
        (3, ["", "a", "b"], True),
        (0, [""], True),
    ],
)
def test_levels_are_shown_whole_where_there_is_room(room: int | None, paths: list[str], cut: bool) -> None:
    rows, left_out = fitting(TREE, room)
    assert ([shown.path for shown in rows], left_out) == (paths, cut)


def test_a_rate_is_the_mean_of_the_window() -> None:
    rate = MovingRate()
    assert rate.at(0.0, 1_000) is None
    assert rate.at(1.0, 1_100) == pytest.approx(100)
    assert rate.at(WINDOW_SECONDS, 1_500) == pytest.approx(100)
    assert rate.at(WINDOW_SECONDS + 1, 1_500) == pytest.approx(400 / WINDOW_SECONDS)
    assert rate.at(3 * WINDOW_SECONDS, 1_500) == 0


def test_a_number_that_falls_begins_a_new_rate() -> None:
    rate = MovingRate()
    rate.at(0.0, 1_000)
    assert rate.at(1.0, 10) is None
    assert rate.at(2.0, 30) == pytest.approx(20)


def test_what_is_not_there_yet_is_waited_for_however_long() -> None:
    clock = Clock()
    watching = Watching(Scripted([NotYetError("no store"), NotYetError("no store"), look(FIRST, events=5)]), clock)
    assert watching.look().trouble == "no store"
    clock.now += 100 * FAILURE_SECONDS
    assert watching.look().look is None
    seen = watching.look()
    assert seen.look == look(FIRST, events=5)
    assert seen.moved
    assert not seen.trouble


def test_a_failure_at_first_sight_is_told_at_once() -> None:
    for error in (StoreError("not a store"), QueryError("no such rollup")):
        with pytest.raises(type(error)):
            Watching(Scripted([error]), Clock()).look()


def test_a_source_that_was_seen_may_fail_for_a_while() -> None:
    clock, gone = Clock(), StoreError("held by another")
    after = look({**FIRST, "": (9, "6.00")})
    watching = Watching(Scripted([look(FIRST), gone, after, gone, gone]), clock)
    watching.look()
    seen = watching.look()
    assert (seen.trouble, seen.look, seen.moved) == ("held by another", look(FIRST), False)
    assert watching.look().changed == {"": {"count"}}
    clock.now += FAILURE_SECONDS
    assert watching.look().trouble
    clock.now += 1
    with pytest.raises(StoreError):
        watching.look()


def test_rates_are_of_looks_that_were_not_interrupted() -> None:
    clock = Clock()
    turns: list[Look | Exception] = [
        look(FIRST, events=0),
        look(FIRST, events=10),
        NotYetError("gone"),
        look(FIRST, events=99),
    ]
    watching = Watching(Scripted(turns), clock)
    rates = []
    for _ in turns:
        rates.append(watching.look().rate)
        clock.now += 1
    assert rates == [None, 10, None, None]
