"""Why a node grew by the wrong amount: which changes of StateTable were added into AggregateTable, how many times.

Kept from outside: what lies in StateTable's stream, which item of ReduceTable an invocation of MapLambda left, and
which nodes an invocation of ReduceLambda changed. So a round's difference can be explained event by event, and added
up.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from oncefold.core.event import Event
from oncefold_lab.world.clients import TOKEN_SECONDS
from oncefold_workshop.game.arena import Arena, Visit
from oncefold_workshop.game.expected import ExpectedTotals, Wrong
from oncefold_workshop.pipelines.messages import LEVELS, leaf_of
from oncefold_workshop.pipelines.settings import MAX_AGE_SECONDS, REDUCE_KEY, STATE_KEY, TableNames

SAMPLE = 5
"""Events that are named of each cause."""


class What(StrEnum):
    """What happened to events."""

    LOST = "lost"
    DOUBLED = "counted more than once"
    STATE = "not their latest version"
    LATE = "of an earlier round"


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
    """The round whose totals it changes."""
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
    """Why a node is wrong in a round."""

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


Part = tuple[Leaf, Decimal]


@dataclass(frozen=True, slots=True)
class _Stale:
    """What StateTable has of a trade, and what it should have, at the end of a round in which they differ."""

    current: Part | None
    wanted: Part

    def amount(self, labels: Leaf) -> Decimal:
        """By how much the node at these labels is too great for it."""
        return _under(self.current, labels) - _under(self.wanted, labels)


class Audit:
    """Watches one pipeline of the workshop's kind."""

    def __init__(self, arena: Arena, tables: TableNames, map_function: str, reduce_function: str) -> None:
        self._arena = arena
        self._tables = tables
        self._map, self._reduce = map_function, reduce_function
        self._round = 1
        self._last = 0
        self._changes: dict[int, _Change] = {}
        self._rounds: dict[int, list[int]] = {}
        """The changes of each round."""
        self._sums: dict[str, _Sums] = {}
        self._summed_in: dict[int, list[str]] = {}
        """The items of ReduceTable that a change is summed in."""
        self._additions: dict[tuple[str, int], _Addition] = {}
        self._nodes: dict[str, Any] = {}
        self._stale: dict[str, _Stale] = {}
        """Trades whose state was not the latest version when the last round ended."""

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
            for record in records:
                self._summed_in.setdefault(record, []).append(name)

    def _note_addition(self, visit: Visit) -> None:
        rows = self._arena.rows(self._tables.aggregate)
        changed = {node for node, row in rows.items() if self._nodes.get(node) is not row}
        if not changed:
            return
        self._nodes.update((node, rows[node]) for node in changed)
        place = (visit.function, visit.number)
        if place not in self._additions:
            items = tuple(record["dynamodb"]["Keys"][REDUCE_KEY]["S"] for record in visit.records)
            self._additions[place] = _Addition(self._arena.seconds, self._round, items)
        self._additions[place].nodes |= changed

    def observe(self, number: int) -> None:
        """Note what is new in StateTable's stream, in the round of this number."""
        self._round = number
        for record in self._arena.changes(self._tables.state, self._last):
            images = ((record.images.get("OldImage"), -1), (record.images.get("NewImage"), 1))
            parts = tuple(_part(image, sign) for image, sign in images if image is not None)
            self._changes[record.sequence] = _Change(record.keys[STATE_KEY]["S"], number, parts)
            self._rounds.setdefault(number, []).append(record.sequence)
            self._last = record.sequence

    def account(self, wrong: Wrong, expected: ExpectedTotals, touched: Iterable[str]) -> Account:
        """What is to blame for a node that grew by a wrong amount in this round."""
        labels = wrong.node.labels
        causes = [*self._counted(labels), *self._states(labels, expected, touched)]
        return Account.of(wrong.by, sorted(causes, key=lambda cause: (cause.round, cause.what, cause.why)))

    def end_round(self, expected: ExpectedTotals, touched: Iterable[str]) -> None:
        """End the round: what is wrong now does not count in the next one."""
        states = self._states_now(expected, touched)
        self._stale = {key: found for key, found in states if found.current != found.wanted}

    def _states_now(self, expected: ExpectedTotals, touched: Iterable[str]) -> Iterator[tuple[str, _Stale]]:
        changed = (self._changes[number].key for number in self._rounds.get(self._round, ()))
        for key in sorted({*touched, *self._stale, *changed}):
            yield key, _Stale(_state(self._arena, self._tables, key), _parts_of(expected.best[key]))

    def _counted(self, labels: Leaf) -> Iterator[Cause]:
        """Changes that were not added once in their own round, by what became of them."""
        name = ":".join(labels)
        here = [addition for addition in self._additions.values() if name in addition.nodes]
        times = Counter(item for addition in here if addition.round == self._round for item in addition.items)
        before = Counter(item for addition in here if addition.round != self._round for item in addition.items)
        records = [record for item in times if item in self._sums for record in self._sums[item].records]
        groups: dict[tuple[tuple[str, ...], bool], list[Blamed]] = {}
        for number in sorted({*self._rounds.get(self._round, ()), *records}):
            change = self._changes.get(number)
            if change is None:
                continue
            found = tuple(self._summed_in.get(number, ()))
            counted = sum(times[item] for item in found) - (change.round == self._round)
            amount = change.amount(labels) * counted
            if amount:
                late = change.round != self._round and not any(before[item] for item in found)
                groups.setdefault((found, late), []).append(Blamed(change.key, amount))
        causes: dict[tuple[What, str], list[Blamed]] = {}
        for (found, late), blamed in groups.items():
            causes.setdefault(self._reason(found, name, late=late), []).extend(blamed)
        for (what, why), blamed in causes.items():
            yield Cause.of(what, why, self._round, blamed)

    def _reason(self, items: Sequence[str], name: str, *, late: bool) -> tuple[What, str]:
        """What became of changes that are summed in these items, and why."""
        if not items:
            return What.LOST, "no invocation of MapLambda ever got them"
        additions = [
            addition
            for addition in self._additions.values()
            if name in addition.nodes and not {*addition.items}.isdisjoint(items)
        ]
        if not additions:
            return What.LOST, "ReduceLambda never added their sums"
        if late:
            return What.LATE, "ReduceLambda added their sums when their round was over"
        return What.DOUBLED, self._summed_again(items) if len(items) > 1 else _added_again(additions)

    def _summed_again(self, items: Sequence[str]) -> str:
        """Why MapLambda left sums of the same records more than once."""
        sums = [self._sums[item] for item in items]
        batches = ", ".join(f"{len(one.records):,} at {one.at:,.1f} s" for one in sums)
        if len({one.records for one in sums}) == 1:
            return f"MapLambda got their batch {len(sums)} times ({batches}), and nothing shows that it was there"
        return f"MapLambda got them in batches of other boundaries ({batches}), and each batch has another hash"

    def _states(self, labels: Leaf, expected: ExpectedTotals, touched: Iterable[str]) -> Iterator[Cause]:
        """Trades whose state is not their latest version, or has become it after their round."""
        groups: dict[tuple[What, str], list[Blamed]] = {}
        for key, now in self._states_now(expected, touched):
            before = self._stale.get(key)
            amount = now.amount(labels) - (Decimal(0) if before is None else before.amount(labels))
            if amount:
                groups.setdefault(_state_reason(now), []).append(Blamed(key, amount))
        for (what, why), blamed in groups.items():
            yield Cause.of(what, why, self._round, blamed)


