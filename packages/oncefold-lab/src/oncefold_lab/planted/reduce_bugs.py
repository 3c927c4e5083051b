"""Mistakes of ReduceLambda and the sweeper, and of what the functions answer and remember between invocations."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

from oncefold.aws.functions import layout
from oncefold.aws.functions.layout import Delta
from oncefold.aws.functions.plan import Group, group
from oncefold.aws.functions.reduce import Reduced, ReduceFunction
from oncefold.aws.functions.sweep import Swept
from oncefold.core.fold import Node, Total
from oncefold.dynamodb import items
from oncefold.dynamodb.calls import TOKEN_CHARS, Dynamo, Written
from oncefold.dynamodb.items import Item
from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.search.scenario import NAMES
from oncefold_lab.world.functions import Context


class _DeleteAnyway(ReduceFunction):
    def _delete(self, delta: Delta) -> Item:
        delete = super()._delete(delta)["Delete"]
        return {"Delete": {"TableName": delete["TableName"], "Key": delete["Key"]}}


class _Apart(ReduceFunction):
    """Adds in one transaction, and deletes in the next."""

    def _rest(self, tried: Group, reduced: Reduced) -> Iterator[Group]:
        there = self._still_there(tried.deltas)
        if there:
            nodes = group(there).nodes
            if nodes:
                self._dynamo.transact([self._add(change, tried.epoch) for change in nodes.items()])
            self._dynamo.transact([*map(self._delete, there)])
            reduced.deltas += len(there)
        return iter(())


class _InFloats(ReduceFunction):
    def _add(self, change: tuple[Node, Total], epoch: int) -> Item:
        write = super()._add(change, epoch)
        values = write["Update"]["ExpressionAttributeValues"]
        for name, value in values.items():
            values[name] = {"N": str(Decimal(repr(float(value["N"]))))}
        return write


class _SetUpward(ReduceFunction):
    def _add(self, change: tuple[Node, Total], epoch: int) -> Item:
        """Set a node that this delta is the first of, rather than add to it."""
        write = super()._add(change, epoch)
        update = write["Update"]
        node, total = change
        if total.count > 0 and len(node.labels) > 1:
            update["UpdateExpression"] = "SET " + update["UpdateExpression"].removeprefix("ADD ").replace(" :", " = :")
        return write


class _MismatchIsDone(Dynamo):
    """A token made of a group's first delta alone; a mismatch is taken for a group that is done."""

    def transact(self, writes: Sequence[Item], *, patient: bool = True) -> Written:
        if "Delete" not in writes[0]:
            return super().transact(writes, patient=patient)
        token = items.digest(writes[0])[:TOKEN_CHARS]
        plain = [_plain(write) for write in writes]
        try:
            self._call(self._client.transact_write_items, TransactItems=plain, ClientRequestToken=token)
        except ClientError as error:
            if error.response["Error"]["Code"] != "IdempotentParameterMismatchException":
                raise
        return Written(done=True)


class _NoToken(Dynamo):
    def transact(self, writes: Sequence[Item], *, patient: bool = True) -> Written:
        if "Delete" not in writes[0]:
            return super().transact(writes, patient=patient)
        self._call(self._client.transact_write_items, TransactItems=[*writes])
        return Written(done=True)


class _FailedIsDone(Dynamo):
    def transact(self, writes: Sequence[Item], *, patient: bool = True) -> Written:
        super().transact(writes, patient=patient)
        return Written(done=True)


class _Unconditional(Dynamo):
    """The same transaction again without its conditions once they have failed."""

    def transact(self, writes: Sequence[Item], *, patient: bool = True) -> Written:
        written = super().transact(writes, patient=patient)
        return written if written.done else super().transact([_plain(write) for write in writes], patient=patient)


def _plain(write: Item) -> Item:
    ((kind, request),) = write.items()
    names = {"ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"}
    if kind == "Update":
        return write
    return {kind: {name: value for name, value in request.items() if name not in names}}


class TokenOnly(Oncefold):
    """A delta is deleted without the condition that it is there: its token alone keeps it from being added twice."""

    reduce_function = _DeleteAnyway


