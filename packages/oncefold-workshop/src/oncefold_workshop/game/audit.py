"""Why a total is wrong: which changes of StateTable were added into AggregateTable, and how many times.

Kept from outside: what lies in StateTable's stream, which item of ReduceTable an invocation of MapLambda left, and
which nodes an invocation of ReduceLambda changed. So a difference can be explained event by event, and added up.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from oncefold.core.event import Event
from oncefold.core.fold import Node
from oncefold_lab.world.clients import TOKEN_SECONDS
from oncefold_workshop.game.arena import Arena, Visit
from oncefold_workshop.game.expected import ExpectedTotals, Wrong
from oncefold_workshop.pipelines.messages import LEVELS
from oncefold_workshop.pipelines.settings import MAX_AGE_SECONDS, TableNames

SAMPLE = 5
"""Events that are named of each cause."""


class What(StrEnum):
    """What happened to events."""

    LOST = "lost"
    DOUBLED = "counted more than once"
    STATE = "not their latest version"


@dataclass(frozen=True, slots=True)
class Blamed:
    """An event, and what it adds to the difference."""

    key: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Cause:
    """Events that went wrong together, and why."""

    what: What
    why: str
    round: int
    """The round in which it happened."""
    events: int
    amount: Decimal
    """What they add to the difference."""
    sample: tuple[Blamed, ...]

    @classmethod
    def of(cls, what: What, why: str, number: int, blamed: Iterable[Blamed]) -> "Cause":
        """A cause from all its events."""
        found = sorted(blamed, key=lambda one: one.key)
        return cls(what, why, number, len(found), sum((one.amount for one in found), Decimal(0)), tuple(found[:SAMPLE]))

    @property
    def text(self) -> str:
        """In one sentence."""
        events = "1 event" if self.events == 1 else f"{self.events:,} events"
        return f"round {self.round}: {events} {self.what}, {self.amount:+,f}: {self.why}"


@dataclass(frozen=True, slots=True)
class Account:
    """Why a node is wrong."""

    causes: tuple[Cause, ...]
    left: Decimal
    """What of the difference no cause explains."""
    hints: tuple[str, ...] = ()
    """Where a learner may go on."""

    @classmethod
    def of(cls, difference: Decimal, causes: Iterable[Cause]) -> "Account":
        """The account of a difference."""
        found = tuple(causes)
        return cls(found, difference - sum((cause.amount for cause in found), Decimal(0)))


Leaf = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """A record of StateTable's stream: what a trade counted for before and after."""

    key: str
    round: int
    parts: tuple[tuple[Leaf, Decimal], ...]

    def amount(self, labels: Leaf) -> Decimal:
        """What it adds to the node at these labels."""
        return sum((value for leaf, value in self.parts if leaf[: len(labels)] == labels), Decimal(0))


@dataclass(frozen=True, slots=True)
class _Sums:
    """An item of ReduceTable, and the records that are summed in it."""

    at: float
    round: int
    records: tuple[int, ...]


@dataclass(slots=True)
class _Addition:
    """An invocation of ReduceLambda that changed nodes."""

    at: float
    round: int
    items: tuple[str, ...]
    nodes: set[str] = field(default_factory=set)


