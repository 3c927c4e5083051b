"""A CloudFormation stack: its state, what a template would change of it, changing it, and the events meanwhile."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from oncefold.core.errors import OncefoldError

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 3.0
_STACK = "AWS::CloudFormation::Stack"
_CANCELLED = "cancelled"
"""In the reason of a resource that failed only because another one had."""

OnEvent = Callable[["StackEvent"], None]
"""Called with each event as it comes."""

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
_NEXT_STEPS = {
    "ROLLBACK_COMPLETE": "its creation failed and was undone; remove what is left: oncefold aws destroy --stack {name}",
    "ROLLBACK_FAILED": "its creation failed and could not be undone; remove it: oncefold aws destroy --stack {name}",
    "CREATE_FAILED": "its creation failed; remove it: oncefold aws destroy --stack {name}",
    "DELETE_FAILED": "it could not be deleted whole; once more: oncefold aws destroy --stack {name}",
    "UPDATE_ROLLBACK_FAILED": "a change failed and could not be undone; repair what its events name, then: "
    "aws cloudformation continue-update-rollback --stack-name {name}",
}
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


@dataclass(frozen=True, slots=True)
class Polling:
    """How often AWS is polled until something is done: `sleep` takes seconds."""

    sleep: Callable[[float], None]

    def attempts(self) -> Iterator[None]:
        """Attempts without end, with an exponential backoff between them."""
        seconds = _FIRST_PAUSE_SECONDS
        while True:
            yield
            self.sleep(seconds)
            seconds = min(2 * seconds, _LONGEST_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class StackEvent:
    """One thing that happened to a resource."""

    resource: str
    type: str
    status: str
    reason: str

    @property
    def failed(self) -> bool:
        """Whether it went wrong for a reason of its own."""
        return self.status.endswith("_FAILED") and _CANCELLED not in self.reason.lower()


class EventTail:
    """The events of a stack from now on."""

    def __init__(self, name: str, stack_id: str, cloudformation: Any, polling: Polling) -> None:
        """`stack_id` stays valid when the stack is deleted."""
        self._name = name
        self._id = stack_id
        self._client = cloudformation
        self._polling = polling
        self._failure: StackEvent | None = None
        self._seen: set[str] = set()
        for _ in self._new():
            pass

    @property
    def first_failure(self) -> str:
        """What went wrong first, as a sentence."""
        if self._failure is None:
            return "CloudFormation does not say what failed."
        return f"{self._failure.resource} ({self._failure.type}) failed: {self._failure.reason.rstrip('.')}."

    def follow(self, on_event: Callable[[StackEvent], None]) -> str:
        """Pass every event on as it comes, until the stack itself is done; its status then."""
        for _ in self._polling.attempts():
            for event in self._new():
                if event.failed and self._failure is None:
                    self._failure = event
                on_event(event)
                if event.type == _STACK and event.resource == self._name and not event.status.endswith("IN_PROGRESS"):
                    return event.status
        raise AssertionError("attempts never end")

    def _new(self) -> Iterator[StackEvent]:
        """Events that were not seen before, the oldest first."""
        found: list[dict[str, Any]] = []
        for page in self._client.get_paginator("describe_stack_events").paginate(StackName=self._id):
            new = [event for event in page["StackEvents"] if event["EventId"] not in self._seen]
            found += new
            if len(new) < len(page["StackEvents"]):
                break
        self._seen.update(event["EventId"] for event in found)
        found.reverse()
        for event in sorted(found, key=_order):
            yield StackEvent(
                event["LogicalResourceId"],
                event["ResourceType"],
                event["ResourceStatus"],
                event.get("ResourceStatusReason", ""),
            )


def _order(event: dict[str, Any]) -> tuple[Any, bool, bool]:
    """By time; within one moment beginnings before ends, and the stack's own end last."""
    ends = not event["ResourceStatus"].endswith("IN_PROGRESS")
    return event["Timestamp"], ends, event["ResourceType"] == _STACK


@dataclass(frozen=True, slots=True)
class StackState:
    """The state of a stack."""

    id: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def exists(self) -> bool:
        """Whether there is anything of it."""
        return self.status != _REVIEW


@dataclass(frozen=True, slots=True)
class StackResource:
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


