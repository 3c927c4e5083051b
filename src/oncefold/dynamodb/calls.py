"""Calls to DynamoDB, each retried while that is safe, and never past the deadline.

What may come back from a transaction (TransactWriteItems, "API Reference"; "Error handling with DynamoDB"):

- done;
- cancelled because a condition failed: what was read has changed, read again and plan anew;
- cancelled by a conflict with another transaction, or throttled: the same again, after a pause with jitter;
- no answer: done or not. The same again with the same token gives the answer while the token is remembered, and
  after that the conditions do.

A refused token (IdempotentParameterMismatchException) says nothing about the effect, so it is treated like a failed
condition: read again. It is never taken for success.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, TypeVar

from botocore import exceptions
from botocore.exceptions import ClientError

from oncefold.dynamodb.items import Item, digest

Result = TypeVar("Result")
Thing = TypeVar("Thing")

READ_KEYS = 100
"""Keys of one BatchGetItem."""
PUT_ITEMS = 25
"""Items of one BatchWriteItem."""
TOKEN_CHARS = 36
"""Characters of a ClientRequestToken, at most."""
_UNIT_BYTES = 1_024
PAUSE_SECONDS = 0.025
LONGEST_PAUSE_SECONDS = 2.0

_AGAIN = frozenset(
    [
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    ]
)
_PASSING = frozenset(["None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
"""Reasons of a cancelled transaction that may be gone when it is sent again."""
_REFUSED = frozenset(["ValidationError", "ItemCollectionSizeLimitExceeded"])
"""Reasons for which it never is done."""
_NO_ANSWER = (exceptions.ConnectionError, exceptions.HTTPClientError)


class OutOfTime(Exception):  # noqa: N818 - it is a fact, and the rest is done by the next invocation
    """The deadline is too near to begin, or to begin again."""


class RequestRefused(Exception):  # noqa: N818 - DynamoDB's verdict
    """DynamoDB takes the request for invalid, however often it comes; the text is its message."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Backoff until a deadline: a clock in seconds, a pause, random numbers from 0 to 1."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]
    deadline: float

    def check(self) -> None:
        """Raises OutOfTime at the deadline."""
        if self.clock() >= self.deadline:
            raise OutOfTime

    @property
    def left(self) -> float | None:
        """Seconds to the deadline; None where there is none."""
        return None if self.deadline == inf else max(0.0, self.deadline - self.clock())

    def pause(self, attempt: int) -> None:
        """Wait before one more attempt, the longer the more came before: full jitter. Raises OutOfTime.

        Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
        """
        seconds = self.random() * min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2.0 ** min(attempt, 16))
        if self.clock() + seconds >= self.deadline:
            raise OutOfTime
        self.sleep(seconds)


@dataclass
class Meter:
    """What an invocation used; several threads add to it."""

    transactions: int = 0
    retries: int = 0
    conflicts: int = 0
    """Transactions that were refused for their conditions, or for others that were under way."""
    read_units: float = 0.0
    write_units: float = 0.0
    refused_writes: int = 0
    """Items of transactions that were refused: what was sent for nothing, and AWS charges."""
    refused_units: float = 0.0
    """At most as many write units as those took; DynamoDB does not say."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, **amounts: float) -> None:
        """Add to some of the counts."""
        with self._lock:
            for name, amount in amounts.items():
                setattr(self, name, getattr(self, name) + amount)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a transaction: done as a whole, or not at all because of the conditions at `failed`.

    Not done with nothing in `failed` or `taken` means that DynamoDB did not say why.
    """

    done: bool
    failed: frozenset[int] = frozenset()
    taken: frozenset[int] = frozenset()
    """Items that another transaction was writing just then."""


