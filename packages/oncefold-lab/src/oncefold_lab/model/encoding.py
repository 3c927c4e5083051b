"""A scenario's states, chunks, deltas and amounts as integers, computed once.

It is reckoned by the product's own pure code: `core.fold.fold`, `core.fold.net`, and the deltas, with their ids, that
`aws.functions.plan.chunks` makes, and in economy mode `aws.functions.net.plan`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from oncefold.aws.functions.epochs import Epochs
from oncefold.aws.functions.layout import Delta, Marked, StateChange
from oncefold.aws.functions.net import plan
from oncefold.aws.functions.plan import Change, chunks
from oncefold.core.event import Event
from oncefold.core.fold import Node, Outcome, Stored, Total, net, nodes_of
from oncefold_lab.model.scenario import PIPELINE, Batches, ModelScenario, ProtocolRules

_DIGIT_BITS = 24
_LIMIT = 1 << 16
"""Numbers that are packed are below; a sum of as many of them as a schedule has steps does not reach the next digit."""


class Packing:
    """How the totals of some nodes, with one measure, are packed: two digits a node, each with its sign."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes

    def pack(self, totals: Mapping[Node, Total]) -> int:
        """Totals as one integer."""
        packed = 0
        for place, node in enumerate(self._nodes):
            if node in totals:
                count, (amount,) = totals[node].count, totals[node].sums
                assert max(abs(count), abs(amount)) < _LIMIT
                packed += (count + (amount << _DIGIT_BITS)) << (2 * _DIGIT_BITS * place)
        return packed

    def unpack(self, packed: int) -> dict[Node, Total]:
        """The inverse; nodes whose totals are nothing are left out."""
        digits: list[int] = []
        for _ in range(2 * len(self._nodes)):
            digit = packed & ((1 << _DIGIT_BITS) - 1)
            digit -= (digit >> (_DIGIT_BITS - 1)) << _DIGIT_BITS
            digits.append(digit)
            packed = (packed - digit) >> _DIGIT_BITS
        pairs = zip(digits[::2], digits[1::2], strict=True)
        totals = {node: Total(count, (amount,)) for node, (count, amount) in zip(self._nodes, pairs, strict=True)}
        return {node: total for node, total in totals.items() if total}


Conflict = tuple[str, frozenset[Stored]]
"""A key and two states of one version."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a batch makes of one key's state."""

    after: int
    notes: int


@dataclass(frozen=True, slots=True)
class Write:
    """What a chunk writes: its own bit, its keys' new states, its deltas' bits."""

    bit: int
    states: tuple[tuple[int, int], ...]
    deltas: int


ChangeOfKey = tuple[int, int, int]
"""A key, its state before and its state after."""


@dataclass(frozen=True, slots=True)
class NetWrite:
    """What a transaction of NetLambda writes beside the position: its own bit, its deltas' bits."""

    bit: int
    deltas: int


