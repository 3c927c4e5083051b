"""Reads the bodies of requests and folds them: the threads that compute, in whichever process they run."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from oncefold.engine.run import Decoded
from oncefold.engine.session import Ingested, Session
from oncefold.serve.ingest.budget import Budget
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.faults import BrokenOff, Crowded
from oncefold.serve.ingest.gate import STREAM_BYTES, Done, Limits
from oncefold.serve.ingest.loop import IngestLoop
from oncefold.serve.ingest.messages import Call, End, Part
from oncefold.serve.ingest.pipe import Pipe, WholePipe
from oncefold.serve.ingest.priority import give_way, processors_to_compute
from oncefold.serve.ingest.reading import BLOCK_BYTES, Hold, Reading, read_body
from oncefold.serve.ingest.small import plain_lines
from oncefold.serve.ingest.socket_pipe import SocketPipe, Stream
from oncefold.sources.blocks import TableBlock, TextBlock

assert STREAM_BYTES >= 4 * BLOCK_BYTES

_DECODED_BLOCKS: Final = 4
"""Blocks of all bodies together that are decoded and not folded: one thread folds them all."""
_MOST_STREAMS: Final = 64
_LOOK_SECONDS: Final = 0.1
"""How often a thread that cannot hand on its block looks whether anyone still wants it."""


class Worker:
    """What a gate hands its deliveries to; any thread may call."""

    def __init__(self, loop: IngestLoop, reading: Reading, limits: Limits) -> None:
        self._loop, self._reading, self._limits = loop, reading, limits
        self._budget = Budget(limits.max_inflight_bytes)
        self._room = threading.Semaphore(_DECODED_BLOCKS)
        self._decoding = threading.Semaphore(processors_to_compute())
        self._streams = ThreadPoolExecutor(_MOST_STREAMS, "oncefold-stream", give_way)
        self._wholes = ThreadPoolExecutor(1, "oncefold-bodies", give_way)
        self._open: dict[Delivery, SocketPipe] = {}

    def take(self, delivery: Delivery, body: bytes) -> None:
        """Read a body that is here as a whole."""
        lines = plain_lines(delivery.form, body)
        if lines is None:
            self._wholes.submit(self._read, delivery, WholePipe(body), lambda _: None)
        else:
            delivery.body = lines
            self._loop.arrivals.add(delivery)

    def stream(self, delivery: Delivery, stream: Stream) -> None:
        """Read a body as it comes."""
        pipe = self._open[delivery] = SocketPipe(stream, self._limits.patience)
        self._streams.submit(self._read_stream, delivery, pipe)

    def finish(self, delivery: Delivery, *, whole: bool) -> None:
        """All of a stream was fed; or it breaks off, and what is here need not be read."""
        pipe = self._open.get(delivery)
        if pipe is not None:
            pipe.finish(whole=whole)

    def redrive(self, done: Done[Ingested]) -> None:
        """Read every reject again."""
        self._loop.post(Call(Session.redrive, done))

    def discard(self, ids: Sequence[int], done: Done[int]) -> None:
        """Take these rejects off the list; done with how many of them were on it."""
        self._loop.post(Call(lambda session: session.discard(ids), done))

    def end(self) -> None:
        """Commit all that was handed over, and end; waits for that."""
        self._loop.stop()
        self._streams.shutdown(cancel_futures=True)
        self._wholes.shutdown(cancel_futures=True)

    def _read_stream(self, delivery: Delivery, pipe: SocketPipe) -> None:
        extra = 0

        def hold(count: int) -> None:
            nonlocal extra
            more = max(0, 2 * (count - BLOCK_BYTES)) - extra
            if more > 0 and not self._budget.take_within(more, self._limits.patience.idle_seconds):
                raise Crowded
            if more < 0:
                self._budget.give(-more)
            extra += more

        self._budget.take_at_once(STREAM_BYTES)
        try:
            self._read(delivery, pipe, hold)
        finally:
            self._budget.give(extra + STREAM_BYTES)
            del self._open[delivery]

    def _read(self, delivery: Delivery, pipe: Pipe, hold: Hold) -> None:
        try:
            for block in read_body(self._reading, delivery.form, pipe, hold):
                if delivery.why_not:
                    break
                self._wait_for_room()
                self._loop.post(Part(delivery, self._decoded(block), self._room.release))
        except BrokenOff:
            pass  # whoever broke it off answers
        except Exception as error:  # whoever waits for the answer turns it into one
            delivery.fault = error
        finally:
            delivery.rest = pipe.let_go()
            self._loop.post(End(delivery))

    def _wait_for_room(self) -> None:
        while not self._room.acquire(timeout=_LOOK_SECONDS):
            if self._loop.ended:
                raise BrokenOff

    def _decoded(self, block: TextBlock | TableBlock) -> Decoded:
        try:
            with self._decoding:
                batch, oversize = self._reading.decoder.decode(block)
        except BaseException:
            self._room.release()
            raise
        return Decoded(batch, oversize, None, block.consumed_bytes)