class OutboxUnconditioned(Oncefold):
    """A delta is deleted without the condition that it is there, and nothing else keeps it from being added twice."""

    reduce_function = _DeleteAnyway
    dynamo = _NoToken


class AddedThenDeleted(Oncefold):
    """Deltas are added in one transaction and taken out of the outbox in the next."""

    reduce_function = _Apart


class InFloats(Oncefold):
    """Sums go through binary floats."""

    reduce_function = _InFloats


class SetNotAdded(Oncefold):
    """A delta that counts upward sets a node below the first level instead of adding to it."""

    reduce_function = _SetUpward


class MismatchIsDone(Oncefold):
    """A token vouches for a group of deltas, and one that DynamoDB knows for another group is taken for success."""

    dynamo = _MismatchIsDone


class FailedIsDone(Oncefold):
    """A transaction whose condition failed is taken for one that is done."""

    dynamo = _FailedIsDone


class WithoutConditions(Oncefold):
    """A transaction whose condition failed is sent again without conditions."""

    dynamo = _Unconditional


class SweeperRaces(Oncefold):
    """The sweeper adds what it finds without a condition, beside the reducer."""

    def swept(self, dynamo: Dynamo, context: Context, grace: float) -> Swept:  # noqa: ARG002
        """A sweep of old deltas and young ones."""
        deltas = [layout.parse_delta(self.pipeline, item) for item in dynamo.scan(NAMES.reduce_table)]
        return Swept(_DeleteAnyway(self.pipeline, NAMES, dynamo).apply(deltas), found=len(deltas))


class NoSweeper(Oncefold):
    """Nothing applies a delta whose stream record is lost."""

    def swept(self, dynamo: Dynamo, context: Context, grace: float) -> Swept:  # noqa: ARG002
        """Nothing."""
        return Swept(Reduced())


_FAILURES, _NAME = "batchItemFailures", "itemIdentifier"


class AllFinished(Oncefold):
    """Every batch is answered as finished, also where the time was short: the position moves before the state."""

    def state(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """StateLambda's handler."""
        super().state(event, context)
        return {_FAILURES: []}


class LastInstead(Oncefold):
    """The answer names the last record of the batch where the first unfinished one is meant."""

    def state(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """StateLambda's handler."""
        answer = super().state(event, context)
        if answer[_FAILURES]:
            answer[_FAILURES] = [{_NAME: event["Records"][-1]["kinesis"]["sequenceNumber"]}]
        return answer


class ErrorsSwallowed(Oncefold):
    """Whatever is raised, the batch is answered as finished."""

    def state(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """StateLambda's handler."""
        try:
            return super().state(event, context)
        except Exception:
            return {_FAILURES: []}


class WatermarkFirst(Oncefold):
    """A watermark per shard is moved to a batch's end before the batch is folded; what is below it is left out."""

    def state(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """StateLambda's handler."""
        marks = self.__dict__.setdefault("_marks", {})
        records = event["Records"]
        shard = records[0]["eventID"].partition(":")[0]
        mark = marks.get(shard, 0)
        above = [record for record in records if int(record["kinesis"]["sequenceNumber"]) > mark]
        marks[shard] = max(mark, int(records[-1]["kinesis"]["sequenceNumber"]))
        return super().state({"Records": above}, context)


class WatermarkOfShard(Oncefold):
    """A watermark per shard is moved when a batch is folded, though other lanes of the shard may be behind it."""

    def state(self, event: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """StateLambda's handler."""
        marks = self.__dict__.setdefault("_marks", {})
        records = event["Records"]
        shard = records[0]["eventID"].partition(":")[0]
        mark = marks.get(shard, 0)
        above = [record for record in records if int(record["kinesis"]["sequenceNumber"]) > mark]
        answer = super().state({"Records": above}, context)
        if not answer[_FAILURES]:
            marks[shard] = max(marks.get(shard, 0), int(records[-1]["kinesis"]["sequenceNumber"]))
        return answer
