"""The checker itself, on graphs small enough to see: it finds everything, the nearest first, and what never ends."""

from typing import Any

import pytest

from oncefold_lab.model.explore import examine, explore
from oncefold_lab.model.protocol import TERMINATES, Claim
from tests.lab.model.toys import Toy


def ways_of(found: Any) -> str:
    return "".join(str(step.state) for step in found.broken.schedule)


def never(letter: str) -> Claim:
    return Claim("never", f"never {letter}", of_state=lambda _, state: state != letter)


def test_every_state_and_step_is_found_once() -> None:
    found = explore(Toy({"A": "BC", "B": "DA", "C": "D", "D": "dB"}, ""), [])
    assert found.states == ["A", "B", "C", "D"]
    assert found.transitions == 7
    assert found.depth == 2


def test_the_schedule_is_a_shortest_one() -> None:
    toy = Toy({"A": "B", "B": "CE", "C": "D", "D": "Z", "E": "Z"}, "")
    assert ways_of(explore(toy, [never("Z")])) == "BEZ"
    assert ways_of(explore(toy, [never("A")])) == ""
    assert explore(toy, [never("Q")]).broken is None


def test_a_claim_about_steps_is_refuted_by_the_step_itself() -> None:
    backward = Claim("onward", "no way back", of_step=lambda _, state, step: step.state >= state)
    assert ways_of(explore(Toy({"A": "BC", "B": "D", "C": "A", "D": ""}, ""), [backward])) == "CA"


@pytest.mark.parametrize(
    ("ways", "ends", "schedule", "remark"),
    [
        ({"A": "BC", "B": "D", "C": "D"}, "D", None, ""),
        ({"A": "BaC", "B": "bD", "C": "D", "D": "dab"}, "D", None, ""),  # round and round by faults alone
        ({"A": "BC", "B": "D", "C": ""}, "D", "C", "no way leads"),  # stuck in C
        ({"A": "Bc", "B": "D", "C": "c"}, "D", "C", "no way leads"),  # a fault leads to where only faults go on
        ({"A": "BC", "B": "D", "C": "E", "E": "C"}, "D", "C", "no way leads"),  # round and round, without a way out
        ({"A": "BC", "B": "D", "C": "ED", "E": "C"}, "D", "CEC", "for ever"),  # a way out that need not be taken
        ({"A": "A"}, "", "", "no way leads"),
    ],
)
def test_what_need_not_end_is_found(ways: dict[str, str], ends: str, schedule: str | None, remark: str) -> None:
    found = examine(Toy(ways, ends), [TERMINATES])
    if schedule is None:
        assert found.broken is None
    else:
        assert found.broken is not None
        assert ways_of(found).endswith(schedule)
        assert remark in found.broken.remark


def test_progress_is_reported_level_by_level() -> None:
    counts: list[int] = []
    explore(Toy({"A": "BC", "B": "D", "C": "D"}, ""), [], counts.append)
    assert counts == [3, 4]