class CloudFormationStack:
    """One stack by its name."""

    def __init__(self, name: str, cloudformation: Any, polling: Polling) -> None:
        self._name = name
        self._client = cloudformation
        self._polling = polling

    def state(self) -> StackState | None:
        """Its state now; None if CloudFormation knows no stack of that name."""
        try:
            described = self._client.describe_stacks(StackName=self._name)["Stacks"][0]
        except self._client.exceptions.ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                return None
            raise
        return StackState(
            described["StackId"],
            described["StackStatus"],
            {given["ParameterKey"]: given.get("ParameterValue", "") for given in described.get("Parameters", ())},
            {given["OutputKey"]: given["OutputValue"] for given in described.get("Outputs", ())},
        )

    def check_ready(self, current: StackState | None) -> None:
        """Raises OncefoldError, with what to do, for a stack that cannot be changed in its state."""
        if current is None or not current.exists or current.status in _READY:
            return
        advice = _NEXT_STEPS.get(current.status, "it is being changed just now; wait until that is done").format(
            name=self._name
        )
        raise OncefoldError(f"stack {self._name} is in {current.status}: {advice}")

    def resources(self) -> Sequence[StackResource]:
        """Its resources, as far as they exist."""
        pages = self._client.get_paginator("list_stack_resources").paginate(StackName=self._name)
        return [
            StackResource(found["LogicalResourceId"], found["ResourceType"], found.get("PhysicalResourceId", ""))
            for page in pages
            for found in page["StackResourceSummaries"]
            if found["ResourceStatus"] != "DELETE_COMPLETE"
        ]

    def prepare(
        self,
        current: StackState | None,
        template: str,
        parameters: Mapping[str, str | None],
        change_set_name: str,
        tags: Mapping[str, str] | None = None,
    ) -> ChangeSet | None:
        """Ask CloudFormation what a template would change; None if nothing. A parameter that is None stays as it is.

        `change_set_name` must not have been used before. Without `tags` the stack keeps those it has.
        """
        new = current is None or not current.exists
        given = [
            {"ParameterKey": name, "UsePreviousValue": True}
            if value is None
            else {"ParameterKey": name, "ParameterValue": value}
            for name, value in parameters.items()
        ]
        given_tags = {"Tags": [{"Key": name, "Value": value} for name, value in tags.items()]} if tags else {}
        made = self._client.create_change_set(
            **given_tags,
            StackName=self._name,
            ChangeSetName=change_set_name,
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
        for _ in self._polling.attempts():
            described = self._client.describe_change_set(ChangeSetName=change_set.id, StackName=change_set.stack)
            if not described["Status"].endswith(("PENDING", "IN_PROGRESS")):
                break
        if described["Status"] == "FAILED":
            reason = described.get("StatusReason", "no reason is given")
            if any(text in reason for text in _NO_CHANGES):
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
        """Delete a change set, and the empty stack that CloudFormation makes for one that would be new."""
        # An emulator's answer lacks the element that botocore looks up; the change set is gone all the same.
        with suppress(KeyError, self._client.exceptions.ChangeSetNotFoundException):
            self._client.delete_change_set(ChangeSetName=change_set.id, StackName=change_set.stack)
        if change_set.new:
            self._client.delete_stack(StackName=self._name)

    def execute(self, change_set: ChangeSet, on_event: OnEvent) -> StackState:
        """Make a change, pass its events on as they come; the state of the stack after it. Raises OncefoldError."""
        tail = EventTail(self._name, change_set.stack, self._client, self._polling)
        self._client.execute_change_set(ChangeSetName=change_set.id, StackName=change_set.stack)
        status = tail.follow(on_event)
        if status not in _DONE:
            advice = _NEXT_STEPS.get(status, "the stack is as it was before").format(name=self._name)
            raise OncefoldError(f"stack {self._name}: {tail.first_failure} The stack is in {status}: {advice}")
        current = self.state()
        assert current is not None, "a stack that was just changed exists"
        return current

    def delete(self, current: StackState, on_event: OnEvent) -> None:
        """Delete the stack; its events go to `on_event`. Raises OncefoldError if something could not be deleted."""
        tail = EventTail(self._name, current.id, self._client, self._polling)
        self._client.delete_stack(StackName=self._name)
        status = tail.follow(on_event)
        if status != "DELETE_COMPLETE":
            advice = _NEXT_STEPS.get(status, "see its events").format(name=self._name)
            raise OncefoldError(f"stack {self._name}: {tail.first_failure} The stack is in {status}: {advice}")


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
