"""The response to a request to ingest, by its acknowledgement."""

from functools import lru_cache
from typing import Final

from oncefold.core.fold import Outcome
from oncefold.serve.channel.messages import Acknowledgement, BodyError
from oncefold.serve.http.response import CLOSE, JSON, RETRY_SOON, Problem, Response, compact_json

_NAMES: Final = {int(outcome): outcome.name.lower() for outcome in Outcome}


class ServerMistake(Exception):  # noqa: N818 - not the client's
    """Reading a body met a mistake in the server's code; the message is its trace."""


@lru_cache(64)
def response_to(acknowledgement: Acknowledgement) -> Response:
    """All of it is durable. Raises Problem if it is not, or not wholly, and ServerMistake."""
    committed = {"committed_events": acknowledgement.committed_events}
    if acknowledgement.failure:
        detail = f"The events could not be committed: {acknowledgement.failure}. Send them again; none counts twice."
        raise Problem(503, detail, RETRY_SOON, CLOSE, title="Not committed", members=committed)
    if acknowledgement.error is not None:
        raise _problem(acknowledgement.error, committed)
    counts = {_NAMES[outcome]: count for outcome, count in acknowledgement.counts if count}
    document = {
        "commit": acknowledgement.commit,
        "events": sum(count for _, count in acknowledgement.counts),
        "counts": counts,
        "rejects": [reject._asdict() for reject in acknowledgement.rejects],
        "rejects_left_out": acknowledgement.rejects_left_out,
    }
    if acknowledgement.notes:
        document["notes"] = acknowledgement.notes
    return Response(200, (JSON,), compact_json(document))


def _problem(error: BodyError, committed: dict[str, int]) -> Exception:
    if error.kind == "malformed":
        reason = error.detail
        detail = f"{reason[0].upper()}{reason[1:]}. What was whole before that is committed; none counts twice."
        return Problem(400, detail, CLOSE, title="Malformed body", members=committed)
    if error.kind == "no_room":
        detail = "There was no room for a very long record beside others; send the body again."
        return Problem(503, detail, RETRY_SOON, CLOSE, title="No room", members=committed)
    if error.kind == "full":
        detail = (
            f"No more events are taken: {error.detail}. Start the server with a greater limit, and send the body again."
        )
        return Problem(507, detail, CLOSE, title="Store full", members=committed)
    return ServerMistake(error.detail)
