"""StateLambda: events become states and deltas, both in one transaction.

For each batch: decode; collapse every key's events by the fold, from the state that is stored; write each accepted
state on the condition that the stored one is still what was read, together with the net change of the totals.
A replay finds nothing newer and writes nothing. The keys that a condition refuses are read again and folded again; the
others of their transaction are written without them.

While a rebuild makes totals anew (`epochs`), every key that is touched is brought into its epoch, with all that it
counts for.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oncefold.aws.aggregated import user_records
from oncefold.aws.functions import layout
from oncefold.aws.functions.epochs import EpochCache, Epochs
from oncefold.aws.functions.layout import Marked
from oncefold.aws.functions.plan import Change, Chunk, chunks, delta_put, may_be_refused, refusal
from oncefold.aws.functions.rejected import conflict_item, expiring, reject_item
from oncefold.aws.names import Names
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import IgnoredRecord, InvalidEvent
from oncefold.core.event import Event
from oncefold.core.fold import Outcome, Stored, fold
from oncefold.dynamodb.calls import PUT_ITEMS, READ_KEYS, Dynamo, OutOfTime, Written, slices
from oncefold.dynamodb.items import Item

_JSON_SPACE = b" \t\r"
"""White space of JSON (RFC 8259, section 2) within a line."""

HOT_KEYS = 4
"""Keys of a batch that are written before the others, at most: a refusal of these costs little and says much."""

HOT_SHARE = 4
"""They go first where there are so many times as many keys; for fewer a transaction of their own is not worth it."""

Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Like `map`; it may call several at a time."""


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A record of the stream: its position, when it arrived (seconds since 1970), and its bytes."""

    shard: str
    sequence: str
    arrived: float
    data: bytes
    before: int = 0
    """Lines of the whole record before these bytes."""

    def lines(self) -> "list[StreamRecord]":
        """Its lines, each as a record in the same place."""
        return [replace(self, data=raw, before=self.before + line - 1) for line, raw, _ in _lines(self.data)]


@dataclass(slots=True)
class FoldResult:
    """What became of a batch: deliveries by outcome, what was written, and where to go on if it is not finished."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    events: int = 0
    deltas: int = 0
    nodes: int = 0
    unfinished: int | None = None
    """The index of the first record with an event that is not finished; None if there is none."""

    def add(self, other: "FoldResult", first: int) -> None:
        """Add what became of a part of the batch that begins with this record."""
        self.outcomes.update(other.outcomes)
        self.events += other.events
        self.deltas += other.deltas
        self.nodes += other.nodes
        if other.unfinished is not None:
            self.leave([first + other.unfinished])

    def leave(self, records: Iterable[int]) -> None:
        """Say that these records are not finished."""
        left = [*records] if self.unfinished is None else [self.unfinished, *records]
        self.unfinished = min(left, default=None)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event and the index of its record."""

    record: int
    event: Event


@dataclass(slots=True)
class Turn:
    """One key's events folded from the state that was read."""

    change: Change | None
    outcomes: list[Outcome] = field(default_factory=list)
    conflicts: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class _Progress:
    """What became of the keys of a round."""

    done: list[str]
    again: list[str] = field(default_factory=list)
    """To be read again."""
    refused: list[Change] = field(default_factory=list)
    """Of chunks that were refused for other keys."""


