"""One transaction that holds what the ledger keeps and what the counters get for it, and what becomes of a batch."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from oncefold.dynamodb.calls import Dynamo, RequestRefused
from oncefold.dynamodb.items import NUMBER_LIMIT, TRANSACTION_BYTES, Item
from oncefold.dynamodb.packing import Weight
from oncefold.once.counts import Amounts, Counts, Place, addition, addition_bytes, place_text
from oncefold.once.errors import CountsError

Some = TypeVar("Some")

OUT_OF_TIME = "the time was up"
_KEPT_BYTES = 300
"""Names and fixed attributes of an item of the ledger, and its condition's values, at most."""


@dataclass
class Entry:
    """A record, and the names under which Lambda knows what delivered it."""

    record: str
    counts: Counts
    text: str
    """The counts as text."""
    names: list[str]

    @property
    def size(self) -> int:
        """At most so many bytes of the ledger's item."""
        return _KEPT_BYTES + len(self.record.encode()) + len(self.text.encode())


@dataclass
class Outcomes:
    """What became of the records of a batch."""

    counts: Counter[str] = field(default_factory=Counter)
    """Records by outcome: counted, corrected, repeated, stale, refused, unfinished."""
    unfinished: dict[str, str] = field(default_factory=dict)
    """Why records are not counted, by the names that Lambda knows them by."""

    def note(self, outcome: str, entries: int = 1) -> None:
        """Count records of one outcome."""
        if entries:
            self.counts[outcome] += entries

    def out_of_time(self, entries: Iterable[Entry]) -> None:
        """Records for which no time was left."""
        self.leave("unfinished", entries, OUT_OF_TIME)

    def leave(self, outcome: str, entries: Iterable[Entry], reason: str) -> None:
        """Records that are not counted."""
        for entry in entries:
            self.note(outcome)
            for name in entry.names:
                self.unfinished.setdefault(name, reason)


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a transaction: done; or the ledger was not as it was read; or it never can be done."""

    done: bool = False
    overtaken: frozenset[int] = frozenset()
    """Which of the ledger's writes found something else; none of them where DynamoDB did not say."""
    refused: str | None = None


class Writer:
    """Writes to the ledger and the counters together."""

    def __init__(self, dynamo: Dynamo, table: str, ledger: str, places: int, *, counting: bool) -> None:
        """Without `counting` the ledger alone is written: what is adopted is in the counters already."""
        self.dynamo = dynamo
        self.ledger = ledger
        self.places = places
        self.counting = counting
        self._table = table

    def write(self, keeps: Sequence[Item], counts: Counts) -> Tried:
        """One transaction. Raises OutOfTime when it is not known to be done."""
        changed = [(place, amounts) for place, amounts in sorted(counts.items()) if any(amounts.values())]
        if not self.counting:
            changed = []
        far = [index for index, (_, amounts) in enumerate(changed) if _is_far(amounts)]
        if far:
            return Tried(refused=self._beyond(changed, far))
        additions = [addition(self._table, place, amounts, self.places) for place, amounts in changed]
        try:
            written = self.dynamo.transact([*keeps, *additions])
        except RequestRefused as error:
            return Tried(refused=str(error))
        if written.done:
            return Tried(done=True)
        overtaken = frozenset(index for index in written.failed if index < len(keeps))
        if overtaken or not written.failed:
            return Tried(overtaken=overtaken)
        return Tried(refused=self._beyond(changed, [index - len(keeps) for index in sorted(written.failed)]))

    def _beyond(self, changed: Sequence[tuple[Place, Amounts]], failed: Sequence[int]) -> str:
        place, amounts = changed[failed[0]]
        return (
            f"{self._table}: a total of {place_text(place)} would leave the 38 digits that DynamoDB keeps, with "
            f"{self.places} of them behind the point, or what stands there is no number ({', '.join(sorted(amounts))})"
        )


def _is_far(amounts: Amounts) -> bool:
    """Whether an amount alone has more digits than DynamoDB holds, as the sum of a transaction's records may."""
    return any(abs(amount) >= NUMBER_LIMIT for amount in amounts.values())


def weigh(entry: Entry, own_items: int, others: Iterable[Counts] = ()) -> Weight:
    """What an entry takes of a transaction: its own items, and the counters that it shares."""
    size, shared = entry.size, {}
    for counts in (entry.counts, *others):
        for place, amounts in counts.items():
            key = addition_bytes(place, {})
            size += addition_bytes(place, amounts) - key
            shared[place] = key
    return Weight(own_items, size, shared)


def check_size(entry: Entry, most_counters: int, item_bytes: int) -> None:
    """Raises CountsError for a record that no transaction could hold."""
    if len(entry.counts) > most_counters:
        raise CountsError(
            f"record {entry.record!r} counts in {len(entry.counts)} counters; one transaction takes {most_counters}. "
            "Give the rest under ids of their own, such as the id with a suffix"
        )
    if entry.size > item_bytes:
        raise CountsError(f"record {entry.record!r}: the ledger would keep {entry.size:,} bytes; DynamoDB holds 400 KB")
    weight = weigh(entry, 1)
    if weight.size + sum(weight.shared.values()) > TRANSACTION_BYTES // 4:
        raise CountsError(f"record {entry.record!r}: its counters take more bytes than a transaction has room for")


def halves(entries: Sequence[Some]) -> list[list[Some]]:
    """The entries in two, to find the one that is refused."""
    middle = len(entries) // 2
    return [list(entries[:middle]), list(entries[middle:])]
