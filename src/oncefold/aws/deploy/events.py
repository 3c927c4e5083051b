"""What happens to a stack, event by event, until CloudFormation is done with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 3.0
_STACK = "AWS::CloudFormation::Stack"
_CANCELLED = "cancelled"
"""In the reason of a resource that failed only because another one had."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How to wait for AWS: `sleep` takes seconds."""

    sleep: Callable[[float], None]

    def turns(self) -> Iterator[None]:
        """Turns of looking, the pause between them longer and longer."""
        seconds = _FIRST_PAUSE_SECONDS
        while True:
            yield
            self.sleep(seconds)
            seconds = min(2 * seconds, _LONGEST_PAUSE_SECONDS)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a resource."""

    resource: str
    type: str
    status: str
    reason: str

    @property
    def failed(self) -> bool:
        """Whether it went wrong for a reason of its own."""
        return self.status.endswith("_FAILED") and _CANCELLED not in self.reason.lower()


class Trail:
    """The events of a stack from now on."""

    def __init__(self, name: str, stack_id: str, cloudformation: Any, pace: Pace) -> None:
        """`stack_id` stays valid when the stack is deleted."""
        self._name = name
        self._id = stack_id
        self._client = cloudformation
        self._pace = pace
        self._failure: Event | None = None
        self._seen: set[str] = set()
        for _ in self._new():
            pass

    @property
    def first_failure(self) -> str:
        """What went wrong first, as a sentence."""
        if self._failure is None:
            return "CloudFormation does not say what failed."
        return f"{self._failure.resource} ({self._failure.type}) failed: {self._failure.reason.rstrip('.')}."

    def follow(self, say: Callable[[Event], None]) -> str:
        """Tell every event as it comes, until the stack itself is done; its status then."""
        for _ in self._pace.turns():
            for event in self._new():
                if event.failed and self._failure is None:
                    self._failure = event
                say(event)
                if event.type == _STACK and event.resource == self._name and not event.status.endswith("IN_PROGRESS"):
                    return event.status
        raise AssertionError("turns never end")

    def _new(self) -> Iterator[Event]:
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
            yield Event(
                event["LogicalResourceId"],
                event["ResourceType"],
                event["ResourceStatus"],
                event.get("ResourceStatusReason", ""),
            )


def _order(event: dict[str, Any]) -> tuple[Any, bool, bool]:
    """By time; within one moment beginnings before ends, and the stack's own end last."""
    ends = not event["ResourceStatus"].endswith("IN_PROGRESS")
    return event["Timestamp"], ends, event["ResourceType"] == _STACK
