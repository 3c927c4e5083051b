"""How a call is carried out: its parameters, what is due before it, the fault, the effect, the reply.

Missing ones are refused as boto3 does: before anything is sent.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any, Literal

from botocore.exceptions import ParamValidationError

from oncefold_lab.simulator.errors import Errors, ServiceError, metadata
from oncefold_lab.simulator.faults import Fault, Faults, Manners


class Parameters:
    """The operations of one client and their parameters."""

    def __init__(self, needed: Mapping[str, tuple[str, ...]], optional: Mapping[str, tuple[str, ...]]) -> None:
        self._needed = needed
        self._known = {name: frozenset([*names, *optional.get(name, ())]) for name, names in needed.items()}

    def check(self, operation: str, request: Mapping[str, Any]) -> None:
        """Raise for a request that lacks a parameter, or has one that is not simulated."""
        for name in self._needed[operation]:
            if name not in request:
                raise ParamValidationError(report=f'Missing required parameter in input: "{name}"')
        if not request.keys() <= self._known[operation]:
            unknown = ", ".join(sorted(request.keys() - self._known[operation]))
            raise NotImplementedError(f"the simulated {operation} does not take {unknown}")


_EXPRESSION = ("ExpressionAttributeNames", "ExpressionAttributeValues")
_WRITE = ("ConditionExpression", *_EXPRESSION, "ReturnValuesOnConditionCheckFailure")
_WRITE_ALONE = (*_WRITE, "ReturnValues", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics")
_READ = ("ConsistentRead", "ProjectionExpression", "ReturnConsumedCapacity")
_PAGE = (*_READ, *_EXPRESSION, "FilterExpression", "Limit", "ExclusiveStartKey", "Select")

_STREAM = ("StreamName", "StreamARN")

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "CreateTable": ("TableName", "KeySchema", "AttributeDefinitions"),
    "DescribeTable": ("TableName",),
    "DeleteTable": ("TableName",),
    "ListTables": (),
    "PutItem": ("TableName", "Item"),
    "UpdateItem": ("TableName", "Key"),
    "DeleteItem": ("TableName", "Key"),
    "GetItem": ("TableName", "Key"),
    "BatchGetItem": ("RequestItems",),
    "BatchWriteItem": ("RequestItems",),
    "Query": ("TableName",),
    "Scan": ("TableName",),
    "TransactWriteItems": ("TransactItems",),
    "TransactGetItems": ("TransactItems",),
}
_MORE: Mapping[str, tuple[str, ...]] = {
    "CreateTable": (
        "BillingMode",
        "ProvisionedThroughput",
        "StreamSpecification",
        "SSESpecification",
        "Tags",
    ),
    "ListTables": ("Limit", "ExclusiveStartTableName"),
    "PutItem": _WRITE_ALONE,
    "UpdateItem": (*_WRITE_ALONE, "UpdateExpression"),
    "DeleteItem": _WRITE_ALONE,
    "GetItem": (*_READ, "ExpressionAttributeNames"),
    "BatchGetItem": ("ReturnConsumedCapacity",),
    "BatchWriteItem": ("ReturnConsumedCapacity", "ReturnItemCollectionMetrics"),
    "Query": (*_PAGE, "KeyConditionExpression", "ScanIndexForward"),
    "Scan": (*_PAGE, "Segment", "TotalSegments"),
    "TransactWriteItems": ("ClientRequestToken", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"),
    "TransactGetItems": ("ReturnConsumedCapacity",),
}
DYNAMODB = Parameters(_NEEDED, _MORE)
STREAMS = Parameters(
    needed={
        "ListStreams": (),
        "DescribeStream": ("StreamArn",),
        "GetShardIterator": ("StreamArn", "ShardId", "ShardIteratorType"),
        "GetRecords": ("ShardIterator",),
    },
    optional={
        "ListStreams": ("TableName", "Limit", "ExclusiveStartStreamArn"),
        "DescribeStream": ("Limit", "ExclusiveStartShardId"),
        "GetShardIterator": ("SequenceNumber",),
        "GetRecords": ("Limit",),
    },
)
KINESIS = Parameters(
    needed={
        "CreateStream": ("StreamName",),
        "DeleteStream": (),
        "ListStreams": (),
        "DescribeStreamSummary": (),
        "ListShards": (),
        "PutRecord": ("Data", "PartitionKey"),
        "PutRecords": ("Records",),
        "GetShardIterator": ("ShardId", "ShardIteratorType"),
        "GetRecords": ("ShardIterator",),
        "SplitShard": ("ShardToSplit", "NewStartingHashKey"),
        "MergeShards": ("ShardToMerge", "AdjacentShardToMerge"),
    },
    optional={
        "CreateStream": ("ShardCount", "StreamModeDetails"),
        "DeleteStream": (*_STREAM, "EnforceConsumerDeletion"),
        "ListStreams": ("Limit", "ExclusiveStartStreamName"),
        "DescribeStreamSummary": _STREAM,
        "ListShards": (*_STREAM, "NextToken", "ExclusiveStartShardId", "MaxResults"),
        "PutRecord": (*_STREAM, "ExplicitHashKey", "SequenceNumberForOrdering"),
        "PutRecords": _STREAM,
        "GetShardIterator": (*_STREAM, "StartingSequenceNumber", "Timestamp"),
        "GetRecords": ("Limit", "StreamARN"),
        "SplitShard": _STREAM,
        "MergeShards": _STREAM,
    },
)


@dataclass
class Agenda:
    """Actions and the moments they are due; those of one moment happen in the order they were planned."""

    _entries: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    def plan(self, due: float, action: Callable[[], object]) -> None:
        """Do something at a moment."""
        heappush(self._entries, (due, next(self._numbers), action))

    def due(self) -> float | None:
        """When the next action is due."""
        return self._entries[0][0] if self._entries else None

    def run(self, now: float) -> None:
        """Do what is due."""
        while self._entries and self._entries[0][0] <= now:
            heappop(self._entries)[2]()


Request = Mapping[str, Any]
Reply = dict[str, Any]
Handler = Callable[[Request, Fault | None], Reply]
Moment = Literal["before", "after"]
CallHook = Callable[[str, Moment], None]
"""Called for every call, with its operation: before it reaches the service, and after its effect but before its reply.

