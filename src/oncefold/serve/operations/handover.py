"""The rest of a request's body, left to whoever reads it from the socket itself.

What comes through the event loop is copied there several times, while nobody else is answered. A thread that waits for
the socket and reads into its own memory keeps nobody waiting.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

EXTENSION: Final = "oncefold.handover"
"""Under this name it stands in the `extensions` of an ASGI scope."""


class Handover:
    """Of one request; belongs to the event loop."""

    __slots__ = ("_give_back", "_take", "received")

    def __init__(self, take: Callable[[], socket.socket | None], give_back: Callable[[bool], None]) -> None:
        self._take, self._give_back = take, give_back
        self.received = 0
        """Bytes of the body that did not come through the event loop."""

    def take(self) -> socket.socket | None:
        """A socket from which the rest of the body is to be read, not blocking; None if it comes through the loop.

        To be called right after what came of the body was received, and to be closed by whoever took it.
        """
        return self._take()

    def give_back(self, received: int, *, whole: bool) -> None:
        """So many bytes were read; if they are not the whole rest, the connection ends with the answer."""
        self.received += received
        self._give_back(whole)


def handover_of(scope: Mapping[str, Any]) -> Handover | None:
    """What the connection offers for this request, if it does."""
    found: Handover | None = scope.get("extensions", {}).get(EXTENSION)
    return found
