"""Processes in virtual time: they interleave where they sleep, and end where they are told to."""

from collections.abc import Callable
from typing import Any

import pytest

from oncefold_lab.world.scheduler import START, Process, ProcessEnded, Scheduler, Tasks


class Bench:
    """Tasks on a clock, and what became of them."""

    def __init__(self) -> None:
        self.scheduler = Scheduler()
        self.tasks = Tasks(self.scheduler)
        self.seen: list[str] = []
        self.ended: list[Any] = []

    def start(self, body: Callable[[], Any]) -> Process:
        return self.tasks.start("process", body, self.ended.append, mortal=True)

    def run(self) -> None:
        self.scheduler.run(START + 1_000.0, lambda: False)

    def steps(self, name: str, seconds: float, count: int = 2) -> Callable[[], str]:
        def body() -> str:
            for number in range(count):
                self.seen.append(f"{name}{number}")
                self.tasks.sleep(seconds)
            return name

        return body


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_processes_interleave_by_their_sleeps(bench: Bench) -> None:
    bench.start(bench.steps("a", 1.0, 3))
    bench.start(bench.steps("b", 1.6))
    bench.run()
    assert bench.seen == ["a0", "b0", "a1", "b1", "a2"]
    assert bench.ended == ["a", "b"]


def test_an_exception_is_what_the_one_who_waits_gets(bench: Bench) -> None:
    def body() -> None:
        bench.tasks.sleep(1.0)
        raise ValueError("no")

    bench.start(body)
    bench.run()
    assert [str(error) for error in bench.ended] == ["no"]


def test_a_process_that_is_ended_does_nothing_more(bench: Bench) -> None:
    process = bench.start(bench.steps("a", 1.0, 100))
    bench.scheduler.after(2.5, lambda: process.end(ProcessEnded()))
    bench.run()
    assert bench.seen == ["a0", "a1", "a2"]
    assert [type(end) for end in bench.ended] == [ProcessEnded]


def test_a_process_may_end_itself_with_all_its_threads(bench: Bench) -> None:
    def call(number: int) -> int:
        bench.tasks.sleep(float(number))
        bench.seen.append(f"call {number}")
        if number == 2:
            raise ProcessEnded
        return number

    def body() -> list[int]:
        current = bench.tasks.current()
        assert current is not None
        return list(current.spread(call, [1, 2, 3], 3))

    bench.start(body)
    bench.run()
    assert bench.seen == ["call 1", "call 2"]
    assert [type(end) for end in bench.ended] == [ProcessEnded]


def test_spread_gives_results_in_order_and_no_more_at_once_than_said(bench: Bench) -> None:
    under_way = [0, 0]

    def call(number: int) -> int:
        under_way[0] += 1
        under_way[1] = max(under_way)
        bench.tasks.sleep(5.0 - number)
        under_way[0] -= 1
        return number * 10

    def body() -> list[int]:
        current = bench.tasks.current()
        assert current is not None
        return list(current.spread(call, range(5), 2))

    bench.start(body)
    bench.run()
    assert bench.ended == [[0, 10, 20, 30, 40]]
    assert under_way == [0, 2]


def test_a_frozen_process_goes_on_when_it_thaws(bench: Bench) -> None:
    moments: list[float] = []

    def body() -> None:
        for _ in range(2):
            bench.tasks.sleep(1.0)
            moments.append(bench.scheduler.clock() - START)

    process = bench.start(body)
    process.thaws = START + 60.0
    bench.run()
    assert moments == [61.0, 62.0]


def test_closing_ends_whatever_runs(bench: Bench) -> None:
    bench.start(bench.steps("a", 10.0, 1_000))
    bench.scheduler.run(START + 25.0, lambda: False)
    bench.tasks.close()
    bench.run()
    assert bench.seen == ["a0", "a1", "a2"]
