"""The model's steps are the steps of the code: the functions carry out schedules of the model, call by call."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from oncefold.aws.functions import net, plan, state
from oncefold_lab.model import scenarios
from oncefold_lab.model.explore import examine
from oncefold_lab.model.mutations import FALSE_CLAIMS, MUTATIONS
from oncefold_lab.model.protocol import ExpectedFailure
from oncefold_lab.model.scenario import PROTOCOL, ModelScenario, ProtocolRules
from oncefold_lab.model.state import FAULTS, Op
from tests.lab.model.economy_replay import EconomyReplay
from tests.lab.model.replay import Replay
from tests.tools.sizes import sized

STANDARD = [scenario for scenario in scenarios.SMALL if not scenario.economy]
ECONOMY = [scenario for scenario in scenarios.SMALL if scenario.economy]
OF_ECONOMY = {
    Op.PUT,
    Op.PUT_UNHEARD,
    Op.REFUSED_STATE,
    Op.HANDED,
    Op.HANDED_AGAIN,
    Op.RETURNED,
    Op.NETTED,
    Op.NETTED_UNHEARD,
    Op.NETTED_BEFORE,
    Op.OVERTAKEN,
    Op.NET_LEFT,
}
STEPS = 40
"""After so many, faults cease."""
WALKS = sized(short=10, full=40)
ECONOMY_WALKS = sized(short=4, full=30)
FAULT_SHARE = 0.3
NEVER = {Op.HALVED, Op.MISMATCHED, Op.NETTED_BY_HALF, Op.GIVEN_UP}
"""What only wrong protocols do."""
RARE = {Op.LEFT, Op.NET_LEFT}
"""What needs a longer run of luck; the false claims `whole-groups` and `whole-changes` lead there."""

THREE_CONTENTS = next(scenario for scenario in scenarios.LARGE if scenario.name == "three contents")
IN_PARTS = replace(scenarios.PARTS, group_deltas=2)
SCENARIOS = [scenario for scenario in STANDARD if scenario is not scenarios.PARTS] + [IN_PARTS, THREE_CONTENTS]


def walk(scenario: ModelScenario, seed: int, taken: Counter[Op]) -> None:
    """A schedule at random that prefers what was seldom taken; in the end without faults, until all is done."""
    rng = random.Random(seed)
    replay = replay_of(scenario)
    try:
        for number in range(1_000):
            possible = replay.possible()
            faults = [step for step in possible if step.op in FAULTS]
            steps = [step for step in possible if step.op not in FAULTS]
            if number < STEPS and faults and rng.random() < FAULT_SHARE:
                steps = faults
            if not steps:
                break
            ops = sorted({step.op for step in steps})
            (op,) = rng.choices(ops, [1 / (1 + taken[op]) for op in ops])
            taken[op] += 1
            replay.take(rng.choice([step for step in steps if step.op is op]))
        replay.check_exact()
    finally:
        replay.end()


def replay_of(scenario: ModelScenario, rules: ProtocolRules = PROTOCOL) -> Replay:
    """A schedule to be carried out, in the scenario's mode."""
    return EconomyReplay(scenario, rules) if scenario.economy else Replay(scenario, rules)


def cut_as(scenario: ModelScenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the planner the scenario's small limits, and let no keys go before others."""
    monkeypatch.setattr(state, "HOT_KEYS", 0)
    if scenario.chunk_keys == 1:
        monkeypatch.setattr(plan, "_fits", lambda *_: False)
    if scenario.delta_items == 2:
        monkeypatch.setattr(plan, "HOT_NODES", 1)
    if scenario.step_changes == 1:
        monkeypatch.setattr(net, "_fits", lambda *_: False)


def test_the_functions_carry_out_schedules_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: Counter[Op] = Counter()
    for scenario in SCENARIOS:
        with monkeypatch.context() as patch:
            cut_as(scenario, patch)
            for seed in range(WALKS):
                walk(scenario, seed, taken)
    assert set(taken) | RARE == (set(Op) - NEVER - OF_ECONOMY) | RARE


def test_the_functions_carry_out_schedules_of_economy_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: Counter[Op] = Counter()
    for scenario in ECONOMY:
        with monkeypatch.context() as patch:
            cut_as(scenario, patch)
            for seed in range(ECONOMY_WALKS):
                walk(scenario, seed, taken)
    assert set(taken) | RARE >= OF_ECONOMY


def carry_out(trial: ExpectedFailure) -> None:
    """Have the functions do what refutes a claim."""
    replay = replay_of(replace(trial.scenario, reads_first=False), trial.rules)
    broken = examine(replay.protocol, [trial.claim]).broken
    assert broken is not None
    try:
        for step in broken.schedule:
            replay.take(step)
    finally:
        replay.end()


@pytest.mark.parametrize("trial", FALSE_CLAIMS, ids=lambda trial: trial.name)
def test_what_refutes_a_false_claim_happens_to_the_functions_too(
    trial: ExpectedFailure, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_as(trial.scenario, monkeypatch)
    carry_out(trial)


LIKE_THE_PROTOCOL = {"no-rereading", "no-sweeper"}
"""Mutations whose schedules are fine so far: only what comes after them is wrong."""
BEYOND_THE_CODE = {
    "delta-first",
    "state-first",
    "mismatch-swallowed",
    "deltas-before-position",
    "position-before-deltas",
}
"""Mutations with steps that cannot be asked of the code: halves of a transaction, other tokens."""
OF_THE_MAPPING = {"lanes", "given-up"}
"""Mutations of what Lambda does, of which the functions know nothing."""
OTHERS = [trial for trial in MUTATIONS if trial.name not in LIKE_THE_PROTOCOL | BEYOND_THE_CODE | OF_THE_MAPPING]


@pytest.mark.parametrize("trial", OTHERS, ids=lambda trial: trial.name)
def test_the_functions_do_not_do_what_refutes_a_mutation(
    trial: ExpectedFailure, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_as(trial.scenario, monkeypatch)
    with pytest.raises(AssertionError):
        carry_out(trial)
