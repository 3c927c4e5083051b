"""Routes about what could not be counted, and what contradicts itself."""

from oncefold.core.definition import Pipeline
from oncefold.queries.model import Conflicts, Rejects
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers import schemas
from oncefold.serve.answers.declared import Described, Inquiry, Route, Values
from oncefold.serve.answers.formats import ROWS
from oncefold.serve.answers.nodes import FORM
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


def routes(pipeline: Pipeline) -> list[Route]:
    """The two routes."""
    return [
        Route("/rejects", Inquiry(_rejects, ROWS), _rejects_described(), (), (_LIMIT, _AFTER, _ORDER, FORM)),
        Route("/conflicts", Inquiry(_conflicts, ROWS), _conflicts_described(pipeline), (), (_LIMIT, FORM)),
    ]


def _rejects(reader: StoreReader, values: Values) -> Rejects:
    newest_first = values["order"] == "newest"
    return reader.rejects(values["limit"], after=values["after"], most_bytes=RAW_BYTES, newest_first=newest_first)


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


def _conflicts(reader: StoreReader, values: Values) -> Conflicts:
    return reader.conflicts(values["limit"])


def _conflicts_described(pipeline: Pipeline) -> Described:
    measures = [measure.name for measure in pipeline.measures]
    row = {
        "commit": schemas.COUNT,
        "time": schemas.or_null(schemas.TIME),
        "key": schemas.TEXT,
        "version": schemas.or_null(schemas.TEXT),
        "kept_leaf": schemas.or_null(schemas.TEXT),
        "dropped_leaf": schemas.or_null(schemas.TEXT),
        "kept_measures": schemas.measures(measures, nullable=True),
        "dropped_measures": schemas.measures(measures, nullable=True),
    }
    rows = schemas.array_of(schemas.object_of(row))
    return Described(
        summary="Events that contradict each other",
        description="The newest first: of two events of one key and version, which counts (`kept_leaf`, "
        "`kept_measures`) and which does not (`dropped_leaf`, `dropped_measures`).",
        answer=schemas.object_of({**schemas.FRESH, "total": schemas.COUNT, "rows": rows}),
        errors=(406, 422, 503),
        operation_id="conflicts",
    )
