"""What fails by itself is rejected; what fails as a whole is raised, so that Lambda delivers it again and again."""

import base64
from collections.abc import Sequence
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from oncefold.aws.functions import handlers
from oncefold.aws.functions.isolation import Isolation
from oncefold.aws.functions.state import FoldResult, StateFunction, StreamRecord
from oncefold.core.fold import Outcome
from oncefold.dynamodb.calls import RequestRefused
from tests.aws.functions.stacks import Stack, lines
from tests.aws.functions.test_handlers import Context, deployed, kinesis_event
from tests.aws.functions.test_protocol import EVENTS, SOME

__all__ = ["deployed"]
POISON = '{"id": "poison"}'


class Failing(StateFunction):
    """Fails with whatever holds the poison, before anything of it is written."""

    error: Exception = RequestRefused("Item size has exceeded")

    def handle(self, records: Sequence[StreamRecord]) -> FoldResult:
        if any(b"poison" in record.data for record in records):
            raise self.error
        return super().handle(records)


def failing(stack: Stack, seconds: float = 3600.0, error: Exception | None = None) -> Failing:
    function = Failing(stack.pipeline, stack.names, stack.dynamo(seconds=seconds), stack.time.read)
    if error is not None:
        function.error = error
    return function


@pytest.mark.parametrize("places", [[0], [3], [8], [0, 9], [2, 3, 4], [*range(0, 10, 2)]])
def test_events_that_fail_by_themselves_are_rejected_and_the_others_counted(deployed: Stack, places: list[int]) -> None:
    texts = list(SOME)
    for place in places:
        texts.insert(place, POISON)
    folded = Isolation().handle(failing(deployed), lines(texts))
    assert folded.unfinished is None
    assert (folded.events, folded.outcomes[Outcome.REJECTED]) == (len(texts), len(places))
    items = deployed.rejects("reject")
    assert sorted(item["id"]["S"] for item in items) == sorted(f"reject/shardId-0/{place}/1" for place in places)
    assert {item["reason"]["S"] for item in items} == {
        "StateLambda fails on it: RequestRefused: Item size has exceeded"
    }
    deployed.reduce()
    deployed.check_exact(EVENTS)


def test_of_a_record_only_the_line_at_fault_is_rejected(deployed: Stack) -> None:
    whole = "\n".join([*SOME[:2], "", POISON, *SOME[2:], "no event"]).encode()
    folded = Isolation().handle(failing(deployed), [StreamRecord("shardId-0", "7", 0.0, whole)])
    assert folded.events == len(SOME) + 2
    rejects = {item["id"]["S"]: item["raw"]["B"] for item in deployed.rejects("reject")}
    assert rejects == {
        "reject/shardId-0/7/4": POISON.encode(),
        f"reject/shardId-0/7/{len(SOME) + 3}": b"no event",
    }
    deployed.reduce()
    deployed.check_exact(EVENTS)


def test_what_fails_for_every_event_is_raised_and_nothing_is_rejected(deployed: Stack) -> None:
    isolation = Isolation()
    with pytest.raises(RequestRefused):
        isolation.handle(failing(deployed), lines([POISON] * 5))
    assert deployed.rejects("reject") == []
    isolation.handle(failing(deployed), lines(SOME))
    assert isolation.handle(failing(deployed), lines([POISON])).outcomes[Outcome.REJECTED] == 1


@pytest.mark.parametrize(
    "error", [ClientError({"Error": {"Code": "AccessDeniedException"}}, "TransactWriteItems"), MemoryError()]
)
def test_a_failure_of_the_whole_is_raised_also_where_events_got_through(deployed: Stack, error: Exception) -> None:
    isolation = Isolation()
    isolation.handle(failing(deployed), lines(SOME[:2]))
    assert isolation.proven
    with pytest.raises(type(error)):
        isolation.handle(failing(deployed, error=error), lines([*SOME, POISON]))
    assert deployed.rejects("reject") == []


def test_without_time_the_first_record_that_was_not_tried_is_named(deployed: Stack) -> None:
    """Those before it are folded, or rejected, and Lambda goes on behind them."""

    class Slow(Failing):
        def handle(self, records: Sequence[StreamRecord]) -> FoldResult:
            folded = super().handle(records)
            if any(record.sequence == "5" for record in records):
                folded = replace(folded, unfinished=next(i for i, one in enumerate(records) if one.sequence == "5"))
            return folded

    texts = [POISON, *SOME]
    slow = Slow(deployed.pipeline, deployed.names, deployed.dynamo(), deployed.time.read)
    folded = Isolation().handle(slow, lines(texts))
    assert folded.unfinished == 5
    assert [item["id"]["S"] for item in deployed.rejects("reject")] == ["reject/shardId-0/0/1"]
    deployed.check_balance()


def test_a_table_that_is_away_stalls_the_stream_until_it_is_back(
    deployed: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Lambda sees it: invocations fail, whatever is in the batch, and the same batch succeeds in the end."""
    handlers.state(kinesis_event(SOME[:1]), Context())
    batch = kinesis_event([*SOME, "no event"])
    away = ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "BatchGetItem")

    def refuse(*_: object) -> None:
        raise away

    with monkeypatch.context() as patch:
        patch.setattr("oncefold.dynamodb.calls.Dynamo.read", refuse)
        for _ in range(3):
            with pytest.raises(ClientError):
                handlers.state(batch, Context())
    assert handlers.state(batch, Context()) == {"batchItemFailures": []}
    (item,) = deployed.rejects("reject")
    assert base64.b64encode(item["raw"]["B"]).decode() == batch["Records"][-1]["kinesis"]["data"]
    deployed.reduce()
    deployed.check_exact(EVENTS)
