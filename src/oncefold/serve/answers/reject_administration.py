"""Routes that administer rejected events: redrive them all, or discard one. The writer process does it."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from oncefold.core.fold import Outcome
from oncefold.serve.answers.parameters import MOST_DIGITS, read_query
from oncefold.serve.answers.problems import Problem, shown
from oncefold.serve.http.request import Request
from oncefold.serve.http.response import NO_STORE, Response, json_response
from oncefold.serve.http.routing import Handler

_ID = re.compile(rf"[0-9]{{1,{MOST_DIGITS}}}", re.ASCII)


class Redriven(Protocol):
    """What became of rejected events that were read again."""

    @property
    def commit(self) -> int:
        """The commit that holds it."""
        ...

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Events by outcome."""
        ...


class RejectAdministration(Protocol):
    """The writer process, as far as it deals with rejected events."""

    @property
    def waiting_requests(self) -> int:
        """Requests that wait for their commit."""
        ...

    async def redrive(self) -> Redriven:
        """Read every rejected event again."""
        ...

    async def discard(self, ids: Sequence[int]) -> int:
        """Take these off the list; how many of them were on it."""
        ...


def redrive(writer: RejectAdministration) -> Handler:
    """Read every rejected event again."""

    async def handler(request: Request) -> Response:
        read_query(request.query, ())
        found = await writer.redrive()
        counts = {outcome.name.lower(): count for outcome, count in found.counts.items() if count}
        return json_response({"commit": found.commit, "counts": counts}, NO_STORE)

    return handler


def discard(writer: RejectAdministration) -> Handler:
    """Take one rejected event off the list."""

    async def handler(request: Request) -> Response:
        read_query(request.query, ())
        text = request.parameters["id"]
        number = int(text) if _ID.fullmatch(text) else 0
        if not number or not await writer.discard([number]):
            raise Problem(404, f"no rejected event has the id {shown(text)}; GET /rejects lists those there are")
        return json_response({"discarded": number}, NO_STORE)

    return handler
