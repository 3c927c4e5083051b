"""A batch of records: gathered by the handler, counted when its `with` block ends, answered with what is left."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from oncefold.core.decimals import parse_decimal
from oncefold.dynamodb.calls import Meter
from oncefold.dynamodb.invocation import failures
from oncefold.dynamodb.items import ITEM_BYTES, NUMBER_LIMIT, TRANSACTION_ITEMS, number
from oncefold.once.by_position import PositionEntry
from oncefold.once.by_version import VersionEntry
from oncefold.once.counts import Counts, Given, counts_text
from oncefold.once.errors import CountsError, NotCounted
from oncefold.once.ledger import VERSION_PLACES, Way, record_key
from oncefold.once.writing import OUT_OF_TIME, Entry, Outcomes, check_size

Version = int | Decimal

_LOG = logging.getLogger("oncefold.once")
_MOST_COUNTERS: Mapping[Way, int] = {
    "id": TRANSACTION_ITEMS - 1,
    "version": (TRANSACTION_ITEMS - 1) // 2,  # what it adds, and what the version before it had added
    "position": TRANSACTION_ITEMS - 1,
}


class Batch:
    """One invocation's records. `with counters.batch(context) as batch:` counts them when the block ends.

    If the block raises, nothing is written. When it has ended, `response` is what the handler returns.
    """

    def __init__(
        self,
        way: Way,
        read: Callable[[Given], Counts],
        places: int,
        count: Callable[[list[Entry], Meter], Outcomes],
        *,
        partial: bool,
    ) -> None:
        """Made by `Counters.batch`."""
        self._way = way
        self._read = read
        self._places = places
        self._count = count
        self._partial = partial
        self._entries: list[Entry] = []
        self._open = self._ended = False
        self._outcomes = Outcomes()
        self.meter = Meter()
        """Transactions, retries and capacity units that the batch used."""

    def add(
        self,
        record_id: str,
        counts: Given,
        *,
        version: Version | None = None,
        record: Mapping[str, Any] | str | None = None,
    ) -> None:
        """Let a record count; it is written when the block ends.

        Args:
            record_id: what the record is known by for ever. By position `LANE:NUMBER`, as a Kinesis record's eventID.
            counts: amounts by path and attribute, `{("DE", "web"): {"amount": Decimal("19.90"), "orders": 1}}`;
                empty for a record that counts nowhere, which by version is a delete.
            version: by version, what orders the contents of the record; the greatest counts.
            record: the record as Lambda delivered it, for the answer; by default the id is taken for its name.

        Raises:
            CountsError: for what never can be counted; nothing of this record is.
        """
        if not self._open:
            raise CountsError("batch.add counts within the block of `with counters.batch(context) as batch:` alone")
        read = self._read(counts)
        text = counts_text(read, self._places)
        name = _name(record) if record is not None else self._default_name(record_id)
        if (version is not None) != (self._way == "version"):
            need = "give version=" if version is None else "version= belongs to the way version"
            raise CountsError(f"record {record_id!r}: these counters are once by {self._way}; {need}")
        entry = Entry(record_id, read, text, [name])
        if self._way == "version":
            assert version is not None
            entry = VersionEntry(record_id, read, text, [name], _version(record_id, version))
        elif self._way == "position":
            lane, position = _position(record_id)
            entry = PositionEntry(lane, read, text, [name], position)
        record_key(self._way, entry.record)
        check_size(entry, _MOST_COUNTERS[self._way], ITEM_BYTES)
        self._entries.append(entry)

    @property
    def response(self) -> dict[str, Any]:
        """The answer: the records to be delivered again. Raises CountsError before the block has ended."""
        if not self._ended:
            raise CountsError(
                "batch.response is read within the block, which counts when it ends: return it behind the block"
            )
        return failures(self._outcomes.unfinished)

    @property
    def outcomes(self) -> Counter[str]:
        """Records by what became of them: counted, corrected, repeated, stale, refused, unfinished."""
        return self._outcomes.counts

    @property
    def unfinished(self) -> Mapping[str, str]:
        """Why records are not counted, by the names that Lambda knows them by."""
        return self._outcomes.unfinished

    def __enter__(self) -> Self:
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count. Raises NotCounted if records are left and the answer must not name them."""
        self._open = False
        if kind is not None:
            return
        if self._entries:
            self._outcomes = self._count(self._entries, self.meter)
        self._ended = True
        refused = {name: why for name, why in self.unfinished.items() if why != OUT_OF_TIME}
        for name, why in refused.items():
            _LOG.error("record %s is not counted: %s", name, why)
        if self.unfinished and not self._partial:
            name, why = next(iter((refused or self.unfinished).items()))
            raise NotCounted(f"{len(self.unfinished)} of {len(self._entries)} records are not counted; {name}: {why}")

    def _default_name(self, record_id: str) -> str:
        return record_id.rpartition(":")[2] if self._way == "position" else record_id


def _name(record: Mapping[str, Any] | str) -> str:
    """What Lambda's answer calls a record: a queue's message by its id, a stream's record by its sequence number."""
    if isinstance(record, str):
        return record
    if "messageId" in record:
        return str(record["messageId"])
    if "kinesis" in record:
        return str(record["kinesis"]["sequenceNumber"])
    if "dynamodb" in record:
        return str(record["dynamodb"]["SequenceNumber"])
    raise CountsError("record= is no record of SQS, Kinesis or a DynamoDB stream; give the name for the answer as text")


def _version(record_id: str, version: Version) -> str:
    """A version as DynamoDB writes it."""
    if isinstance(version, bool) or not isinstance(version, int | Decimal):
        raise CountsError(f"record {record_id!r}: version {version!r} is no int or Decimal")
    try:
        return number(parse_decimal(str(version), VERSION_PLACES, NUMBER_LIMIT), VERSION_PLACES)["N"]
    except ValueError as error:
        raise CountsError(f"record {record_id!r}: version: {error}") from None


def _position(record_id: str) -> tuple[str, int]:
    lane, colon, position = record_id.rpartition(":")
    if not colon or not position.isdecimal() or not position.isascii():
        raise CountsError(
            f"record {record_id!r}: by position a record is LANE:NUMBER, such as a Kinesis record's eventID; records "
            "of SQS and of DynamoDB streams do not name their shard: count those by id or by version"
        )
    return lane, int(position)
