"""A stack's changes as CloudFormation reports them: what would change, what happens, what went wrong first."""

from typing import Any

import pytest

from oncefold.aws.deploy.cloudformation import ChangeSet, CloudFormationStack, Polling, ResourceChange, StackEvent
from oncefold.core.errors import OncefoldError
from tests.aws.deploy.scripted import CHANGE_SET_ID, NAME, STACK, STACK_ID, Line, Scripted

TABLE = "AWS::DynamoDB::Table"
CHANGE_SET = ChangeSet(CHANGE_SET_ID, STACK_ID, new=True, changes=())


class Pauses:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def stack(cloudformation: Scripted, pauses: Pauses | None = None) -> CloudFormationStack:
    return CloudFormationStack(NAME, cloudformation, Polling(pauses or Pauses()))


def described(status: str, reason: str = "", *changes: dict[str, Any], token: str = "") -> dict[str, Any]:
    found = [{"Type": "Resource", "ResourceChange": change} for change in changes]
    return {"Status": status, "StatusReason": reason, "Changes": found, "NextToken": token}


# what would change


def test_a_change_set_is_awaited_and_read_page_by_page() -> None:
    cloudformation = Scripted()
    target = {"Target": {"Attribute": "Properties", "Name": "BillingMode"}}
    tags = {"Target": {"Attribute": "Tags"}}
    modify = {
        "Action": "Modify",
        "LogicalResourceId": "A",
        "ResourceType": TABLE,
        "Replacement": "True",
        "Details": [target, target, tags],
    }
    add = {"Action": "Add", "LogicalResourceId": "B", "ResourceType": TABLE}
    cloudformation.change_sets = [
        described("CREATE_PENDING"),
        described("CREATE_IN_PROGRESS"),
        described("CREATE_COMPLETE", "", modify, token="more"),
        described("CREATE_COMPLETE", "", add),
    ]
    pauses = Pauses()
    found = stack(cloudformation, pauses).prepare(None, "{}", {"ShardCount": "3", "StreamMode": None}, "t")
    assert found is not None
    assert found.new
    assert found.changes == (
        ResourceChange("Modify", "A", TABLE, "True", ("BillingMode", "Tags")),
        ResourceChange("Add", "B", TABLE, "", ()),
    )
    assert len(pauses.seconds) == 2
    request = cloudformation.requests[0]
    assert request["ChangeSetType"] == "CREATE"
    assert request["ImportExistingResources"]
    assert request["Parameters"] == [
        {"ParameterKey": "ShardCount", "ParameterValue": "3"},
        {"ParameterKey": "StreamMode", "UsePreviousValue": True},
    ]
    assert "Tags" not in request
    assert cloudformation.requests[-1]["NextToken"] == "more"
    assert cloudformation.calls == ["create"]


@pytest.mark.parametrize(
    "reason",
    ["The submitted information didn't contain changes. Submit different ...", "No updates are to be performed."],
)
def test_no_change_is_no_failure(reason: str) -> None:
    cloudformation = Scripted("UPDATE_COMPLETE")
    cloudformation.change_sets = [described("FAILED", reason)]
    one = stack(cloudformation)
    assert one.prepare(one.state(), "{}", {}, "t") is None
    assert cloudformation.requests[0]["ChangeSetType"] == "UPDATE"
    assert cloudformation.calls == ["create", "discard"]


def test_a_refused_change_leaves_nothing_behind() -> None:
    cloudformation = Scripted()
    cloudformation.change_sets = [described("FAILED", "Template error: nonsense")]
    with pytest.raises(OncefoldError, match="stack risk: CloudFormation refuses the change: Template error: nonsense"):
        stack(cloudformation).prepare(None, "{}", {}, "t")
    assert cloudformation.calls == ["create", "discard", "delete"]


def test_a_stack_that_was_only_reviewed_is_made_anew() -> None:
    cloudformation = Scripted("REVIEW_IN_PROGRESS")
    cloudformation.change_sets = [described("CREATE_COMPLETE")]
    one = stack(cloudformation)
    current = one.state()
    one.check_ready(current)
    found = one.prepare(current, "{}", {}, "t", {"team": "risk"})
    assert cloudformation.requests[0]["Tags"] == [{"Key": "team", "Value": "risk"}]
    assert found is not None
    assert found.new


