"""What a learner's functions were seen to do: counts of calls and of what came of them, by function."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from oncefold_workshop.course.functions import LearnerFunctions
from oncefold_workshop.game.audit import Cause
from oncefold_workshop.pipelines.settings import TableNames

STATE, MAP, REDUCE, SWEEP = "StateLambda", "MapLambda", "ReduceLambda", "SweepLambda"
"""Names of the functions."""
CANCELLED = "TransactionCanceledException"
MISMATCH = "IdempotentParameterMismatchException"
INVALID = "ValidationException"
ACTIONS = 100
"""Of a transaction, at most."""
CENTS = 2
"""Decimal places of every value."""


@dataclass
class CallCounts:
    """One function."""

    invocations: int = 0
    succeeded: int = 0
    """Invocations that ended well."""
    failed: int = 0
    """Invocations that ended with an exception of its own."""
    failure: str = ""
    """The last one, with its line."""
    timed_out: int = 0
    calls: int = 0
    seconds: float = 0.0
    """Of its invocations together."""
    writes: Counter[str] = field(default_factory=Counter)
    """Actions that write, by table."""
    unconditioned: Counter[str] = field(default_factory=Counter)
    """Those of them that have no condition."""
    deletes: Counter[str] = field(default_factory=Counter)
    """Those of them that delete."""
    free_deletes: Counter[str] = field(default_factory=Counter)
    """Deletes without a condition."""
    lone: Counter[str] = field(default_factory=Counter)
    """Writes that no transaction is around."""
    tokenless: int = 0
    """Transactions without a token."""
    swallowed: Counter[str] = field(default_factory=Counter)
    """Refusals in invocations that ended well, by DynamoDB's code."""
    given_up: int = 0
    """Invocations that ended well right after a transaction of theirs was cancelled."""
    largest: int = 0
    """Actions of the largest transaction that was sent."""
    apart: int = 0
    """Requests that write into AggregateTable and leave ReduceTable as it is."""
    together: int = 0
    """Requests that write into both StateTable and ReduceTable."""


@dataclass(frozen=True, slots=True)
class FunctionObservation:
    """Everything that hints are made of."""

    functions: LearnerFunctions
    """Which of them there are."""
    seen: Mapping[str, CallCounts]
    """By function."""
    items: Mapping[str, int]
    """Items of each table now."""
    causes: tuple[Cause, ...]
    """Why the node is wrong: those of this round, if there are any."""
    places: int
    """Decimal places of the most exact number that was written as a sum."""
    reached: int = 3
    """The lab that the learner has come to: hints name no later one."""
    unconnected: tuple[str, ...] = ()
    """Functions without a trigger."""

    def of(self, function: str) -> CallCounts:
        """A function; one that was never called has done nothing."""
        return self.seen.get(function, CallCounts())

    def because(self, text: str) -> bool:
        """Whether the account names this as a reason."""
        return any(text in cause.why for cause in self.causes)


@dataclass(slots=True)
class ObservedInvocation:
    """What one invocation was refused."""

    refused: list[str] = field(default_factory=list)
    cancelled: bool = False
    """Whether its last call was a transaction that was cancelled."""


class FunctionObserver:
    """Sees every call of a learner's functions."""

    def __init__(self, tables: TableNames) -> None:
        self._tables = tables
        self.seen: dict[str, CallCounts] = {}
        self.places = 0

    def begins(self, function: str) -> ObservedInvocation:
        """An invocation begins."""
        self.seen.setdefault(function, CallCounts()).invocations += 1
        return ObservedInvocation()

    def ends(self, function: str, invocation: ObservedInvocation) -> None:
        """An invocation has ended well."""
        seen = self.seen[function]
        seen.succeeded += 1
        seen.swallowed.update(invocation.refused)
        seen.given_up += invocation.cancelled

    def fails(self, function: str, text: str) -> None:
        """An invocation has ended with an exception."""
        self.seen[function].failed += 1
        self.seen[function].failure = text

    def called(
        self,
        function: str,
        invocation: ObservedInvocation,
        operation: str,
        request: dict[str, Any],
        refused: ClientError | None,
    ) -> None:
        """A call was made."""
        seen = self.seen[function]
        seen.calls += 1
        code = "" if refused is None else str(refused.response["Error"]["Code"])
        if code:
            invocation.refused.append(code)
        invocation.cancelled = code == CANCELLED
        actions = list(_actions(operation, request))
        if operation == "transact_write_items":
            seen.tokenless += "ClientRequestToken" not in request
            seen.largest = max(seen.largest, len(actions))
        touched = {action["TableName"] for _, action in actions}
        seen.apart += self._tables.aggregate in touched and self._tables.reduce not in touched
        seen.together += {self._tables.state, self._tables.reduce} <= touched
        for kind, action in actions:
            self._write(seen, kind, action, alone=operation != "transact_write_items")

    def _write(self, seen: CallCounts, kind: str, action: dict[str, Any], *, alone: bool) -> None:
        table = action["TableName"]
        free = "ConditionExpression" not in action
        seen.writes[table] += 1
        seen.lone[table] += alone
        seen.unconditioned[table] += free
        if kind == "Delete":
            seen.deletes[table] += 1
            seen.free_deletes[table] += free
        if table != self._tables.state:
            numbers = _numbers([action.get("Item"), action.get("ExpressionAttributeValues")])
            self.places = max(self.places, *(_places(number) for number in numbers), 0)


_WRITES = {"put_item": "Put", "update_item": "Update", "delete_item": "Delete"}


def _actions(operation: str, request: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """The writes of a request, and of what kind each is."""
    if operation in _WRITES:
        yield _WRITES[operation], request
    elif operation == "transact_write_items":
        yield from (one for item in request["TransactItems"] for one in item.items())
    elif operation == "batch_write_item":
        for table, wanted in request["RequestItems"].items():
            for one in wanted:
                for name, inner in one.items():
                    yield name.removesuffix("Request"), {**inner, "TableName": table}


def _numbers(value: Any) -> Iterable[str]:
    """Every number within."""
    if isinstance(value, dict):
        if isinstance(value.get("N"), str):
            yield value["N"]
        for inner in value.values():
            yield from _numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)


def _places(number: str) -> int:
    """Decimal places of a number as it is written."""
    found = re.fullmatch(r"[+-]?\d*\.?(\d*?)0*([eE]([+-]?\d+))?", number)
    return 0 if found is None else max(0, len(found[1]) - int(found[3] or 0))
