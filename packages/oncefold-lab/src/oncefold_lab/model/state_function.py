"""StateLambda, step by step: docs/MODEL.md says which line of the protocol each step is.

What an invocation does by itself, touching nothing that others see, is joined to the step before it: a crash between
the two leaves nothing that a crash before or after does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from oncefold_lab.model.encoding import ChangeOfKey, Encoding, Write
from oncefold_lab.model.state import AGAIN, DONE, UNREAD, Folding, ModelStep, ModelTables, Op, State, replaced

Keys = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChunkWrites:
    """A transaction that an invocation may send, and what it will know of its keys when it is done or refused.

    Of one that is refused the keys whose conditions failed are read again, the others planned anew as they were read.
    """

    conditions: tuple[tuple[int, int], ...]
    """Keys and the states that must still stand."""
    write: Write
    done: Keys
    refused: Keys
    """Where all of them are at fault."""
    others: tuple[tuple[int, int], ...]
    """For each condition, the key's position in the batch and what was read of it."""


@dataclass(frozen=True, slots=True)
class InvocationPlan:
    """What follows from all that was read: the conflicts to note and the chunks to write."""

    notes: int
    chunks: tuple[ChunkWrites, ...]
    keys: Keys
    """What is known once the conflicts are noted: keys that do not change are finished."""


