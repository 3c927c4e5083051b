"""Routes about keys and names: the history of a key, and what a part of a name finds."""

from oncefold.core.definition import Pipeline
from oncefold.core.limits import KEY_BYTES
from oncefold.queries.model import History, SearchResult
from oncefold.queries.store_reader import StoreReader
from oncefold.serve.answers import schemas
from oncefold.serve.answers.declared import Described, Inquiry, Route, Values
from oncefold.serve.answers.formats import ROWS
from oncefold.serve.answers.nodes import FORM, ROLLUP
from oncefold.serve.answers.parameters import Parameter, flag, number, text

MOST_FOUND = 200

_KEY = Parameter("key", *text(KEY_BYTES), "a key as it is written; parts of a composite one are joined by /")
_EVERY = Parameter("every", *flag(), "also the events that changed nothing", default=False)
_Q = Parameter("q", *text(200, 1), "a part of a label, or the beginning of a key", required=True, example="a")
_LIMIT = Parameter("limit", *number(1, MOST_FOUND), "at most so many of each", default=20, example=20)


def routes(pipeline: Pipeline) -> list[Route]:
    """The two routes."""
    measures = [measure.name for measure in pipeline.measures]
    return [
        Route("/history/{key}", Inquiry(_history, ROWS), _history_described(measures), (_KEY,), (_EVERY, FORM)),
        Route("/search", Inquiry(_search), _search_described(), (), (_Q, _LIMIT, ROLLUP)),
    ]


def _history(reader: StoreReader, values: Values) -> History:
    return reader.history(values["key"], every=values["every"])


def _history_described(measures: list[str]) -> Described:
    current = {
        "deleted": schemas.BOOLEAN,
        "version": schemas.or_null(schemas.TEXT),
        "leaf": schemas.or_null(schemas.TEXT),
        "measures": schemas.object_of({}, others=schemas.AMOUNT),
    }
    row = {
        "commit": schemas.COUNT,
        "time": schemas.or_null(schemas.TIME),
        "outcome": schemas.TEXT,
        "version": schemas.or_null(schemas.TEXT),
        "leaf": schemas.or_null(schemas.TEXT),
        "measures": schemas.measures(measures, nullable=True),
        "known": schemas.BOOLEAN,
    }
    members = {
        **schemas.FRESH,
        "key": schemas.TEXT,
        "current": schemas.object_of(current),
        "forgotten_to": schemas.or_null(schemas.COUNT),
        "forgotten_to_time": schemas.or_null(schemas.TIME),
        "rows": schemas.array_of(schemas.object_of(row)),
    }
    return Described(
        summary="What arrived for a key",
        description="Oldest first. What lies beyond the retention is gone; `forgotten_to` says up to which commit.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="history",
    )


def _search(reader: StoreReader, values: Values) -> SearchResult:
    return reader.search(values["q"], rollup=values["rollup"], limit=values["limit"])


def _search_described() -> Described:
    node = schemas.object_of({"rollup": schemas.TEXT, "path": schemas.TEXT, "count": schemas.COUNT})
    key = schemas.object_of({"key": schemas.TEXT, "live": schemas.BOOLEAN})
    members = {**schemas.FRESH, "nodes": schemas.array_of(node), "keys": schemas.array_of(key)}
    return Described(
        summary="Nodes and keys by a part of their name",
        description="Live nodes whose label holds the text, those first whose label begins with it; then the key that "
        "is the text, and newer keys that begin with it.",
        answer=schemas.object_of(members),
        errors=(404, 406, 422, 503),
        operation_id="search",
    )
