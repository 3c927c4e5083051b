"""NetLambda in economy mode, step by step: changes of a shard become deltas, in one transaction with the position.

The reading of the position is joined to the step before: to the delivery, which touches nothing that others see, and to
the refusal, since a position that has moved stays so.
"""

from oncefold_lab.model.encoding import Encoding, NetWrite
from oncefold_lab.model.state import (
    UNREAD,
    ChangeLog,
    ModelStep,
    ModelTables,
    Netting,
    Op,
    State,
    replaced,
)


class NettingSteps:
    """What invocations of NetLambda, and Lambda before them, may do in a state."""

    def __init__(self, world: Encoding) -> None:
        self._world = world
        self._scenario = world.scenario
        self._rules = world.rules

    def add(self, state: State, out: list[ModelStep]) -> None:
        """Add every step that is possible."""
        for shard, records in enumerate(state.tables.log.records):
            self._deliver(state, shard, len(records), out)
        netting = state.netting
        for place, run in enumerate(netting):
            if not place or run != netting[place - 1]:
                self._run(state.with_netting(*netting[:place], *netting[place + 1 :]), run, out)

    def _deliver(self, state: State, shard: int, count: int, out: list[ModelStep]) -> None:
        """Give an invocation records of a shard: the next ones, or beside that any from before."""
        place, scenario = state.read[shard], self._scenario
        busy = [run.end for run in state.netting if run.shard == shard and run.begin != UNREAD]
        if len(state.netting) < scenario.netters_at_once:
            if not busy:
                self._hand(state, Op.HANDED, shard, (place, count), out)
            elif not self._rules.one_lane:
                self._hand(state, Op.HANDED, shard, (max(busy), count), out)
            if scenario.net_zombies:
                for begin in range(place + 1):
                    self._hand(state, Op.HANDED_AGAIN, shard, (begin, count), out)
        if not busy:
            if scenario.rewinds:
                moved = (state.with_read(shard, earlier) for earlier in range(place))
                out.extend(ModelStep(Op.RETURNED, None, None, shard, after) for after in moved)
            if not self._rules.retries_for_ever and place < count:
                out.append(ModelStep(Op.GIVEN_UP, None, None, shard, state.with_read(shard, place + 1)))

    def _hand(self, state: State, op: Op, shard: int, span: tuple[int, int], out: list[ModelStep]) -> None:
        """Deliver records from the first of the span on, in any number; it has as many as there are by now."""
        begin, count = span
        for end in range(begin + 1, min(begin + self._scenario.batch_changes, count) + 1):
            run = Netting(shard, begin if op is Op.HANDED else UNREAD, begin, end, 0)
            self._go_on(state, run, self._read(state.tables, run), (op, 0), out)

    def _read(self, tables: ModelTables, run: Netting) -> Netting:
        """The invocation that has read the position, and passes over what is netted."""
        position = tables.log.positions[self._position_of(run.shard)]
        return run._replace(first=max(run.first, position), position=position)

    def _position_of(self, shard: int) -> int:
        return shard if self._rules.position_of == "shard" else 0

    def _run(self, others: State, run: Netting, out: list[ModelStep]) -> None:
        """The steps of one invocation; `others` is the state without it."""
        out.append(ModelStep(Op.CRASHED, run, None, 0, others))
        if run.begin != UNREAD:
            left = run.first if self._rules.net_keeps_unfinished else run.end
            if left > run.begin:
                out.append(ModelStep(Op.NET_LEFT, run, None, left, others.with_read(run.shard, left)))
        self._transact(others, run, out)

    def _transact(self, others: State, run: Netting, out: list[ModelStep]) -> None:
        """Write the deltas of the next changes and move the position, on the condition that it is where it was."""
        tables, rules = others.tables, self._rules
        until = run.first + 1 if self._scenario.step_changes == 1 else run.end
        changes = tables.log.records[run.shard][run.first : until]
        write = self._world.net_write(run.shard, run.position, run.first, changes)
        last = until if rules.position_moves_to == "what is netted" else run.end
        done = run._replace(first=last, position=last)
        if tables.done & write.bit:
            self._go_on(others, run, done, (Op.NETTED_BEFORE, write.deltas), out)
        place = self._position_of(run.shard)
        unmoved = not rules.position_condition or tables.log.positions[place] == run.position
        free = not tables.outbox & write.deltas
        if rules.netting != "one":
            self._by_halves(others, (run, done), write, (until, unmoved, free), out)
        elif unmoved and free:
            both = _moved(_put(tables, run, until, write), place, last)._replace(done=tables.done | write.bit)
            written = others.with_tables(both)
            self._go_on(written, run, done, (Op.NETTED, write.deltas), out)
            unheard = written.with_netting(*written.netting, run)
            out.append(ModelStep(Op.NETTED_UNHEARD, run, run, write.deltas, unheard))
        else:
            self._go_on(others, run, self._read(tables, run), (Op.OVERTAKEN, 0), out)

    def _by_halves(
        self,
        others: State,
        runs: tuple[Netting, Netting],
        write: NetWrite,
        how: tuple[int, bool, bool],
        out: list[ModelStep],
    ) -> None:
        """Two transactions, one after the other; perhaps only the first is done, for a crash or a refusal."""
        (run, done), (until, unmoved, free) = runs, how
        place = self._position_of(run.shard)
        deltas_first = self._rules.netting == "deltas first"
        tables = others.tables
        if deltas_first:
            half = _put(tables, run, until, write) if free else tables
            whole = _moved(half, place, done.position) if unmoved else None
        elif unmoved:
            half = _moved(tables, place, done.position)
            whole = _put(half, run, until, write) if free else half
        else:
            half, whole = tables, None
        halved = others.with_tables(half)
        out.append(ModelStep(Op.NETTED_BY_HALF, run, None, write.deltas, halved))
        if whole is None:
            self._go_on(halved, run, self._read(half, run), (Op.OVERTAKEN, 0), out)
        else:
            self._go_on(others.with_tables(whole), run, done, (Op.NETTED, write.deltas), out)

    def _go_on(self, others: State, before: Netting, run: Netting, what: tuple[Op, int], out: list[ModelStep]) -> None:
        """End a step, with the answer if nothing is left of the batch."""
        op, about = what
        if run.first < run.end:
            out.append(ModelStep(op, before, run, about, others.with_netting(*others.netting, run)))
            return
        if run.begin == others.read[run.shard]:
            others = others.with_read(run.shard, run.end)
        out.append(ModelStep(op, before, None, about, others))


def _put(tables: ModelTables, run: Netting, until: int, write: NetWrite) -> ModelTables:
    """The tables with the deltas of a shard's changes in the outbox."""
    log = tables.log
    bits = (1 << until) - (1 << run.first)
    twice = log.twice + (log.netted[run.shard] & bits).bit_count()
    netted = replaced(log.netted, run.shard, log.netted[run.shard] | bits)
    new = write.deltas & ~tables.outbox
    return tables._replace(
        outbox=tables.outbox | new,
        unread=tables.unread | new,
        log=ChangeLog(log.records, log.positions, netted, twice),
    )


def _moved(tables: ModelTables, place: int, position: int) -> ModelTables:
    """The tables with the position moved."""
    log = tables.log
    return tables._replace(log=ChangeLog(log.records, replaced(log.positions, place, position), log.netted, log.twice))