It may make calls of its own, move the clock, and raise: then the caller has crashed there.
"""


class NoReply(Exception):  # noqa: N818 - carries what the caller gets
    """A call ends without a reply."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class Caller:
    """The way of all calls of one client."""

    clock: Callable[[], float]
    faults: Faults
    manners: Manners
    parameters: Parameters
    agenda: Agenda
    counts: Counter[str]
    """Calls by operation, errors by code, and what else there is to count."""
    hook: CallHook | None = None
    errors: Errors = field(default_factory=Errors)
    _requests: int = 0

    def call(self, operation: str, handler: Handler, request: Request) -> Reply:
        """Have a call made. Raises what boto3 raises, and what the hook raises."""
        self.parameters.check(operation, request)
        if self.hook is not None:
            self.hook(operation, "before")
        self.agenda.run(self.clock())
        self._requests += 1
        number = f"{self._requests:032d}"
        self.counts[operation] += 1
        reply: Reply | None = None
        fault = self.faults.draw(operation)
        problem = self.faults.before(fault, self.manners)
        if problem is None:
            try:
                reply = handler(request, fault)
            except ServiceError as refusal:
                problem = refusal
            except NoReply as silence:
                problem = silence.error
            problem = self.faults.after(fault, self.manners) or problem
        if self.hook is not None:
            self.hook(operation, "after")
        if problem is not None or reply is None:
            raise self._raised(problem, operation, number)
        reply["ResponseMetadata"] = metadata(number)
        return reply

    def _raised(self, problem: Exception | None, operation: str, number: str) -> Exception:
        if isinstance(problem, ServiceError):
            self.counts[problem.code] += 1
            for reason in problem.members.get("CancellationReasons", ()):
                self.counts[f"cancelled: {reason['Code']}"] += 1
            return self.errors.made(problem, operation, number)
        assert problem is not None
        self.counts[type(problem).__name__] += 1
        return problem

    def now(self) -> float:
        """The time."""
        return self.clock()

    def count(self, what: str, times: int = 1) -> None:
        """Count something that a run should have had."""
        if times:
            self.counts[what] += times

    def shortened(self, length: int) -> int:
        """How much of a page is left of it when it is cut short: less than all, perhaps nothing."""
        self.faults.happened(Fault.SHORT)
        return self.faults.random.randrange(length)

    def later(self, fault: Fault, action: Callable[[], object]) -> NoReply:
        """Plan an effect for later; what the caller gets for now."""
        self.faults.happened(fault)
        seconds, error = self.faults.late()
        self.agenda.plan(self.clock() + seconds, action)
        return NoReply(error)
