"""The protocol under the model: what must hold holds in every state, and what must be noticed is."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncefold.core.fold import Node, Total
from oncefold_lab.model.encoding import Packing
from oncefold_lab.model.explore import attempt, check, examine
from oncefold_lab.model.mutations import FALSE_CLAIMS, MUTATIONS
from oncefold_lab.model.protocol import TRUE, ExpectedFailure, Protocol
from oncefold_lab.model.report import ScheduleText
from oncefold_lab.model.scenario import PIPELINE, PROTOCOL, ModelScenario, ProtocolRules
from oncefold_lab.model.scenarios import (
    CONFLICT,
    CORRECTION,
    DELETE,
    LARGE,
    OUTBOX,
    PARTIAL,
    PARTS,
    POSITION,
    REWIND,
    SMALL,
    STEPS,
    TIE,
)
from oncefold_lab.model.state import Op
from tests.lab.model import page
from tests.tools import reference
from tests.tools.sizes import full_only

TEXT = page.PAGE.read_text(encoding="utf-8")
QUICK = {"conflict", "parts", "position"}
"""Scenarios of ten thousand states at most: two versions of a content, a group in parts, economy mode."""
ANEW = "write it anew: python -m tests.lab.model.page"


def explored(scenarios: Iterable[ModelScenario]) -> list[Any]:
    """Scenarios as parameters; in the short form those that are explored in seconds."""
    return [
        pytest.param(one, id=one.name, marks=() if one.name in QUICK else full_only("explores many states"))
        for one in scenarios
    ]


@pytest.mark.parametrize("scenario", explored(SMALL))
def test_what_is_claimed_holds_in_every_state(scenario: ModelScenario) -> None:
    found = check(scenario, time.process_time)
    assert found.refuted is None, found.refuted
    assert page.scenario_row(found) in page.table(TEXT, "small"), ANEW


@pytest.mark.parametrize("trial", MUTATIONS, ids=lambda trial: trial.name)
def test_every_mutation_is_refuted(trial: ExpectedFailure) -> None:
    assert trial.rules != PROTOCOL
    assert page.mutation_row(trial) in page.table(TEXT, "mutations"), ANEW


@pytest.mark.parametrize("trial", FALSE_CLAIMS, ids=lambda trial: trial.name)
def test_every_false_claim_is_refuted(trial: ExpectedFailure) -> None:
    assert trial.rules == PROTOCOL
    assert page.falsehood_row(trial) in page.table(TEXT, "false"), ANEW


def test_the_page_has_a_row_for_each() -> None:
    assert page.table(TEXT, "claims") == [*page.claims()], ANEW
    assert page.table(TEXT, "example") == page.example(), ANEW
    for mark, things in (("small", SMALL), ("large", LARGE), ("false", FALSE_CLAIMS), ("mutations", MUTATIONS)):
        names = [line.split("`")[1] for line in page.table(TEXT, mark)[2:]]
        assert names == [thing.name for thing in things], ANEW


def test_every_claim_is_refuted_by_some_mutation() -> None:
    assert {trial.claim.name for trial in MUTATIONS} == {claim.name for claim in TRUE}


def test_every_rule_is_broken_by_some_mutation() -> None:
    broken = {
        rule.name
        for rule in fields(ProtocolRules)
        for trial in MUTATIONS
        if getattr(trial.rules, rule.name) != getattr(PROTOCOL, rule.name)
    }
    assert broken == {rule.name for rule in fields(ProtocolRules)}


@full_only("explores many states")
def test_every_kind_of_step_is_taken() -> None:
    taken: Counter[Op] = Counter()
    for scenario in (CONFLICT, REWIND, PARTIAL, OUTBOX, TIE, POSITION, STEPS):
        taken += check(scenario, time.process_time, claims=[]).steps
    assert set(taken) == set(Op) - {Op.HALVED, Op.MISMATCHED, Op.NETTED_BY_HALF, Op.GIVEN_UP}


@pytest.mark.parametrize("scenario", explored([CORRECTION, DELETE, CONFLICT, PARTS]))
def test_the_condition_on_a_deltas_own_put_is_not_what_the_protocol_rests_on(scenario: ModelScenario) -> None:
    found = check(scenario, time.process_time, ProtocolRules(delta_condition=False))
    assert found.refuted is None, found.refuted


@pytest.mark.parametrize("scenario", [*SMALL, *LARGE], ids=lambda scenario: scenario.name)
def test_the_plain_definition_of_the_totals_is_that_of_the_reference_model(scenario: ModelScenario) -> None:
    world = Protocol(scenario).world
    events = [event for shard in scenario.shards for record in shard for event in record]
    assert world.packing.unpack(world.reference) == reference.totals(PIPELINE, events)


def test_an_exploration_finds_the_same_each_time() -> None:
    first, second = (examine(Protocol(CONFLICT)) for _ in range(2))
    assert first.states == second.states
    assert first.parents == second.parents
    assert first.steps == second.steps


@pytest.mark.parametrize("scenario", explored([CONFLICT, REWIND, PARTIAL, TIE, POSITION, STEPS]))
def test_every_way_can_be_described(scenario: ModelScenario) -> None:
    protocol = Protocol(scenario)
    found = examine(protocol, [])
    for place in range(0, len(found.states), 97):
        teller = ScheduleText(protocol.world)
        lines = [teller.step(step) for step in found.way(protocol, place)]
        assert all(lines)
        shards = len(found.states[place].tables.log.records)
        assert len([*teller.tables(found.states[place])]) == 4 + shards


def test_a_schedule_reads_as_what_happened() -> None:
    trial = next(trial for trial in MUTATIONS if trial.name == "mismatch-swallowed")
    refuted = attempt(trial, time.process_time).refuted
    assert refuted is not None
    text = "\n".join((*refuted.schedule, *refuted.aftermath))
    assert "StateLambda 1 is given shard 0, records 0, 1, and reads a none" in text
    assert "it takes that for success" in text
    assert "totals: root 1 key 5, L 1 key 5" in text
    assert "all events: root 1 key 7, M 1 key 7" in text


def test_a_schedule_of_economy_mode_reads_as_what_happened() -> None:
    trial = next(trial for trial in MUTATIONS if trial.name == "position-back")
    refuted = attempt(trial, time.process_time).refuted
    assert refuted is not None
    text = "\n".join((*refuted.schedule, *refuted.aftermath))
    assert "NetLambda 1 is given change 1 of shard 0, and reads the position 0" in text
    assert "CHANGES FOR THE SECOND TIME, and moves the position of shard 0 to 1" in text
    assert "changes, shard 0: 1: a none -> v1 L 5, 2: a v1 L 5 -> v2 M 7; netted up to 1" in text


NODES = [Node(0), Node(0, ("L",)), Node(0, ("M",))]
NUMBERS = st.integers(-60_000, 60_000)
TOTALS = st.dictionaries(
    st.sampled_from(NODES), st.builds(lambda count, amount: Total(count, (amount,)), NUMBERS, NUMBERS)
)


@given(st.lists(TOTALS, max_size=50))
def test_packed_totals_add_up_as_totals_do(several: list[dict[Node, Total]]) -> None:
    packing = Packing(NODES)
    sums: dict[Node, Total] = {}
    for totals in several:
        for node, total in totals.items():
            sums[node] = sums[node] + total if node in sums else total
    packed = sum(map(packing.pack, several))
    assert packing.unpack(packed) == {node: total for node, total in sums.items() if total}
