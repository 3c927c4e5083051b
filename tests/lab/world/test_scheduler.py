"""Virtual time: order, sources of their own, and ends."""

from oncefold_lab.world.scheduler import START, Scheduler


def test_actions_happen_at_their_moments_in_their_order() -> None:
    scheduler = Scheduler()
    seen: list[tuple[str, float]] = []

    def note(name: str) -> None:
        seen.append((name, scheduler.clock() - START))

    scheduler.after(2.0, lambda: note("second"))
    scheduler.after(1.0, lambda: note("first"))
    scheduler.after(2.0, lambda: note("third"))
    scheduler.after(9.0, lambda: note("never"))
    assert not scheduler.run(START + 5.0, lambda: False)
    assert seen == [("first", 1.0), ("second", 2.0), ("third", 2.0)]
    assert scheduler.clock() == START + 5.0


def test_it_stops_when_it_is_done() -> None:
    scheduler = Scheduler()
    seen: list[int] = []
    for number in range(5):
        scheduler.after(float(number), lambda number=number: seen.append(number))
    assert scheduler.run(START + 100.0, lambda: len(seen) == 2)
    assert seen == [0, 1]


class Late:
    """A source with one effect."""

    def __init__(self, at: float) -> None:
        self.at: float | None = at

    def due(self) -> float | None:
        return self.at

    def run_due(self) -> None:
        self.at = None


def test_effects_of_a_source_happen_when_due_and_are_followed_by_a_call() -> None:
    scheduler = Scheduler()
    seen: list[float] = []
    scheduler.watch(Late(START + 3.5), lambda: seen.append(scheduler.clock() - START))
    scheduler.run(START + 10.0, lambda: False)
    assert seen == [3.5]