class StateFunction:
    """Folds batches of one pipeline into one stack's tables."""

    def __init__(
        self,
        pipeline: Pipeline,
        names: Names,
        dynamo: Dynamo,
        wall_clock: Callable[[], float],
        spread: Spread = map,
        reject_days: int = 0,
        epochs: EpochCache | None = None,
    ) -> None:
        """`pipeline` is the definition that keys are kept under; `wall_clock` gives seconds since 1970.

        `spread` runs independent calls, several at a time if it can. Rejects and conflicts are deleted after
        `reject_days`; 0 keeps them for ever. Without `epochs` the stack is taken for one that never is rebuilt.
        """
        self._pipeline = pipeline
        self._names = names
        self._dynamo = dynamo
        self._wall_clock = wall_clock
        self._spread = spread
        self._reject_days = reject_days
        self._decoder = Decoder(pipeline)
        self._cache = epochs
        self._epochs = Epochs()
        self._others: tuple[Pipeline, ...] = ()

    def handle(self, records: Sequence[StreamRecord]) -> FoldResult:
        """Fold a batch. Events are finished in the order of their records as far as the time suffices."""
        folded = FoldResult()
        try:
            self._know()
        except OutOfTime:
            folded.leave(range(len(records)))
            return folded
        rejects: list[tuple[int, Item]] = []
        arrivals: dict[str, list[Arrival]] = {}
        for index, record in enumerate(records):
            for line, raw, fault in _lines(record.data):
                folded.events += 1
                try:
                    events = self._decode(raw, fault)
                except IgnoredRecord:
                    folded.outcomes[Outcome.IGNORED] += 1
                except InvalidEvent as error:
                    rejects.append((index, self._rejected(record, line, raw, error)))
                else:
                    for event in events:
                        arrivals.setdefault(event.key, []).append(Arrival(index, event))
        self._reject(rejects, folded)
        self._fold(arrivals, folded)
        return folded

    def refuse(self, record: StreamRecord, reason: str) -> FoldResult:
        """Reject a record as a whole."""
        folded = FoldResult(events=1)
        self._reject([(0, self._rejected(record, 1, record.data, InvalidEvent(reason)))], folded)
        return folded

    def _rejected(self, record: StreamRecord, line: int, raw: bytes, error: InvalidEvent) -> Item:
        item = reject_item(record.shard, record.sequence, record.before + line, record.arrived, raw, error)
        return expiring(item, record.arrived, self._reject_days)

    def bring_in(self, states: Mapping[str, Marked]) -> FoldResult:
        """Bring keys, as they were read, into the epochs that there are; their states stay as they are."""
        folded = FoldResult()
        self._fold({key: [] for key in states}, folded, states)
        return folded

    def _decode(self, raw: bytes, fault: InvalidEvent | None) -> tuple[Event, ...]:
        if fault is not None:
            raise fault
        event = self._decoder.json(raw)
        for pipeline in (self._pipeline, *self._others):
            if may_be_refused(pipeline, len(raw)):
                reason = refusal(pipeline, event.key, Stored(event.version, event.content))
                if reason is not None:
                    raise InvalidEvent(reason)
        return event.each()

    def _know(self) -> None:
        """Know the epochs, and their definitions. Raises OutOfTime."""
        if self._cache is not None:
            self._epochs = self._cache.current(self._dynamo)
            self._others = self._epochs.others(self._pipeline)

    def _reject(self, rejects: Sequence[tuple[int, Item]], folded: FoldResult) -> None:
        for some in slices(rejects, PUT_ITEMS):
            try:
                self._dynamo.put(self._names.reject_table, [item for _, item in some])
            except OutOfTime:
                folded.leave(index for index, _ in some)
            else:
                folded.outcomes[Outcome.REJECTED] += len(some)

    def _fold(
        self, arrivals: dict[str, list[Arrival]], folded: FoldResult, known: Mapping[str, Marked] | None = None
    ) -> None:
        """Rounds of reading, folding and writing, each with the keys that others changed meanwhile.

        States that are known are not read for the first one.
        """
        open_keys = list(arrivals)
        rounds = 0
        try:
            self._know()
            while open_keys:
                if rounds:
                    # A round takes far longer than a call: who waits no longer than one meets the same others again.
                    self._dynamo.again(2 * rounds + 2)
                rounds += 1
                stored = self._stored(open_keys) if known is None else known
                known = None
                self._learn(stored.values())
                turns = {key: self._turn(key, stored.get(key), arrivals[key]) for key in open_keys}
                self._note_conflicts(turns.values())
                open_keys = self._write(turns, arrivals, folded)
        except OutOfTime:
            folded.leave(first_record(arrivals[key]) for key in open_keys)

    def _learn(self, states: Iterable[Marked]) -> None:
        """Read the epochs again if a mark says that there is a later one.

        Raises OutOfTime if it has a definition of its own: whether the batch's events fit that was not looked at, so
        the batch has to come again.
        """
        if self._cache is not None and any(state.mark > self._epochs.latest for state in states):
            before = self._epochs.definitions
            self._epochs = self._cache.read(self._dynamo)
            if self._epochs.definitions != before:
                raise OutOfTime

    def _stored(self, keys: Sequence[str]) -> Mapping[str, Marked]:
        def read(some: Sequence[str]) -> list[Item]:
            return self._dynamo.read(self._names.state_table, [layout.state_key(key) for key in some])

        found = self._spread(read, slices(keys, READ_KEYS))
        return dict(layout.parse_marked(self._pipeline, item) for items in found for item in items)

    def _turn(self, key: str, state: Marked | None, arrivals: Sequence[Arrival]) -> Turn:
        turn = Turn(None)
        before, mark = (None, 0) if state is None else (state.stored, state.mark)
        current = before
        for arrival in arrivals:
            outcome, after = fold(current, arrival.event)
            if current is not None and outcome in {Outcome.CONFLICT_WON, Outcome.CONFLICT_LOST}:
                turn.conflicts.append(
                    conflict_item(self._pipeline, key, after.version, current.content, arrival.event.content)
                )
            turn.outcomes.append(outcome)
            current = after
        if current is not None and (current != before or (mark < self._epochs.latest and self._fits(key, current))):
            turn.change = Change(key, before, current, mark)
        return turn

    def _fits(self, key: str, stored: Stored) -> bool:
        """Whether a key can be brought into every epoch: a rebuild does not come to its end if one cannot."""
        return all(refusal(pipeline, key, stored) is None for pipeline in self._others)

    def _note_conflicts(self, turns: Iterable[Turn]) -> None:
        """Before the states are written: a conflict that is lost leaves no other trace."""
        items = {item["id"]["S"]: item for turn in turns for item in turn.conflicts}
        for some in slices(list(items.values()), PUT_ITEMS):
            now = self._wall_clock()
            self._dynamo.put(self._names.reject_table, [expiring(item, now, self._reject_days) for item in some])

    def _write(self, turns: dict[str, Turn], arrivals: dict[str, list[Arrival]], folded: FoldResult) -> list[str]:
        """Write the changes; the keys that have to be read again.

        Keys that come often are what others write just now, so the few most frequent go first: if they are refused,
        nothing more is sent until all is read again. Of a later chunk that is refused only the keys at fault wait for
        that, the others are planned anew and written at once.
        """
        changes = [turn.change for turn in turns.values() if turn.change is not None]
        progress = _Progress([key for key, turn in turns.items() if turn.change is None])
        hot = self._hot(changes, arrivals)
        others = [change for change in changes if change not in hot] if hot else changes
        self._write_chunks(hot, progress, arrivals, folded)
        if progress.again:
            progress.again += [change.key for change in others]
        else:
            self._write_chunks(others, progress, arrivals, folded)
            rest, progress.refused = progress.refused, []
            self._write_chunks(rest, progress, arrivals, folded)
        progress.again += [change.key for change in progress.refused]
        for key in progress.done:
            folded.outcomes.update(turns[key].outcomes)
        return progress.again

    def _hot(self, changes: Sequence[Change], arrivals: dict[str, list[Arrival]]) -> list[Change]:
        """The changes of the keys that come most often, if some come often and there are many others."""
        if len(changes) < HOT_SHARE * HOT_KEYS:
            return []
        often = [change for change in changes if len(arrivals[change.key]) > 1]
        return sorted(often, key=lambda change: -len(arrivals[change.key]))[:HOT_KEYS]

    def _write_chunks(
        self,
        changes: Sequence[Change],
        progress: _Progress,
        arrivals: dict[str, list[Arrival]],
        folded: FoldResult,
    ) -> None:
        """Write changes, and note what became of their chunks."""
        plan = list(chunks(self._pipeline, changes, self._epochs))
        for chunk, written in zip(plan, self._spread(self._write_chunk, plan), strict=True):
            keys = [change.key for change in chunk.changes]
            if written is None:
                folded.leave(first_record(arrivals[key]) for key in keys)
            elif written.done:
                progress.done += keys
                folded.deltas += len(chunk.deltas)
                folded.nodes += sum(len(delta.nodes) for delta in chunk.deltas)
            else:
                if self._cache is not None and _is_known_delta(chunk, written):
                    self._cache.restored_apart(keys)
                at_fault = _at_fault(chunk, written)
                progress.again += [key for key in keys if key in at_fault]
                progress.refused += [change for change in chunk.changes if change.key not in at_fault]

    def _write_chunk(self, chunk: Chunk) -> Written | None:
        """What became of the chunk; None if the time is up."""
        created = int(self._wall_clock())
        writes = [self._state_write(change) for change in chunk.changes]
        for delta in chunk.deltas:
            pipeline = self._epochs.view(delta.epoch, self._pipeline).pipeline
            writes.append(
                self._delta_write(layout.delta_item(pipeline, delta, keys=len(chunk.changes), created=created))
            )
        try:
            return self._dynamo.transact(writes, patient=False)
        except OutOfTime:
            return None

    def _state_write(self, change: Change) -> Item:
        """Put the new state, on the condition that the one it was folded from is still there, with the mark it had."""
        mark = max(change.mark, self._epochs.latest)
        item = {**layout.state_key(change.key), **layout.state_content(self._pipeline, change.after, mark)}
        put: Item = {"TableName": self._names.state_table, "Item": item}
        if change.before is None:
            put["ConditionExpression"] = "attribute_not_exists(#key)"
            put["ExpressionAttributeNames"] = {"#key": "key"}
        else:
            marked = "#epoch = :epoch" if change.mark else "attribute_not_exists(#epoch)"
            put["ConditionExpression"] = f"#version = :version AND #content = :content AND {marked}"
            put["ExpressionAttributeNames"] = {"#version": "version", "#content": "content", "#epoch": "epoch"}
            put["ExpressionAttributeValues"] = {
                ":version": layout.version_value(self._pipeline, change.before.version),
                ":content": {"S": layout.content_hash(change.before.content)},
                **({":epoch": {"N": str(change.mark)}} if change.mark else {}),
            }
        return {"Put": put}

    def _delta_write(self, item: Item) -> Item:
        return delta_put(self._names.reduce_table, item)


