"""The threads that read the bodies of requests and decode them; the ingest thread folds what they decoded."""

import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from oncefold.core.errors import SourceError
from oncefold.engine.run import Decoded
from oncefold.engine.session import Ingested, Session
from oncefold.serve.channel.messages import STREAM_WINDOW_BYTES, BodyError
from oncefold.serve.settings import STREAM_BYTES, Limits
from oncefold.serve.writer.arrow_messages import Malformed
from oncefold.serve.writer.body_stream import BodyReader, BrokenOff, StreamedBody, WholeBody
from oncefold.serve.writer.group_commit import Part
from oncefold.serve.writer.ingest_loop import Call, Finish, IngestLoop, OutOfMemory
from oncefold.serve.writer.joining import joinable_lines
from oncefold.serve.writer.pending import PendingRequest
from oncefold.serve.writer.reading import BLOCK_BYTES, BodyDecoding, Hold, read_body
from oncefold.serve.writer.resources import MemoryBudget, lower_priority, processors_to_compute
from oncefold.sources.blocks import TableBlock, TextBlock

assert STREAM_BYTES >= 4 * BLOCK_BYTES

_DECODED_BLOCKS: Final = 4
"""Blocks of all bodies together that are decoded and not folded: one thread folds them all."""
_MOST_STREAMS: Final = 64
MOST_REJECTS: Final = 10_000
"""Rejects of one body, if they are more than half of it."""
_LOOK_SECONDS: Final = 0.1
"""How often a thread whose block is not taken looks whether it still will be."""


class _Full(Exception):  # noqa: N818
    """The store may not grow any more; the message says why."""


class _NoRoom(Exception):  # noqa: N818
    """A record of the body is so long that there was no room for it beside those of other bodies."""


class _Unreadable:
    """Gives a body up of which more than half cannot be read: each reject costs far more than a byte of the body."""

    def __init__(self) -> None:
        self._records = self._rejects = 0

    def add(self, part: Decoded) -> None:
        """A part was read. Raises Malformed if that is enough."""
        rejects = len(part.batch.rejects) + len(part.oversize)
        self._records += max(len(part.batch), rejects)
        self._rejects += rejects
        if self._rejects > MOST_REJECTS and 2 * self._rejects > self._records:
            raise Malformed(
                f"{self._rejects:,} of its first {self._records:,} records cannot be read, and the rest is not tried; "
                "compare it with the pipeline file (oncefold check PIPELINE --sample FILE)"
            )


class BodyThreads:
    """Takes requests; one thread calls."""

    def __init__(self, loop: IngestLoop, decoding: BodyDecoding, limits: Limits) -> None:
        self._loop, self._body_decoding, self._limits = loop, decoding, limits
        self._capacity = loop.capacity
        self._budget = MemoryBudget(limits.max_inflight_bytes)
        self._room = threading.Semaphore(_DECODED_BLOCKS)
        self._decoding = threading.Semaphore(processors_to_compute())
        self._streams = ThreadPoolExecutor(_MOST_STREAMS, "oncefold-stream", lower_priority)
        self._wholes = ThreadPoolExecutor(1, "oncefold-bodies", lower_priority)
        self._open: dict[int, StreamedBody] = {}

    def take(self, request: PendingRequest, body: bytes) -> None:
        """Read a body that is here as a whole."""
        if self._capacity.full:
            request.error = BodyError("full", self._capacity.full)
            self._loop.post(Finish(request))
            return
        lines = joinable_lines(request.format, body)
        if lines is None:
            self._wholes.submit(self._read, request, self._body_decoding, WholeBody(body), lambda _: None)
        else:
            request.body = lines
            self._loop.arrivals.add(request)

    def start_stream(self, request: PendingRequest, shares: int, consumed: Callable[[int], None]) -> None:
        """Read a body that comes piece by piece and takes so many shares of memory.

        `consumed` is called with how many bytes were read since.
        """
        body = self._open[request.number] = StreamedBody(consumed, shares * STREAM_WINDOW_BYTES // 2)
        self._streams.submit(self._read_stream, request, body, shares)

    def put(self, number: int, data: bytes | memoryview) -> None:
        """The next bytes of such a body."""
        body = self._open.get(number)
        if body is not None:
            body.put(data)

    def end_stream(self, number: int, *, whole: bool) -> None:
        """All of it was put in; or it breaks off, and what is here need not be read."""
        body = self._open.get(number)
        if body is not None:
            body.finish(whole=whole)

    def redrive(self, done: Callable[[Ingested | None, BaseException | None], object]) -> None:
        """Read every reject again."""
        self._loop.post(Call(Session.redrive, done))

    def discard(self, ids: Sequence[int], done: Callable[[int | None, BaseException | None], object]) -> None:
        """Take these rejects off the list; done with how many of them were on it."""
        self._loop.post(Call(lambda session: session.discard(ids), done))

    def end(self) -> None:
        """Commit all that was handed over, and end; waits for that."""
        self._loop.stop()
        for body in list(self._open.values()):
            body.finish(whole=False)
        self._streams.shutdown(cancel_futures=True)
        self._wholes.shutdown(cancel_futures=True)

    def _read_stream(self, request: PendingRequest, body: StreamedBody, shares: int) -> None:
        decoding = replace(self._body_decoding, shares=shares)
        extra = 0

        def hold(count: int) -> None:
            nonlocal extra
            more = max(0, 2 * (count - shares * BLOCK_BYTES)) - extra
            if more > 0 and not self._budget.take_within(more, self._limits.body_idle_seconds):
                raise _NoRoom
            if more < 0:
                self._budget.give(-more)
            extra += more

        self._budget.take_at_once(shares * STREAM_BYTES)
        try:
            self._read(request, decoding, body, hold)
        finally:
            self._budget.give(extra + shares * STREAM_BYTES)
            del self._open[request.number]

    def _read(self, request: PendingRequest, decoding: BodyDecoding, body: BodyReader, hold: Hold) -> None:
        guard = _Unreadable()
        try:
            for block in read_body(decoding, request.format, body, hold, request.notes.append):
                if request.failure:
                    break
                self._wait_for_room()
                part = self._decoded(block)
                self._loop.post(Part(request, part, self._room.release))
                guard.add(part)
        except BrokenOff:
            pass  # the server, which said so, responds
        except (Malformed, SourceError) as error:
            request.error = BodyError("malformed", str(error))
        except _NoRoom:
            request.error = BodyError("no_room")
        except _Full as full:
            request.error = BodyError("full", str(full))
        except MemoryError as error:  # half of a body is of no use to anybody: its client sends it again
            self._loop.post(OutOfMemory(error))
        except Exception as error:  # the server turns it into a response
            request.error = BodyError("mistake", "".join(traceback.format_exception(error)))
        finally:
            self._loop.post(Finish(request))

    def _wait_for_room(self) -> None:
        if self._capacity.full:
            raise _Full(self._capacity.full)
        while not self._room.acquire(timeout=_LOOK_SECONDS):
            if self._loop.ended:
                raise BrokenOff

    def _decoded(self, block: TextBlock | TableBlock) -> Decoded:
        try:
            with self._decoding:
                batch, oversize = self._body_decoding.decoder.decode(block)
        except BaseException:
            self._room.release()
            raise
        return Decoded(batch, oversize, None, block.consumed_bytes)
