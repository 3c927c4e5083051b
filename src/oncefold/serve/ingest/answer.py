"""What a request to ingest is answered."""

import json
from dataclasses import dataclass
from typing import Any, Final

from oncefold.commit import Reject
from oncefold.core.fold import Outcome
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.faults import Crowded, Malformed
from oncefold.serve.ingest.refusal import CLOSE, RETRY_SOON, Header, Refusal, Refused

RAW_CHARACTERS: Final = 200
"""Characters of a rejected event that are shown."""

_NAMES: Final = {outcome: outcome.name.lower() for outcome in Outcome}


_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, but for the headers that every answer has."""

    status: int
    headers: tuple[Header, ...]
    body: bytes


def answer_of(delivery: Delivery, request_id: str) -> Answer:
    """The answer to a delivery that is settled: it is durable, or not wholly, or not at all."""
    if delivery.fault is None and not delivery.why_not:
        return Answer(200, (_JSON,), _counts(delivery))
    return refused(_refusal_of(delivery), request_id, delivery.committed_events)


def refused(refusal: Refusal, request_id: str, committed_events: int | None = None) -> Answer:
    """The answer to a request that failed; `committed_events` are those of it that are durable all the same."""
    document = {
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.detail,
        "request_id": request_id,
    }
    if committed_events is not None:
        document["committed_events"] = committed_events
    return Answer(refusal.status, (_PROBLEM, *refusal.headers), _json(document).encode("utf-8", "replace"))


def _counts(delivery: Delivery) -> bytes:
    counts = ",".join([f'"{_NAMES[outcome]}":{count}' for outcome, count in sorted(delivery.counts.items()) if count])
    rejects = _json([_reject(reject) for reject in delivery.rejects]) if delivery.rejects else "[]"
    return (
        f'{{"commit":{delivery.commit},"events":{delivery.events},"counts":{{{counts}}},'
        f'"rejects":{rejects},"rejects_left_out":{delivery.rejects_left_out}}}'
    ).encode()


def _refusal_of(delivery: Delivery) -> Refusal:
    """Why a delivery that was read is not, or not wholly, durable."""
    fault = delivery.fault
    if delivery.why_not:
        detail = f"The events could not be committed: {delivery.why_not}. Send them again; none counts twice."
        return Refusal(503, "Not committed", detail, (RETRY_SOON, CLOSE))
    if isinstance(fault, Malformed):
        words = str(fault)
        detail = f"{words[0].upper()}{words[1:]}. What was whole before that is committed; none counts twice."
        return Refusal(400, "Malformed body", detail, (CLOSE,))
    if isinstance(fault, Crowded):
        detail = "There was no room for a very long record beside others; send the body again."
        return Refusal(503, "No room", detail, (RETRY_SOON, CLOSE))
    if isinstance(fault, Refused):
        return fault.refusal
    assert fault is not None
    raise fault


def _reject(reject: Reject) -> dict[str, Any]:
    raw = reject.raw[: 4 * RAW_CHARACTERS].decode("utf-8", "replace")
    return {"position": reject.position, "reason": reject.reason, "raw": raw[:RAW_CHARACTERS]}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