@pytest.mark.parametrize(
    ("status", "way_on"),
    [
        ("ROLLBACK_COMPLETE", "its creation failed and was undone; remove what is left: oncefold aws destroy"),
        ("ROLLBACK_FAILED", "oncefold aws destroy --stack risk"),
        ("CREATE_FAILED", "oncefold aws destroy --stack risk"),
        ("DELETE_FAILED", "once more: oncefold aws destroy --stack risk"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name risk"),
        ("UPDATE_IN_PROGRESS", "wait until that is done"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait until that is done"),
    ],
)
def test_a_stack_that_cannot_be_changed_as_it_stands_has_a_way_on(status: str, way_on: str) -> None:
    one = stack(Scripted(status))
    with pytest.raises(OncefoldError, match=f"stack risk is in {status}: .*{way_on}"):
        one.check_ready(one.state())


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", None])
def test_a_stack_that_can_be_changed(status: str | None) -> None:
    one = stack(Scripted(status))
    one.check_ready(one.state())


# what happens

BEFORE: tuple[Line, ...] = (
    (NAME, STACK, "CREATE_IN_PROGRESS", ""),
    ("Old", TABLE, "CREATE_FAILED", "long ago"),
    (NAME, STACK, "ROLLBACK_COMPLETE", ""),
    (NAME, STACK, "REVIEW_IN_PROGRESS", ""),
)


def test_every_event_is_reported_once_in_its_order_until_the_stack_is_done() -> None:
    script: list[Line] = [
        (NAME, STACK, "CREATE_IN_PROGRESS", ""),
        ("A", TABLE, "CREATE_IN_PROGRESS", ""),
        ("A", TABLE, "CREATE_COMPLETE", ""),
        ("B", TABLE, "CREATE_IN_PROGRESS", ""),
        ("B", TABLE, "CREATE_COMPLETE", ""),
        (NAME, STACK, "CREATE_COMPLETE", ""),
    ]
    cloudformation = Scripted("REVIEW_IN_PROGRESS", script)
    cloudformation.past(*BEFORE)
    events: list[StackEvent] = []
    pauses = Pauses()
    current = stack(cloudformation, pauses).execute(CHANGE_SET, events.append)
    assert events == [StackEvent(*line) for line in script]
    assert current.status == "CREATE_COMPLETE"
    assert pauses.seconds == sorted(pauses.seconds)
    assert max(pauses.seconds) <= 3.0


def test_the_first_failure_is_named_with_its_reason_and_the_way_on() -> None:
    script: list[Line] = [
        (NAME, STACK, "CREATE_IN_PROGRESS", ""),
        ("A", TABLE, "CREATE_IN_PROGRESS", ""),
        ("C", TABLE, "CREATE_FAILED", "Resource creation cancelled"),
        ("A", TABLE, "CREATE_FAILED", "limit of tables reached."),
        ("B", TABLE, "CREATE_FAILED", "also"),
        (NAME, STACK, "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [A]"),
        ("A", TABLE, "DELETE_COMPLETE", ""),
        (NAME, STACK, "ROLLBACK_COMPLETE", ""),
    ]
    cloudformation = Scripted("REVIEW_IN_PROGRESS", script)
    cloudformation.past(*BEFORE)
    name = (
        r"stack risk: A \(AWS::DynamoDB::Table\) failed: limit of tables reached\. "
        r"The stack is in ROLLBACK_COMPLETE: .* oncefold aws destroy --stack risk"
    )
    with pytest.raises(OncefoldError, match=name):
        stack(cloudformation).execute(CHANGE_SET, lambda _: None)


def test_a_change_that_was_rolled_back_leaves_the_stack_as_it_was() -> None:
    script: list[Line] = [
        (NAME, STACK, "UPDATE_IN_PROGRESS", ""),
        ("A", TABLE, "UPDATE_FAILED", "no"),
        (NAME, STACK, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", ""),
        (NAME, STACK, "UPDATE_ROLLBACK_COMPLETE", ""),
    ]
    with pytest.raises(OncefoldError, match=r"A .* failed: no\. .* UPDATE_ROLLBACK_COMPLETE: the stack is as it was"):
        stack(Scripted("UPDATE_COMPLETE", script)).execute(CHANGE_SET, lambda _: None)


def test_a_deletion_that_fails_is_reported() -> None:
    script: list[Line] = [
        (NAME, STACK, "DELETE_IN_PROGRESS", ""),
        ("A", TABLE, "DELETE_FAILED", "in use"),
        (NAME, STACK, "DELETE_FAILED", ""),
    ]
    one = stack(Scripted("CREATE_COMPLETE", script))
    current = one.state()
    assert current is not None
    with pytest.raises(OncefoldError, match=r"A .* failed: in use\. .* once more: oncefold aws destroy"):
        one.delete(current, lambda _: None)