class Encoding:
    """One scenario under some rules."""

    def __init__(self, scenario: ModelScenario, rules: ProtocolRules) -> None:
        self.scenario = scenario
        self.rules = rules
        events = [event for shard in scenario.shards for record in shard for event in record]
        self.keys = sorted({event.key for event in events})
        assert scenario.chunk_keys == 1 or scenario.chunk_keys >= len(self.keys)
        nodes = {node for event in events if event.content.labels for node in nodes_of(PIPELINE, event.content.labels)}
        self.packing = Packing(sorted(nodes))
        self.ladders = [_ladder(events, key) for key in self.keys]
        """The states that a key can have, lowest first; number 0 is none."""
        self.contributions = [
            [self.packing.pack(net(PIPELINE, [(None, stored)])) for stored in ladder] for ladder in self.ladders
        ]
        self.reference = self._reference(events)
        """The packed totals of all events, by their plain definition."""
        self.batches = Batches(scenario, self.keys)
        self.deltas: list[Delta] = []
        self.conflicts: list[Conflict] = []
        self.chunks: list[tuple[ChangeOfKey, ...]] = []
        self.changes: list[ChangeOfKey] = []
        """Those that may come in StateTable's stream."""
        self._amounts: list[int] = []
        self.version = cache(self._version)
        self.turn = cache(self._turn)
        self.write = cache(self._write)
        self.amount = cache(self._amount)
        self.change = cache(self._change)
        self.changed = cache(self._changed)
        self.net_write = cache(self._net_write)
        self._delta_bits: dict[Delta, int] = {}
        self._net_writes: list[tuple[int, ...]] = []
        self.noted = cache(self._noted)
        self._contradicting = frozenset(_contradicting(events))

    def _reference(self, events: Sequence[Event]) -> int:
        packed = 0
        for key, contributions in enumerate(self.contributions):
            own = [event for event in events if event.key == self.keys[key]]
            greatest = max(own, key=lambda event: (event.version, event.content.rank))
            packed += contributions[self.ladders[key].index(Stored(greatest.version, greatest.content))]
        return packed

    def _noted(self, notes: int) -> bool:
        """Whether each content that contradicts another one of its key's greatest version is in a noted conflict."""
        return self._contradicting <= {
            (key, stored) for place, (key, pair) in enumerate(self.conflicts) if notes >> place & 1 for stored in pair
        }

    def _conflict(self, conflict: Conflict) -> int:
        if conflict not in self.conflicts:
            self.conflicts.append(conflict)
        return self.conflicts.index(conflict)

    def _turn(self, batch: int, position: int, before: int) -> Turn:
        """Fold a batch's events of one of its keys onto a state."""
        known = self.batches.known[batch]
        ladder = self.ladders[known.keys[position]]
        current = ladder[before]
        notes = 0
        for event in known.events[position]:
            outcome, after = self.rules.fold(current, event)
            if current is not None and outcome in {Outcome.CONFLICT_WON, Outcome.CONFLICT_LOST}:
                pair = frozenset([current, Stored(event.version, event.content)])
                notes |= 1 << self._conflict((event.key, pair))
            current = after
        return Turn(ladder.index(current), notes)

    def _write(self, changes: tuple[ChangeOfKey, ...]) -> Write:
        """The transaction of a chunk."""
        if changes not in self.chunks:
            self.chunks.append(changes)
        bit = 1 << self.chunks.index(changes)
        deltas = self._bits(self._planned(changes))
        return Write(bit, tuple((key, self._kept(key, after)) for key, _, after in changes), deltas)

    def _bits(self, deltas: Iterable[Delta]) -> int:
        bits = 0
        for delta in deltas:
            if delta not in self._delta_bits:
                self._delta_bits[delta] = 1 << len(self.deltas)
                self.deltas.append(delta)
                self._amounts.append(self.packing.pack(dict(delta.nodes)))
            bits |= self._delta_bits[delta]
        return bits

    def _change(self, key: int, before: int, after: int) -> int:
        """The number of a change of a key's state."""
        change = (key, before, after)
        if change not in self.changes:
            self.changes.append(change)
        return self.changes.index(change)

    def _changed(self, changes: tuple[int, ...]) -> int:
        """What changes, given by numbers, change in the totals, packed."""
        found = (self.changes[change] for change in changes)
        return sum(self.contributions[key][after] - self.contributions[key][before] for key, before, after in found)

    def _net_write(self, shard: int, position: int, first: int, changes: tuple[int, ...]) -> NetWrite:
        """What NetLambda makes of changes of a shard that begin at `first`, from a position."""
        write = (shard, position, first, *changes)
        if write not in self._net_writes:
            self._net_writes.append(write)
        records = [
            StateChange(first + index + 1, self._marked(key, before), self._marked(key, after))
            for index, (key, before, after) in enumerate(self.changes[change] for change in changes)
        ]
        step = plan(PIPELINE, f"shard-{shard}", position or None, records, Epochs())
        assert step.changes == len(changes)
        return NetWrite(1 << self._net_writes.index(write), self._bits(self._with_net(step.deltas, records)))

    def _marked(self, key: int, state: int) -> Marked | None:
        stored = self.ladders[key][state]
        return None if stored is None else Marked(stored)

    def _with_net(self, deltas: Sequence[Delta], records: Sequence[StateChange]) -> Sequence[Delta]:
        """The deltas with what the rules make of the records."""
        if self.rules.net is net or not deltas:
            return deltas
        (delta,) = deltas
        nodes = self.rules.net(PIPELINE, (record.within(0) for record in records))
        return [Delta(delta.id, tuple(sorted(nodes.items())))]

    def _kept(self, key: int, after: int) -> int:
        stored = self.ladders[key][after]
        forgotten = stored is not None and stored.content.deleted and not self.rules.keeps_deletes
        return 0 if forgotten else after

    def _planned(self, changes: tuple[ChangeOfKey, ...]) -> Iterator[Delta]:
        (chunk,) = chunks(PIPELINE, self._changes(changes))
        name = chunk.deltas[0].id.removesuffix("-0") if chunk.deltas else ""
        pairs = [(change.before, change.after) for change in chunk.changes]
        nodes = self.rules.net(PIPELINE, pairs)
        if self.rules.net is net:
            assert nodes == {node: total for delta in chunk.deltas for node, total in delta.nodes}
        if self.scenario.delta_items == 1:
            parts = [nodes]
        else:
            parts = [{n: t for n, t in nodes.items() if bool(n.labels) is below} for below in (False, True)]
        yield from (Delta(f"{name}-{number}", tuple(part.items())) for number, part in enumerate(parts) if part)

    def _changes(self, changes: Iterable[ChangeOfKey]) -> Iterator[Change]:
        for key, before, after in changes:
            stored = self.ladders[key][after]
            assert stored is not None
            yield Change(self.keys[key], self.ladders[key][before], stored)

    def _version(self, key: int, state: int) -> int | None:
        stored = self.ladders[key][state]
        return None if stored is None else stored.version

    def _amount(self, deltas: int) -> int:
        """The packed sum of some deltas, given as bits."""
        return sum(amount for place, amount in enumerate(self._amounts) if deltas >> place & 1)


def _ladder(events: Iterable[Event], key: str) -> list[Stored | None]:
    states = {Stored(event.version, event.content) for event in events if event.key == key}
    return [None, *sorted(states, key=lambda stored: (stored.version, stored.content.rank))]


def _contradicting(events: Sequence[Event]) -> Iterator[tuple[str, Stored]]:
    for key in {event.key for event in events}:
        greatest = max(event.version for event in events if event.key == key)
        contents = {event.content for event in events if event.key == key and event.version == greatest}
        if len(contents) > 1:
            yield from ((key, Stored(greatest, content)) for content in contents)
