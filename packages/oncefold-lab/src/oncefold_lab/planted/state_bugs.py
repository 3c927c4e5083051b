"""Mistakes of StateLambda: what is accepted, under which condition, and what is written with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from oncefold.aws.functions.layout import Delta, Marked
from oncefold.aws.functions.plan import Change, Chunk
from oncefold.aws.functions.state import FoldResult, StateFunction, StreamRecord
from oncefold.core import leafset
from oncefold.core.event import DELETED
from oncefold.core.fold import Node, Stored, Total, net, nodes_of
from oncefold.dynamodb import items
from oncefold.dynamodb.calls import Written
from oncefold.dynamodb.items import Item
from oncefold_lab.search.oncefold import Oncefold


class _Altered(StateFunction):
    """Writes a chunk otherwise than it was planned."""

    def _write_chunk(self, chunk: Chunk) -> Written | None:
        return super()._write_chunk(self._altered(chunk))

    def _altered(self, chunk: Chunk) -> Chunk:
        raise NotImplementedError

    def _with(self, chunk: Chunk, totals: dict[Node, Total]) -> Chunk:
        """The chunk with other totals, under the names of its own deltas."""
        name = chunk.deltas[0].id if chunk.deltas else f"{len(totals)}-0"
        nodes = tuple((node, total) for node, total in totals.items() if total)
        return replace(chunk, deltas=(Delta(name, nodes),) if nodes else ())


class _OldLeafStays(_Altered):
    def _altered(self, chunk: Chunk) -> Chunk:
        pairs = [(None if _moved(change) else change.before, change.after) for change in chunk.changes]
        return self._with(chunk, net(self._pipeline, pairs))


class _OldParentsStay(_Altered):
    def _altered(self, chunk: Chunk) -> Chunk:
        totals = net(self._pipeline, [(change.before, change.after) for change in chunk.changes])
        for change in chunk.changes:
            if _moved(change) and change.before is not None and change.before.content.labels is not None:
                for node in nodes_of(self._pipeline, change.before.content.labels):
                    if 0 < len(node.labels) < len(self._pipeline.rollups[node.rollup].levels):
                        nothing = Total(0, (0,) * len(self._pipeline.amounts))
                        kept = Total(1, change.before.content.measures)
                        totals[node] = totals.get(node, nothing) + kept
        return self._with(chunk, totals)


class _EachLeafCounts(_Altered):
    def _altered(self, chunk: Chunk) -> Chunk:
        totals: dict[Node, Total] = {}
        nothing = Total(0, (0,) * len(self._pipeline.amounts))
        for change in chunk.changes:
            before = () if change.before is None else (change.before,)
            for stored, taken in (*((one, True) for one in before), (change.after, False)):
                own = Total(1, stored.content.measures)
                for node in self._nodes(stored):
                    totals[node] = totals.get(node, nothing) + (-own if taken else own)
        return self._with(chunk, totals)

    def _nodes(self, stored: Stored) -> list[Node]:
        """The nodes above each leaf, as often as there are leaves below them."""
        pipeline, labels = self._pipeline, stored.content.labels
        if labels is None:
            return []
        paths = [leafset.paths(pipeline.arrays, labels, levels) for levels in pipeline.rollup_levels]
        return [
            Node(rollup, path[:depth])
            for rollup, of_rollup in enumerate(paths)
            for path in of_rollup
            for depth in range(len(path) + 1)
        ]


class _ValueStays(_Altered):
    def _altered(self, chunk: Chunk) -> Chunk:
        pairs = [(None if _corrected(change) else change.before, change.after) for change in chunk.changes]
        return self._with(chunk, net(self._pipeline, pairs))


class _TailDropped(_Altered):
    def _altered(self, chunk: Chunk) -> Chunk:
        return replace(chunk, deltas=chunk.deltas[:1])


class _DeltasFirst(StateFunction):
    def _write_chunk(self, chunk: Chunk) -> Written | None:
        if chunk.deltas:
            super()._write_chunk(replace(chunk, changes=()))
        return super()._write_chunk(replace(chunk, deltas=()))


class _StatesFirst(StateFunction):
    def _write_chunk(self, chunk: Chunk) -> Written | None:
        written = super()._write_chunk(replace(chunk, deltas=()))
        if written is not None and written.done and chunk.deltas:
            super()._write_chunk(replace(chunk, changes=()))
        return written


class _DeleteForgets(StateFunction):
    def _state_write(self, change: Change) -> Item:
        write = super()._state_write(change)
        if change.after.content.deleted:
            put = write["Put"]
            key = {"key": put["Item"]["key"]}
            return {"Delete": {**{name: value for name, value in put.items() if name != "Item"}, "Key": key}}
        return write


class _NoCondition(StateFunction):
    def _state_write(self, change: Change) -> Item:
        put = super()._state_write(change)["Put"]
        return {"Put": {"TableName": put["TableName"], "Item": put["Item"]}}


class _VersionAlone(StateFunction):
    def _state_write(self, change: Change) -> Item:
        put = super()._state_write(change)["Put"]
        if change.before is None:
            return {"Put": put}
        return {
            "Put": {
                **put,
                "ConditionExpression": "#version = :version",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":version": put["ExpressionAttributeValues"][":version"]},
            }
        }


class _FirstUnconditioned(StateFunction):
    def _state_write(self, change: Change) -> Item:
        put = super()._state_write(change)["Put"]
        if change.before is None:
            return {"Put": {"TableName": put["TableName"], "Item": put["Item"]}}
        return {"Put": put}


class _StaleAccepted(StateFunction):
    def _stored(self, keys: Sequence[str]) -> Mapping[str, Marked]:
        self._real = super()._stored(keys)
        return {key: Marked(Stored(0, real.stored.content), real.mark) for key, real in self._real.items()}

    def _state_write(self, change: Change) -> Item:
        before = None if change.before is None else self._real[change.key].stored
        return super()._state_write(replace(change, before=before))


class _LastOfVersion(StateFunction):
    def _stored(self, keys: Sequence[str]) -> Mapping[str, Marked]:
        self._real = super()._stored(keys)
        return {
            key: Marked(Stored(real.stored.version - 1, real.stored.content), real.mark)
            for key, real in self._real.items()
        }

    def _state_write(self, change: Change) -> Item:
        before = None if change.before is None else self._real[change.key].stored
        return super()._state_write(replace(change, before=before))


class _DeletedIsNew(StateFunction):
    def _stored(self, keys: Sequence[str]) -> Mapping[str, Marked]:
        self._real = super()._stored(keys)
        return {key: real for key, real in self._real.items() if real.stored.content != DELETED}

    def _state_write(self, change: Change) -> Item:
        real = self._real.get(change.key)
        before = real.stored if change.before is None and real is not None else change.before
        return super()._state_write(replace(change, before=before))


class _NamedByBatch(StateFunction):
    """Deltas under a hash of the records that were delivered together, put whatever is there."""

    def handle(self, records: Sequence[StreamRecord]) -> FoldResult:
        self._batch = items.digest([record.sequence for record in records])
        return super().handle(records)

    def _write_chunk(self, chunk: Chunk) -> Written | None:
        deltas = (replace(delta, id=f"{self._batch}-{number}") for number, delta in enumerate(chunk.deltas))
        return super()._write_chunk(replace(chunk, deltas=tuple(deltas)))

    def _delta_write(self, item: Item) -> Item:
        put = super()._delta_write(item)["Put"]
        return {"Put": {"TableName": put["TableName"], "Item": put["Item"]}}


class _RejectsForgotten(StateFunction):
    def _reject(self, rejects: Sequence[tuple[int, Item]], folded: FoldResult) -> None:
        super()._reject(rejects[:1], folded)


def _moved(change: Change) -> bool:
    labels = None if change.before is None else change.before.content.labels
    return labels is not None and change.after.content.labels not in {None, labels}


def _corrected(change: Change) -> bool:
    labels = None if change.before is None else change.before.content.labels
    return labels is not None and change.after.content.labels == labels


class OldLeafStays(Oncefold):
    """A key that moves is not taken from where it was."""

    state_function = _OldLeafStays


class OldParentsStay(Oncefold):
    """A key that moves is taken from its old leaf and not from the nodes between it and the root."""

    state_function = _OldParentsStay


class EachLeafCounts(Oncefold):
    """A key counts in a node once for each of its leaves below it."""

    state_function = _EachLeafCounts


class ValueStays(Oncefold):
    """A correction adds its new value and leaves the old one."""

    state_function = _ValueStays


class TailDropped(Oncefold):
    """Of a chunk that takes several deltas only the first is written."""

    state_function = _TailDropped


class DeltasFirst(Oncefold):
    """Deltas are written before the state, in a transaction of their own."""

    state_function = _DeltasFirst


class StatesFirst(Oncefold):
    """Deltas are written after the state, in a transaction of their own."""

    state_function = _StatesFirst


class DeleteForgets(Oncefold):
    """A delete takes the key's item away, and its version with it."""

    state_function = _DeleteForgets


class NoCondition(Oncefold):
    """States are put without a condition."""

    state_function = _NoCondition


class VersionAlone(Oncefold):
    """The condition of a state compares the version and not the content."""

    state_function = _VersionAlone


class FirstUnconditioned(Oncefold):
    """A key's first state is put without the condition that there is none."""

    state_function = _FirstUnconditioned


class StaleAccepted(Oncefold):
    """A version that is older than the stored one replaces it."""

    state_function = _StaleAccepted


class LastOfVersion(Oncefold):
    """Of contradicting contents of one version the last to arrive is current."""

    state_function = _LastOfVersion


class DeletedIsNew(Oncefold):
    """A deleted key is taken for one that never was, so that an old version brings it back."""

    state_function = _DeletedIsNew


class NamedByBatch(Oncefold):
    """A delta is named by the hash of its batch, and replaces one of that name."""

    state_function = _NamedByBatch


class RejectsForgotten(Oncefold):
    """Of several lines of a batch that are no events only the first is kept."""

    state_function = _RejectsForgotten
