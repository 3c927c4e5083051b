"""What the OpenAPI description says beside the declared routes: errors, headers, and the routes of other packages."""

from collections.abc import Mapping
from typing import Any

from oncefold.core.fold import Outcome
from oncefold.serve.answers import schemas
from oncefold.serve.answers.problems import MEDIA_TYPE
from oncefold.serve.server.body_format import ENCODINGS, TYPES

ALWAYS = (401, 403, 414, 431)
"""Any route may answer so: where tokens are asked for, and to what is too long."""

WORDS = {
    400: "The body broke off, or is malformed as a whole",
    401: "A token is missing or unknown",
    403: "The token is for something else",
    413: "The body is too large",
    414: "The URL is too long",
    415: "The body has another form than those taken",
    431: "The headers are too long",
    429: "Too much waits already; send it again",
}

PROBLEM: Mapping[str, Any] = schemas.object_of(
    {"title": schemas.TEXT, "status": schemas.WHOLE, "detail": schemas.TEXT, "request_id": schemas.TEXT}, others=True
)

CHANGES = """`event: commit` has the nodes that changed since the last message, with their values now, and the events
since then by outcome; its `id` is the commit. At most four messages a second; the newest value wins, and no node that
changed is left out. The first message is `event: hello`, or, with Last-Event-ID, the nodes that changed since that
commit. `event: reset` says that this cannot be told: ask for the totals again, and read on. A node whose count is 0 has
gone from the totals. A path need not exist yet. A comment comes every 15 seconds in which nothing else does."""


def _header(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}


FRESH_HEADERS: Mapping[str, Any] = {
    "Oncefold-Commit": _header("The commit that the answer is of", schemas.COUNT),
    "Oncefold-Commit-Time": _header("When it was made", schemas.TIME),
    "Oncefold-Newest-Event": _header("The greatest event time until then", schemas.TIME),
    "Oncefold-Lag-Seconds": _header("From there to now", schemas.SECONDS),
}
TAG_HEADERS: Mapping[str, Any] = {"ETag": _header("Other after each commit", schemas.TEXT)}

IF_NONE_MATCH: Mapping[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "Entity tags of answers that the client has; 304 if one of them still stands",
    "schema": schemas.TEXT,
}
LAST_EVENT_ID: Mapping[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The last commit that the client was told of",
    "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
}


def json_answer(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A good answer that is a JSON document."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(status): {"description": WORDS.get(status, "Not now"), "content": content} for status in statuses}


def _parameter(name: str, where: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": where, "required": False, "description": description, "schema": schema}


_REJECT = schemas.object_of({"position": schemas.COUNT, "reason": schemas.TEXT, "raw": schemas.TEXT}, others=True)

_EVENTS: Mapping[str, Any] = {
    "operationId": "ingest",
    "summary": "Events to be counted",
    "description": "Answered when they are durable. Sent again, they count once. A body of any size is read piece by "
    "piece. What cannot be read goes to the reject list. Without Content-Type the body is JSON Lines.",
    "tags": ["ingest"],
    "parameters": [
        _parameter("source", "query", "names the source of rejected events", {"type": "string", "maxLength": 200}),
        _parameter("delimiter", "query", "of CSV", {"type": "string", "minLength": 1, "maxLength": 1}),
        _parameter("Content-Encoding", "header", "how the body is compressed", {"enum": [*filter(None, ENCODINGS)]}),
    ],
    "requestBody": {"required": False, "content": {media_type: {} for media_type in TYPES}},
    "responses": {
        "200": json_answer(
            "They are durable",
            schemas.object_of(
                {
                    "commit": schemas.COUNT,
                    "events": schemas.COUNT,
                    "counts": schemas.object_of(
                        {outcome.name.lower(): schemas.COUNT for outcome in Outcome},
                        optional=[outcome.name.lower() for outcome in Outcome],
                    ),
                    "rejects": schemas.array_of(_REJECT),
                    "rejects_left_out": schemas.COUNT,
                }
            ),
        ),
        **_problems(400, *ALWAYS, 413, 415, 422, 429, 503),
    },
}


def _simple(operation: str, summary: str, answers: Mapping[str, Any]) -> dict[str, Any]:
    return {"get": {"operationId": operation, "summary": summary, "tags": ["operations"], "responses": answers}}


_STATUS = schemas.object_of({"status": schemas.TEXT})

OTHERS: Mapping[str, Any] = {
    "/events": {"post": _EVENTS},
    "/healthz": _simple("healthz", "Whether the process lives", {"200": json_answer("It does", _STATUS)}),
    "/readyz": _simple(
        "readyz",
        "Whether events can be taken",
        {"200": json_answer("They can", _STATUS), **_problems(503)},
    ),
    "/metrics": _simple(
        "metrics",
        "Metrics for Prometheus",
        {"200": {"description": "Its text form", "content": {"text/plain": {}}}, **_problems(*ALWAYS)},
    ),
    "/openapi.json": _simple(
        "openapi",
        "What is here",
        {"200": json_answer("An OpenAPI document", {"type": "object"}), **_problems(*ALWAYS, 422)},
    ),
}
