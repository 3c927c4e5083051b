"""How functions are connected: triggers, permissions, concurrency."""

from pathlib import Path

import pytest

from oncefold.core.errors import OncefoldError
from oncefold_workshop.course.functions import kit_text
from oncefold_workshop.course.player import LearnerOptions, entry
from oncefold_workshop.course.policy import Policy, Statement, table_arn
from oncefold_workshop.course.stack import load_stack
from oncefold_workshop.game.match import Game, Match, Playing, RoundResult
from oncefold_workshop.game.rules import GameRules
from tests.workshop.course.learner import EASY, THREE, after, hints_of, points
from tests.workshop.course.page import PAGE, blocks, put_part

PARTS = [block.text for block in blocks(PAGE.read_text(encoding="utf-8")) if block.kind == "toml"]
"""As the course goes on."""


def stack(parts: int) -> str:
    """The stack file after so many parts of the course."""
    text = kit_text("stack.toml")
    for part in PARTS[:parts]:
        text = put_part(text, part)
    return text


def played(text: str, folder: Path, lab: int = 1, rules: GameRules = EASY) -> list[RoundResult]:
    (folder / "stack.toml").write_text(text, encoding="utf-8")
    (folder / "functions.py").write_text(after(lab), encoding="utf-8")
    game = Game(1, (entry(THREE, folder, LearnerOptions(stack=Path("stack.toml"))),))
    with Playing(game, 1) as team:
        return list(Match(game, rules, team).rounds(1))


def test_without_a_trigger_nothing_is_invoked(tmp_path: Path) -> None:
    results = played(stack(0), tmp_path)
    assert points(results) == [0]
    assert results[0].scored[0].played.invocations == {}
    assert "StateLambda has no trigger in the stack file" in hints_of(results)
    assert "lab 1, step 5" in hints_of(results)


def test_a_trigger_needs_the_permission_to_read_its_stream(tmp_path: Path) -> None:
    with pytest.raises(OncefoldError, match=r"ReduceLambda: the trigger cannot be added: .* dynamodb:DescribeStream"):
        played(stack(2), tmp_path)


def test_a_call_needs_its_permission(tmp_path: Path) -> None:
    with pytest.raises(OncefoldError, match=r"AccessDeniedException.*not authorized to perform: dynamodb:UpdateItem"):
        played(stack(3), tmp_path)


def test_connected_as_the_course_says_it_wins(tmp_path: Path) -> None:
    assert points(played(stack(4), tmp_path)) == [100]
    assert points(played(stack(4), tmp_path, lab=2, rules=GameRules(200, 0))) == [100], "transactions need no more"


def test_a_reserved_concurrency_is_kept(tmp_path: Path) -> None:
    slow = stack(4).replace("[StateLambda]", "[StateLambda]\nconcurrency = 1")
    results = played(slow, tmp_path)
    state = results[0].scored[0].played
    assert state.right_after is None or state.right_after > 10, "the others are throttled, and wait"
    assert state.invocations["StateLambda"].failed == 0, "what is throttled is not invoked"


def test_policies_match_actions_and_resources() -> None:
    policy = Policy((Statement(("dynamodb:*Item",), (table_arn("StateTable"),)),))
    assert policy.refused("put_item", {"TableName": "StateTable"}) is None
    assert policy.refused("put_item", {"TableName": "ReduceTable"}) == ("dynamodb:PutItem", table_arn("ReduceTable"))
    assert policy.refused("scan", {"TableName": "StateTable"}) == ("dynamodb:Scan", table_arn("StateTable"))
    writes = [{"Update": {"TableName": "StateTable"}}, {"Delete": {"TableName": "Other"}}]
    refused = policy.refused("transact_write_items", {"TransactItems": writes})
    assert refused == ("dynamodb:DeleteItem", table_arn("Other"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[MapLambda]", "[Map]", "it has to have the tables StateLambda, MapLambda, ReduceLambda"),
        ("batch_size = 10000", "batch_size = 0", "MapLambda.trigger.batch_size: write a whole number"),
        ('source = "StateTable"', 'source = "Other"', "MapLambda.trigger.source: write one of IncomingDataStream"),
        ("window_seconds = 3", "window = 3", "MapLambda.trigger.window: there is no such setting"),
        ("# concurrency = ...", "concurrency = 0", "ReduceLambda.concurrency: write a whole number"),
        ("# concurrency = ...", "policies = []", "ReduceLambda.policies: there is no such setting"),
        ("[MapLambda]", "[MapLambda", "Expected"),
    ],
)
def test_what_is_wrong_in_a_stack_file_is_said(old: str, new: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "stack.toml").write_text(stack(0).replace(old, new, 1), encoding="utf-8")
    with pytest.raises(OncefoldError, match=r"^stack\.toml: ") as error:
        load_stack(tmp_path / "stack.toml")
    assert message in str(error.value)
