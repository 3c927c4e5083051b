"""`rebuild`: totals made anew from StateTable under a new epoch, while events go on, and switched to in one step.

What holds throughout is the rule of `oncefold.aws.functions.epochs`: a key counts in an epoch exactly if its mark is
that epoch or a later one. The phases, of which any call may be the last; the next run goes on:

0. `announced`, in economy mode and for another definition alone: wait until every function knows it, and so takes no
   event that it cannot hold. From here on none is written that NetLambda could not net for it.
1. `first`: every key without the new mark gets it, in one transaction with all that it counts for as deltas of the new
   epoch. From the moment the item `definition` names the new epoch, the functions do the same for keys that they touch.
   Then wait until no function can be under way that does not know it.
2. `final`: once more through all keys, for those that such functions wrote meanwhile.
3. `drain`: apply every delta of the new epoch that is there; those that come later are as late as deltas always are.
   In economy mode wait before that until NetLambda is through what the stream of states has.
4. Switch: one write to the item `definition` makes the new epoch the live one, under the definition that it was made
   under.
5. `delete`: wait until no function writes deltas for the old epoch any more, drop those, and delete its totals.

One process at a time drives a rebuild. It shows that it lives by counting up; another one that sees that refuses, and
one that does not takes its place. Two at once would do no harm: every write has its condition.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from oncefold.aws.functions import layout
from oncefold.aws.functions.direct import DirectStateFunction
from oncefold.aws.functions.epochs import ANNOUNCED, DELETING, EPOCH_SECONDS, EpochCache, Epochs, epochs_of
from oncefold.aws.functions.guard import ECONOMY, knows, mode_of
from oncefold.aws.functions.layout import DEFINITION_KEY, Marked
from oncefold.aws.functions.plan import refusal
from oncefold.aws.functions.state import Spread, StateFunction
from oncefold.aws.functions.sweep import sweep
from oncefold.aws.functions.unread import SHOWN_SECONDS, ChangeStream, position_in, read_positions
from oncefold.aws.names import Names
from oncefold.aws.operations.rebuild_item import DRAIN, FINAL, FIRST, RebuildItem, RebuildTakenError, UnderWay
from oncefold.core.definition import Pipeline
from oncefold.core.definition_text import to_toml
from oncefold.core.errors import OncefoldError
from oncefold.dynamodb.calls import PUT_ITEMS, Backoff, Dynamo, Meter, OutOfTime, slices
from oncefold.dynamodb.items import Item
from oncefold.queries.protocol import Progress, no_progress

MARGIN_SECONDS = 10.0
"""Added to how long a function may go on with what it knows: its answers travel, too."""
LONGEST_TIMEOUT_SECONDS = 900.0
"""Lambda's longest invocation: what is waited for where a function's own timeout is not known."""
BEAT_SECONDS = 3.0
"""How often a process shows that it is alive."""
SILENCE_SECONDS = 15.0
"""One that did not for so long is taken for gone."""
_KEYS_AT_ONCE = 500
_STEP_SECONDS = 1.0
_RELEASES = 3
"""A thread that is about to stop may beat once more meanwhile."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a rebuild runs: clocks in seconds, pauses, random numbers from 0 to 1, and calls at once."""

    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    """Since 1970."""
    sleep: Callable[[float], None]
    random: Callable[[], float]
    spread: Spread


@dataclass(slots=True)
class Rebuilt:
    """What a run of a rebuild did."""

    epoch: int
    resumed: bool
    """Whether an earlier run had begun it."""
    switched: bool = False
    """Whether this run made the new totals the live ones."""
    keys: int = 0
    """Keys that were looked at in the last pass."""
    brought_in: int = 0
    """Keys that this run brought into the new epoch."""
    deleted: int = 0
    """Nodes of other epochs that this run deleted."""


