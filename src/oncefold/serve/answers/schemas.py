"""Pieces of the OpenAPI description: JSON schemas, errors, headers, and the routes of other packages."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oncefold.core.fold import Outcome
from oncefold.core.measures import NULLABLE, Measure
from oncefold.serve.answers.declared import MEDIA_TYPE
from oncefold.serve.server.body_format import ENCODINGS, TYPES

Schema = Mapping[str, Any]

WHOLE: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
AMOUNT: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
"""An exact decimal as text."""
SECONDS: Schema = {"type": "number"}


def or_null(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def object_of(
    members: Mapping[str, Schema], *, others: Schema | bool = False, optional: Iterable[str] = ()
) -> dict[str, Any]:
    """An object with these members, all there but for the optional ones; others as said."""
    left_out = set(optional)
    return {
        "type": "object",
        "properties": dict(members),
        "required": [name for name in members if name not in left_out],
        "additionalProperties": others,
    }


def array_of(items: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": items}


def measures(found: Sequence[Measure], *, nullable: bool = False, of_keys: bool = False) -> Schema:
    """An object with the value of each measure at nodes, or at keys; `nullable` says that all may be null."""
    return object_of({one.name: _value(one, nullable=nullable, of_keys=of_keys) for one in found})


def _value(measure: Measure, *, nullable: bool, of_keys: bool) -> Schema:
    is_text = of_keys and measure.kind == "distinct"
    may_be_null = nullable or is_text or measure.kind in NULLABLE
    schema = TEXT if is_text else AMOUNT
    return or_null(schema) if may_be_null else schema


def amounts(found: Sequence[Measure]) -> Schema:
    """Count and measures of a node."""
    return object_of({"count": WHOLE, "measures": measures(found)})


FRESH: Mapping[str, Schema] = {
    "commit": COUNT,
    "commit_time": or_null(TIME),
    "newest_event": or_null(TIME),
    "lag_seconds": or_null(SECONDS),
}
"""The members that every answer to a query begins with."""


ALWAYS = (401, 403, 414, 431)
"""Any route may answer so: where tokens are required, and to what is too long."""

MEANINGS = {
    400: "The body broke off, or is malformed as a whole",
    401: "A token is missing or unknown",
    403: "The token is for something else",
    413: "The body is too large",
    414: "The URL is too long",
    415: "The body has another form than those taken",
    431: "The headers are too long",
    429: "Too much waits already; send it again",
}

PROBLEM: Mapping[str, Any] = object_of(
    {"title": TEXT, "status": WHOLE, "detail": TEXT, "request_id": TEXT}, others=True
)

CHANGES = """`event: commit` has the nodes that changed since the last message, with their values now, and the events
since then by outcome; its `id` is the commit. At most four messages a second; the newest value wins, and no node that
changed is left out. The first message is `event: hello`, or, with Last-Event-ID, the nodes that changed since that
commit. `event: reset` says that these cannot be sent: request the totals again, and read on. A node whose count is 0
has gone from the totals. A path need not exist yet. A comment comes every 15 seconds in which nothing else does."""


def _header(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "schema": schema}


FRESH_HEADERS: Mapping[str, Any] = {
    "Oncefold-Commit": _header("The commit that the answer is of", COUNT),
    "Oncefold-Commit-Time": _header("When it was made", TIME),
    "Oncefold-Newest-Event": _header("The greatest event time until then", TIME),
    "Oncefold-Lag-Seconds": _header("From there to now", SECONDS),
}
TAG_HEADERS: Mapping[str, Any] = {"ETag": _header("Other after each commit", TEXT)}

IF_NONE_MATCH: Mapping[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "Entity tags of answers that the client has; 304 if one of them is current",
    "schema": TEXT,
}
LAST_EVENT_ID: Mapping[str, Any] = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The last commit that the client received",
    "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
}


def json_answer(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A good answer that is a JSON document."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {str(status): {"description": MEANINGS.get(status, "Not now"), "content": content} for status in statuses}


def _parameter(name: str, where: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": where, "required": False, "description": description, "schema": schema}


_REJECT = object_of({"position": COUNT, "reason": TEXT, "raw": TEXT}, others=True)

_EVENTS: Mapping[str, Any] = {
    "operationId": "ingest",
    "summary": "Events to be counted",
    "description": "Answered when they are durable. Sent again, they count once. A body of any size is read piece by "
    "piece. What cannot be read goes to the reject list. Without Content-Type it must be JSON.",
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
            object_of(
                {
                    "commit": COUNT,
                    "events": COUNT,
                    "counts": object_of(
                        {outcome.name.lower(): COUNT for outcome in Outcome},
                        optional=[outcome.name.lower() for outcome in Outcome],
                    ),
                    "rejects": array_of(_REJECT),
                    "rejects_left_out": COUNT,
                    "notes": array_of(TEXT),
                },
                optional=["notes"],
            ),
        ),
        **_problems(400, *ALWAYS, 413, 415, 422, 429, 503),
    },
}


def _simple(operation: str, summary: str, answers: Mapping[str, Any]) -> dict[str, Any]:
    return {"get": {"operationId": operation, "summary": summary, "tags": ["operations"], "responses": answers}}


_STATUS = object_of({"status": TEXT})
_READY = object_of({"status": TEXT, "sources": TEXT}, optional=["sources"])

OTHERS: Mapping[str, Any] = {
    "/events": {"post": _EVENTS},
    "/healthz": _simple("healthz", "Whether the process lives", {"200": json_answer("It does", _STATUS)}),
    "/readyz": _simple(
        "readyz",
        "Whether events can be taken and all attached sources are read",
        {"200": json_answer("They can, and are", _READY), **_problems(503)},
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
