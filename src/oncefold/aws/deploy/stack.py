"""A CloudFormation stack: how it stands, what a template would change of it, and making it so."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from oncefold.aws.deploy.events import Event, Pace, Trail
from oncefold.core.errors import OncefoldError

Say = Callable[[Event], None]

_REVIEW = "REVIEW_IN_PROGRESS"
"""A stack of which there is nothing yet but a change set that would make it."""
_READY = frozenset(
    [
        "CREATE_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
    ]
)
_DONE = frozenset(status for status in _READY if "ROLLBACK" not in status)
_WAYS_ON = {
    "ROLLBACK_COMPLETE": "its creation failed and was undone; remove what is left: oncefold aws destroy --stack {name}",
    "ROLLBACK_FAILED": "its creation failed and could not be undone; remove it: oncefold aws destroy --stack {name}",
    "CREATE_FAILED": "its creation failed; remove it: oncefold aws destroy --stack {name}",
    "DELETE_FAILED": "it could not be deleted whole; once more: oncefold aws destroy --stack {name}",
    "UPDATE_ROLLBACK_FAILED": "a change failed and could not be undone; mend what its events name, then: "
    "aws cloudformation continue-update-rollback --stack-name {name}",
}
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True, slots=True)
class Standing:
    """A stack as it is."""

    id: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def exists(self) -> bool:
        """Whether there is anything of it."""
        return self.status != _REVIEW


@dataclass(frozen=True, slots=True)
class Resource:
    """A part of a stack."""

    name: str
    """In the template."""
    type: str
    physical_name: str
    """What the service calls it."""


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What would become of one resource."""

    action: str
    """Add, Modify, Remove or Import."""
    name: str
    type: str
    replacement: str
    """Of what is modified: True, False or Conditional."""
    properties: tuple[str, ...]
    """Those that would change, as far as CloudFormation says."""


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change that is prepared, and nothing done yet."""

    id: str
    stack: str
    """The stack's id."""
    new: bool
    """Whether it makes the stack."""
    changes: tuple[ResourceChange, ...]


