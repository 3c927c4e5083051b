"""ReduceLambda and the sweeper, step by step: docs/MODEL.md says which line of the protocol each step is.

The stream of ReduceTable is taken for a set: ReduceLambda may be given any of the records that are not done with, in
any batch. That is more than shards in their order allow.
"""

from collections.abc import Iterator
from functools import cache

from oncefold_lab.model.encoding import Encoding
from oncefold_lab.model.state import ModelStep, ModelTables, Op, Reducing, State


class ReducingSteps:
    """What invocations of ReduceLambda and the sweeper, and the stream before them, may do in a state."""

    def __init__(self, world: Encoding) -> None:
        self._world = world
        self._scenario = world.scenario
        self._rules = world.rules
        self._some = cache(self._subsets)
        self._group = cache(self._grouped)

    def add(self, state: State, out: list[ModelStep]) -> None:
        """Add every step that is possible."""
        self._deliver(state, out)
        reducing, sweeping = state.reducing, state.sweeping
        for place, run in enumerate(reducing):
            if not place or run != reducing[place - 1]:
                self._reduce(state.with_reducing(*reducing[:place], *reducing[place + 1 :]), run, out)
        if self._rules.sweeps:
            self._scan(state, out)
            for place, seen in enumerate(sweeping):
                if not place or seen != sweeping[place - 1]:
                    self._sweep(state.with_sweeping(*sweeping[:place], *sweeping[place + 1 :]), seen, out)

    def _deliver(self, state: State, out: list[ModelStep]) -> None:
        tables, scenario = state.tables, self._scenario
        held = 0
        for run in state.reducing:
            held |= run.batch
        if len(state.reducing) < scenario.reducers_at_once:
            for some in self._some(tables.unread & ~held):
                run = Reducing(some, some)
                out.append(ModelStep(Op.TAKEN, run, run, some, _reduced(state, run)))
            if scenario.announcements_again:
                for some in self._some(tables.outbox | tables.applied):
                    run = Reducing(0, some)
                    out.append(ModelStep(Op.TAKEN_AGAIN, run, run, some, _reduced(state, run)))
        if scenario.announcements_lost:
            for bit in _bits(tables.unread):
                aged = tables._replace(unread=tables.unread & ~bit)
                out.append(ModelStep(Op.AGED_OUT, None, None, bit, state.with_tables(aged)))

    def _subsets(self, deltas: int) -> tuple[int, ...]:
        """The batches that can be made of some deltas."""
        found = [0]
        for bit in _bits(deltas):
            found += [some | bit for some in found if some.bit_count() < self._scenario.batch_deltas]
        return tuple(found[1:])

    def _grouped(self, left: int) -> int:
        """The deltas of the next transaction."""
        group = 0
        for bit in _bits(left):
            if group.bit_count() < self._scenario.group_deltas:
                group |= bit
        return group

    def _reduce(self, others: State, run: Reducing, out: list[ModelStep]) -> None:
        """The steps of one invocation of ReduceLambda; `others` is the state without it."""

        def after(op: Op, group: int, left: int, tables: ModelTables) -> None:
            if left:
                kept = run._replace(left=left)
                out.append(ModelStep(op, run, kept, group, _reduced(others.with_tables(tables), kept)))
            else:
                read = tables._replace(unread=tables.unread & ~run.batch)
                out.append(ModelStep(op, run, None, group, others.with_tables(read)))

        out.append(ModelStep(Op.CRASHED, run, None, 0, others))
        finished = run.batch & ((run.left & -run.left) - 1)
        if finished:
            read = others.tables._replace(unread=others.tables.unread & ~finished)
            out.append(ModelStep(Op.LEFT, run, None, run.left, others.with_tables(read)))
        group = self._group(run.left)
        there = group & others.tables.outbox
        if there == group or not self._rules.reduce_condition:
            applied = self._applied(others.tables, group)
            after(Op.APPLIED, group, run.left & ~group, applied)
            out.append(ModelStep(Op.APPLIED_UNHEARD, run, run, group, _reduced(others.with_tables(applied), run)))
        else:
            after(Op.GONE, group & ~there, run.left & ~(group & ~there), others.tables)

    def _scan(self, state: State, out: list[ModelStep]) -> None:
        """A sweep begins with the first delta that it sees, and sees others one by one, each at a moment of its own."""
        outbox, sweeping = state.tables.outbox, state.sweeping
        if len(sweeping) < self._scenario.sweepers_at_once:
            out.extend(ModelStep(Op.SEEN, 0, bit, bit, _swept(state, bit)) for bit in _bits(outbox))

    def _sweep(self, others: State, seen: int, out: list[ModelStep]) -> None:
        """The steps of one sweep; `others` is the state without it."""

        def after(op: Op, group: int, left: int, tables: ModelTables) -> None:
            state = others.with_tables(tables)
            out.append(ModelStep(op, seen, left or None, group, _swept(state, left) if left else state))

        out.append(ModelStep(Op.CRASHED, seen, None, 0, others))
        if seen.bit_count() < self._scenario.batch_deltas:
            for bit in _bits(others.tables.outbox & ~seen):
                after(Op.SEEN, bit, seen | bit, others.tables)
        group = self._group(seen)
        there = group & others.tables.outbox
        if there == group or not self._rules.sweep_condition:
            applied = self._applied(others.tables, group)
            after(Op.APPLIED, group, seen & ~group, applied)
            after(Op.APPLIED_UNHEARD, group, seen, applied)
        else:
            after(Op.GONE, group & ~there, seen & ~(group & ~there), others.tables)

    def _applied(self, tables: ModelTables, group: int) -> ModelTables:
        """One transaction: the deltas leave the outbox and are added to the totals."""
        return tables._replace(
            outbox=tables.outbox & ~group,
            totals=tables.totals + self._world.amount(group),
            applied=tables.applied | group,
            twice=tables.twice | (tables.applied & group),
        )


def _bits(bits: int) -> Iterator[int]:
    while bits:
        bit = bits & -bits
        yield bit
        bits ^= bit


def _reduced(others: State, run: Reducing) -> State:
    return others.with_reducing(*others.reducing, run)


def _swept(others: State, seen: int) -> State:
    return others.with_sweeping(*others.sweeping, seen)
