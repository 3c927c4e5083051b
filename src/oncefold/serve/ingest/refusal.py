"""Why a request to ingest is answered with an error."""

from dataclasses import dataclass
from typing import Final

Header = tuple[bytes, bytes]

RETRY_SOON: Final[Header] = (b"retry-after", b"1")
CLOSE: Final[Header] = (b"connection", b"close")
"""The rest of the body is not read: what follows on the connection is no request."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of status 4xx or 503, before its words are made a problem document."""

    status: int
    title: str
    detail: str
    headers: tuple[Header, ...] = ()


class Refused(Exception):  # noqa: N818 - a verdict on a request
    """The request is answered with this refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal
