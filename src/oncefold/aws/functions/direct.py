"""StateLambda in economy mode: events become states alone, by one conditional write per key and without a read.

The totals follow from StateTable's stream (`net`). A key is written on the condition that its stored version is lower;
what stands in the way comes back with the refusal, so that the events are folded onto it as everywhere else: they are
stale or duplicates, or contradict it, and then the greater content is put on the condition that it still stands there.
So a state only grows, by version and content, as where it is read first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oncefold.aws.functions import layout
from oncefold.aws.functions.layout import Marked
from oncefold.aws.functions.plan import Change
from oncefold.aws.functions.state import Arrival, FoldResult, StateFunction, Turn, first_record
from oncefold.dynamodb.calls import READ_KEYS, OutOfTime
from oncefold.dynamodb.items import Item

_OPTIONAL = ("labels", "measures")
"""Attributes that a deleted key's state lacks."""
_FIRST_KEYS = 8
"""Keys that are written first. If most are refused, the batch was here before: what is left is read then, since that
takes one call for READ_KEYS keys and costs less than writes that are refused."""
_GROWTH = 4


@dataclass(frozen=True, slots=True)
class _Work:
    """A key's events, and what they make of its state as far as it is known."""

    turn: Turn
    state: Marked | None
    arrivals: Sequence[Arrival]


@dataclass(frozen=True, slots=True)
class _Written:
    """What a key's events were, and whether what was stored stood in their way at first."""

    turn: Turn
    refused: bool


class DirectStateFunction(StateFunction):
    """Folds batches into states; no delta goes with them."""

    def _fold(
        self, arrivals: dict[str, list[Arrival]], folded: FoldResult, known: Mapping[str, Marked] | None = None
    ) -> None:
        """Every key by itself, several at a time, a slice of them after the other."""
        waiting = list(arrivals)
        reads = False
        size = _FIRST_KEYS
        try:
            self._know()
            while waiting:
                some, left = waiting[:size], waiting[size:]
                # They are unfinished until they are through, and so is what comes after them.
                states = known if known is not None else self._stored(some) if reads else {}
                turns = {key: self._turn(key, states.get(key), arrivals[key]) for key in some}
                self._note_conflicts(turns.values())
                work = [_Work(turns[key], states.get(key), arrivals[key]) for key in some]
                written = zip(work, self._spread(self._write_key, work), strict=True)
                refused = sum([self._finish(*done, folded) for done in written])
                reads = reads or 2 * refused > len(some)
                waiting, size = left, READ_KEYS if reads else min(_GROWTH * size, READ_KEYS)
        except OutOfTime:
            folded.leave(first_record(arrivals[key]) for key in waiting)

    def _finish(self, work: _Work, written: _Written | None, folded: FoldResult) -> bool:
        """Note what became of a key; whether what was stored stood in its way."""
        if written is None:
            folded.leave([first_record(work.arrivals)])
            return False
        folded.outcomes.update(written.turn.outcomes)
        return written.refused

    def _write_key(self, work: _Work) -> _Written | None:
        """Write what a key's events make of its state; None if the time is up.

        A state that is not known is taken for one that is not there, or lower.
        """
        turn, state = work.turn, work.state
        refused = 0
        try:
            while turn.change is not None:
                done, item = self._dynamo.write(**self._request(turn.change))
                found = None if item is None else layout.parse_marked(self._pipeline, item)[1]
                if done and (state is not None or found is None):
                    break
                if not done:
                    if refused:
                        self._dynamo.again(refused)
                    refused += 1
                    if found is not None:
                        self._learn([found])
                # As seen from what was replaced, or stands there.
                turn = self._turn(turn.change.key, found, work.arrivals)
                self._note_conflicts([turn])
                if done:
                    break
                state = found
        except OutOfTime:
            return None
        return _Written(turn, bool(refused))

    def _request(self, change: Change) -> Item:
        """UpdateItem: the new state in the place of the one that is known, or of any that is lower."""
        content = layout.state_content(self._pipeline, change.after)
        names = {f"#{name}": name for name in ("version", *content, *_OPTIONAL)}
        values = {f":{name}": value for name, value in content.items()}
        sets = [f"#{name} = :{name}" for name in content]
        removed = [f"#{name}" for name in _OPTIONAL if name not in content]
        mark = max(change.mark, self._epochs.latest)
        if change.before is None:
            # A later mark stays. An earlier one may, too: the scans of a rebuild bring in every key that is there.
            condition, marked = "attribute_not_exists(#version) OR #version < :version", "if_not_exists(#epoch, :epoch)"
        else:
            condition, marked = "#version = :was AND #content = :had", ":epoch"
            values[":was"] = layout.version_value(self._pipeline, change.before.version)
            values[":had"] = {"S": layout.content_hash(change.before.content)}
            condition += " AND #epoch = :mark" if change.mark else " AND attribute_not_exists(#epoch)"
            names["#epoch"] = "epoch"
            if change.mark:
                values[":mark"] = {"N": str(change.mark)}
        if mark:
            names["#epoch"], values[":epoch"] = "epoch", {"N": str(mark)}
            sets.append(f"#epoch = {marked}")
        return {
            "TableName": self._names.state_table,
            "Key": layout.state_key(change.key),
            "UpdateExpression": f"SET {', '.join(sets)}" + (f" REMOVE {', '.join(removed)}" if removed else ""),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
