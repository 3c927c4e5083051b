"""The OpenAPI 3.1 description, made from the declarations of the routes."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from oncefold.core.definition import Pipeline
from oncefold.serve.answers import redefinition, schemas
from oncefold.serve.answers.changes.endpoint import PARAMETERS
from oncefold.serve.answers.declared import MEDIA_TYPE, DeclaredRoute, Parameter, read_query
from oncefold.serve.http.request import Request
from oncefold.serve.http.response import JSON, TITLES, Response, compact_json

_ABOUT = """Events in, exact totals out. Sums and versions are text, so that no reader makes floats of them; counts and
commits are numbers; times are RFC 3339 in UTC. An answer is of one commit, and says of which."""


def description(
    pipeline: Pipeline, routes: Sequence[DeclaredRoute], discard_parameters: Sequence[Parameter]
) -> dict[str, Any]:
    """The whole document; the parameters are those of discarding all events of a reason."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for method in route.methods:
            paths.setdefault(route.path, {})[method.lower()] = _operation(pipeline, route, method)
    paths["/changes"] = {"get": _changes(pipeline)}
    paths["/rejects/redrive"] = {"post": _redrive()}
    paths["/rejects/discard"] = {"post": _discard_reason(pipeline, discard_parameters)}
    paths["/rejects/{id}"] = {"delete": _discard()}
    paths["/redefine"] = {"post": _redefine(pipeline)}
    paths.update(schemas.OTHERS)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Oncefold: {pipeline.name}", "version": version("oncefold"), "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": {"Problem": schemas.PROBLEM},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"bearer": []}],
    }


def _operation(pipeline: Pipeline, route: DeclaredRoute, method: str) -> dict[str, Any]:
    described = route.described
    good: dict[str, Any] = {
        "description": described.summary,
        "headers": schemas.FRESH_HEADERS if not route.query.kept else {**schemas.FRESH_HEADERS, **schemas.TAG_HEADERS},
        "content": {form.media_type: _content(form.name, described.answer) for form in route.query.forms},
    }
    answers = {"200": good}
    if route.query.kept:
        answers["304"] = {"description": "Nothing was committed since", "headers": schemas.FRESH_HEADERS}
    parameters = [_parameter(pipeline, one, "path") for one in route.in_path]
    parameters += [_parameter(pipeline, one, "query") for one in route.in_query]
    if route.query.kept:
        parameters.append(dict(schemas.IF_NONE_MATCH))
    return {
        "operationId": described.operation_id if method == "GET" else f"{described.operation_id}_{method.lower()}",
        "summary": described.summary,
        "description": described.description,
        "tags": [described.tag],
        "parameters": parameters,
        "responses": {**answers, **problems(*described.errors)},
    }


def _content(form: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"schema": schema} if form == "json" else {}


def _parameter(pipeline: Pipeline, declared: Parameter, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": declared.name,
        "in": where,
        "required": where == "path" or declared.required,
        "description": declared.description,
        "schema": declared.schema,
    }
    if declared.repeats:
        found |= {"schema": {"type": "array", "items": declared.schema}, "style": "form", "explode": True}
    if declared.name == "rollup":
        found["example"] = pipeline.rollups[0].name
    elif declared.example is not None:
        found["example"] = declared.example
    return found


def problems(*statuses: int) -> dict[str, Any]:
    """Answers that report errors."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    every = sorted({*statuses, *schemas.ALWAYS})
    return {
        str(status): {
            "description": TITLES.get(status, schemas.MEANINGS.get(status, "")),
            "content": {MEDIA_TYPE: schema},
        }
        for status in every
    }


def _changes(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "operationId": "changes",
        "summary": "Live changes as server-sent events",
        "description": schemas.CHANGES,
        "tags": ["queries"],
        "parameters": [*(_parameter(pipeline, one, "query") for one in PARAMETERS), schemas.LAST_EVENT_ID],
        "responses": {
            "200": {"description": "A stream without end", "content": {"text/event-stream": {}}},
            **problems(404, 422, 503),
        },
    }


def _redrive() -> dict[str, Any]:
    counts = schemas.object_of({}, others=schemas.COUNT)
    answer = schemas.object_of({"commit": schemas.COUNT, "counts": counts})
    return {
        "operationId": "redrive",
        "summary": "Read all rejected events again",
        "tags": ["admin"],
        "responses": {"200": schemas.json_answer("What became of them", answer), **problems(422, 503)},
    }


def _redefine(pipeline: Pipeline) -> dict[str, Any]:
    text = redefinition.described()
    answer = text.pop("answer")
    return {
        **text,
        "parameters": [_parameter(pipeline, redefinition.DRY_RUN, "query")],
        "responses": {"200": answer, **problems(400, 409, 413, 422, 503)},
    }


def _discard() -> dict[str, Any]:
    id_ = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    return {
        "operationId": "discard",
        "summary": "Take a rejected event off the list",
        "tags": ["admin"],
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": id_, "example": 1}],
        "responses": {
            "200": schemas.json_answer("It is gone", schemas.object_of({"discarded": schemas.COUNT})),
            **problems(404, 422, 503),
        },
    }


def _discard_reason(pipeline: Pipeline, parameters: Sequence[Parameter]) -> dict[str, Any]:
    answer = schemas.object_of({"discarded": schemas.COUNT})
    return {
        "operationId": "discard_reason",
        "summary": "Take all rejected events of a reason off the list",
        "tags": ["admin"],
        "parameters": [_parameter(pipeline, one, "query") for one in parameters],
        "responses": {"200": schemas.json_answer("How many are gone", answer), **problems(422, 503)},
    }


class DescriptionEndpoint:
    """Answers with the description."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._response = Response(200, (JSON, (b"cache-control", b"no-cache")), compact_json(document))

    async def __call__(self, request: Request) -> Response:
        """Raises Problem 422 for a query."""
        read_query(request.query, ())
        return self._response
