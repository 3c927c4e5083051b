"""Routes about what could not be counted, and what contradicts itself."""

from typing import Any

from oncefold.core.definition import Pipeline
from oncefold.queries import Questions, documents
from oncefold.queries.events import RejectedEvent
from oncefold.queries.snapshot import Snapshot
from oncefold.serve.answers import schemas
from oncefold.serve.answers.declared import Described, Found, Inquiry, Route, Values
from oncefold.serve.answers.formats import ROWS
from oncefold.serve.answers.fresh import freshness_of
from oncefold.serve.answers.nodes import FORM, without_commit
from oncefold.serve.answers.parameters import Parameter, choice, number

MOST_LISTED = 1_000
RAW_BYTES = 16_384
"""Bytes of a rejected event that are sent; `size` says how long it is."""

_LIMIT = Parameter("limit", *number(0, MOST_LISTED), "at most so many", default=50, example=50)
_ORDER = Parameter(
    "order",
    *choice("oldest", "newest"),
    "which come first: the oldest, by rising ids, if not given",
    default="oldest",
    example="newest",
)
_AFTER = Parameter(
    "after",
    *number(0, 10**18 - 1),
    "only those that follow this id in the order: greater ids, or smaller ones with order=newest; 0 is the beginning",
    default=0,
    example=0,
)
_UTF8_TAIL = 3
"""Bytes of a character that a cut can leave at an end."""


def routes(pipeline: Pipeline) -> list[Route]:
    """The two routes."""
    return [
        Route("/rejects", Inquiry(_rejects, ROWS), _rejects_described(), (), (_LIMIT, _AFTER, _ORDER, FORM)),
        Route("/conflicts", Inquiry(_conflicts, ROWS), _conflicts_described(pipeline), (), (_LIMIT, FORM)),
    ]


def _rejects(ask: Questions, snapshot: Snapshot, values: Values) -> Found:
    newest_first = values["order"] == "newest"
    found = ask.rejects(values["limit"], after=values["after"], most_bytes=RAW_BYTES, newest_first=newest_first)

    def document() -> dict[str, Any]:
        listed = without_commit(documents.listed(found))
        rows = [{**row, **_raw(event)} for row, event in zip(listed["rows"], found, strict=True)]
        return {**listed, "rows": rows}

    return Found(freshness_of(snapshot), document, found)


def _raw(event: RejectedEvent) -> dict[str, Any]:
    """What the document says beside the columns, and the text of an event that was cut within a character."""
    if len(event.raw) >= event.size:
        return {"unit": event.unit}
    for end in range(len(event.raw), len(event.raw) - _UTF8_TAIL - 1, -1):
        try:
            return {"unit": event.unit, "raw": event.raw[:end].decode(), "raw_base64": None}
        except UnicodeDecodeError:
            continue
    return {"unit": event.unit}


def _rejects_described() -> Described:
    row = {
        "id": schemas.COUNT,
        "commit": schemas.COUNT,
        "time": schemas.or_null(schemas.TIME),
        "source": schemas.TEXT,
        "position": schemas.COUNT,
        "unit": {"enum": ["byte", "row"]},
        "reason": schemas.TEXT,
        "raw": schemas.or_null(schemas.TEXT),
        "raw_base64": schemas.or_null(schemas.TEXT),
        "size": schemas.COUNT,
        "format": schemas.TEXT,
        "context": schemas.TEXT,
    }
    return Described(
        summary="Events that could not be read",
        description="In order of their ids, which rise, or fall with `order=newest`; the last id of a page is the "
        f"`after` of the next. Of each event the first {RAW_BYTES:,} bytes are shown, as text in `raw`, "
        "or in `raw_base64` if they are not UTF-8; `size` is that of all of it.",
        answer=schemas.object_of(
            {**schemas.FRESH, "total": schemas.COUNT, "rows": schemas.array_of(schemas.object_of(row))}
        ),
        errors=(406, 422, 503),
        operation_id="rejects",
    )


def _conflicts(ask: Questions, snapshot: Snapshot, values: Values) -> Found:
    found = ask.conflicts(values["limit"])
    return Found(freshness_of(snapshot), lambda: without_commit(documents.listed(found)), found)


def _conflicts_described(pipeline: Pipeline) -> Described:
    row = {
        "commit": schemas.COUNT,
        "time": schemas.or_null(schemas.TIME),
        "key": schemas.TEXT,
        "version": schemas.or_null(schemas.TEXT),
        "kept_leaf": schemas.or_null(schemas.TEXT),
        "dropped_leaf": schemas.or_null(schemas.TEXT),
    }
    rows = schemas.array_of(schemas.object_of(row, others=schemas.or_null(schemas.AMOUNT)))
    return Described(
        summary="Events that contradict each other",
        description="The newest first: of two events of one key and version, which counts "
        f"({_columns(pipeline, 'kept')}) and which does not ({_columns(pipeline, 'dropped')}).",
        answer=schemas.object_of({**schemas.FRESH, "total": schemas.COUNT, "rows": rows}),
        errors=(406, 422, 503),
        operation_id="conflicts",
    )


def _columns(pipeline: Pipeline, which: str) -> str:
    return ", ".join(f"{which}_{name}" for name in ("leaf", *(measure.name for measure in pipeline.measures)))