def first_record(arrivals: Sequence[Arrival]) -> int:
    """The first record with an event of a key; 0 for a key without one."""
    return arrivals[0].record if arrivals else 0


def _is_known_delta(chunk: Chunk, written: Written) -> bool:
    """Whether a chunk was refused for deltas alone, which are there already."""
    return bool(written.failed) and not written.taken and min(written.failed) >= len(chunk.changes)


def _at_fault(chunk: Chunk, written: Written) -> set[str]:
    """The keys for which a chunk was refused: all of it, where no single one is to blame."""
    refused = written.failed | written.taken
    keys = {change.key for index, change in enumerate(chunk.changes) if index in refused}
    return keys or {change.key for change in chunk.changes}


def _lines(data: bytes) -> Iterator[tuple[int, bytes, InvalidEvent | None]]:
    """The lines of a record with their numbers from 1, blank ones left out.

    The user records of an aggregated record are lines, one after another. One that cannot be read is a single line,
    with what is wrong with it.
    """
    try:
        parts = user_records(data)
    except InvalidEvent as fault:
        yield 1, data, fault
        return
    number = 0
    for part in parts:
        for line in part.removesuffix(b"\n").split(b"\n"):
            number += 1
            if line.strip(_JSON_SPACE):
                yield number, line, None
