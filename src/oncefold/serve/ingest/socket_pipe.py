"""A body that the thread which decodes it takes from a socket: its client's own, or one that is fed."""

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil, inf

from oncefold.serve.ingest.faults import BrokenOff
from oncefold.serve.ingest.pace import Patience
from oncefold.serve.ingest.pipe import Rest, Staleness
from oncefold.serve.ingest.refusal import Refused


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that comes little by little."""

    connection: socket.socket
    """Where it comes from; does not block. Whoever reads it closes it."""
    beginning: bytes
    """What came of it already."""
    length: int | None
    """Bytes that follow on the connection of a client; None if somebody feeds it, and says when all was fed."""


class SocketPipe:
    """A `Pipe` of one stream."""

    def __init__(self, stream: Stream, patience: Patience, monotonic: Callable[[], float] = time.monotonic) -> None:
        """A client must not try one's patience; whoever feeds a stream deals with the client, too."""
        self._connection, self._length = stream.connection, stream.length
        self._beginning = memoryview(stream.beginning)
        self._patience, self._monotonic, self._stale = patience, monotonic, Staleness(monotonic)
        self._readable = select.poll()
        self._readable.register(stream.connection, select.POLLIN)
        self._waited = self._silent = 0.0
        """Seconds of waiting for the client: in all, and since bytes last came."""
        self._received = 0
        self._whole = stream.length == 0
        self._gone = False
        self._told = threading.Event()
        """Whether it was said how the stream ends."""
        self._broken = False

    # Any thread's side.

    def finish(self, *, whole: bool) -> None:
        """All of a stream was fed; or it breaks off, and what is here need not be read."""
        if not whole:
            self._broken = True
            with suppress(OSError):  # it may have ended
                self._connection.shutdown(socket.SHUT_RD)  # the thread that waits for it is woken
        self._told.set()

    # The reading thread's side.

    @property
    def ended(self) -> bool:
        """See Pipe."""
        return self._whole and not self._beginning

    @property
    def is_stale(self) -> bool:
        """See Pipe."""
        return self._stale.is_due

    def handed_on(self) -> None:
        """See Pipe."""
        self._stale.handed_on()

    def readinto(self, view: memoryview) -> int:
        """See Pipe. Raises Refused, 408, when nothing comes for long, or little."""
        if self._beginning:
            count = min(len(view), len(self._beginning))
            view[:count], self._beginning = self._beginning[:count], self._beginning[count:]
        elif self._whole:
            count = 0
        else:
            count = self._receive(view if self._length is None else view[: self._length - self._received])
        if count:
            self._stale.fetched()
        return count

    def let_go(self) -> Rest:
        """See Pipe."""
        self._connection.close()
        return Rest(self._received, self._whole, self._gone)

    def _receive(self, view: memoryview) -> int:
        while not self._broken:
            try:
                count = self._connection.recv_into(view)
            except BlockingIOError:
                if not self._wait():
                    return 0
                continue
            except OSError:
                count = 0
            if count:
                self._came(count)
            else:
                self._end()
            return count
        raise BrokenOff

    def _came(self, count: int) -> None:
        self._silent = 0.0
        self._received += count
        self._whole = self._received == self._length
        if self._length is not None and not self._whole and self._patience.is_slow(self._received, self._waited):
            raise Refused(self._patience.slow)

    def _end(self) -> None:
        """The connection has ended. Raises BrokenOff if that is not the end of the body."""
        if self._length is None:
            self._told.wait()
            self._whole = not self._broken
        else:
            self._gone = not self._broken
        if not self._whole:
            raise BrokenOff

    def _wait(self) -> bool:
        """Whether bytes may be here; False if others have become stale meanwhile."""
        began = self._monotonic()
        idle = inf if self._length is None else self._patience.idle_seconds - self._silent
        seconds = min(idle, self._stale.seconds(began))
        found = self._readable.poll(None if seconds == inf else ceil(1000 * max(0.0, seconds)))
        waited = self._monotonic() - began
        self._waited += waited
        self._silent += waited
        if not found and waited >= idle:
            raise Refused(self._patience.idle)
        return bool(found)