class FoldingSteps:
    """What invocations of StateLambda, and Lambda before them, may do in a state."""

    def __init__(self, world: Encoding) -> None:
        self._world = world
        self._scenario = world.scenario
        self._rules = world.rules
        self._plan = cache(self._planned)

    def add(self, state: State, out: list[ModelStep]) -> None:
        """Add every step that is possible."""
        self._deliver(state, out)
        folding = state.folding
        for place, run in enumerate(folding):
            if not place or run != folding[place - 1]:
                self._run(state.with_folding(*folding[:place], *folding[place + 1 :]), run, out)

    def _deliver(self, state: State, out: list[ModelStep]) -> None:
        world, scenario = self._world, self._scenario
        room = len(state.folding) < scenario.states_at_once
        busy = {world.batches.known[run.batch].shard for run in state.folding if run.answers}
        for shard, checkpoint in enumerate(state.checkpoints):
            if room and shard not in busy:
                for batch in world.batches.next(shard, checkpoint):
                    self._begin(state, Op.DELIVERED, batch, out)
            if room and scenario.zombies:
                for batch in world.batches.beside(shard, checkpoint):
                    self._begin(state, Op.REPEATED, batch, out)
            if scenario.rewinds and shard not in busy:
                for earlier in range(checkpoint):
                    moved = state.with_checkpoint(shard, earlier)
                    out.append(ModelStep(Op.REWOUND, None, None, shard, moved))

    def _begin(self, state: State, op: Op, batch: int, out: list[ModelStep]) -> None:
        """Deliver a batch; the reading of one of its keys is joined to it."""
        run = Folding(batch, op is Op.DELIVERED, (UNREAD,) * len(self._world.batches.known[batch].keys))
        for position in range(len(run.keys)):
            self._read(state, run, position, op, out)

    def _run(self, others: State, run: Folding, out: list[ModelStep]) -> None:
        """The steps of one invocation; `others` is the state without it."""
        out.append(ModelStep(Op.CRASHED, run, None, 0, others))
        self._cut_short(others, run, out)
        if UNREAD in run.keys:
            for position, known in enumerate(run.keys):
                if known == UNREAD:
                    self._read(others, run, position, Op.READ, out)
            return
        plan = self._plan(run.batch, run.keys)
        if self._to_note(plan, others.tables):
            noted = others.with_tables(others.tables._replace(notes=others.tables.notes | plan.notes))
            after = run._replace(keys=plan.keys)
            out.append(ModelStep(Op.NOTED, run, after, plan.notes, _beside(noted, after)))
        elif plan.chunks:
            for chunk in plan.chunks:
                self._transact(others, run, chunk, out)
        else:
            self._go_on(others, run, run, (Op.ANSWERED, 0), out)

    def _read(self, others: State, run: Folding, position: int, op: Op, out: list[ModelStep]) -> None:
        """Read one key; BatchGetItem reads each at a moment of its own."""
        key = self._world.batches.known[run.batch].keys[position]
        after = Folding(run.batch, run.answers, replaced(run.keys, position, others.tables.stored[key]))
        self._go_on(others, run, after, (op, key), out)

    def _planned(self, batch: int, keys: Keys) -> InvocationPlan:
        """Fold the batch's events onto what was read, and cut the changes into chunks.

        Several chunks are under way at a time, so that any of them may be the next.
        """
        of_batch = self._world.batches.known[batch].keys
        changes: list[ChangeOfKey] = []
        notes = 0
        after = list(keys)
        for position, known in enumerate(keys):
            if known >= 0:
                turn = self._world.turn(batch, position, known)
                notes |= turn.notes
                if turn.after != known:
                    changes.append((of_batch[position], known, turn.after))
                else:
                    after[position] = DONE
        changes.sort()
        parts = [changes] if self._scenario.chunk_keys > 1 else [[change] for change in changes]
        if not self._rules.keeps_tail:
            parts = parts[:1]
        planned = tuple(self._chunk(of_batch, after, changes, part) for part in parts if part)
        return InvocationPlan(notes, planned, tuple(after))

    def _chunk(
        self, of_batch: Keys, keys: Sequence[int], changes: list[ChangeOfKey], part: list[ChangeOfKey]
    ) -> ChunkWrites:
        own = {key for key, _, _ in part}
        dropped = set() if self._rules.keeps_tail else {key for key, _, _ in changes} - own

        def known(what: int) -> Keys:
            return tuple(
                what if key in own else DONE if key in dropped else known
                for key, known in zip(of_batch, keys, strict=True)
            )

        again = DONE if self._rules.refused == "take for done" else AGAIN
        conditions = tuple((key, before) for key, before, _ in part)
        others = tuple((of_batch.index(key), before) for key, before, _ in part)
        return ChunkWrites(conditions, self._world.write(tuple(part)), known(DONE), known(again), others)

    def _to_note(self, plan: InvocationPlan, tables: ModelTables) -> bool:
        return self._rules.notes_first and bool(plan.notes & ~tables.notes)

    def _transact(self, others: State, run: Folding, chunk: ChunkWrites, out: list[ModelStep]) -> None:
        tables, write = others.tables, chunk.write
        done = Folding(run.batch, run.answers, chunk.done)
        refused = Folding(run.batch, run.answers, self._refused(tables, chunk))
        answer = self._by_token(tables, run, write)
        if answer is not None:
            self._go_on(others, run, done, (answer, write.bit), out)
        states = self._states_hold(tables, chunk)
        deltas = not (self._rules.delta_condition and tables.outbox & write.deltas)
        if states and deltas:
            written = others.with_tables(self._written(tables, run, write))
            self._go_on(written, run, done, (Op.WRITTEN, write.bit), out)
            out.append(ModelStep(Op.UNHEARD, run, run, write.bit, _beside(written, run)))
        if self._rules.transactions != "one":
            self._by_halves(others, run, chunk, (states, deltas), out)
        elif not (states and deltas) and self._rules.refused != "insist":
            self._go_on(others, run, refused, (Op.REFUSED, write.bit), out)

    def _by_halves(
        self, others: State, run: Folding, chunk: ChunkWrites, holds: tuple[bool, bool], out: list[ModelStep]
    ) -> None:
        """Of two transactions only the first is done, for a crash or a refusal; none, where the first is refused."""
        states, deltas = holds
        state_first = self._rules.transactions == "state first"
        first, second = (states, deltas) if state_first else (deltas, states)
        refused = run._replace(keys=self._refused(others.tables, chunk))
        if not first:
            self._go_on(others, run, refused, (Op.REFUSED, chunk.write.bit), out)
            return
        put = _put_states if state_first else _put_deltas
        half = others.with_tables(put(others.tables, chunk.write))
        out.append(ModelStep(Op.HALVED, run, None, chunk.write.bit, half))
        if not second:
            self._go_on(half, run, refused, (Op.HALVED, chunk.write.bit), out)

    def _states_hold(self, tables: ModelTables, chunk: ChunkWrites) -> bool:
        return all(self._holds(tables, key, before) for key, before in chunk.conditions)

    def _holds(self, tables: ModelTables, key: int, before: int) -> bool:
        """Whether the condition of one key holds."""
        return self._meets(key, tables.stored[key], before)

    def _meets(self, key: int, current: int, before: int) -> bool:
        """Whether what stands there is for the condition what was read."""
        if self._rules.state_condition == "version and content":
            return current == before
        if self._rules.state_condition == "version":
            return self._world.version(key, current) == self._world.version(key, before)
        return True

    def _refused(self, tables: ModelTables, chunk: ChunkWrites) -> Keys:
        """What is known of the keys when the chunk is refused."""
        holding = [self._holds(tables, key, before) for key, before in chunk.conditions]
        if all(holding):
            return chunk.refused
        keys = chunk.refused
        for holds, (position, before) in zip(holding, chunk.others, strict=True):
            if holds:
                keys = replaced(keys, position, before)
        return keys

    def _by_token(self, tables: ModelTables, run: Folding, write: Write) -> Op | None:
        """What a token that is remembered answers; it may be forgotten as well."""
        if self._rules.tokens_of == "content":
            return Op.REMEMBERED if tables.done & write.bit else None
        under = [bit for token, bit in tables.tokens if token == self._token(run)]
        if not under:
            return None
        return Op.REMEMBERED if write.bit in under else Op.MISMATCHED

    def _token(self, run: Folding) -> int:
        batch = self._world.batches.known[run.batch]
        return batch.places[0] * len(self._scenario.shards) + batch.shard

    def _written(self, tables: ModelTables, run: Folding, write: Write) -> ModelTables:
        after = _put_deltas(_put_states(tables, write), write)
        tokens = tables.tokens
        if self._rules.tokens_of != "content":
            tokens = tuple(sorted({*tokens, (self._token(run), write.bit)}))
        return after._replace(done=tables.done | write.bit, tokens=tokens)

    def _cut_short(self, others: State, run: Folding, out: list[ModelStep]) -> None:
        """The time is up: the answer names the first record with a key that is not finished."""
        batch = self._world.batches.known[run.batch]
        open_keys = [first for first, known in zip(batch.first, run.keys, strict=True) if known != DONE]
        if not run.answers or not open_keys:
            return
        first = min(open_keys) + (not self._rules.keeps_unfinished)
        if first:
            moved = others.with_checkpoint(batch.shard, batch.places[0] + first)
            out.append(ModelStep(Op.CUT_SHORT, run, None, first, moved))

    def _go_on(self, others: State, before: Folding, run: Folding, what: tuple[Op, int], out: list[ModelStep]) -> None:
        """End a step with what the invocation then does by itself: a new round, or its answer."""
        op, about = what
        if UNREAD not in run.keys:
            plan = self._plan(run.batch, run.keys)
            if not self._rules.notes_first:
                others = self._noted_late(others, before, op, plan)
            if not self._to_note(plan, others.tables):
                run = run._replace(keys=plan.keys)
                if not plan.chunks:
                    if AGAIN not in run.keys:
                        out.append(ModelStep(op, before, None, about, self._answered(others, run)))
                        return
                    run = run._replace(keys=tuple(UNREAD if known == AGAIN else known for known in run.keys))
        out.append(ModelStep(op, before, run, about, _beside(others, run)))

    def _noted_late(self, others: State, before: Folding, op: Op, plan: InvocationPlan) -> State:
        """Note the conflicts of what is known to be written, and of what need not be."""
        notes = 0 if plan.chunks else plan.notes
        if op in {Op.WRITTEN, Op.REMEMBERED}:
            notes |= self._plan(before.batch, before.keys).notes
        return others.with_tables(others.tables._replace(notes=others.tables.notes | notes))

    def _answered(self, others: State, run: Folding) -> State:
        if not run.answers:
            return others
        batch = self._world.batches.known[run.batch]
        return others.with_checkpoint(batch.shard, batch.end)


def _put_states(tables: ModelTables, write: Write) -> ModelTables:
    stored = tables.stored
    for key, after in write.states:
        stored = replaced(stored, key, after)
    return tables._replace(stored=stored)


def _put_deltas(tables: ModelTables, write: Write) -> ModelTables:
    """Only what was not there is announced: the stream's mapping takes inserts alone."""
    new = write.deltas & ~tables.outbox
    return tables._replace(outbox=tables.outbox | new, unread=tables.unread | new)


def _beside(others: State, run: Folding) -> State:
    return others.with_folding(*others.folding, run)
