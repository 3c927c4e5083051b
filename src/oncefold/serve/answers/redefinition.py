"""POST /redefine: a new definition in, what it changed out; the store has it then, and the server goes on with it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from oncefold.core.definition import Pipeline
from oncefold.pipeline_file import parse_pipeline
from oncefold.serve.answers import schemas
from oncefold.serve.answers.declared import Parameter, flag, read_query
from oncefold.serve.http.request import Request
from oncefold.serve.http.response import NO_STORE, Problem, Response, json_response

REDEFINE: Final = "/redefine"
MOST_BYTES: Final = 2**20
_BODY: Final = "the definition that was sent"

DRY_RUN: Final = Parameter("dry_run", *flag(), "whether only to say what would change", default=False, example=True)


class Redefine(Protocol):
    """Replaces the definition, or says what that would change; raises OncefoldError and Problem."""

    def __call__(self, pipeline: Pipeline, *, dry_run: bool) -> Awaitable[dict[str, Any]]:
        """What came of it, as a JSON document."""
        ...


def redefine_endpoint(redefine: Redefine) -> Callable[[Request], Awaitable[Response]]:
    """The handler of the route."""

    async def handler(request: Request) -> Response:
        """Answer when it is done. Raises Problem and what replacing raises."""
        values = read_query(request.query, (DRY_RUN,))
        text = await _text(request)
        pipeline = await asyncio.to_thread(parse_pipeline, text, _BODY)
        return json_response(await redefine(pipeline, dry_run=values["dry_run"]), NO_STORE)

    return handler


async def _text(request: Request) -> str:
    body = b""
    while request.body.more and len(body) <= MOST_BYTES:
        body += await request.body.next()
    if len(body) > MOST_BYTES:
        raise Problem(413, f"A definition may have {MOST_BYTES:,} bytes.", title="Body too large")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem(400, "The definition is not UTF-8.") from None


def described() -> dict[str, Any]:
    """The route in OpenAPI, but for its errors."""
    node = schemas.object_of(
        {"count": schemas.COUNT, "measures": schemas.object_of({}, others=schemas.or_null(schemas.TEXT))}
    )
    roots = schemas.object_of({}, others=node)
    reason = schemas.object_of({"reason": schemas.TEXT, "events": schemas.COUNT})
    answer = schemas.object_of(
        {
            "changes": schemas.array_of(schemas.TEXT),
            "commit": schemas.COUNT,
            "events": schemas.COUNT,
            "counts": schemas.object_of({}, others=schemas.COUNT),
            "rejected": schemas.array_of(reason),
            "before": roots,
            "after": roots,
            "seconds": schemas.SECONDS,
        }
    )
    return {
        "operationId": "redefine",
        "summary": "Replace the definition, from the whole events that the store keeps",
        "tags": ["admin"],
        "requestBody": {
            "required": True,
            "description": "The new pipeline file.",
            "content": {"text/plain": {"schema": schemas.TEXT}},
        },
        "answer": schemas.json_answer("What changed, or would change", answer),
    }
