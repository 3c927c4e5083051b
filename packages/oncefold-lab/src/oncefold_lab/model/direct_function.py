"""StateLambda in economy mode, step by step: each key by itself, one conditional write, no delta.

What it writes goes into StateTable's stream, in any of the key's shards there.
"""

from collections.abc import Iterator

from oncefold_lab.model.state import (
    DONE,
    OVER,
    UNREAD,
    ChangeLog,
    Folding,
    ModelStep,
    ModelTables,
    Op,
    State,
    replaced,
)
from oncefold_lab.model.state_function import FoldingSteps


class DirectSteps(FoldingSteps):
    """What invocations of StateLambda, and Lambda before them, may do in a state of economy mode."""

    def _begin(self, state: State, op: Op, batch: int, out: list[ModelStep]) -> None:
        """Deliver a batch."""
        run = Folding(batch, op is Op.DELIVERED, (UNREAD,) * len(self._world.batches.known[batch].keys))
        out.append(ModelStep(op, run, run, 0, state.with_folding(*state.folding, run)))

    def _run(self, others: State, run: Folding, out: list[ModelStep]) -> None:
        """The steps of one invocation; `others` is the state without it. Keys are written several at a time."""
        out.append(ModelStep(Op.CRASHED, run, None, 0, others))
        self._cut_short(others, run, out)
        for position, known in enumerate(run.keys):
            if known != DONE:
                self._step(others, run, position, out)

    def _step(self, others: State, run: Folding, position: int, out: list[ModelStep]) -> None:
        """What comes next for one of the keys: its conflicts are noted, or it is written, or read."""
        known, tables = run.keys[position], others.tables
        written_over = known <= OVER
        turn = self._world.turn(run.batch, position, OVER - known if written_over else max(known, 0))
        settled = written_over or turn.after == known
        done = run._replace(keys=replaced(run.keys, position, DONE))
        if turn.notes & ~tables.notes:
            noted = others.with_tables(tables._replace(notes=tables.notes | turn.notes))
            self._after(noted, run, done if settled else run, (Op.NOTED, turn.notes), out)
            return
        if settled:  # Another one has noted the conflicts meanwhile.
            self._after(others, run, done, (Op.ANSWERED, 0), out)
            return
        if known == UNREAD and self._scenario.reads_first:
            self._read_first(others, run, position, out)
        self._write(others, run, position, turn.after, out)

    def _read_first(self, others: State, run: Folding, position: int, out: list[ModelStep]) -> None:
        """Read a key before it is written, as of a batch that was here before; finding none changes nothing."""
        key = self._world.batches.known[run.batch].keys[position]
        current = others.tables.stored[key]
        if current:
            self._after(others, run, self._found(others.tables, run, position, current), (Op.READ, key), out)

    def _write(self, others: State, run: Folding, position: int, new: int, out: list[ModelStep]) -> None:
        """Write a key's state on its condition; a refusal brings what stands there with it."""
        key, known = self._world.batches.known[run.batch].keys[position], run.keys[position]
        tables = others.tables
        current = tables.stored[key]
        if not self._allowed(key, current, known, new):
            taken = self._rules.refused == "take for done"
            after = run._replace(keys=replaced(run.keys, position, DONE)) if taken else None
            after = after or self._found(tables, run, position, current)
            self._after(others, run, after, (Op.REFUSED_STATE, key), out)
            return
        after = run._replace(keys=replaced(run.keys, position, DONE))
        if known == UNREAD and current and self._world.turn(run.batch, position, current).notes & ~tables.notes:
            after = run._replace(keys=replaced(run.keys, position, OVER - current))
        change = self._world.change(key, current, new)
        for changed in self._changed(tables, change):
            written = others.with_tables(changed)
            self._after(written, run, after, (Op.PUT, change), out)
            unheard = written.with_folding(*written.folding, run)
            out.append(ModelStep(Op.PUT_UNHEARD, run, run, change, unheard))

    def _allowed(self, key: int, current: int, known: int, new: int) -> bool:
        """Whether the condition of a write holds."""
        if known != UNREAD:
            return self._meets(key, current, known)
        rule = self._rules.unread_condition
        if not current or rule == "none":
            return True
        old, version = self._world.version(key, current), self._world.version(key, new)
        assert old is not None
        assert version is not None
        return old < version or (rule == "not higher" and old == version)

    def _found(self, tables: ModelTables, run: Folding, position: int, current: int) -> Folding:
        """The invocation that knows what stands there: the key is finished, or to be written, or has conflicts."""
        turn = self._world.turn(run.batch, position, current)
        finished = turn.after == current and not turn.notes & ~tables.notes
        return run._replace(keys=replaced(run.keys, position, DONE if finished else current))

    def _changed(self, tables: ModelTables, change: int) -> Iterator[ModelTables]:
        """The tables with a change, in each of the shards that it may be in; what changes nothing is in none."""
        key, before, after = self._world.changes[change]
        if before == after:
            yield tables
            return
        log = tables.log
        for shard in self._scenario.change_shards[key]:
            records = (*log.records[:shard], (*log.records[shard], change), *log.records[shard + 1 :])
            yield tables._replace(
                stored=replaced(tables.stored, key, after), log=ChangeLog(records, log.positions, log.netted, log.twice)
            )

    def _after(self, others: State, before: Folding, run: Folding, what: tuple[Op, int], out: list[ModelStep]) -> None:
        """End a step, with the answer if it was the last one."""
        op, about = what
        if set(run.keys) == {DONE}:
            out.append(ModelStep(op, before, None, about, self._answered(others, run)))
        else:
            out.append(ModelStep(op, before, run, about, others.with_folding(*others.folding, run)))
