"""What a request to ingest is answered."""

import json
from typing import Any, Final

from oncefold.core.fold import Outcome
from oncefold.serve.ingest.delivery import Delivery
from oncefold.serve.ingest.refusal import Refusal
from oncefold.store.commit import Reject

RAW_CHARACTERS: Final = 200
"""Characters of a rejected event that are shown."""

_NAMES: Final = {outcome: outcome.name.lower() for outcome in Outcome}


def answer_of(delivery: Delivery) -> bytes:
    """The document of a delivery that is durable."""
    counts = ",".join([f'"{_NAMES[outcome]}":{count}' for outcome, count in sorted(delivery.counts.items()) if count])
    rejects = _json([_reject(reject) for reject in delivery.rejects]) if delivery.rejects else "[]"
    return (
        f'{{"commit":{delivery.commit},"events":{delivery.events},"counts":{{{counts}}},'
        f'"rejects":{rejects},"rejects_left_out":{delivery.rejects_left_out}}}'
    ).encode()


def problem_of(refusal: Refusal, request_id: str, committed_events: int | None) -> bytes:
    """The document of a request that failed; `committed_events` are those of it that are durable all the same."""
    document = {
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.detail,
        "request_id": request_id,
    }
    if committed_events is not None:
        document["committed_events"] = committed_events
    return _json(document).encode("utf-8", "replace")


def _reject(reject: Reject) -> dict[str, Any]:
    raw = reject.raw[: 4 * RAW_CHARACTERS].decode("utf-8", "replace")
    return {"position": reject.position, "reason": reject.reason, "raw": raw[:RAW_CHARACTERS]}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