def _state_reason(now: _Stale) -> tuple[What, str]:
    if now.current == now.wanted:
        return What.LATE, "StateLambda wrote their latest version when their round was over"
    return What.STATE, "an older version replaced a newer one" if now.current else _DROPPED


_DROPPED = f"StateLambda drops messages older than {MAX_AGE_SECONDS:.0f} s"


def _added_again(additions: Sequence[_Addition]) -> str:
    """Why ReduceLambda added the same item more than once."""
    batches = ", ".join(f"{len(one.items):,} at {one.at:,.1f} s" for one in additions)
    if len({one.items for one in additions}) > 1:
        return f"ReduceLambda got their sums in batches of other boundaries ({batches}): each has another token"
    if additions[-1].at - additions[0].at >= TOKEN_SECONDS:
        return f"ReduceLambda got their batch again after ten minutes ({batches}), when its token was forgotten"
    return f"ReduceLambda got their batch {len(additions)} times ({batches}), and nothing shows that it was there"


def _part(image: Mapping[str, Any], sign: int) -> Part:
    return _labels(image), sign * Decimal(image["Value"]["N"])


def _labels(image: Mapping[str, Any]) -> Leaf:
    """The leaf of an image, whose labels are JSON text or a map."""
    hierarchy = image["Hierarchy"]
    return tuple(hierarchy["M"][level]["S"] for level in LEVELS) if "M" in hierarchy else leaf_of({**image})


def _state(arena: Arena, tables: TableNames, key: str) -> Part | None:
    row = arena.rows(tables.state).get(key)
    return None if row is None else _part(row[0], 1)


def _parts_of(event: Event) -> Part:
    assert event.content.labels is not None
    return event.content.labels, Decimal(event.content.measures[0]).scaleb(-2)


def _under(part: Part | None, labels: Leaf) -> Decimal:
    return part[1] if part is not None and part[0][: len(labels)] == labels else Decimal(0)
