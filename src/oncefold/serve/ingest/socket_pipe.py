"""The bytes of one body as the thread that reads them takes them from its socket, without the event loop between."""

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from math import ceil

from oncefold.serve.ingest.faults import BrokenOff
from oncefold.serve.ingest.pace import Patience
from oncefold.serve.ingest.pipe import Staleness
from oncefold.serve.ingest.refusal import Refused


class SocketPipe:
    """A `Pipe` of a body whose length is known."""

    def __init__(
        self,
        beginning: bytes,
        connection: socket.socket,
        length: int,
        patience: Patience,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`beginning` is what came already, `length` how many bytes follow on a connection that does not block."""
        self._beginning, self._connection, self._length = memoryview(beginning), connection, length
        self._patience, self._monotonic, self._stale = patience, monotonic, Staleness(monotonic)
        self._readable = select.poll()
        self._readable.register(connection, select.POLLIN)
        self._waited = self._silent = 0.0
        """Seconds of waiting for the client: in all, and since bytes last came."""
        self._broken = False
        self.received = 0
        """Bytes that came by this way."""
        self.gone = False
        """Whether the client has left."""

    # The event loop's side.

    @property
    def whole(self) -> bool:
        """Whether all of the body came."""
        return self.received == self._length

    def break_off(self) -> None:
        """No more will be read, and what is here need not be."""
        self._broken = True
        with suppress(OSError):  # it may have ended
            self._connection.shutdown(socket.SHUT_RD)  # a thread that waits for it is woken

    # The reading thread's side.

    @property
    def ended(self) -> bool:
        """See Pipe."""
        return self.whole and not self._beginning

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
        else:
            count = 0 if self.whole else self._received(view[: self._length - self.received])
        if count:
            self._stale.fetched()
        return count

    def let_go(self) -> None:
        """See Pipe."""
        self._connection.close()

    def _received(self, view: memoryview) -> int:
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
                return count
            break
        self.gone = not self._broken
        raise BrokenOff

    def _came(self, count: int) -> None:
        self._silent = 0.0
        self.received += count
        if not self.whole and self._patience.is_slow(self.received, self._waited):
            raise Refused(self._patience.slow)

    def _wait(self) -> bool:
        """Whether bytes may be here; False if others have become stale meanwhile."""
        began = self._monotonic()
        seconds = min(self._patience.idle_seconds - self._silent, self._stale.seconds(began))
        found = self._readable.poll(ceil(1000 * max(0.0, seconds)))
        waited = self._monotonic() - began
        self._waited += waited
        self._silent += waited
        if not found and self._silent >= self._patience.idle_seconds:
            raise Refused(self._patience.idle)
        return bool(found)
