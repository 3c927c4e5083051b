"""Mistakes of a rebuild: what names a delta, what goes together, what is waited for, and which totals are read."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from oncefold.aws.connect import aws_errors_explained
from oncefold.aws.functions.layout import Marked
from oncefold.aws.functions.plan import Change, Chunk
from oncefold.aws.functions.state import StateFunction
from oncefold.aws.operations.rebuild import Rebuild
from oncefold.aws.operations.rebuild_item import FIRST
from oncefold.aws.reader.reader import Answered, StackReader
from oncefold.aws.tables import Stack, live_epoch
from oncefold.dynamodb import items
from oncefold.dynamodb.calls import Written
from oncefold.dynamodb.items import Item
from oncefold_lab.search.rebuilding import Rebuilding


class _NamedWithoutEpoch(StateFunction):
    def _write_chunk(self, chunk: Chunk) -> Written | None:
        def name(epoch: int) -> str:
            within = [(change.key, change.within(epoch)) for change in chunk.changes]
            return items.digest([[key, repr(found)] for key, found in within if found is not None])

        deltas = (replace(d, id=f"{name(d.epoch)}-{d.id.rpartition('-')[2]}") for d in chunk.deltas)
        return super()._write_chunk(replace(chunk, deltas=tuple(deltas)))


class _MarkedApart(StateFunction):
    def _write_chunk(self, chunk: Chunk) -> Written | None:
        written = super()._write_chunk(replace(chunk, deltas=()))
        if written is not None and written.done and chunk.deltas:
            super()._write_chunk(replace(chunk, changes=()))
        return written


class _MarkUnconditioned(StateFunction):
    def _state_write(self, change: Change) -> Item:
        put = super()._state_write(change)["Put"]
        if change.before is None:
            return {"Put": put}
        condition, names, values = (
            put["ConditionExpression"], put["ExpressionAttributeNames"], put["ExpressionAttributeValues"],
        )  # fmt: skip
        plain = {
            "ConditionExpression": condition.rpartition(" AND ")[0],
            "ExpressionAttributeNames": {name: value for name, value in names.items() if name != "#epoch"},
            "ExpressionAttributeValues": {name: value for name, value in values.items() if name != ":epoch"},
        }
        return {"Put": {**put, **plain}}


class _LaterMarksIgnored(StateFunction):
    def _learn(self, states: Iterable[Marked]) -> None:
        """Go on with what is known."""


class _NotDrained(Rebuild):
    def _drain(self) -> None:
        """Switch at once."""


class _OnePass(Rebuild):
    def _bring_all_in(self) -> None:
        if self._under.phase == FIRST:
            super()._bring_all_in()


class _Impatient(Rebuild):
    def _wait(self, what: str) -> None:
        """Go on at once."""


class _ApartRebuild(Rebuild):
    state_function = _MarkedApart


class _NamelessRebuild(Rebuild):
    state_function = _NamedWithoutEpoch


class _Counted(Rebuild):
    def _next_epoch(self, latest: int) -> int:
        return latest + 1


class _OpenedOnce(StackReader):
    def _of_one_epoch(self, query: Callable[[Stack], Answered]) -> Answered:
        with aws_errors_explained(self.name):
            return query(self.stack)


class _Unsteady(Stack):
    """Reads the live epoch again with every call."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name == "epoch":
            return live_epoch(self)
        return super().__getattribute__(name)


class _Mixing(StackReader):
    def _of_one_epoch(self, query: Callable[[Stack], Answered]) -> Answered:
        stack = self.stack
        with aws_errors_explained(self.name):
            return query(_Unsteady(stack.names, stack.pipeline, stack.fingerprints, stack.dynamodb, segments=1))


class EpochNotInName(Rebuilding):
    """The name of a delta does not say which epoch it is for."""

    state_function = _NamedWithoutEpoch
    rebuild = _NamelessRebuild


class MarkedApart(Rebuilding):
    """A rebuild marks keys in one transaction and adds what they count for in the next."""

    rebuild = _ApartRebuild


class MarkUnconditioned(Rebuilding):
    """The condition of a state compares version and content and not the mark."""

    state_function = _MarkUnconditioned


class LaterMarksIgnored(Rebuilding):
    """A function that finds a mark of an epoch that it does not know goes on with those that it knows."""

    state_function = _LaterMarksIgnored


class NotDrained(Rebuilding):
    """A rebuild switches while deltas of its epoch wait in the outbox."""

    rebuild = _NotDrained


class OnePass(Rebuilding):
    """A rebuild goes through the keys once, and not again for those that functions wrote which did not know of it."""

    rebuild = _OnePass


class Impatient(Rebuilding):
    """The last pass begins while functions are under way that do not know of the rebuild."""

    rebuild = _Impatient


class CountedEpochs(Rebuilding):
    """A new epoch is one more than the last that the tables know, which may have been rolled back."""

    rebuild = _Counted


class GoesOnAfterRollback(Rebuilding):
    """A rebuild that was under way when the tables were rolled back is gone on with."""

    def begins_anew(self, rolled_back: int) -> bool:  # noqa: ARG002
        """Never."""
        return False


class OpenedOnce(Rebuilding):
    """A reader goes on with the epoch that was live when it was opened."""

    reader = _OpenedOnce


class MixedEpochs(Rebuilding):
    """A reader looks up the live epoch for every call, so that its answer may be of two."""

    reader = _Mixing
