"""Mistakes of what the functions answer, and of what they remember between invocations."""

from collections.abc import Mapping
from typing import Any

from oncefold_lab.search.oncefold import Oncefold
from oncefold_lab.world.functions import Context

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
