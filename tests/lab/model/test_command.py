"""The command `oncefold lab model`."""

import json
from typing import Any

import pytest

from oncefold.cli.main import main
from oncefold_lab.model import explore as checking
from oncefold_lab.model import mutations, scenarios
from oncefold_lab.model.scenario import ProtocolRules
from tests.tools.sizes import full_only

Output = pytest.CaptureFixture[str]
FEW = mutations.MUTATIONS[:2]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a few of everything, for the sake of time."""
    monkeypatch.setattr(scenarios, "SMALL", (scenarios.CONFLICT,))
    monkeypatch.setattr(scenarios, "LARGE", (scenarios.CORRECTION,))
    monkeypatch.setattr(mutations, "MUTATIONS", FEW)
    monkeypatch.setattr(mutations, "FALSE_CLAIMS", mutations.FALSE_CLAIMS[:2])


def test_it_counts_the_states_and_says_what_holds_in_them(few: None, capsys: Output) -> None:
    assert main(["lab", "model"]) == 0
    text = capsys.readouterr().out
    assert "conflict" in text
    assert "correction" not in text
    assert "in all 3,749 states:" in text
    assert "totals + outbox = contributions of the states" in text
    assert all(trial.name in text for trial in FEW)


@full_only("2 s")
def test_large_scenarios_come_on_top(few: None, capsys: Output) -> None:
    assert main(["lab", "model", "--large", "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [scenario["name"] for scenario in document["scenarios"]] == ["conflict", "correction"]
    assert all(scenario["refuted"] is None for scenario in document["scenarios"])
    assert document["scenarios"][0]["states"] == 3_749
    assert document["scenarios"][0]["transitions"] == sum(document["scenarios"][0]["steps"].values())
    assert [trial["name"] for trial in document["mutations"]] == [trial.name for trial in FEW]
    assert all(trial["refuted"]["schedule"] for trial in document["mutations"] + document["false_claims"])


def test_a_mutation_is_shown_with_its_schedule(capsys: Output) -> None:
    assert main(["lab", "model", "--mutation", "free-delete"]) == 0
    text = capsys.readouterr().out
    assert "not so: no delta is added to the totals twice" in text
    assert "shard 0: [a v1 L 5]" in text
    assert "  5 ReduceLambda 1 adds d1 to the totals, d1 FOR THE SECOND TIME" in text


def test_a_false_claim_is_shown_with_its_schedule(capsys: Output) -> None:
    assert main(["lab", "model", "--claim", "no-outbox", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["refuted"]["claim"] == document["about"]
    assert len(document["refuted"]["schedule"]) == 2


@pytest.mark.parametrize("option", ["--mutation", "--claim"])
def test_an_unknown_name_is_answered_with_those_there_are(option: str, capsys: Output) -> None:
    assert main(["lab", "model", option, "nonsense"]) == 2
    text = capsys.readouterr().err
    assert "'nonsense'" in text
    assert "no-condition" in text or "no-outbox" in text


def test_two_questions_at_once_are_refused(capsys: Output) -> None:
    assert main(["lab", "model", "--large", "--claim", "no-outbox"]) == 2
    assert "one at a time" in capsys.readouterr().err


def test_a_mutation_that_goes_unnoticed_is_a_failure(
    few: None, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    harmless = mutations.MUTATIONS[0].__class__(
        "harmless", "nothing", scenarios.CONFLICT, FEW[0].claim, ProtocolRules()
    )
    monkeypatch.setattr(mutations, "MUTATIONS", (harmless,))
    assert main(["lab", "model"]) == 1
    assert "NONE" in capsys.readouterr().out
    assert main(["lab", "model", "--mutation", "harmless"]) == 1
    assert "NOTHING goes wrong in 3,749 states" in capsys.readouterr().out


def test_a_claim_that_does_not_hold_is_a_failure(few: None, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    wrong = mutations.MUTATIONS[1]
    assert wrong.name == "version-alone"
    plain = checking.check
    monkeypatch.setattr(checking, "check", lambda *args, **extra: plain(wrong.scenario, args[1], wrong.rules))
    assert main(["lab", "model"]) == 1
    text = capsys.readouterr().out
    assert "WRONG in the scenario 'conflict'" in text
    assert "not so: " in text
