"""Mistakes of economy mode: of the states that are written unread, and of the positions in their stream."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from oncefold.aws.functions import layout
from oncefold.aws.functions.direct import DirectStateFunction
from oncefold.aws.functions.layout import StateChange
from oncefold.aws.functions.net import NetFunction, Netted, Step
from oncefold.aws.functions.plan import Change
from oncefold.dynamodb.items import Item, digest
from oncefold_lab.search.economy import Economy
from oncefold_lab.search.scenario import SimulatedDeployment
from oncefold_lab.search.workload import SentLine
from oncefold_lab.world.functions import Context


class _Unconditioned(NetFunction):
    def _move(self, shard: str, position: int | None, last: int, moved: int) -> Item:
        put = super()._move(shard, position, last, moved)["Put"]
        return {"Put": {"TableName": put["TableName"], "Item": put["Item"]}}


class PositionUnchecked(Economy):
    """The position in the stream is put without the condition that nobody moved it."""

    net_function = _Unconditioned


class _DeltasFirst(NetFunction):
    def _writes(self, shard: str, position: int | None, step: Step) -> list[Item]:
        move, *deltas = super()._writes(shard, position, step)
        if deltas:
            self._dynamo.transact(deltas)
        return [move]


class DeltasBeforePosition(Economy):
    """Deltas are written in a transaction of their own, before the position moves."""

    net_function = _DeltasFirst


class _PositionFirst(NetFunction):
    def _writes(self, shard: str, position: int | None, step: Step) -> list[Item]:
        move, *deltas = super()._writes(shard, position, step)
        if deltas:
            self._dynamo.transact([move])
            return deltas
        return [move]


class PositionBeforeDeltas(Economy):
    """The position moves in a transaction of its own, before the deltas are written."""

    net_function = _PositionFirst


class _OnePosition(NetFunction):
    def handle(self, shard: str, records: Iterable[Mapping[str, Any]]) -> Netted:  # noqa: ARG002
        return super().handle(layout.POSITIONS, records)


class OnePosition(Economy):
    """There is one position for all shards of the stream."""

    net_function = _OnePosition


class _NamedByBatch(NetFunction):
    """No position: a delta is named by the records of its batch, and one that is there already is taken for done."""

    def _position(self, shard: str) -> int | None:  # noqa: ARG002
        return None

    def _writes(self, shard: str, position: int | None, step: Step) -> list[Item]:
        _, *deltas = super()._writes(shard, position, step)
        name = digest([shard, step.last, step.changes])
        for number, delta in enumerate(deltas):
            delta["Put"]["Item"] |= layout.delta_key(f"{name}-{number}")
        return [{"Put": {key: put[key] for key in ("TableName", "Item")}} for put in (d["Put"] for d in deltas)] or [
            self._move("none", None, step.last, 0)
        ]


class BatchIsTheName(Economy):
    """There is no position; a delta is named by its batch, and replaces one of that name."""

    net_function = _NamedByBatch

    def check(self) -> None:
        """Without positions there is no balance; the end shows it."""


class _NewImages(NetFunction):
    def _change(self, record: Mapping[str, Any], netted: Netted) -> StateChange:
        change = super()._change(record, netted)
        return replace(change, before=None) if change.after is not None else change


class OldImageLeft(Economy):
    """A change adds what its new image says, and takes back nothing."""

    net_function = _NewImages


class _FirstPart(NetFunction):
    def _writes(self, shard: str, position: int | None, step: Step) -> list[Item]:
        return super()._writes(shard, position, step)[:2]


class FirstDeltaOnly(Economy):
    """Of a batch that takes several deltas only the first is written."""

    net_function = _FirstPart


class _BatchEnd(NetFunction):
    """Moves the position to the end of the batch, also where the step holds less."""

    def handle(self, shard: str, records: Iterable[Mapping[str, Any]]) -> Netted:
        batch = list(records)
        self._last = max(int(record["SequenceNumber"]) for record in batch)
        return super().handle(shard, batch[: max(1, len(batch) // 2)])

    def _move(self, shard: str, position: int | None, last: int, moved: int) -> Item:  # noqa: ARG002
        return super()._move(shard, position, self._last, moved)


class PositionAtBatchEnd(Economy):
    """The position moves to the end of the batch, of which one transaction holds a part."""

    net_function = _BatchEnd


class Limited(Economy):
    """Batches of states' changes are given up after a retry."""

    def __init__(self, deployment: SimulatedDeployment, lines: Iterable[SentLine]) -> None:
        super().__init__(replace(deployment, net=replace(deployment.net, max_retries=1, bisect=False)), lines)


class LanesOfStates(Economy):
    """Several batches of one shard of states' changes are under way at a time."""

    def __init__(self, deployment: SimulatedDeployment, lines: Iterable[SentLine]) -> None:
        super().__init__(replace(deployment, net=replace(deployment.net, parallelization=5)), lines)


class NetAnswersDone(Economy):
    """NetLambda answers that its batch is finished, also where the time was short."""

    def net(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """NetLambda's handler."""
        return {**super().net(event, context), "batchItemFailures": []}


class _Anything(DirectStateFunction):
    def _request(self, change: Change) -> Item:
        request = super()._request(change)
        if change.before is None:
            request["ConditionExpression"] = "#version = :version OR NOT #version = :version"
        return request


class WrittenUnseen(Economy):
    """A state is written without the condition that the stored version is lower."""

    state_function = _Anything


class _AtLeast(DirectStateFunction):
    def _request(self, change: Change) -> Item:
        request = super()._request(change)
        request["ConditionExpression"] = request["ConditionExpression"].replace("<", "<=")
        return request


class EqualReplaced(Economy):
    """A state of the same version is replaced, whatever its content."""

    state_function = _AtLeast


class _VersionAlone(DirectStateFunction):
    def _request(self, change: Change) -> Item:
        request = super()._request(change)
        if change.before is not None:
            request["ConditionExpression"] = request["ConditionExpression"].replace(" AND #content = :had", "")
            del request["ExpressionAttributeValues"][":had"]
        return request


class TieByVersion(Economy):
    """A content that wins against one of its version is put on the condition of the version alone."""

    state_function = _VersionAlone


class _FirstStays(DirectStateFunction):
    def _write_key(self, work: Any) -> Any:
        """Write once; whatever is refused was there before."""
        if work.state is None and work.turn.change is not None:
            done, _ = self._dynamo.write(**self._request(work.turn.change))
            work.turn.change = None if not done else work.turn.change
            return _Done(work.turn)
        return super()._write_key(work)


class _Done:
    refused = False

    def __init__(self, turn: Any) -> None:
        self.turn = turn


class RefusedIsOld(Economy):
    """Whatever is refused is taken for old: of one version the first content stays."""

    state_function = _FirstStays


class _LabelsStay(DirectStateFunction):
    def _request(self, change: Change) -> Item:
        request = super()._request(change)
        request["UpdateExpression"] = request["UpdateExpression"].partition(" REMOVE ")[0]
        used = request["UpdateExpression"] + request["ConditionExpression"]
        names = request["ExpressionAttributeNames"]
        request["ExpressionAttributeNames"] = {name: names[name] for name in names if name in used}
        return request


class DeleteLeavesLabels(Economy):
    """A delete writes its version over the state and leaves its labels there."""

    state_function = _LabelsStay