class Dynamo:
    """A DynamoDB client that retries as described above. Its calls may come from several threads."""

    def __init__(self, client: Any, backoff: Backoff, meter: Meter, salt: str = "") -> None:
        """`client` is a boto3 client, or anything that takes the same calls.

        The same transaction has the same token for ten minutes, unless it is sent with another `salt`.
        """
        self._salt = salt
        self._client = client
        self._backoff = backoff
        self._meter = meter

    def read(self, table: str, keys: Sequence[Item]) -> list[Item]:
        """The items that exist among at most READ_KEYS distinct keys, as they are now."""
        found: list[Item] = []
        wanted: Mapping[str, Any] = {table: {"Keys": list(keys), "ConsistentRead": True}}
        attempt = 0
        while wanted:
            answer = self._call(self._client.batch_get_item, RequestItems=wanted, ReturnConsumedCapacity="TOTAL")
            self._meter.add(read_units=_units(answer))
            found += answer["Responses"].get(table, [])
            wanted = answer.get("UnprocessedKeys") or {}
            if wanted:
                self.again(attempt)
                attempt += 1
        return found

    def get(self, table: str, key: Item) -> Item | None:
        """One item as it is now; None if there is none."""
        answer = self._call(
            self._client.get_item, TableName=table, Key=key, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"
        )
        self._meter.add(read_units=_units(answer))
        return answer.get("Item")

    def put(self, table: str, items: Sequence[Item]) -> None:
        """Put items that may be put again: at most PUT_ITEMS with distinct keys."""
        self._write_batch(table, [{"PutRequest": {"Item": item}} for item in items])

    def delete(self, table: str, keys: Sequence[Item]) -> None:
        """Delete items, whether they are there or not: at most PUT_ITEMS distinct keys."""
        self._write_batch(table, [{"DeleteRequest": {"Key": key}} for key in keys])

    def _write_batch(self, table: str, requests: Sequence[Item]) -> None:
        wanted: Mapping[str, Any] = {table: list(requests)}
        attempt = 0
        while wanted:
            answer = self._call(self._client.batch_write_item, RequestItems=wanted, ReturnConsumedCapacity="TOTAL")
            self._meter.add(write_units=_units(answer))
            wanted = answer.get("UnprocessedItems") or {}
            if wanted:
                self.again(attempt)
                attempt += 1

    def scan(self, table: str, segment: int = 0, segments: int = 1) -> Iterator[Item]:
        """Every item of a table, or of one of its segments, consistently read page by page."""
        for items, _ in self.pages(table, segment, segments):
            yield from items

    def partition(self, table: str, key: str, value: str) -> Iterator[Item]:
        """Every item of a partition, consistently read page by page."""
        start: dict[str, Any] = {}
        while True:
            page = self._call(
                self._client.query, TableName=table, ConsistentRead=True, ReturnConsumedCapacity="TOTAL",
                KeyConditionExpression="#key = :value", ExpressionAttributeNames={"#key": key},
                ExpressionAttributeValues={":value": {"S": value}}, **start,
            )  # fmt: skip
            self._meter.add(read_units=_units(page))
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def pages(
        self, table: str, segment: int = 0, segments: int = 1, after: Item | None = None
    ) -> Iterator[tuple[list[Item], Item | None]]:
        """The pages of a table, or of one of its segments, each with the key to go on after; None with the last.

        `after` is such a key, to go on where another scan of the same segment ended.
        """
        request: dict[str, Any] = {} if segments == 1 else {"Segment": segment, "TotalSegments": segments}
        while True:
            start = {} if after is None else {"ExclusiveStartKey": after}
            page = self._call(
                self._client.scan, TableName=table, ConsistentRead=True, ReturnConsumedCapacity="TOTAL",
                **request, **start,
            )  # fmt: skip
            self._meter.add(read_units=_units(page))
            after = page.get("LastEvaluatedKey")
            yield page["Items"], after
            if after is None:
                return

    def update(self, **request: Any) -> bool:
        """One UpdateItem on a condition; whether it was done.

        A call that is repeated because its answer was lost may find that it was: then it says no, and the item yes.
        """
        try:
            answer = self._call(self._client.update_item, ReturnConsumedCapacity="TOTAL", **request)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        self._meter.add(write_units=_units(answer))
        return True

    def write(self, **request: Any) -> tuple[bool, Item | None]:
        """One UpdateItem on a condition: whether it was done, and the item that it replaced or that stood in its way.

        A call that is repeated because its answer was lost may find what it wrote itself in its way.
        """
        try:
            answer = self._call(
                self._client.update_item, **request, ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD", ReturnConsumedCapacity="TOTAL",
            )  # fmt: skip
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            self._meter.add(refused_writes=1, refused_units=-(-len(json.dumps(request)) // _UNIT_BYTES))
            # Who does not give the item has to be asked for it.
            return False, error.response.get("Item") or self.get(request["TableName"], request["Key"])
        self._meter.add(write_units=_units(answer))
        replaced = answer.get("Attributes") or request["Key"]
        return True, None if replaced == request["Key"] else replaced

    def describe(self, table: str) -> Mapping[str, Any]:
        """What DescribeTable says of a table."""
        described: Mapping[str, Any] = self._call(self._client.describe_table, TableName=table)["Table"]
        return described

    def transact(self, writes: Sequence[Item], *, patient: bool = True) -> Written:
        """One TransactWriteItems. Raises RequestRefused, and OutOfTime when it is not known to be done.

        A conflict with another transaction is waited out; without `patient` it is answered by the items that are taken.
        """
        request = {
            "TransactItems": list(writes),
            "ClientRequestToken": digest([self._salt, writes] if self._salt else writes)[:TOKEN_CHARS],
            "ReturnConsumedCapacity": "TOTAL",
        }
        attempt = 0
        while True:
            self._backoff.check()
            try:
                answer = self._client.transact_write_items(**request)
            except _NO_ANSWER:
                pass
            except ClientError as error:
                self._note_refused(error, writes)
                if not _may_pass(error) or (not patient and _taken(error)):
                    written = _unwritten(error)
                    self._meter.add(conflicts=1)
                    return written
            else:
                # A transaction that its token shows to be done costs reads (AWS, "Transactions: How it works").
                read = _units(answer, "ReadCapacityUnits")
                self._meter.add(transactions=1, read_units=read, write_units=_units(answer) - read)
                return Written(done=True)
            self.again(attempt)
            attempt += 1

    def _note_refused(self, error: ClientError, writes: Sequence[Item]) -> None:
        """Count what a cancelled transaction took: AWS charges conditions that fail like writes that are done."""
        if _reasons(error):
            self._meter.add(refused_writes=len(writes), refused_units=sum(map(_most_units, writes)))

    def _call(self, call: Callable[..., dict[str, Any]], **request: Any) -> dict[str, Any]:
        attempt = 0
        while True:
            self._backoff.check()
            try:
                return call(**request)
            except _NO_ANSWER:
                self.again(attempt)
            except ClientError as error:
                if not _may_pass(error):
                    raise
                self.again(attempt)
            attempt += 1

    def again(self, attempt: int) -> None:
        """Count one more attempt at something, and wait before it. Raises OutOfTime."""
        self._meter.add(retries=1)
        self._backoff.pause(attempt)


def slices(things: Sequence[Thing], length: int) -> Iterator[Sequence[Thing]]:
    """The things in runs of `length`, the last one perhaps shorter."""
    return (things[start : start + length] for start in range(0, len(things), length))


def _may_pass(error: ClientError) -> bool:
    """Whether the same request may succeed later, without anything else being changed."""
    reasons = _reasons(error)
    if reasons:
        return _PASSING.issuperset(reasons)
    return error.response["Error"]["Code"] in _AGAIN


def _unwritten(error: ClientError) -> Written:
    reasons = _reasons(error)
    failed = frozenset(index for index, reason in enumerate(reasons) if reason == "ConditionalCheckFailed")
    taken = _taken(error)
    if failed or taken:
        return Written(done=False, failed=failed, taken=taken)
    code = error.response["Error"]["Code"]
    if code == "IdempotentParameterMismatchException":
        return Written(done=False)
    if code == "ValidationException" or _REFUSED.intersection(reasons):
        raise RequestRefused(_message(error)) from error
    raise error


def _reasons(error: ClientError) -> list[str]:
    return [reason.get("Code", "None") for reason in error.response.get("CancellationReasons") or ()]


def _taken(error: ClientError) -> frozenset[int]:
    """The items of a cancelled transaction that others were writing."""
    return frozenset(index for index, reason in enumerate(_reasons(error)) if reason == "TransactionConflict")


def _most_units(write: Item) -> int:
    """At most so many units of a transactional write: two for each KB that its request has."""
    return 2 * -(-len(json.dumps(write)) // _UNIT_BYTES)


def _message(error: ClientError) -> str:
    reasons = [reason.get("Message") for reason in error.response.get("CancellationReasons") or ()]
    return "; ".join(filter(None, [error.response["Error"].get("Message"), *reasons]))


def _units(answer: Mapping[str, Any], kind: str = "CapacityUnits") -> float:
    """Capacity units of all tables of an answer."""
    consumed = answer.get("ConsumedCapacity") or ()
    parts = [consumed] if isinstance(consumed, Mapping) else consumed
    return float(sum(part.get(kind, 0.0) for part in parts))