class Audit:
    """Watches one pipeline of the workshop's kind."""

    def __init__(self, arena: Arena, tables: TableNames, map_function: str, reduce_function: str) -> None:
        self._arena = arena
        self._tables = tables
        self._map, self._reduce = map_function, reduce_function
        self._round = 1
        self._last = 0
        self._changes: dict[int, _Change] = {}
        self._sums: dict[str, _Sums] = {}
        self._additions: dict[tuple[str, int], _Addition] = {}
        self._nodes: dict[str, Any] = {}
        self._stale: dict[str, int] = {}
        """Trades whose state is not the latest version, and since which round."""

    def wrote(self) -> None:
        """Record what a write has changed, at once, while its invocation is still the one that runs."""
        visit = self._arena.current()
        if visit is None:
            return
        if visit.function == self._map:
            self._note_sums(visit)
        elif visit.function == self._reduce:
            self._note_addition(visit)

    def _note_sums(self, visit: Visit) -> None:
        rows = self._arena.rows(self._tables.reduce)
        if len(rows) > len(self._sums):
            name = next(reversed(rows))
            records = tuple(int(record["dynamodb"]["SequenceNumber"]) for record in visit.records)
            self._sums[name] = _Sums(self._arena.seconds, self._round, records)

    def _note_addition(self, visit: Visit) -> None:
        rows = self._arena.rows(self._tables.aggregate)
        changed = {node for node, row in rows.items() if self._nodes.get(node) is not row}
        if not changed:
            return
        self._nodes.update((node, rows[node]) for node in changed)
        place = (visit.function, visit.number)
        if place not in self._additions:
            items = tuple(record["dynamodb"]["Keys"]["id"]["S"] for record in visit.records)
            self._additions[place] = _Addition(self._arena.seconds, self._round, items)
        self._additions[place].nodes |= changed

    def observe(self, number: int) -> None:
        """Note what is new in StateTable's stream, in the round of this number."""
        self._round = number
        for record in self._arena.changes(self._tables.state, self._last):
            images = ((record.images.get("OldImage"), -1), (record.images.get("NewImage"), 1))
            parts = tuple(_part(image, sign) for image, sign in images if image is not None)
            self._changes[record.sequence] = _Change(record.keys["id"]["S"], number, parts)
            self._last = record.sequence

    def account(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Account:
        """What is to blame for a node that is wrong."""
        labels = wrong.node.labels
        causes = [*self._counted(labels), *self._states(wrong.node, expected, touched)]
        return Account.of(wrong.by, sorted(causes, key=lambda cause: (cause.round, cause.what, cause.why)))

    def _counted(self, labels: Leaf) -> Iterator[Cause]:
        """Changes that were added not once, by what became of them."""
        name = ":".join(labels)
        times = Counter(
            item for addition in self._additions.values() if name in addition.nodes for item in addition.items
        )
        items: dict[int, list[str]] = {}
        for item, sums in self._sums.items():
            for record in sums.records:
                items.setdefault(record, []).append(item)
        groups: dict[tuple[tuple[str, ...], int], list[Blamed]] = {}
        for number, change in self._changes.items():
            found = tuple(items.get(number, ()))
            counted = sum(times[item] for item in found)
            amount = change.amount(labels) * (counted - 1)
            if amount:
                groups.setdefault((found, change.round), []).append(Blamed(change.key, amount))
        causes: dict[tuple[What, str, int], list[Blamed]] = {}
        for (found, number), blamed in groups.items():
            causes.setdefault(self._reason(found, name, number), []).extend(blamed)
        for (what, why, number), blamed in causes.items():
            yield Cause.of(what, why, number, blamed)

    def _reason(self, items: Sequence[str], name: str, number: int) -> tuple[What, str, int]:
        """What became of changes of a round that are summed in these items, why, and in which round."""
        if not items:
            return What.LOST, "no invocation of MapLambda ever got them", number
        additions = [
            addition
            for addition in self._additions.values()
            if name in addition.nodes and not {*addition.items}.isdisjoint(items)
        ]
        if not additions:
            return What.LOST, "ReduceLambda never added their sums", number
        number = max([*(addition.round for addition in additions), *(self._sums[item].round for item in items)])
        why = self._summed_again(items) if len(items) > 1 else _added_again(additions)
        return What.DOUBLED, why, number

    def _summed_again(self, items: Sequence[str]) -> str:
        """Why MapLambda left sums of the same records more than once."""
        sums = [self._sums[item] for item in items]
        batches = ", ".join(f"{len(one.records):,} at {one.at:,.1f} s" for one in sums)
        if len({one.records for one in sums}) == 1:
            return f"MapLambda got their batch {len(sums)} times ({batches}), and nothing tells that it was there"
        return f"MapLambda got them in batches of other boundaries ({batches}), and each batch has another hash"

    def _states(self, node: Node, expected: ExpectedTotals, touched: Iterable[str]) -> Iterator[Cause]:
        """Trades whose state is not their latest version."""
        for key in sorted({*touched, *self._stale}):
            if _state(self._arena, self._tables, key) == _parts_of(expected.best[key]):
                self._stale.pop(key, None)
            else:
                self._stale.setdefault(key, self._round)
        groups: dict[tuple[int, str], list[Blamed]] = {}
        for key, number in self._stale.items():
            current, wanted = _state(self._arena, self._tables, key), expected.best[key]
            amount = _under(current, node.labels) - _under(_parts_of(wanted), node.labels)
            if amount:
                why = "an older version replaced a newer one" if current else _DROPPED
                groups.setdefault((number, why), []).append(Blamed(key, amount))
        for (number, why), blamed in groups.items():
            yield Cause.of(What.STATE, why, number, blamed)


_DROPPED = f"StateLambda drops messages older than {MAX_AGE_SECONDS:.0f} s"


def _added_again(additions: Sequence[_Addition]) -> str:
    """Why ReduceLambda added the same item more than once."""
    batches = ", ".join(f"{len(one.items):,} at {one.at:,.1f} s" for one in additions)
    if len({one.items for one in additions}) > 1:
        return f"ReduceLambda got their sums in batches of other boundaries ({batches}): each has another token"
    if additions[-1].at - additions[0].at >= TOKEN_SECONDS:
        return f"ReduceLambda got their batch again after ten minutes ({batches}), when its token was forgotten"
    return f"ReduceLambda got their batch {len(additions)} times ({batches}), and nothing tells that it was there"


def _part(image: Mapping[str, Any], sign: int) -> tuple[Leaf, Decimal]:
    leaf = tuple(image["Hierarchy"]["M"][level]["S"] for level in LEVELS)
    return leaf, sign * Decimal(image["Value"]["N"])


Part = tuple[Leaf, Decimal]


def _state(arena: Arena, tables: TableNames, key: str) -> Part | None:
    row = arena.rows(tables.state).get(key)
    return None if row is None else _part(row[0], 1)


def _parts_of(event: Event) -> Part:
    assert event.content.labels is not None
    return event.content.labels, Decimal(event.content.measures[0]).scaleb(-2)


def _under(part: Part | None, labels: Leaf) -> Decimal:
    return part[1] if part is not None and part[0][: len(labels)] == labels else Decimal(0)
