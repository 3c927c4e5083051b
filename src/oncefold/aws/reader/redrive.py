"""`redrive`: rejects that can be read by now, and batches that failed for good, go through the stream once more.

Sending something again is harmless, since an event counts once. So everything is sent first, and taken off its list
only when it is in the stream.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from oncefold.aws.functions.plan import refusal
from oncefold.aws.reader.answers import StreamReject
from oncefold.aws.reader.lists import read_rejects
from oncefold.aws.reader.scan import Tell
from oncefold.aws.reader.stack import Stack
from oncefold.aws.stream.records import Record, by_fields
from oncefold.core.decode import Decoder
from oncefold.core.definition import Pipeline
from oncefold.core.errors import InvalidEvent
from oncefold.core.fold import Stored

Send = Callable[[Iterable[Record]], object]
"""Puts records into the stack's stream; when it returns they are all in it. Raises OncefoldError if not."""

_AT_ONCE = 500
"""Rejects that are sent together."""
_DELETE_ITEMS = 25
"""Items of one BatchWriteItem."""


@dataclass(slots=True)
class RejectsSent:
    """What became of the reject list."""

    sent: int = 0
    """Events that can be read now; they are in the stream again and off the list."""
    still: Counter[str] = field(default_factory=Counter)
    """Why the others cannot, and how many of them; they stay."""
    cut: int = 0
    """Events that stay because they were too long to be kept whole."""


def redrive_rejects(stack: Stack, send: Send, tell: Tell, began: int) -> RejectsSent:
    """Send what can be read under the present definition; `began` is now in nanoseconds: later rejects are left."""
    result = RejectsSent()
    readable = _readable(stack.pipeline, read_rejects(stack, tell), result, began)
    key = by_fields(stack.pipeline.key)
    while some := list(islice(readable, _AT_ONCE)):
        send(Record(reject.raw, key(reject.raw), place=reject.id) for reject in some)
        _delete(stack, [reject.id for reject in some])
        result.sent += len(some)
    return result


def _readable(
    pipeline: Pipeline, rejects: Iterable[StreamReject], result: RejectsSent, began: int
) -> Iterator[StreamReject]:
    decoder = Decoder(pipeline)
    for reject in rejects:
        if reject.arrived > began:
            continue  # what was sent just now and is refused again
        if reject.cut:
            result.cut += 1
            continue
        try:
            _check(pipeline, decoder, reject.raw)
        except InvalidEvent as error:
            result.still[str(error)] += 1
        else:
            yield reject


def _check(pipeline: Pipeline, decoder: Decoder, raw: bytes) -> None:
    """Raises InvalidEvent for what StateLambda rejects."""
    event = decoder.json(raw)
    words = refusal(pipeline, event.key, Stored(event.version, event.content))
    if words is not None:
        raise InvalidEvent(words)


def _delete(stack: Stack, ids: Sequence[str]) -> None:
    table = stack.names.reject_table
    for start in range(0, len(ids), _DELETE_ITEMS):
        some = ids[start : start + _DELETE_ITEMS]
        wanted: Any = {table: [{"DeleteRequest": {"Key": {"id": {"S": name}}}} for name in some]}
        while wanted:
            wanted = stack.dynamodb.batch_write_item(RequestItems=wanted).get("UnprocessedItems")