class Stack:
    """One stack by its name."""

    def __init__(self, name: str, cloudformation: Any, pace: Pace) -> None:
        self._name = name
        self._client = cloudformation
        self._pace = pace

    def standing(self) -> Standing | None:
        """How it stands; None if CloudFormation knows no stack of that name."""
        try:
            described = self._client.describe_stacks(StackName=self._name)["Stacks"][0]
        except self._client.exceptions.ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                return None
            raise
        return Standing(
            described["StackId"],
            described["StackStatus"],
            {given["ParameterKey"]: given.get("ParameterValue", "") for given in described.get("Parameters", ())},
            {given["OutputKey"]: given["OutputValue"] for given in described.get("Outputs", ())},
        )

    def check_ready(self, standing: Standing | None) -> None:
        """Raises OncefoldError, with the way on, for a stack that cannot be changed as it stands."""
        if standing is None or not standing.exists or standing.status in _READY:
            return
        words = _WAYS_ON.get(standing.status, "somebody changes it just now; wait until that is done").format(
            name=self._name
        )
        raise OncefoldError(f"stack {self._name} is in {standing.status}: {words}")

    def resources(self) -> Sequence[Resource]:
        """Its resources, as far as they exist."""
        pages = self._client.get_paginator("list_stack_resources").paginate(StackName=self._name)
        return [
            Resource(found["LogicalResourceId"], found["ResourceType"], found.get("PhysicalResourceId", ""))
            for page in pages
            for found in page["StackResourceSummaries"]
            if found["ResourceStatus"] != "DELETE_COMPLETE"
        ]

    def prepare(
        self, standing: Standing | None, template: str, parameters: Mapping[str, str | None], ticket: str
    ) -> ChangeSet | None:
        """Ask CloudFormation what a template would change; None if nothing. A parameter that is None stays as it is.

        `ticket` names the change set, once for ever.
        """
        new = standing is None or not standing.exists
        given = [
            {"ParameterKey": name, "UsePreviousValue": True}
            if value is None
            else {"ParameterKey": name, "ParameterValue": value}
            for name, value in parameters.items()
        ]
        made = self._client.create_change_set(
            StackName=self._name,
            ChangeSetName=ticket,
            ChangeSetType="CREATE" if new else "UPDATE",
            TemplateBody=template,
            Parameters=given,
            Capabilities=["CAPABILITY_IAM"],
            # Tables that an earlier stack of this name left are taken up again.
            ImportExistingResources=True,
        )
        change_set = ChangeSet(made["Id"], made["StackId"], new, ())
        try:
            changes = self._changes(change_set)
        except BaseException:
            self.discard(change_set)
            raise
        if changes is None:
            self.discard(change_set)
            return None
        return ChangeSet(change_set.id, change_set.stack, new, tuple(changes))

    def _changes(self, change_set: ChangeSet) -> Sequence[ResourceChange] | None:
        """What a change set holds once CloudFormation has worked it out; None if nothing."""
        for _ in self._pace.turns():
            described = self._client.describe_change_set(ChangeSetName=change_set.id, StackName=change_set.stack)
            if not described["Status"].endswith(("PENDING", "IN_PROGRESS")):
                break
        if described["Status"] == "FAILED":
            reason = described.get("StatusReason", "no reason is given")
            if any(words in reason for words in _NO_CHANGES):
                return None
            raise OncefoldError(f"stack {self._name}: CloudFormation refuses the change: {reason}")
        return list(self._read_changes(change_set, described))

    def _read_changes(self, change_set: ChangeSet, page: Mapping[str, Any]) -> Iterator[ResourceChange]:
        while True:
            yield from (_change(found["ResourceChange"]) for found in page["Changes"] if "ResourceChange" in found)
            if not page.get("NextToken"):
                return
            page = self._client.describe_change_set(
                ChangeSetName=change_set.id, StackName=change_set.stack, NextToken=page["NextToken"]
            )

    def discard(self, change_set: ChangeSet) -> None:
        """Forget a change set, and the empty stack that CloudFormation makes for one that would be new."""
        # An emulator's answer lacks the element that botocore looks up; the change set is gone all the same.
        with suppress(KeyError, self._client.exceptions.ChangeSetNotFoundException):
            self._client.delete_change_set(ChangeSetName=change_set.id, StackName=change_set.stack)
        if change_set.new:
            self._client.delete_stack(StackName=self._name)

    def execute(self, change_set: ChangeSet, say: Say) -> Standing:
        """Make a change, tell its events as they come, and the stack as it is then. Raises OncefoldError."""
        trail = Trail(self._name, change_set.stack, self._client, self._pace)
        self._client.execute_change_set(ChangeSetName=change_set.id, StackName=change_set.stack)
        status = trail.follow(say)
        if status not in _DONE:
            words = _WAYS_ON.get(status, "the stack is as it was before").format(name=self._name)
            raise OncefoldError(f"stack {self._name}: {trail.first_failure} The stack is in {status}: {words}")
        standing = self.standing()
        assert standing is not None, "a stack that was just changed exists"
        return standing

    def delete(self, standing: Standing, say: Say) -> None:
        """Delete the stack, and tell its events as they come. Raises OncefoldError if something stays against will."""
        trail = Trail(self._name, standing.id, self._client, self._pace)
        self._client.delete_stack(StackName=self._name)
        status = trail.follow(say)
        if status != "DELETE_COMPLETE":
            words = _WAYS_ON.get(status, "look at its events").format(name=self._name)
            raise OncefoldError(f"stack {self._name}: {trail.first_failure} The stack is in {status}: {words}")


def _change(found: Mapping[str, Any]) -> ResourceChange:
    details = (detail.get("Target", {}) for detail in found.get("Details", ()))
    properties = dict.fromkeys(target.get("Name") or target.get("Attribute", "") for target in details)
    return ResourceChange(
        found["Action"],
        found["LogicalResourceId"],
        found["ResourceType"],
        found.get("Replacement", ""),
        tuple(filter(None, properties)),
    )
