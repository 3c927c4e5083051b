"""Routes that deal with rejected events: read them again, or take one off the list. The ingest does it."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from oncefold.core.errors import OncefoldError
from oncefold.core.fold import Outcome
from oncefold.serve.answers.parameters import MOST_DIGITS, read_query
from oncefold.serve.answers.problems import Problem, Receive, Send, problem_of, send_problem, shown
from oncefold.serve.operations.problem import send_answer

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


class Redriving(Protocol):
    """The ingest, as far as it deals with rejected events: one thread owns the engine."""

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


Mend = Callable[[Mapping[str, str]], Awaitable[Mapping[str, Any]]]


class MendingEndpoint:
    """Does something to the reject list, and answers with a document."""

    def __init__(self, mend: Mend) -> None:
        self._mend = mend

    async def __call__(self, scope: Any, _receive: Receive, send: Send) -> None:
        """Answer, if need be with a problem."""
        try:
            read_query(scope["query_string"], ())
            document = await self._mend(scope["path_params"])
        except Problem as problem:
            await send_problem(scope, send, problem)
        except OncefoldError as error:
            await send_problem(scope, send, problem_of(error))
        else:
            body = json.dumps(document, separators=(",", ":")).encode()
            headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
            await send_answer(send, 200, headers, body)


def redrive(ingest: Redriving) -> Mend:
    """Read every rejected event again."""

    async def mend(_: Mapping[str, str]) -> Mapping[str, Any]:
        found = await ingest.redrive()
        counts = {outcome.name.lower(): count for outcome, count in found.counts.items() if count}
        return {"commit": found.commit, "counts": counts}

    return mend


def discard(ingest: Redriving) -> Mend:
    """Take one rejected event off the list."""

    async def mend(path: Mapping[str, str]) -> Mapping[str, Any]:
        text = path["id"]
        number = int(text) if _ID.fullmatch(text) else 0
        if not number or not await ingest.discard([number]):
            raise Problem(404, f"no rejected event has the id {shown(text)}; GET /rejects lists those there are")
        return {"discarded": number}

    return mend