class Rebuild:
    """Drives a rebuild of one stack's totals, from wherever it is to its end."""

    dynamo: type[Dynamo] = Dynamo
    state_function: type[StateFunction] = StateFunction
    direct_function: type[StateFunction] = DirectStateFunction
    """In economy mode."""
    item: type[RebuildItem] = RebuildItem

    def __init__(  # noqa: PLR0913 - what a stack is, and what a process is
        self,
        pipeline: Pipeline,
        names: Names,
        client: Any,
        machine: Machine,
        *,
        owner: str,
        timeout_seconds: float = LONGEST_TIMEOUT_SECONDS,
        epoch_seconds: float = EPOCH_SECONDS,
        progress: Progress = no_progress,
        definition: Pipeline | None = None,
        streams: Callable[[], Any] | None = None,
    ) -> None:
        """`pipeline` is the definition that keys are kept under, `definition` that of the new totals, if it is another.

        `timeout_seconds` is the longest timeout of a function; `owner` is different for every process. `streams` makes
        a client of DynamoDB's streams, which economy mode needs.
        """
        self._streams = streams
        self._economy = False
        self._pipeline = pipeline
        self._names = names
        self._machine = machine
        self._owner = owner
        self._wanted = "" if definition is None else to_toml(definition)
        self._grace = timeout_seconds + epoch_seconds + MARGIN_SECONDS
        self._progress = progress
        self._stopped = False
        self._lock = threading.Lock()
        self._beating = threading.Lock()
        """Held over calls; nobody waits for it."""
        self._beaten = machine.clock()
        self._item = self.item(names, self._calls(client))
        self._dynamo = self._calls(_Watched(client, self._before_call))
        self._under = UnderWay(0, DELETING, 1, "", 0)
        self.epochs = Epochs()
        """As they are in this phase."""
        self._definition: Item = {}
        """The item as it was when this phase began."""
        self._since = machine.clock()
        """Since when this process knows that functions can read the phase."""
        self._result = Rebuilt(0, resumed=False)

    def _calls(self, client: Any) -> Dynamo:
        machine = self._machine
        return self.dynamo(client, Backoff(machine.clock, machine.sleep, machine.random, float("inf")), Meter())

    def run(self, segments: int, *, anew: bool = False, abandon: bool = False) -> Rebuilt:
        """Begin a rebuild, or go on with the one that is under way, up to its end.

        With `anew` one that is under way is given up and another begun; with `abandon` it is given up, and its totals
        deleted. Raises RebuildTakenError if another process drives it, OncefoldError for what else is in the way.
        Whatever ends a run, also Ctrl-C, loses nothing.
        """
        definition = self._item.definition()
        self._economy = mode_of(definition) == ECONOMY
        under = UnderWay.of(definition)
        self._check(definition, None if anew else under)
        if under is not None:
            under = self._claim(under)
        if anew or (under is None and not abandon):
            under = self._begin(definition, under, segments)
        elif under is None:
            raise OncefoldError(f"stack {self._names.stack}: no rebuild is under way, so there is none to give up")
        else:
            self._result = Rebuilt(under.epoch, resumed=True)
        self._enter(under)
        try:
            if abandon and under.phase != DELETING:
                self._advance(DELETING)
            self._go()
        except BaseException:
            self._stopped = True
            self._release()
            raise
        return self._result

    def _check(self, definition: Item, under: UnderWay | None) -> None:
        """Raises OncefoldError if a rebuild, or one under the definition that is wanted, cannot be made now."""
        stack = self._names.stack
        if "load" in definition:
            raise OncefoldError(
                f"stack {stack}: a load is under way; run `oncefold aws load` again, which goes on where it was"
            )
        if not self._wanted:
            return
        if not knows(definition):
            raise OncefoldError(
                f"stack {stack}: its functions were deployed by a version that knows no definitions of epochs; deploy "
                "the definition that it has first: oncefold aws deploy"
            )
        if under is not None and under.toml != self._wanted:
            what = "another definition" if under.toml else "the definition that the stack has"
            raise OncefoldError(
                f"stack {stack}: a rebuild under {what} is under way; go on with it without --definition, or begin "
                "this one with --anew"
            )

    def _go(self) -> None:
        """From phase to phase."""
        if self._under.phase == ANNOUNCED:
            self._wait("seconds until every function knows the new definition")
            self._advance(FIRST)
        if self._under.phase == FIRST:
            self._bring_all_in()
            self._wait("seconds until every function knows the new epoch")
            self._advance(FINAL)
        if self._under.phase == FINAL:
            self._bring_all_in()
            self._advance(DRAIN)
        if self._under.phase == DRAIN:
            self._drain()
            self._advance(DELETING, switch=True)
            self._result.switched = True
        self._delete_others()

    # Who drives it

    def _claim(self, seen: UnderWay) -> UnderWay:
        """Make this process the one that drives a rebuild. Raises RebuildTakenError if another one does, and lives."""
        if seen.owner:
            deadline = self._machine.clock() + SILENCE_SECONDS
            while self._machine.clock() < deadline:
                self._progress(
                    "seconds until another process is taken for gone", round(deadline - self._machine.clock())
                )
                self._machine.sleep(_STEP_SECONDS)
            found = self._item.read()
            if found != seen:
                self._item.refuse(found)
        mine = replace(seen, owner=self._owner, beat=seen.beat + 1)
        if not self._item.swap(seen, mine):
            self._item.refuse(self._item.read())
        return mine

    def _begin(self, definition: Item, before: UnderWay | None, segments: int) -> UnderWay:
        """Name a new epoch; from now on functions make its totals, too."""
        latest = max(epochs_of(definition).live, 0 if before is None else before.epoch)
        epoch = self._next_epoch(latest)
        phase = ANNOUNCED if self._economy and self._wanted else FIRST
        under = UnderWay(epoch, phase, segments, self._owner, 1, self._wanted)
        if not self._item.begin(definition, before, under):
            self._item.refuse(self._item.read())
        self._result = Rebuilt(epoch, resumed=False)
        return under

    def _next_epoch(self, latest: int) -> int:
        """By the clock: tables that are put back to an earlier moment do not know which epochs others came to have."""
        return max(latest + 1, int(self._machine.wall_clock()))

    def _enter(self, under: UnderWay) -> None:
        self._under = under
        self._definition = self._item.definition()
        self.epochs = epochs_of(self._definition)
        self._since = self._machine.clock()

    def _advance(self, phase: str, *, switch: bool = False) -> None:
        """To the next phase; with `switch` the new totals are those that are read from now on."""
        after = replace(self._under, phase=phase, beat=self._under.beat + 1)
        before = self._under
        done = self._item.switch(self._definition, before, after) if switch else self._item.swap(before, after)
        if not done:
            self._item.refuse(self._item.read())
        self._enter(after)

    def _before_call(self) -> None:
        """Before every call: end if this process is to end, and show that it is alive."""
        if self._stopped:
            raise RebuildTakenError(f"stack {self._names.stack}: the rebuild was stopped")
        if self._machine.clock() - self._beaten < BEAT_SECONDS or not self._beating.acquire(blocking=False):
            return
        try:
            self._beaten = self._machine.clock()
            after = replace(self._under, beat=self._under.beat + 1)
            if not self._item.swap(self._under, after):
                self._stopped = True
                self._item.refuse(self._item.read())
            self._under = after
        finally:
            self._beating.release()

    def _release(self) -> None:
        """Let the next run go on at once; without effect where this process does not drive it any more.

        If it cannot be said, the next run waits until this one is taken for gone.
        """
        with suppress(Exception):
            for _ in range(_RELEASES):
                found = self._item.read()
                if found is None or found.owner != self._owner or self._item.swap(found, replace(found, owner="")):
                    return

    # What is done

    def _wait(self, what: str) -> None:
        """Until functions that knew less than this process's phase when it entered it are over."""
        while (left := self._since + self._grace - self._machine.clock()) > 0:
            self._before_call()
            self._progress(what, round(left))
            self._machine.sleep(min(left, _STEP_SECONDS))

    def _bring_all_in(self) -> None:
        self._result.keys = 0
        for _ in self._machine.spread(self._bring_segment_in, range(self._under.segments)):
            pass

    def _bring_segment_in(self, segment: int) -> None:
        under = self._under
        after, done, keys = self._cursor(segment)
        self._count(keys)
        if done:
            return
        table = self._names.state_table
        for items, position in self._dynamo.pages(table, segment, under.segments, after):
            for some in slices(items, _KEYS_AT_ONCE):
                self._bring_in(some)
                self._count(len(some))
            keys += len(items)
            self._save_cursor(segment, position, keys)

    def _bring_in(self, items: Iterable[Item]) -> None:
        """Give keys the mark of the new epoch, each with what it counts for."""
        states = dict(layout.parse_marked(self._pipeline, item) for item in items)
        waiting = {key: state for key, state in states.items() if state.mark < self._under.epoch}
        latest = max((state.mark for state in states.values()), default=0)
        if latest > self._under.epoch:
            self.overtaken()
        if waiting:
            self._check_fit(waiting)
            function = (self.direct_function if self._economy else self.state_function)(
                self._pipeline, self._names, self._dynamo, self._machine.wall_clock, epochs=_Fixed(self)
            )
            if function.bring_in(waiting).unfinished is not None:
                raise OutOfTime
            with self._lock:
                self._result.brought_in += len(waiting)

    def _check_fit(self, states: Mapping[str, Marked]) -> None:
        """Raises OncefoldError for a key that the new definition counts in more nodes than DynamoDB takes at once."""
        for pipeline in self.epochs.others(self._pipeline):
            for key, state in states.items():
                reason = refusal(pipeline, key, state.stored)
                if reason is not None:
                    raise OncefoldError(
                        f"stack {self._names.stack}: under the new definition the key {key!r} could not be held: "
                        f"{reason}. The old totals stay live; give the rebuild up: "
                        f"oncefold aws rebuild --abandon --stack {self._names.stack}"
                    )

    def overtaken(self) -> NoReturn:
        """Raises OncefoldError: a key has a mark that is later than this rebuild."""
        found = self._item.read()
        if found is None or found.epoch != self._under.epoch:
            self._stopped = True
            self._item.refuse(found)
        raise OncefoldError(
            f"stack {self._names.stack}: StateTable has keys of an epoch later than {self._under.epoch}, that of this "
            "rebuild, so the clock here, or where one ran before, is wrong; see to it, then run this with --anew"
        )

    def restored_apart(self, keys: Sequence[str]) -> NoReturn:
        """Raises OncefoldError: totals of this epoch were made from states that are there no more."""
        raise OncefoldError(
            f"stack {self._names.stack}: the outbox has a delta of the key {keys[0]!r} that its state does not know, "
            "so tables were restored to different moments since this rebuild began; run this with --anew"
        )

    def _count(self, keys: int) -> None:
        with self._lock:
            self._result.keys += keys
            self._progress(f"keys looked at, phase {self._under.phase}", self._result.keys)

    def _cursor_key(self, segment: int) -> Item:
        return {"path": DEFINITION_KEY["path"], "label": {"S": f"rebuild {segment:04d}"}}

    def _cursor(self, segment: int) -> tuple[Item | None, bool, int]:
        """After which key a segment goes on in this phase, whether it is done, and keys before."""
        item = self._dynamo.get(self._names.aggregate_table, self._cursor_key(segment))
        if item is None or (int(item["epoch"]["N"]), item["phase"]["S"]) != (self._under.epoch, self._under.phase):
            return None, False, 0
        return item["after"]["M"] or None, item["done"]["BOOL"], int(item["keys"]["N"])

    def _save_cursor(self, segment: int, after: Item | None, keys: int) -> None:
        """Say that every key up to `after` has the mark: a fact, whoever says it, and how late."""
        item = {
            **self._cursor_key(segment),
            "epoch": {"N": str(self._under.epoch)},
            "phase": {"S": self._under.phase},
            "after": {"M": after or {}},
            "done": {"BOOL": after is None},
            "keys": {"N": str(keys)},
        }
        self._dynamo.put(self._names.aggregate_table, [item])

    def _catch_up(self) -> None:
        """In economy mode: wait until the changes of states that are in their stream now are netted."""
        assert self._streams is not None, "economy mode has a stream of states"
        self._machine.sleep(SHOWN_SECONDS)
        described = self._dynamo.describe(self._names.state_table)
        stream = ChangeStream(self._streams(), described["LatestStreamArn"])
        positions = read_positions(self._dynamo, self._names)
        ends: dict[str, int] = {}
        for shard in stream.shards():
            for record in stream.after(shard, position_in(positions.get(shard))):
                ends[shard] = int(record["SequenceNumber"])
        while ends:
            positions = read_positions(self._dynamo, self._names)
            ends = {shard: end for shard, end in ends.items() if (position_in(positions.get(shard)) or -1) < end}
            self._progress("shards of the stream of states until NetLambda is through them", len(ends))
            if ends:
                self._machine.sleep(_STEP_SECONDS)

    def _drain(self) -> None:
        if self._economy:
            self._catch_up()
        epoch = self._under.epoch
        applied = 0
        while True:
            reduced = sweep(
                self._pipeline, self._names, self._dynamo, self._machine.wall_clock, float("-inf"),
                self._machine.spread, self._under.segments, lambda item: layout.epoch_of(item) == epoch, _Fixed(self),
            ).reduced  # fmt: skip
            applied += reduced.deltas
            self._progress("deltas applied", applied)
            if reduced.refused:
                name, reason = next(iter(reduced.refused.items()))
                raise OncefoldError(
                    f"stack {self._names.stack}: DynamoDB refuses deltas of the new totals, {len(reduced.refused):,} "
                    f"in all, first {name}: {reason} The old totals stay live; give the rebuild up: "
                    f"oncefold aws rebuild --abandon --stack {self._names.stack}"
                )
            if not reduced.left:
                return

    def _delete_others(self) -> None:
        """Delete what is of no use any more: totals before the live ones, and of a rebuild that was given up."""
        self._wait("seconds until no function writes to the old totals")
        live, own = self.epochs.live, self._under.epoch

        def unused(epoch: int | None) -> bool:
            return epoch is not None and (epoch < live or (epoch == own and own != live))

        self._delete(self._names.reduce_table, ("id",), lambda item: unused(layout.epoch_of(item)))
        self._result.deleted += self._delete(
            self._names.aggregate_table, ("path", "label"), lambda item: unused(layout.node_epoch(item))
        )
        for some in slices([self._cursor_key(segment) for segment in range(self._under.segments)], PUT_ITEMS):
            self._dynamo.delete(self._names.aggregate_table, some)
        if not self._item.swap(self._under, None):
            self._item.refuse(self._item.read())

    def _delete(self, table: str, key: Iterable[str], unused: Callable[[Item], bool]) -> int:
        """Delete the items of a table that are unused; how many."""
        segments = self._under.segments

        def work(segment: int) -> int:
            deleted = 0
            for items, _ in self._dynamo.pages(table, segment, segments):
                keys = [{name: item[name] for name in key} for item in items if unused(item)]
                for some in slices(keys, PUT_ITEMS):
                    self._dynamo.delete(table, some)
                    deleted += len(some)
                self._progress("items of no use deleted by one of the workers", deleted)
            return deleted

        return sum(self._machine.spread(work, range(segments)))


class _Fixed(EpochCache):
    """The epochs that a rebuild works with."""

    def __init__(self, rebuild: Rebuild) -> None:
        self._rebuild = rebuild

    def current(self, dynamo: Dynamo) -> Epochs:  # noqa: ARG002 - they stay for as long as the phase does
        return self._rebuild.epochs

    def read(self, dynamo: Dynamo) -> Epochs:  # noqa: ARG002
        self._rebuild.overtaken()

    def restored_apart(self, keys: Sequence[str]) -> None:
        self._rebuild.restored_apart(keys)


class _Watched:
    """A client that calls `before` ahead of every call."""

    def __init__(self, client: Any, before: Callable[[], None]) -> None:
        self._client = client
        self._before = before

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call = getattr(self._client, operation)

        def watched(**request: Any) -> Any:
            self._before()
            return call(**request)

        return watched
