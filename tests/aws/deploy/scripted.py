"""A CloudFormation that answers as scripted: pages, slowness and cancelled resources, which no emulator has."""

from collections.abc import Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

STACK = "AWS::CloudFormation::Stack"
NAME, STACK_ID, CHANGE_SET_ID = "risk", "arn:stack/risk/1", "arn:changeSet/1"
PAGE = 3

Line = tuple[str, str, str, str]
"""Resource, type, status, reason."""


class Scripted:
    """Speaks as a boto3 client of one stack. Each look at the events shows one more of `script`."""

    class exceptions:  # noqa: N801 - as boto3 has it
        ClientError = ClientError
        ChangeSetNotFoundException = ClientError

    def __init__(self, status: str | None = None, script: Sequence[Line] = ()) -> None:
        self.status = status
        self.events: list[dict[str, Any]] = []
        self.change_sets: list[dict[str, Any]] = []
        """What describe_change_set answers, one after the other; the last one stays."""
        self.calls: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self._script = list(script)
        self._begun = False

    def past(self, *lines: Line) -> None:
        """Events of the time before."""
        for line in lines:
            self._add(line)

    def _add(self, line: Line) -> None:
        resource, type_, status, reason = line
        self.events.append(
            {
                "EventId": str(len(self.events)),
                "LogicalResourceId": resource,
                "ResourceType": type_,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "Timestamp": len(self.events) // 2,
            }
        )
        if type_ == STACK and resource == NAME:
            self.status = status

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        if self.status is None:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": f"{StackName} does not exist"}}, "op")
        parameters = [{"ParameterKey": "ShardCount", "ParameterValue": "2"}]
        return {"Stacks": [{"StackId": STACK_ID, "StackStatus": self.status, "Parameters": parameters}]}

    def create_change_set(self, **request: Any) -> dict[str, Any]:
        self.calls.append("create")
        self.requests.append(request)
        return {"Id": CHANGE_SET_ID, "StackId": STACK_ID}

    def describe_change_set(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        return self.change_sets.pop(0) if len(self.change_sets) > 1 else self.change_sets[0]

    def delete_change_set(self, **request: Any) -> None:
        self.calls.append("discard")

    def delete_stack(self, StackName: str) -> None:  # noqa: N803
        assert StackName == NAME
        self.calls.append("delete")
        self._begun = True

    def execute_change_set(self, **request: Any) -> None:
        self.calls.append("execute")
        self._begun = True

    def get_paginator(self, operation: str) -> Any:
        return _Pages(getattr(self, f"_{operation}"))

    def _describe_stack_events(self, StackName: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert StackName == STACK_ID
        if self._begun and self._script:
            self._add(self._script.pop(0))
        newest_first = self.events[::-1]
        for start in range(0, max(len(newest_first), 1), PAGE):
            yield {"StackEvents": newest_first[start : start + PAGE]}


class _Pages:
    def __init__(self, pages: Any) -> None:
        self.paginate = pages
